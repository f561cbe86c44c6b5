"""The synthetic degradation of Eq. 17: y = {[(x * k_sigma) downsample_s + n_delta] JPEG_q} upsample_s.

Sample the parameters, then apply them: a `Degradation` is drawn from a generator (`draw`, for training) or taken from
the test grid (`grid`, `cells`), can be written as JSON, and `degrade` applies it to a clean image.

Two departures from the paper's text, both as in its released code: the two resizes are bilinear (the text says
bicubic), and the noise is drawn for each channel by itself.
"""

import itertools
import math
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from difface.images import ImageError

KERNEL_SIZE = 41
"""Side of the blur kernel in pixels, at every image size."""

GREY_PROBABILITY = 0.01
"""How often a training pair is grey."""


@dataclass(frozen=True)
class Degradation:
    """The parameters of Eq. 17 for one image. `dataclasses.asdict` makes JSON of them, `Degradation(**d)` reads it."""

    scale: float
    """s, the factor by which the sides shrink before the noise; from 0.1 up, may be fractional, below 1 it enlarges."""

    sigma_x: float
    """Standard deviation of the blur along its first axis, in pixels of the full-size image; 0 is no blur."""

    sigma_y: float
    """Standard deviation of the blur along its second axis, in pixels of the full-size image; 0 is no blur."""

    theta: float
    """Angle of the blur's first axis from the horizontal, in radians; positive turns from right to down."""

    noise: float
    """delta, standard deviation of the Gaussian noise on the small image, in grey levels of 255; 0 is no noise."""

    jpeg_quality: int
    """q, the JPEG quality, a whole number in 1..100."""

    grey: bool = False
    """Whether the result (and in training the clean image) is turned grey at the end."""

    def __post_init__(self) -> None:
        """Refuse parameters that Eq. 17 has no meaning for."""
        if not (math.isfinite(self.scale) and self.scale >= 0.1):
            raise ValueError(f"`scale` must be a factor from 0.1 up (1 keeps the size); got {self.scale}.")
        for name, most in (("sigma_x", math.inf), ("sigma_y", math.inf), ("noise", 255)):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= most):
                accepted = "more" if most == math.inf else f"up to {most}"
                raise ValueError(f"`{name}` must be 0 or {accepted} (0 switches it off); got {value}.")
        if not math.isfinite(self.theta):
            raise ValueError(f"`theta` must be an angle in radians; got {self.theta}.")
        if type(self.jpeg_quality) is not int or not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"`jpeg_quality` must be a whole number in 1..100; got {self.jpeg_quality!r}.")


@dataclass(frozen=True)
class Ranges:
    """What is drawn in training and what the test grid holds, for one image size. `Ranges.for_size` looks one up."""

    size: int
    """Side of the images in pixels."""

    sigma: tuple[float, float]
    """Training: uniform range of sigma_x and sigma_y, in pixels."""

    scale: tuple[float, float]
    """Training: uniform range of s."""

    grid_scale: tuple[float, ...]
    """Test grid: the values of s."""

    grid_sigma: tuple[float, ...]
    """Test grid: the values of sigma_x, and those that sigma_y is drawn from, in pixels."""

    noise: tuple[float, float] = (0, 20)
    """Training: uniform range of delta, in grey levels of 255."""

    jpeg_quality: tuple[int, int] = (30, 100)
    """Training: range of q, both ends included."""

    grid_noise: tuple[float, ...] = (1, 5, 10, 15, 20)
    """Test grid: the values of delta, in grey levels of 255."""

    grid_jpeg_quality: tuple[int, ...] = (30, 40, 50, 60, 70)
    """Test grid: the values of q."""

    grid_theta: tuple[float, ...] = (0.0, 0.25 * math.pi, 0.5 * math.pi, 0.75 * math.pi)
    """Test grid: the values of theta, in radians."""

    @staticmethod
    def for_size(size: int) -> "Ranges":
        """The ranges for images of `size` pixels: 512 (the paper's), 256, 128 or 64.

        Raises:
            ValueError: there are none for this size.

        Example:
            >>> Ranges.for_size(64).sigma
            (0.1, 3)
            >>> Ranges.for_size(100)
            Traceback (most recent call last):
                ...
            ValueError: There are degradation ranges for sizes 512, 256, 128, 64; got 100.
        """
        if size not in _RANGES:
            raise ValueError(f"There are degradation ranges for sizes {', '.join(map(str, _RANGES))}; got {size}.")
        return _RANGES[size]

    @staticmethod
    def nearest(size: int) -> "Ranges":
        """The ranges whose size is nearest to `size` pixels in ratio, for pictures of any size.

        Example:
            >>> Ranges.nearest(100).size
            128
        """
        return min(_RANGES.values(), key=lambda ranges: abs(math.log(ranges.size / size)))


