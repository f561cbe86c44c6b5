"""Frechet Inception distance (Heusel et al., 2017), as pytorch-fid computes it."""

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional

from difface.metrics.frechet import FrechetDistance
from difface.weights import find, load_state_dict

INCEPTION = "pt_inception-2015-12-05-6726825d.pth"

_NAMES = {"faces": "FID-F", "truth": "FID-G"}


class FID(FrechetDistance):
    """Frechet distance of Inception's last pooling, 2048 numbers per image.

    Images are resized to 299 pixels by bilinear interpolation without antialias, in float, as pytorch-fid does it.
    With less than 2048 images the covariance is of low rank: compare at equal counts only.

    Args:
        reference: "faces" is FID-F, whose reference is FFHQ at the size of the images; "truth" is FID-G, whose
            reference is the ground truth of the scored set. Either is added by `update(real=True)` or loaded.
        most: only so many pictures of the scored set, the first by name, are taken; None: all.
        network: (B, 3, 299, 299) in [-1, 1] -> (B, 2048); None takes the published one, when the first images come.

    Raises:
        ValueError: another `reference`.
    """

    needs = (INCEPTION,)
    family = "Inception"

    def __init__(self, reference: str = "faces", network: nn.Module | None = None, most: int | None = None):
        super().__init__()
        if reference not in _NAMES:
            raise ValueError(f"the reference '{reference}' is unknown; {', '.join(_NAMES)} are accepted: choose one.")
        self.reference, self.most = reference, most
        self.name = _NAMES[reference] + (f" (first {most:,})" if most else "")
        self._network = network

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 2048).

        Raises:
            difface.weights.WeightMissing: Inception is not there.
        """
        if self._network is None:
            self._network = _published()
        with torch.inference_mode():
            resized = functional.interpolate(images.float(), (299, 299), mode="bilinear", align_corners=False)
            return self._network.to(images.device)(2 * resized - 1)


@lru_cache(maxsize=1)
def _published() -> nn.Module:
    return build_inception(load_state_dict(find(INCEPTION)))


def build_inception(state: Mapping[str, torch.Tensor]) -> nn.Module:
    """pytorch-fid's Inception up to its last pooling: torchvision's network with the blocks that pytorch-fid replaces.

    pytorch-fid's own constructor always downloads, hence this one.

    Args:
        state: state dict of the whole network, classifier included (1008 classes).

    Example:
        >>> from torchvision.models import Inception3
        >>> state = Inception3(num_classes=1008, aux_logits=False, init_weights=False).state_dict()
        >>> build_inception(state)(torch.zeros(1, 3, 299, 299)).shape
        torch.Size([1, 2048])
    """
    from pytorch_fid import inception as fid
    from torchvision.models import Inception3

    network = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    network.Mixed_5b = fid.FIDInceptionA(192, pool_features=32)
    network.Mixed_5c = fid.FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = fid.FIDInceptionA(288, pool_features=64)
    network.Mixed_6b = fid.FIDInceptionC(768, channels_7x7=128)
    network.Mixed_6c = fid.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6d = fid.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6e = fid.FIDInceptionC(768, channels_7x7=192)
    network.Mixed_7b = fid.FIDInceptionE_1(1280)
    network.Mixed_7c = fid.FIDInceptionE_2(2048)
    network.load_state_dict(state)
    network.fc = nn.Identity()
    return network.eval().requires_grad_(False)
