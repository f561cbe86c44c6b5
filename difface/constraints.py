"""Known degradations: each clean estimate x0_hat is pulled towards the data that it must agree with (Eq. 14-16)."""

from abc import ABC, abstractmethod
from math import inf, isinf
from typing import Literal

import torch
from scipy.ndimage import distance_transform_edt

from difface import masks
from difface.degradation import to_grey
from difface.images import fit_squares
from difface.operators import BlockMeans

Rule = Literal["step", "closed"]
"""How `Masked` pulls x0_hat towards the data."""
LUMINANCE = (0.299, 0.587, 0.114)
"""w, the shares of R, G and B."""


class Constraint(ABC):
    """A known degradation y = H x_0, as the pipeline uses it: `prepared`, `fitted`, then a call at every step.

    Attributes:
        mask: what an inpainting estimator is given beside the picture, (B, 1, H, W); None where nothing is missing.
        gives_colours: whether the answer has colours even where the picture has none.
    """

    mask: torch.Tensor | None = None
    gives_colours = False

    @abstractmethod
    def prepared(self, inputs: list[torch.Tensor], size: int) -> list[torch.Tensor]:
        """The callers' pictures as the networks shall see them.

        Args:
            inputs: B pictures (3, H, W) in [0, 1].
            size: side in pixels at which the networks work.

        Raises:
            ValueError: the constraint does not fit a picture.
        """

    def fitted(self, batch: int, size: int, device: torch.device | str = "cpu") -> "Constraint":
        """The same constraint for `batch` pictures of size x size pixels on `device`."""
        return self

    @abstractmethod
    def __call__(self, x0_hat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """x0_hat and y (B, 3, H, W) in [-1, 1] -> x0' in [-1, 1]; y is the prepared picture."""


class Masked(Constraint):
    """Some pixels are known: y = (1 - m) x_0 with a binary mask m, 1 = missing (Eq. 14).

    x0' = x0_hat + w (1 - m) (y - x0_hat), where
    - rule "step" is the official code's one gradient step of size gamma on ||(1 - m)(x - y)||^2: w = 2 gamma;
    - rule "closed" (Eq. 16) minimises 1/2 ||x - x0_hat||^2 + gamma/2 ||(1 - m)(x - y)||^2: w = gamma / (1 + gamma).

    What the picture holds in missing pixels is never seen, nor mixed into its neighbours when it is resized.

    Args:
        mask: (1, 1, H, W) or (B, 1, H, W), 1 = missing, 0 = known; at the model's size a pixel is missing if any under
            it is (`masks.resized`).
        rule: "step" or "closed".
        gamma: [0, 0.5] for "step", [0, inf] for "closed"; 0 is plain DifFace. None is the largest, with which known
            pixels are kept exactly: 0.5, as released, or inf.

    Raises:
        ValueError: a mask that is not binary or of another shape, an unknown rule, gamma outside its range.
    """

    mask: torch.Tensor

    def __init__(self, mask: torch.Tensor, rule: Rule = "step", gamma: float | None = None):
        if mask.ndim != 4 or mask.shape[1] != 1:
            raise ValueError(f"`mask` must be (B, 1, H, W); got {tuple(mask.shape)}. Use `mask[None, None]` on (H, W).")
        if not ((mask == 0) | (mask == 1)).all():
            raise ValueError(
                f"`mask` must be binary, 1 = missing and 0 = known; got values in [{mask.min():g}, {mask.max():g}]. "
                "Threshold it."
            )
        highest = {"step": 0.5, "closed": inf}
        if rule not in highest:
            raise ValueError(f"`rule` must be 'step' or 'closed'; got {rule!r}.")
        gamma = highest[rule] if gamma is None else gamma
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

    def prepared(self, inputs: list[torch.Tensor], size: int) -> list[torch.Tensor]:
        """The pictures with every missing pixel painted in the colour of the nearest known one.

        Raises:
            ValueError: a picture of another shape than the mask, or another number of masks than 1 or B.
        """
        if len(self.mask) not in (1, len(inputs)):
            raise ValueError(f"`mask` must hold 1 mask or one per picture ({len(inputs)}); got {len(self.mask)}.")
        each = self.mask.expand(len(inputs), -1, -1, -1)
        height, width = self.mask.shape[-2:]
        for image in inputs:
            if image.shape[1] * width != image.shape[2] * height:
                raise ValueError(
                    f"the mask is {width}x{height} and the picture {image.shape[2]}x{image.shape[1]} pixels; the same "
                    "shape is accepted: make the mask for this picture."
                )
        return [_filled(image, mask) for image, mask in zip(inputs, each, strict=True)]

    def fitted(self, batch: int, size: int, device: torch.device | str = "cpu") -> "Masked":
        """The same constraint at the model's size (made square as the pictures are), with one mask per picture.

        Raises:
            ValueError: the number of masks is neither 1 nor a divisor of `batch`.
        """
        mask = fit_squares(self.mask, size, masks.resized).to(device)
        return Masked(_one_each(mask, batch), self.rule, self.gamma)

    def __call__(self, x0_hat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """x0_hat and y (B, 3, H, W) in [-1, 1] -> x0' in [-1, 1] (clipped again, as in the official code)."""
        return (x0_hat + self.weight * (1 - self.mask) * (y - x0_hat)).clamp(-1, 1)


def _one_each(mask: torch.Tensor, batch: int) -> torch.Tensor:
    if batch % len(mask):
        raise ValueError(f"`mask` must hold 1 mask or one per picture ({batch}); got {len(mask)}.")
    return mask.repeat_interleave(batch // len(mask), dim=0)


def _filled(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(3, H, W) and (1, H', W'), 1 = missing -> (3, H, W) whose missing pixels copy the nearest known one."""
    missing = masks.resized(mask[None].cpu(), *image.shape[-2:])[0, 0].bool()
    if missing.all():
        return torch.full_like(image, 0.5)
    rows, columns = torch.from_numpy(distance_transform_edt(missing, return_distances=False, return_indices=True))
    return image[:, rows.long(), columns.long()]


class Grey(Constraint):
    """The luminance is known: y = 0.299 R + 0.587 G + 0.114 B (colourisation).

    x0' is the Euclidean projection of x0_hat onto the colours of that luminance within the cube [-1, 1]^3, pixel by
    pixel: min ||x - x0_hat||^2 subject to w . x = y. The pipeline is handed pictures of any colours, only their
    luminance is used.
    """

    gives_colours = True

    def prepared(self, inputs: list[torch.Tensor], size: int) -> list[torch.Tensor]:
        """The pictures in grey."""
        return [to_grey(image) for image in inputs]

    def __call__(self, x0_hat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """x0_hat and y (B, 3, H, W) in [-1, 1] -> x0' in [-1, 1], of y's luminance.

        The minimiser is x0_hat + lambda w clipped to the cube, and its luminance rises with lambda in at most three
        straight pieces, one less per channel that reaches the border, so that three Newton steps are exact.
        """
        w = torch.tensor(LUMINANCE, dtype=x0_hat.dtype, device=x0_hat.device).view(3, 1, 1)
        target = (w * y).sum(1, keepdim=True)
        # Where the luminance must fall, the mirrored problem is solved: only the upper border is left to watch.
        sign = torch.where(target < (w * x0_hat).sum(1, keepdim=True), -1.0, 1.0)
        x = sign * x0_hat
        for _ in range(3):
            free = w * (x < 1)
            gap = (sign * target - (w * x).sum(1, keepdim=True)).clamp(min=0)
            step = gap / (free * w).sum(1, keepdim=True).clamp(min=min(LUMINANCE) ** 2)  # none free: no gap either
            x = (x + step * free).clamp(max=1)
        return sign * x


class Downsampled(Constraint):
    """A small picture is known: y = H x_0, where H takes the mean of each block of s x s pixels (super-resolution).

    x0' = x0_hat + H^+ (y - H x0_hat), where the pseudo-inverse H^+ repeats each pixel s x s times. The pipeline is
    handed the small pictures themselves, works on H^+ y and returns pictures s times as large.

    Args:
        scale: s, a whole number from 2.

    Raises:
        ValueError: another scale.
    """

    def __init__(self, scale: int):
        if isinstance(scale, bool) or not isinstance(scale, int) or scale < 2:
            raise ValueError(
                f"`scale` must be a whole number from 2; got {scale!r}. 4 makes each side four times as long."
            )
        self.scale = scale
        self._means = BlockMeans(scale)

    def prepared(self, inputs: list[torch.Tensor], size: int) -> list[torch.Tensor]:
        """H^+ y: the small pictures, enlarged by nearest neighbour to the model's size.

        Raises:
            ValueError: a picture whose sides are not size / s.
        """
        for image in inputs:
            if image.shape[1] * self.scale != size or image.shape[2] * self.scale != size:
                raise ValueError(
                    f"the picture is {image.shape[2]}x{image.shape[1]} pixels; {size / self.scale:g} on each side are "
                    f"accepted, which `Downsampled({self.scale})` enlarges to the model's {size}: hand over the small "
                    "picture, not enlarged."
                )
        return [self._means.spread(image[None])[0] for image in inputs]

    def __call__(self, x0_hat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """x0_hat and y = H^+ (small picture), (B, 3, H, W) in [-1, 1] -> x0' in [-1, 1] (clipped again)."""
        return (x0_hat + self._means.project(y - x0_hat)).clamp(-1, 1)
