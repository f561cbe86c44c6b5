"""MCG (Chung et al., NeurIPS 2022; HJ-harry/MCG_diffusion)."""

import torch

from difface.methods.chain import Chain
from difface.methods.replacement import Replacement
from difface.operators import KnownPixels


class MCG(Replacement):
    """`Replacement`, with missing pixels led by a gradient through the network:

        n = ||m_k y - m_k x0_hat||_2,  x <- (1 - m_k) (P(x; z) - grad_x n) + m_k Q(y, t_i; z')

    x0_hat is the clipped one, also in n: where it is clipped it gives no gradient. The official norm runs over the
    batch (which is one picture there); here it is each picture's own.
    """

    name = "MCG"

    def _step(
        self, chain: Chain, x: torch.Tensor, i: int, z: torch.Tensor, y: torch.Tensor, known: KnownPixels
    ) -> tuple[torch.Tensor, torch.Tensor]:
        predicted, g = chain.predict_and_pull(
            x, i, lambda x_0: (y - known.measure(x_0.clamp(-1, 1))).flatten(1).norm(dim=1)
        )
        predicted = predicted.clipped()
        return chain.ancestral(x, i, predicted, z) - g, predicted.x_0
