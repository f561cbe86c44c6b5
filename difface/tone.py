"""The tone of a picture: how dark or faded it is, and the one colour of a black and white or toned one.

The networks have learnt from pictures in colours and of a full range of levels. Others are brought there before f(y),
and the answers are brought back:

- A dark or faded picture is stretched, y' = gain (y - low) + NORMAL[0] with gain = (NORMAL[1] - NORMAL[0]) / (high -
  low), alike in every channel, and its answer goes through the inverse. Levels that leave [0, 1] on the way are cut off
  for the networks and added again to the answer, so that each y = H x_0 of `difface.constraints` holds after it if y' =
  H x_0' held before. Low and high are the levels with `SHARE` percent of all values below and above. Blur narrows them
  too, and is no reason to stretch: it takes the fine detail first. A picture counts as dark or faded only where high,
  low or the range between them is beyond `DARK`, `FADED` or `FLAT` for the detail that it has.
- What has one tone, each channel the same function of the luminance everywhere, comes back in it.

All other pictures are left alone, bit for bit.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch.nn import functional

from difface.degradation import to_grey

SHARE = 2
"""Percent of a picture's values, of all channels, below its low and above its high level."""
NORMAL = (0.106, 0.863)
"""Low and high level of a normal picture: medians over 300 portraits of the training side at 64 pixels."""
SIDE = 64
"""Pixels to which a picture is reduced before it is judged."""
DARK, FADED, FLAT = (0.53, 0.4), (0.475, -0.4), (0.26, 1.05)
"""Limits of the high level, the low level and the range as (a, b) of a + b detail, where detail is the standard
deviation of what a 3 x 3 mean takes away, as a part of the picture's own. 500 portraits of the training side, clean
(detail 0.18), at 3,000 degradations of training and at those of the test grid (0.04), all lie within, by 0.01 or
more."""
MOST_DETAIL = 0.25
"""More is noise."""
LEAST = 2 / 255
"""Range of levels below which there is nothing to be seen, and nothing is stretched."""
ONE_TONE, ROUNDING = 1 / 255, 0.4 / 255
"""Largest standard deviation of any channel from its function of the luminance: in a picture of normal range, and what
rounding to whole levels makes of none in a dark one. Portraits in colours have 1.4 levels or more at the degradations
of training."""
SURE, LIKELY = 0.15, 0.35
"""The same of a smoothed picture, as a part of what the function adds to grey: JPEG blurs and blocks a tone's colours,
not their means. The second is enough below `ONE_TONE`. Portraits in colours have 0.3 or more (those before white walls,
where 1.7 levels are left), and 0.4 where less than one level is left; toned ones at quality 80 have up to 0.3."""
SMOOTH = 16
"""Part of the side that is the standard deviation of the Gaussian which smooths."""
TINT = (0.02, 1 / 255)
"""A cast, the same everywhere, is no tone: that is what a coarse JPEG leaves of colours. Slopes over the luminance that
differ from 1 by less than the first, with offsets of more than the second."""
BINS, FEW_BINS = 32, 4
"""Parts of the range of luminance, and of a smoothed picture's; a tone's function is straight in each."""


@dataclass(frozen=True)
class Curve:
    """A tone: the colour that belongs to a luminance, a straight line and what is added to it.

    Attributes:
        offset, slope: (3,), of the line.
        at, more: (n,) luminances and (3, n) additions, straight between and constant beyond them.
    """

    offset: np.ndarray
    slope: np.ndarray
    at: np.ndarray
    more: np.ndarray

    def __call__(self, luminance: np.ndarray) -> np.ndarray:
        """(...) -> (3, ...), not clipped."""
        channels = zip(self.offset, self.slope, self.more, strict=True)
        return np.stack([a + b * luminance + np.interp(luminance, self.at, more) for a, b, more in channels])

    def tinted(self, picture: torch.Tensor) -> torch.Tensor:
        """A picture (3, H, W) in this tone, each pixel of its own luminance, in [0, 1]."""
        luminance = to_grey(picture)[0].double().cpu().numpy()
        return torch.from_numpy(self(luminance)).to(picture).clamp(0, 1)


