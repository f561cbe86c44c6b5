"""Peak signal-to-noise ratio."""

import torch


class PSNR:
    """PSNR = 10 log10(1 / MSE) in dB, over all three channels of RGB in [0, 1], averaged over images (not over errors).

    Attributes:
        values: one number per image, in the order of the updates; inf for equal images.
    """

    name = "PSNR"
    higher_is_better = True
    needs: tuple[str, ...] = ()

    def __init__(self):
        self.values: list[float] = []

    def update(self, restored: torch.Tensor, truth: torch.Tensor) -> None:
        """Add images, both (B, 3, H, W) in [0, 1].

        Raises:
            ValueError: the shapes differ.
        """
        if restored.shape != truth.shape:
            raise ValueError(
                f"PSNR compares images of one shape; got {tuple(restored.shape)} and {tuple(truth.shape)}."
            )
        mse = (restored.double() - truth.double()).square().flatten(1).mean(1)
        self.values += (-10 * mse.log10()).tolist()

    def compute(self) -> float:
        """Mean over all images so far."""
        return sum(self.values) / len(self.values)