_RANGES: dict[int, Ranges] = {
    ranges.size: ranges
    for ranges in (
        Ranges(512, (0.1, 15), (0.8, 32), (4, 8, 12, 16, 20, 24, 28, 32, 36, 40), (4, 8, 12, 16)),
        Ranges(256, (0.1, 7.5), (0.8, 16), (2, 4, 6, 8, 10, 12, 14, 16, 18, 20), (2, 4, 6, 8)),
        Ranges(128, (0.1, 5), (0.8, 16), (1.5, 3, 4.5, 6, 7.5, 9, 10.5, 12, 13.5, 15), (1, 2, 3, 4)),
        Ranges(64, (0.1, 3), (0.8, 8), (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8), (0.5, 1, 1.5, 2)),
    )
}


LEVELS = {"mild": 32, "middle": 16, "severe": 8}
"""Level of the examples and reports -> pixels that the side of a face keeps."""


def alike(size: int, scale: float) -> Degradation:
    """The plain degradation of sets whose pictures are all treated alike: sigma of a 64th of the side, delta 5, q 60.

    Args:
        size: side of the pictures in pixels.
        scale: s.

    Example:
        >>> alike(128, 4)
        Degradation(scale=4, sigma_x=2.0, sigma_y=2.0, theta=0, noise=5, jpeg_quality=60, grey=False)
    """
    return Degradation(scale, size / 64, size / 64, 0, 5, 60)


def level(size: int, name: str) -> Degradation:
    """The plain degradation at a level of `LEVELS`: s = 2, 4 and 8 at 64 pixels, 4, 8 and 16 at 128.

    Raises:
        ValueError: another name.

    Example:
        >>> level(64, "severe").scale, level(128, "severe").scale
        (8.0, 16.0)
    """
    if name not in LEVELS:
        raise ValueError(f"the level '{name}' is unknown; {', '.join(LEVELS)} are accepted: choose one.")
    return alike(size, size / LEVELS[name])


def draw(generator: torch.Generator, ranges: Ranges, grey_probability: float = 0.0) -> Degradation:
    """Random parameters as in training.

    The blur is isotropic or anisotropic, half and half: one sigma and no angle, or sigma_x and sigma_y each by itself
    and an angle from U[-pi, pi]. Every call takes eight numbers from `generator`, whatever comes out.

    Args:
        generator: CPU generator.
        ranges: `Ranges.for_size(size)`.
        grey_probability: probability of `grey`, in [0, 1].

    Example:
        >>> drawn = draw(torch.Generator().manual_seed(0), Ranges.for_size(64))
        >>> [round(value, 2) for value in (drawn.scale, drawn.sigma_x, drawn.sigma_y, drawn.noise)]
        [7.78, 2.15, 1.43, 15.82]
        >>> drawn.jpeg_quality, drawn.grey
        (42, False)
    """
    scale, first, second, angle, isotropic, noise, quality, grey = torch.rand(
        8, generator=generator, dtype=torch.float64
    ).tolist()
    low, high = ranges.jpeg_quality
    is_isotropic = isotropic < 0.5
    return Degradation(
        scale=_between(scale, ranges.scale),
        sigma_x=_between(first, ranges.sigma),
        sigma_y=_between(first if is_isotropic else second, ranges.sigma),
        theta=0.0 if is_isotropic else _between(angle, (-math.pi, math.pi)),
        noise=_between(noise, ranges.noise),
        jpeg_quality=low + int(quality * (high - low + 1)),
        grey=grey < grey_probability,
    )


