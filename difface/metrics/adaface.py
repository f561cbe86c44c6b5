"""Whether a result is still the person of its input: the cosine of AdaFace's embeddings, of NTIRE's identity filter."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from difface.faces import FFHQ_TEMPLATE, warp
from difface.images import to_uint8
from difface.metrics.base import PerImageMetric
from difface.metrics.identity import ARCFACE_TEMPLATE
from difface.weights import find, load_state_dict

ADAFACE = "adaface_ir50_ms1mv2.ckpt"


@lru_cache(maxsize=2)
def _network(file: Path, device: torch.device) -> torch.nn.Module:
    from difface.models.adaface50 import AdaFace50

    network, prefix = AdaFace50(), "model."
    state = load_state_dict(file)
    network.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return network.eval().to(device)


def embed(faces: torch.Tensor) -> torch.Tensor:
    """Embeddings of length 1.

    Args:
        faces: (B, 3, H, H) in [0, 1], in FFHQ alignment; nothing is detected.

    Returns:
        (B, 512).

    Raises:
        difface.weights.WeightMissing: the checkpoint is not there.
    """
    network, side = _network(find(ADAFACE), faces.device), faces.shape[-1]
    crops = [warp(to_uint8(face), FFHQ_TEMPLATE * side, ARCFACE_TEMPLATE, 112)[:, :, ::-1] for face in faces]
    bgr = torch.from_numpy(np.stack(crops)).to(faces.device).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        return torch.nn.functional.normalize(network(bgr / 127.5 - 1))


class AdaFaceCosine(PerImageMetric):
    """Cosine of the embeddings of each result and its **input**, -1 to 1: 1 is the same face; no truth is needed.

    The challenge warps both by landmarks that it publishes; here the faces are in FFHQ alignment, and the template's
    points stand for them.
    """

    name = "AdaFace cosine"
    higher_is_better = True
    needs = (ADAFACE,)

    def update(self, restored: torch.Tensor, inputs: torch.Tensor) -> None:
        """Add images with the inputs that they answer, both (B, 3, H, H) in [0, 1], in FFHQ alignment."""
        self.values += (embed(restored) * embed(inputs)).sum(1).double().tolist()