@dataclass(frozen=True, eq=False)
class Tone:
    """What `tone_of` finds in a picture.

    Attributes:
        given: the picture as the networks shall see it, (3, H, W) in [0, 1].
        low, gain: of the stretch; gain is 1 where there is none.
        rest: (3, H, W), what the stretch cut off, in levels of the picture.
        curve: the one tone; None where there are colours.
        notes: what was found, in words that go on "The picture is ...".
    """

    given: torch.Tensor
    low: float = 0.0
    gain: float = 1.0
    rest: torch.Tensor | None = None
    curve: Curve | None = None
    notes: list[str] = field(default_factory=list)

    def back(self, x_0: torch.Tensor) -> torch.Tensor:
        """An answer of the networks in the picture's own range and colour.

        Args:
            x_0: (3, H, W) in [0, 1], of the size of the picture.
        """
        if self.rest is not None:
            x_0 = _unstretched(x_0, self.low, self.gain) + self.rest.to(x_0)
        if self.curve is not None:
            x_0 = self.curve.tinted(x_0)
        return x_0 if not self.notes else x_0.clamp(0, 1)


def tone_of(y: torch.Tensor, colours: bool = False) -> Tone:
    """Find out whether a picture is dark, faded or of one tone, as the module's docstring says.

    Args:
        y: (3, H, W) in [0, 1], at the model's size.
        colours: whether the answer shall have colours even if the picture has none.
    """
    low, high, detail = _levels(y)
    limits = [a + b * detail for a, b in (DARK, FADED, FLAT)]
    stretched = high - low >= LEAST and (high < limits[0] or low > limits[1] or high - low < limits[2])
    gain = (NORMAL[1] - NORMAL[0]) / (high - low) if stretched else 1.0
    curve = None if colours else curve_of(y, gain)
    notes, given, rest = [], y, None
    if stretched:
        given = (gain * (y - low) + NORMAL[0]).clamp(0, 1)
        rest = y - _unstretched(given, low, gain)
        kind = "faded" if low > high / 3 else "dark"
        notes.append(f"{kind}: stretched for the networks, and brought back")
    if curve is not None:
        notes.append("of one tone: it is kept")
    return Tone(given, low, gain, rest, curve, notes)


def _unstretched(x: torch.Tensor, low: float, gain: float) -> torch.Tensor:
    return (x - NORMAL[0]) / gain + low


def _levels(y: torch.Tensor) -> tuple[float, float, float]:
    """Low and high level, and the detail, of a picture."""
    small = functional.adaptive_avg_pool2d(y[None], min(SIDE, *y.shape[-2:]))
    low, high = (torch.quantile(small, share / 100).item() for share in (SHARE, 100 - SHARE))
    smooth = functional.avg_pool2d(functional.pad(small, (1, 1, 1, 1), mode="replicate"), 3, 1)
    detail = ((small - smooth).std() / small.std().clamp(min=1e-6)).item()
    return low, high, min(detail, MOST_DETAIL)


def curve_of(picture: torch.Tensor, gain: float = 1.0) -> Curve | None:
    """The one tone of a picture; None where it has colours, or nothing to be seen.

    Args:
        picture: (3, H, W) in [0, 1].
        gain: how much darker or more faded than a normal picture it is.
    """
    if np.ptp(to_grey(picture).numpy()) < LEAST:
        return None
    values = picture.double().permute(1, 2, 0).numpy()
    curve, spread, _ = _fitted(values, BINS)
    if np.abs(curve.slope - 1).max() < TINT[0] and np.ptp(curve.offset) > TINT[1] / gain:
        return None
    if spread < max(ONE_TONE / gain, ROUNDING):
        return curve
    smooth = cv2.GaussianBlur(values, (0, 0), max(picture.shape[-2:]) / SMOOTH, borderType=cv2.BORDER_REPLICATE)
    curve, spread, tint = _fitted(smooth, FEW_BINS)
    return curve if spread < max(SURE * tint, min(ONE_TONE / gain, LIKELY * tint)) else None


def _fitted(picture: np.ndarray, bins: int) -> tuple[Curve, float, float]:
    """The tone (H, W, 3) that is nearest to a picture, how far the picture is from it, and how far it is from grey."""
    luminance, values = (
        to_grey(torch.from_numpy(picture).permute(2, 0, 1))[0].flatten().numpy(),
        picture.reshape(-1, 3).T,
    )
    around = luminance - luminance.mean()
    slope = (values * around).mean(1) / (around**2).mean()
    offset = values.mean(1) - slope * luminance.mean()
    more = values - offset[:, None] - slope[:, None] * luminance
    part = ((luminance - luminance.min()) / np.ptp(luminance) * bins).astype(int).clip(max=bins - 1)
    parts, part, count = np.unique(part, return_inverse=True, return_counts=True)
    means = [np.bincount(part, of) / count for of in (luminance, *more)]
    curve = Curve(offset, slope, means[0], np.stack(means[1:]))
    colours = curve(luminance)
    return curve, (values - colours).std(1).max(), (colours - luminance).std(1).max()
