"""ResNet-50 that embeds a face, of NTIRE's identity filter: `ir_50` of AdaFace (Kim et al., CVPR 2022).

Written from the architecture (https://github.com/mk-minchul/AdaFace, net.py, MIT); the modules carry that code's names,
so that its state dicts load as they are.
"""

from itertools import pairwise

from torch import Tensor, nn

_STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))
"""(channels, blocks); the first block of each halves the side."""


class _Block(nn.Module):
    """BN, conv, BN, PReLU, conv, BN, plus the input."""

    def __init__(self, features: int, out_features: int, stride: int):
        super().__init__()
        self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        if features != out_features:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(features, out_features, 1, stride, bias=False), nn.BatchNorm2d(out_features)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(features),
            nn.Conv2d(features, out_features, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_features),
            nn.PReLU(out_features),
            nn.Conv2d(out_features, out_features, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_features),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.res_layer(x) + self.shortcut_layer(x)


class AdaFace50(nn.Module):
    """`forward` maps faces (B, 3, 112, 112), BGR in [-1, 1], to embeddings (B, 512), not normalised."""

    def __init__(self):
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        widths = [64, *(width for width, blocks in _STAGES for _ in range(blocks))]
        first = [k == 0 for _, blocks in _STAGES for k in range(blocks)]
        self.body = nn.Sequential(
            *(_Block(a, b, 2 if halves else 1) for (a, b), halves in zip(pairwise(widths), first, strict=True))
        )
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(512 * 7 * 7, 512),
            nn.BatchNorm1d(512, affine=False),
        )

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3, 112, 112), BGR in [-1, 1] -> (B, 512)."""
        return self.output_layer(self.body(self.input_layer(faces)))
