"""Methods whose published weights are run as they are, through spandrel: one network call, no chain.

GFPGAN (Wang et al., CVPR 2021), RestoreFormer (Wang et al., CVPR 2022), CodeFormer (Zhou et al., NeurIPS 2022) and LaMa
(Suvorov et al., WACV 2022); and SwinIR, the estimator of a profile without a chain.
"""

from abc import abstractmethod
from typing import Any, ClassVar, Self

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import nn
from torch.func import functional_call
from tqdm.auto import tqdm

from difface import images, masks, profiles, weights
from difface.constraints import Masked
from difface.methods.base import Call, Method, Task, checked_mask
from difface.pipeline import one_generator_each


class OneCall(Method):
    """A network that answers at once. It works at a side of its own: a picture of another size is made square by its
    edge pixels and resized to that (bicubic), and the answer is brought back to the picture's size. Pictures are
    restored one after the other; the callback is called once for each, with step 0, timestep 0 and its result. There
    are no `draws`.

    Args:
        network: in float32.
        side: in pixels.
    """

    def __init__(self, network: nn.Module, side: int = 512):
        self.network, self.side = network.eval(), side
        self._progress_bar_config: dict[str, Any] = {}

    @abstractmethod
    def _answer(self, lq: torch.Tensor, mask: torch.Tensor | None, generator: torch.Generator) -> torch.Tensor:
        """(1, 3, side, side), mask (1, 1, side, side), as for `restore` -> (1, 3, side, side), nominally in [0, 1]."""

    @property
    def size(self) -> int:
        return self.side

    def set_progress_bar_config(self, **config) -> None:
        self._progress_bar_config = config

    def calls(self, task: Task) -> int:
        return 1

    def _restore(self, call: Call) -> torch.Tensor:
        self._check(call.lq)
        if call.draws is not None:
            raise ValueError(f"{self.name} has no chain that takes `draws`; got some: leave them out.")
        lq = call.lq.float().clamp(0, 1).cpu()
        mask = None if call.mask is None else checked_mask(call.mask, lq).cpu()
        holes = [None] * len(lq) if mask is None else mask.expand(len(lq), -1, -1, -1)
        restored = []
        with tqdm(total=len(lq), desc=self.name, **self._progress_bar_config) as bar:
            for picture, hole, source in zip(lq, holes, one_generator_each(call.generator, len(lq)), strict=True):
                restored.append(self._one(picture, hole, source))
                bar.update()
                if call.callback is not None:
                    answer = 2 * restored[-1][None] - 1
                    call.callback(self, 0, 0, {"sample": answer, "pred_original_sample": answer})
        return torch.stack(restored)

    def _side(self, lq: torch.Tensor) -> int:
        """The side at which a picture (3, H, W) is worked on."""
        return self.side

    def _one(self, lq: torch.Tensor, hole: torch.Tensor | None, generator: torch.Generator) -> torch.Tensor:
        """(3, H, W) and (1, H, W) -> (3, H, W) in [0, 1]."""
        device = next(self.network.parameters()).device
        side = self._side(lq)
        seen = lq if hole is None else Masked(hole[None]).prepared([lq], side)[0]  # resizing must not mix holes in
        inner = images.fit_square(seen, side)[None].to(device)
        mask = None if hole is None else images.fit_squares(hole[None], side, masks.resized).to(device)
        answer = self._answer(inner, mask, generator)[0].float().clamp(0, 1).cpu()
        answer = images.unfit_square(answer, *lq.shape[-2:])
        return answer if hole is None else torch.where(hole == 1, answer, lq)