def _between(fraction: float, limits: tuple[float, float]) -> float:
    """`fraction` in [0, 1) -> the same place between `limits`."""
    return limits[0] + fraction * (limits[1] - limits[0])


def grid(size: int) -> list[Degradation]:
    """The whole test grid, 4,000 cells, in the order of CelebA-Test: q outermost, then s, delta, sigma_x, theta.

    sigma_y is not a grid axis: as in the script that made CelebA-Test it is picked from the sigma list, cell by cell,
    by Python's `random` with seed 10000, so that the list at 512 is that of CelebA-Test.

    Example:
        >>> whole = grid(512)
        >>> len(whole), whole[0].jpeg_quality, whole[0].scale, whole[-1].jpeg_quality, whole[-1].scale
        (4000, 30, 4, 70, 40)
    """
    ranges = Ranges.for_size(size)
    picker = random.Random(10000)  # an instance of its own; the global state is not touched
    axes = (ranges.grid_jpeg_quality, ranges.grid_scale, ranges.grid_noise, ranges.grid_sigma, ranges.grid_theta)
    return [
        Degradation(
            scale=scale,
            sigma_x=sigma_x,
            sigma_y=picker.choice(ranges.grid_sigma),
            theta=theta,
            noise=noise,
            jpeg_quality=quality,
        )
        for quality, scale, noise, sigma_x, theta in itertools.product(*axes)
    ]


def cells(size: int, count: int, seed: int = 0) -> list[Degradation]:
    """The first `count` cells of a permutation of the grid by `seed`: a fair sample for fewer than 4,000 images.

    Raises:
        ValueError: `count` is not in 1..4000.

    Example:
        >>> sample = cells(64, 1000)
        >>> cells(64, 3) == sample[:3], sum(cell.jpeg_quality == 30 for cell in sample)  # a fifth, more or less
        (True, 213)
    """
    every = grid(size)
    if not 1 <= count <= len(every):
        raise ValueError(f"`count` must be in 1..{len(every)}, the cells of the grid; got {count}.")
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(seed))
    return [every[i] for i in order[:count].tolist()]


def kernel(degradation: Degradation) -> Tensor:
    """k_sigma of Eq. 17: a Gaussian with covariance U diag(sigma_x^2, sigma_y^2) U^T, U the rotation by theta.

    Returns:
        (41, 41) float32, indexed [y, x] with y downwards, sums to 1.

    Example:
        >>> blur = kernel(Degradation(scale=1, sigma_x=2, sigma_y=1, theta=0, noise=0, jpeg_quality=100))
        >>> round(float(blur.sum()), 5), f"{blur[20, 22] / blur[20, 20]:.4f}"  # exp(-1/2), one sigma to the right
        (1.0, '0.6065')
    """
    return torch.from_numpy(_kernel(degradation))


def _kernel(degradation: Degradation) -> np.ndarray:
    """`kernel` as an array: exp(-(u^2 / sigma_x^2 + v^2 / sigma_y^2) / 2) in rotated (u, v) = U^T (x, y)."""
    along = np.arange(KERNEL_SIZE) - KERNEL_SIZE // 2
    x, y = along[None, :], along[:, None]
    cos, sin = math.cos(degradation.theta), math.sin(degradation.theta)
    sigma_x, sigma_y = (max(sigma, 1e-3) for sigma in (degradation.sigma_x, degradation.sigma_y))  # 0: one pixel wide
    u, v = (cos * x + sin * y) / sigma_x, (cos * y - sin * x) / sigma_y
    weights = np.exp(-0.5 * (u**2 + v**2))
    return (weights / weights.sum()).astype(np.float32)


