"""ResNet-18 that embeds a grey face, of the paper's identity metric: `resnet_face18(use_se=False)` of arcface-pytorch.

Written from the architecture (https://github.com/ronghuaiyang/arcface-pytorch, models/resnet.py); the modules carry
that code's names, so that its state dicts load as they are.
"""

from torch import Tensor, nn


class _Block(nn.Module):
    """BN, conv, BN, PReLU, conv, BN, plus the input, PReLU; both PReLU are one module with one slope.

    Args:
        features: channels in, kept by the first convolution.
        out_features: channels out, of the second.
        stride: of the second.
    """

    def __init__(self, features: int, out_features: int, stride: int):
        super().__init__()
        self.bn0 = nn.BatchNorm2d(features)
        self.conv1 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(features, out_features, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_features)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or features != out_features:
            self.downsample = nn.Sequential(
                nn.Conv2d(features, out_features, 1, stride, bias=False), nn.BatchNorm2d(out_features)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        return self.prelu(self.bn2(self.conv2(out)) + self.downsample(x))


class ArcFace18(nn.Module):
    """`forward` maps grey faces (B, 1, 128, 128) in [-1, 1] to embeddings (B, 512), not normalised."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU()
        self.maxpool = nn.MaxPool2d(2)
        self.layer1 = nn.Sequential(_Block(64, 64, 1), _Block(64, 64, 1))
        self.layer2 = nn.Sequential(_Block(64, 128, 2), _Block(128, 128, 1))
        self.layer3 = nn.Sequential(_Block(128, 256, 2), _Block(256, 256, 1))
        self.layer4 = nn.Sequential(_Block(256, 512, 2), _Block(512, 512, 1))
        self.bn4 = nn.BatchNorm2d(512)
        self.dropout = nn.Dropout()
        self.fc5 = nn.Linear(512 * 8 * 8, 512)
        self.bn5 = nn.BatchNorm1d(512)

    def forward(self, grey: Tensor) -> Tensor:
        """(B, 1, 128, 128) in [-1, 1] -> (B, 512)."""
        x = self.maxpool(self.prelu(self.bn1(self.conv1(grey))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.bn5(self.fc5(self.dropout(self.bn4(x)).flatten(1)))