class Published(OneCall):
    """A `OneCall` with the network of an official file.

    Attributes:
        file: its name in the catalog.
        architecture: its name in spandrel.
    """

    file: ClassVar[str]
    architecture: ClassVar[str]
    tasks: ClassVar[tuple[Task, ...]] = ("blind",)

    @classmethod
    def load(cls, profile: str = profiles.DEFAULT, device: str = "auto", dtype: str = "float32", **settings) -> Self:
        """With the file's network in float32, whatever the profile and the dtype.

        Raises:
            difface.weights.WeightMissing: the file is not here; the message has the command that gets it.
            difface.weights.WeightRefused: it holds another network.
            ValueError: no such profile, or a package is missing.
        """
        profiles.profile(profile)
        network = spandrel_network(weights.load_state_dict(weights.find(cls.file)), cls.architecture, cls.file)
        return cls(network.to(profiles.resolve_device(device)), **settings)

    def _answer(self, lq: torch.Tensor, mask: torch.Tensor | None, generator: torch.Generator) -> torch.Tensor:
        return self._official(2 * lq - 1, generator) / 2 + 0.5

    def _official(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The official forward call: RGB in [-1, 1] -> the same."""
        return self.network(x)[0]


class RestoreFormer(Published):
    """A codebook of high-quality faces, looked up by attention."""

    name, file, architecture = "RestoreFormer", "RestoreFormer.pth", "RestoreFormer"


class GFPGAN(Published):
    """A StyleGAN2 steered by features of the picture; version 1.3, the official default.

    The noise that StyleGAN2 adds in every layer is drawn anew for every picture, as in the official code.
    """

    name, file, architecture = "GFPGAN", "GFPGANv1.3.pth", "GFPGAN"

    def _official(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        drawn = {
            f"stylegan_decoder.noises.{name}": randn_tensor(stored.shape, generator=generator, device=x.device)
            for name, stored in self.network.get_submodule("stylegan_decoder.noises").named_buffers()
        }
        return functional_call(self.network, drawn, (x,), {"return_rgb": False, "randomize_noise": False})[0]


class GFPGAN12(GFPGAN):
    """Version 1.2: sharper, with more make-up."""

    name, file = "GFPGAN 1.2", "GFPGANCleanv1-NoCE-C2.pth"


class GFPGAN14(GFPGAN):
    """Version 1.4: closer to the identity."""

    name, file = "GFPGAN 1.4", "GFPGANv1.4.pth"


class CodeFormer(Published):
    """A transformer predicts the codes of a codebook of faces; features of the picture come in as far as `weight` says.

    The codes' colours are set to the picture's (AdaIN).

    Args:
        weight: fidelity w, 0 (what the codebook makes of it) to 1 (the picture); 0.5 in the paper's tables.
    """

    name, file, architecture = "CodeFormer", "codeformer.pth", "CodeFormer"

    def __init__(self, network: nn.Module, weight: float = 0.5):
        super().__init__(network)
        if not 0 <= weight <= 1:
            raise ValueError(f"`weight` must be in [0, 1]; got {weight}. The official default is 0.5.")
        self.weight = weight

    def _official(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return self.network(x, weight=self.weight)[0]


class LaMa(Published):
    """Fourier convolutions fill the holes (big-lama, learnt on Places); known pixels stay.

    It works at 256 pixels, and at a larger picture's own size.
    """

    name, file, architecture = "LaMa", "big-lama.pt", "LaMa"
    tasks = ("inpainting",)

    def __init__(self, network: nn.Module):
        super().__init__(network, side=256)

    def _side(self, lq: torch.Tensor) -> int:
        return max(self.side, -(-max(lq.shape[-2:]) // 8) * 8)

    def _answer(self, lq: torch.Tensor, mask: torch.Tensor | None, generator: torch.Generator) -> torch.Tensor:
        return self.network(lq, mask)


class SwinIR(OneCall):
    """The estimator f(y) of a profile, alone."""

    name = "SwinIR"
    tasks = ("blind",)

    @classmethod
    def load(cls, profile: str = profiles.DEFAULT, device: str = "auto", dtype: str = "float32", **settings) -> Self:
        estimator = profiles.load_estimator(profile, "swinir", device, dtype)
        return cls(estimator, profiles.profile(profile).size, **settings)

    def _answer(self, lq: torch.Tensor, mask: torch.Tensor | None, generator: torch.Generator) -> torch.Tensor:
        return self.network(lq)


def spandrel_network(state: dict[str, torch.Tensor], architecture: str, file: str) -> nn.Module:
    """The network that spandrel recognises in a state dict in its official naming.

    Raises:
        difface.weights.WeightRefused: it is not that architecture.
        ValueError: the package that has it is missing.
    """
    from spandrel import MAIN_REGISTRY, ModelLoader, UnsupportedModelError

    registry = _extra_registry() if architecture == "CodeFormer" else MAIN_REGISTRY
    if architecture == "LaMa":
        state = _without_wrapper(state)
    try:
        found = ModelLoader(registry=registry).load_from_state_dict(state)
    except (UnsupportedModelError, RuntimeError, KeyError) as error:
        reason = str(error).split("\n")[0] or "no network that spandrel knows"
        raise weights.WeightRefused(
            f"{file} is not the {architecture} that it should be ({reason}); get it anew."
        ) from None
    if found.architecture.id != architecture:
        raise weights.WeightRefused(f"{file} holds {found.architecture.id}, not {architecture}; get it anew.")
    return found.model


def _extra_registry():
    """The networks that spandrel keeps apart for their licences."""
    try:
        from spandrel_extra_arches import EXTRA_REGISTRY
    except ImportError:
        raise ValueError(
            "CodeFormer needs the package spandrel_extra_arches, whose CodeFormer is under the S-Lab License 1.0 "
            "(non-commercial); if you keep to that: pip install spandrel_extra_arches"
        ) from None
    return EXTRA_REGISTRY


def _without_wrapper(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """LaMa's generator under spandrel's prefix, whatever the official training or export wrapped around it."""
    body = "model.1.bn_l.running_mean"
    prefix = next((name.removesuffix(body) for name in state if name.endswith(body)), "")
    return {f"model.{name.removeprefix(prefix)}": value for name, value in state.items() if name.startswith(prefix)}