def blur_and_downsample(hq: Tensor, degradation: Degradation) -> Tensor:
    """(x * k_sigma) downsample_s, the first half of Eq. 17, without noise.

    Args:
        hq: x, (3, H, W) in [0, 1].

    Returns:
        (3, floor(H / s), floor(W / s)) in [0, 1], not rounded.

    Example:
        >>> half = Degradation(scale=2, sigma_x=0, sigma_y=0, theta=0, noise=0, jpeg_quality=100)
        >>> stripes = torch.tensor([0.0, 1.0]).repeat(3, 4, 2)
        >>> blur_and_downsample(stripes, half)[0]
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]])
    """
    _check_image(hq, dimensions=(3,))
    return _from_array(_blur_and_downsample(_to_array(hq), degradation), hq)


def _blur_and_downsample(image: np.ndarray, degradation: Degradation) -> np.ndarray:
    """(H, W, 3) -> (h, w, 3). The border is mirrored without its edge (reflect-101), however small the image."""
    height, width = (int(side / degradation.scale) for side in image.shape[:2])
    if min(height, width) < 1:
        raise ImageError(
            f"`scale` {degradation.scale} leaves no pixel of a {image.shape[1]} x {image.shape[0]} image; "
            f"it can be at most {min(image.shape[:2])}."
        )
    blurred = cv2.filter2D(image, -1, _kernel(degradation), borderType=cv2.BORDER_REFLECT_101)
    return cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)


def _add_noise(image: np.ndarray, noise: float, generator: torch.Generator | None) -> np.ndarray:
    """(h, w, 3) + n_delta, clipped to [0, 1], not rounded."""
    if noise > 0:
        if generator is None:
            raise ValueError(f"`generator` is needed to draw the noise of {noise} levels; got None.")
        image = image + torch.randn(image.shape, generator=generator).numpy() * np.float32(noise / 255)
    return np.clip(image, 0, 1)


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """(h, w, 3) RGB in [0, 1] -> what is left of it after JPEG at `quality`, in k / 255."""
    levels = np.rint(image[..., ::-1] * 255).astype(np.uint8)  # the encoder takes BGR
    _, code = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
    assert decoded is not None, "a JPEG of ours is one"
    return decoded[..., ::-1].astype(np.float32) / 255


