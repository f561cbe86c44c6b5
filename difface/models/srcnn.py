"""SRCNN as a diffused estimator: plain convolutions between pixel-unshuffled and pixel-shuffled ends (Appendix B1)."""

from math import log2

from torch import Tensor, nn


def _conv(features: int, out_features: int, kernel: int) -> nn.Conv2d:
    """A convolution that keeps the size: (B, features, h, w) -> (B, out_features, h, w); He initialisation."""
    layer = nn.Conv2d(features, out_features, kernel, padding=kernel // 2)
    nn.init.kaiming_normal_(layer.weight, a=0.2)
    return layer


def _act() -> nn.LeakyReLU:
    """The only non-linearity of the network, slope 0.2."""
    return nn.LeakyReLU(0.2, inplace=True)


class SRCNN(nn.Module):
    """Nine 5x5 convolutions of 64 channels at a quarter of the size, by default: 1,031,247 parameters (Table I).

    `forward` maps an image (B, 3, H, W), RGB in [0, 1], to its restoration of the same shape, not clamped; H and W
    must be multiples of `down_factor`.

    Args:
        channels: width of the body; a multiple of 4, because every enlargement by two divides it by four.
        depth: the body has `depth` - 1 layers of 5x5 convolution and LeakyReLU(0.2).
        down_factor: the body works at 1 / `down_factor` of the size; a power of two, 2 or more.

    Raises:
        ValueError: `down_factor` is no power of two, or `channels` cannot be divided by 4 often enough.
    """

    def __init__(self, channels: int = 64, depth: int = 10, down_factor: int = 4):
        super().__init__()
        if down_factor < 2 or down_factor & (down_factor - 1):
            raise ValueError(f"SRCNN's `down_factor` must be a power of two from 2 up; got {down_factor}.")
        levels = int(log2(down_factor))
        if channels % 4**levels:
            raise ValueError(
                f"SRCNN's `channels` must be a multiple of {4**levels} with down_factor {down_factor}; got {channels}."
            )
        self.head = nn.Sequential(*self._head(channels, levels))
        self.body = nn.Sequential(
            *(layer for _ in range(depth - 1) for layer in (_conv(channels, channels, 5), _act()))
        )
        self.tail = nn.Sequential(*self._tail(channels, levels))

    @staticmethod
    def _head(channels: int, levels: int) -> list[nn.Module]:
        """Halve the size `levels` times; between halvings a 5x5 convolution brings the width down to channels / 4."""
        layers: list[nn.Module] = [nn.PixelUnshuffle(2), _conv(4 * 3, channels, 3)]
        for _ in range(levels - 1):
            layers += [_conv(channels, channels // 4, 5), _act(), nn.PixelUnshuffle(2), _conv(channels, channels, 3)]
        return layers

    @staticmethod
    def _tail(channels: int, levels: int) -> list[nn.Module]:
        """Double the size `levels` times, the width going down by four each time, then 5x5 to RGB."""
        layers: list[nn.Module] = []
        for level in range(levels):
            width = channels // 4**level
            layers += [_conv(width, width, 3), _act(), nn.PixelShuffle(2)]
        return [*layers, _conv(channels // 4**levels, 3, 5)]

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 3, H, W), nominally in [0, 1], not clamped."""
        return self.tail(self.body(self.head(image)))
