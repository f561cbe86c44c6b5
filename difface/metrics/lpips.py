"""Learned perceptual distance (Zhang et al., 2018), version 0.1."""

import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from difface.metrics.base import PairMetric
from difface.weights import find, load_state_dict

_NETS = {
    "vgg": ("LPIPS", "vgg16-397923af.pth", 16),
    "alex": ("LPIPS-alex", "alexnet-owt-7be5be79.pth", 31),
    "squeeze": ("LPIPS-squeeze", "squeezenet1_1-b8a52dc0.pth", 17),
}
"""Trunk -> the metric's name, torchvision's file, the least side that its strides leave something of."""


class LPIPS(PairMetric):
    """LPIPS of RGB at the images' own size: the `lpips` package with its v0.1 heads on a trunk of torchvision.

    Tables of face restoration have the VGG trunk, so that is plain "LPIPS"; the others go by names of their own.

    Args:
        net: "vgg", "alex" or "squeeze".
        trunk: state dict of torchvision's network; None takes the published one, when the first images come.

    Raises:
        ValueError: another `net`.
    """

    higher_is_better = False

    def __init__(self, net: str = "vgg", trunk: Mapping[str, torch.Tensor] | None = None):
        super().__init__()
        if net not in _NETS:
            raise ValueError(f"the LPIPS trunk '{net}' is unknown; {', '.join(_NETS)} are accepted: choose one.")
        self.net = net
        self.name, file, self.smallest = _NETS[net]
        self.needs = (file,)
        self._network = None if trunk is None else build_lpips(net, trunk)

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """(B,), 0 for equal images.

        Raises:
            difface.weights.WeightMissing: the trunk is not there.
        """
        if self._network is None:
            self._network = _published(self.net)
        with torch.inference_mode():
            return self._network.to(truth.device)(restored.float(), truth.float(), normalize=True).flatten()


@lru_cache(maxsize=3)
def _published(net: str) -> nn.Module:
    return build_lpips(net, load_state_dict(find(_NETS[net][1])))


def build_lpips(net: str, trunk: Mapping[str, torch.Tensor]) -> nn.Module:
    """The network of the `lpips` package, put together from a trunk and the package's own heads.

    Left to itself the package would download the trunk; it numbers the trunk's layers as torchvision does, but in
    slices.

    Args:
        net: "vgg", "alex" or "squeeze".
        trunk: state dict of torchvision's network, with `features.N...`; the classifier is not used.

    Example:
        >>> from torchvision.models import squeezenet1_1
        >>> network = build_lpips("squeeze", squeezenet1_1().state_dict())
        >>> picture = torch.rand(1, 3, 32, 32)
        >>> network(picture, picture).item()
        0.0
    """
    import lpips

    with warnings.catch_warnings(), torch.device("meta"):  # nothing is drawn; every parameter comes from the two files
        warnings.simplefilter("ignore")  # it calls torchvision by an old argument
        network = lpips.LPIPS(pretrained=False, net=net, pnet_rand=True, verbose=False)
    slices = network.net.state_dict()  # slice1.0.weight is features.0.weight
    network.net.load_state_dict({key: trunk[f"features.{key.split('.', 1)[1]}"] for key in slices}, assign=True)
    heads = load_state_dict(Path(lpips.__file__).parent / "weights" / f"v{network.version}" / f"{net}.pth")
    network.load_state_dict(heads, strict=False, assign=True)  # they are lin0, lin1, ... alone
    return network.requires_grad_(False)