def _degrade(image: np.ndarray, degradation: Degradation, generator: torch.Generator | None) -> np.ndarray:
    """Eq. 17 for one (H, W, 3) array in [0, 1]; the result is rounded to 8 bit once, at the end."""
    height, width = image.shape[:2]
    small = _blur_and_downsample(image, degradation)
    small = _jpeg(_add_noise(small, degradation.noise, generator), degradation.jpeg_quality)
    lq = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if degradation.grey:
        lq = np.repeat(cv2.cvtColor(lq, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return np.rint(np.clip(lq, 0, 1) * 255) / np.float32(255)


def degrade(
    hq: Tensor,
    degradation: Degradation | Sequence[Degradation],
    generator: torch.Generator | Sequence[torch.Generator] | None = None,
) -> Tensor:
    """Eq. 17: a clean image x (or a batch) -> the low-quality y of the same size.

    Args:
        hq: x, (3, H, W) or (B, 3, H, W), RGB in [0, 1].
        degradation: its parameters; for a batch also a list with one per image.
        generator: CPU generator of the noise; for a batch also a list with one per image. One generator for a batch is
            used image after image. None is accepted without noise.

    Returns:
        y, of the shape, dtype and device of `hq`, in [0, 1], its values k / 255.

    Raises:
        ValueError: a wrong shape or range, lists of another length than the batch, noise without a generator, or a
            `scale` that leaves no pixel.

    Example:
        >>> mild = Degradation(scale=2, sigma_x=1, sigma_y=1, theta=0, noise=0, jpeg_quality=90)
        >>> hq = torch.zeros(3, 8, 8)
        >>> hq[:, :, 4:] = 1
        >>> (degrade(hq, mild)[0, 4] * 255).round().int().tolist()  # the edge, blurred
        [1, 12, 34, 86, 168, 221, 244, 255]
    """
    _check_image(hq, dimensions=(3, 4))
    images = hq if hq.ndim == 4 else hq[None]
    degradations = _one_each(degradation, len(images), "degradation")
    generators = _one_each(generator, len(images), "generator")
    lq = [
        _from_array(_degrade(_to_array(image), d, g), hq)
        for image, d, g in zip(images, degradations, generators, strict=True)
    ]
    return torch.stack(lq) if hq.ndim == 4 else lq[0]


def noise_generator(seed: int) -> torch.Generator:
    """A CPU generator for `degrade`, which shares nothing with that of a sampler which restores with the same seed.

    Example:
        >>> own, sampler = noise_generator(0), torch.Generator().manual_seed(0)
        >>> torch.equal(torch.randn(3, generator=own), torch.randn(3, generator=sampler))
        False
    """
    return torch.Generator().manual_seed(zlib.crc32(f"degradation {seed}".encode()))


def lq_hq_pair(hq: Tensor, ranges: Ranges, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One training pair (y, x_0): x_0 mirrored half the time, both grey 1 % of the time, y by a random Eq. 17.

    Args:
        hq: a clean image, (3, H, W) RGB in [0, 1].
        ranges: `Ranges.for_size(size)`.
        generator: CPU generator of everything random here.

    Returns:
        y and x_0, each (3, H, W) in [0, 1].

    Example:
        >>> y, x_0 = lq_hq_pair(torch.rand(3, 64, 64), Ranges.for_size(64), torch.Generator().manual_seed(0))
        >>> y.shape == x_0.shape, bool((y == x_0).all())
        (True, False)
    """
    if torch.rand((), generator=generator).item() < 0.5:
        hq = hq.flip(-1)
    degradation = draw(generator, ranges, GREY_PROBABILITY)
    lq = degrade(hq, degradation, generator)
    return lq, to_grey(hq) if degradation.grey else hq


def to_grey(image: Tensor) -> Tensor:
    """(..., 3, H, W) RGB -> the same shape with 0.299 R + 0.587 G + 0.114 B in all three channels.

    Example:
        >>> to_grey(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)).flatten()
        tensor([0.2990, 0.2990, 0.2990])
    """
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=image.dtype, device=image.device).view(3, 1, 1)
    return (image * weights).sum(dim=-3, keepdim=True).expand_as(image).contiguous()


def _check_image(hq: Tensor, dimensions: tuple[int, ...]) -> None:
    """Refuse what is no float RGB image in [0, 1]."""
    wanted = " or ".join({3: "(3, H, W)", 4: "(B, 3, H, W)"}[n] for n in dimensions)
    if hq.ndim not in dimensions or hq.shape[-3] != 3 or not hq.is_floating_point():
        raise ValueError(f"`hq` must be float {wanted} RGB in [0, 1]; got {hq.dtype} {tuple(hq.shape)}.")
    low, high = (value.item() for value in hq.aminmax())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"`hq` must be in [0, 1]; got [{low:.3g}, {high:.3g}]. Map or clamp it first.")


def _one_each(given: object, count: int, name: str) -> list:
    """One object for all images, or a list with one for each -> a list of `count`."""
    if not isinstance(given, Sequence):
        return [given] * count
    if len(given) != count:
        raise ValueError(f"`{name}` must be one, or a list with one per image: {count} images; got {len(given)}.")
    return list(given)


def _to_array(image: Tensor) -> np.ndarray:
    """(3, H, W) tensor -> (H, W, 3) float32 array."""
    return np.ascontiguousarray(image.detach().permute(1, 2, 0).to("cpu", torch.float32).numpy())


def _from_array(image: np.ndarray, like: Tensor) -> Tensor:
    """(H, W, 3) array -> (3, H, W) tensor with the dtype and device of `like`."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(like)
