"""Training of the diffusion prior and of the diffused estimators, on accelerate."""
