"""Known degradations: each clean estimate x0_hat is pulled towards the data that it must agree with (Eq. 14-16)."""

from math import inf, isinf
from typing import Literal

import torch
from torch.nn import functional

from difface.images import square_padding


class Masked:
    """Some pixels are known: y = (1 - m) x_0 with a binary mask m, 1 = missing (Eq. 14).

    x0' = x0_hat + w (1 - m) (y - x0_hat), where
    - rule "closed" (Eq. 16) minimises 1/2 ||x - x0_hat||^2 + gamma/2 ||(1 - m)(x - y)||^2: w = gamma / (1 + gamma);
    - rule "step" is the official code's one gradient step of size gamma on ||(1 - m)(x - y)||^2: w = 2 gamma.

    Args:
        mask: (1, 1, H, W) or (B, 1, H, W), 1 = missing, 0 = known; resized by nearest neighbour to the model's size.
        rule: "closed" or "step".
        gamma: [0, inf] for "closed", where inf keeps known pixels exactly; [0, 0.5] for "step", where 0.5 does.

    Raises:
        ValueError: a mask that is not binary or of another shape, an unknown rule, gamma outside its range.
    """

    def __init__(self, mask: torch.Tensor, rule: Literal["closed", "step"] = "closed", gamma: float = inf):
        if mask.ndim != 4 or mask.shape[1] != 1:
            raise ValueError(f"`mask` must be (B, 1, H, W); got {tuple(mask.shape)}. Use `mask[None, None]` on (H, W).")
        if not ((mask == 0) | (mask == 1)).all():
            raise ValueError(
                f"`mask` must be binary, 1 = missing and 0 = known; got values in [{mask.min():g}, {mask.max():g}]. Threshold it."
            )
        highest = {"closed": inf, "step": 0.5}
        if rule not in highest:
            raise ValueError(f"`rule` must be 'closed' or 'step'; got {rule!r}.")
        if not 0 <= gamma <= highest[rule]:
            raise ValueError(f"`gamma` must be in [0, {highest[rule]:g}] for the rule '{rule}'; got {gamma}.")
        self.mask = mask.float()
        self.rule = rule
        self.gamma = gamma

    @property
    def weight(self) -> float:
        """w in [0, 1]: how far known pixels move towards y."""
        if self.rule == "step":
            return 2 * self.gamma
        return 1.0 if isinf(self.gamma) else self.gamma / (1 + self.gamma)

    def fitted(self, batch: int, size: int, device: torch.device | str = "cpu") -> "Masked":
        """The same constraint at the model's size (made square as the pictures are), with one mask per picture.

        Raises:
            ValueError: the number of masks is neither 1 nor `batch`.
        """
        square = functional.pad(self.mask, square_padding(*self.mask.shape[-2:]), mode="replicate")
        mask = functional.interpolate(square, (size, size), mode="nearest").to(device)
        if batch % len(mask):
            raise ValueError(f"`mask` must hold 1 mask or one per picture ({batch}); got {len(mask)}.")
        return Masked(mask.repeat_interleave(batch // len(mask), dim=0), self.rule, self.gamma)

    def __call__(self, x0_hat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """x0_hat and y (B, 3, H, W) in [-1, 1] -> x0' in [-1, 1] (clipped again, as in the official code)."""
        return (x0_hat + self.weight * (1 - self.mask) * (y - x0_hat)).clamp(-1, 1)
