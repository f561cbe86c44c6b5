"""Profiles: which networks work together, at which size, with which defaults."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from difface.chain import check_begin_index
from difface.files import save_whole
from difface.models.estimator import FaceEstimator
from difface.models.unet import UNet
from difface.pipeline import DifFacePipeline
from difface.precision import torch_dtype
from difface.schedulers import build_scheduler
from difface.start import Doubt
from difface.weights import converted

_PACKAGE = Path(__file__).resolve().parent
ASSETS = next(
    (place for place in (_PACKAGE / "assets", _PACKAGE.parent / "assets") if place.is_dir()), _PACKAGE / "assets"
)
"""The embedded weights and examples: in an installed package inside it, in the repository beside it."""
_INDEX = "model_index.json"
Source = Callable[[], Path]


def _official(name: str, kind: str, size: int | None = None) -> Source:
    return partial(converted, name, kind, size)


def _embedded(profile: str, network: str) -> Source:
    return lambda: ASSETS / profile / network


@dataclass(frozen=True)
class Profile:
    """The networks that work together, and their defaults.

    Attributes:
        name: as on the command line; of a folder its path.
        size: side in pixels at which the networks work.
        unet: where the prior is (called when it is needed: it may download and convert).
        estimators: name -> where that estimator is; the first is the default.
        inpainting: the same for estimators that take a mask, which restore nothing else.
        doubts: estimator -> how far off it is, which `--start auto` goes by.
        fast: scheduler of the fast path (`eval bench` compares them).
        begin_index: N by default.
        files: catalogued files that the profile needs, for `python -m difface fetch`.
        licence: of the weights, in a line.
    """

    name: str
    size: int
    unet: Source
    estimators: dict[str, Source]
    begin_index: int
    files: tuple[str, ...]
    licence: str
    inpainting: dict[str, Source] = field(default_factory=dict)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    fast: str = "dpm++"


_S_LAB = "S-Lab License 1.0 (non-commercial)"
_FFHQ512 = ("iddpm_ffhq512_ema500000.pth", "swinir_restoration512_L1.pth")
_FFHQ256 = ("iddpm_ffhq256_ema750000.pth", "lama_inpainting256.pth")
_IMAGENET256 = "256x256_diffusion_uncond.pt"

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="small",
            size=128,
            unet=_embedded("small", "unet"),
            estimators={"swinir": _embedded("small", "swinir"), "srcnn": _embedded("small", "srcnn")},
            begin_index=250,
            files=(),
            licence="CC BY 3.0, trained on official portraits: U.S. (public domain, CC0, MIT), © UK Parliament",
            inpainting={"lama": _embedded("small", "lama")},
            fast="ddpm-noisy",
        ),
        Profile(
            name="tiny",
            size=64,
            unet=_embedded("tiny", "unet"),
            estimators={"swinir": _embedded("tiny", "swinir"), "srcnn": _embedded("tiny", "srcnn")},
            begin_index=250,
            files=(),
            licence="CC BY 3.0, trained on portraits © UK Parliament",
            inpainting={"lama": _embedded("tiny", "lama")},
            doubts={"swinir": Doubt(0.286, 0.647)},
        ),
        Profile(
            name="ffhq512",
            size=512,
            unet=_official(_FFHQ512[0], "unet", 512),
            estimators={"swinir": _official(_FFHQ512[1], "estimator")},
            begin_index=400,
            files=_FFHQ512,
            licence=_S_LAB,
        ),
        Profile(
            name="ffhq256-inpaint",
            size=256,
            unet=_official(_FFHQ256[0], "unet", 256),
            estimators={},
            begin_index=480,
            files=_FFHQ256,
            licence=_S_LAB,
            inpainting={"lama": _official(_FFHQ256[1], "estimator")},
        ),
        Profile(
            name="imagenet256-sr",
            size=256,
            unet=_official(_IMAGENET256, "unet", 256),
            estimators={},
            begin_index=400,
            files=(_IMAGENET256,),
            licence="MIT (guided-diffusion)",
        ),
    )
}


EMBEDDED = ("small", "tiny")
"""The profiles whose networks come with the package."""
DEFAULT = EMBEDDED[0]
"""The profile of the page, the command line and Python, where nobody names one and no GPU has the paper's weights."""


def profile(name: str) -> Profile:
    """A profile by name, or the folder of a saved pipeline (see `assemble`) as one.

    Raises:
        ValueError: unknown name, or a folder of something else.
    """
    if name in PROFILES:
        return PROFILES[name]
    if Path(name).is_dir():
        return _saved(Path(name))
    raise ValueError(
        f"the profile '{name}' is unknown; {', '.join(PROFILES)} are accepted, and folders that `python -m difface "
        "assemble` wrote: choose one."
    )


def label(name: str) -> str:
    """What a profile is called in captions and file names; of a folder its name without its path."""
    return Path(name).name


def _saved(folder: Path) -> Profile:
    """The profile of a folder that `DifFacePipeline.save_pretrained` wrote."""
    index, unet, estimator = (_json(folder / name) for name in (_INDEX, "unet/config.json", "estimator/config.json"))
    has_estimator = (index.get("estimator") or [None])[0] is not None
    whole = {"unet": unet.get("_class_name") == "UNet" and "sample_size" in unet}
    if has_estimator:
        whole["estimator"] = estimator.get("_class_name") == "FaceEstimator" and "architecture" in estimator
    broken = [part for part, known in whole.items() if not (known and list((folder / part).glob("*.safetensors")))]
    if index.get("_class_name") != DifFacePipeline.__name__:
        broken = [_INDEX]
    if broken:
        raise ValueError(
            f"the folder {folder} is no profile, for it holds no {broken[0]} of a DifFacePipeline; one that "
            "`python -m difface assemble PRIOR ESTIMATOR -o DIR` or `save_pretrained` wrote is accepted: make one."
        )
    found: dict[str, Source] = {estimator["architecture"]: partial(Path, folder, "estimator")} if has_estimator else {}
    takes_mask = estimator.get("architecture") == "lama"
    return Profile(
        name=str(folder),
        size=unet["sample_size"],
        unet=partial(Path, folder, "unet"),
        estimators={} if takes_mask else found,
        begin_index=index.get("begin_index", 400),
        files=(),
        licence="whatever their makers say",
        inpainting=found if takes_mask else {},
    )


def _json(file: Path) -> dict:
    """What a JSON file says; nothing where there is none."""
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def assemble(unet: Path, estimator: Path | None, folder: Path, begin_index: int = 400) -> Path:
    """Put networks that `train` or `convert` wrote into one folder, which `profile` takes: a saved `DifFacePipeline`.

    Args:
        unet: folder of a `UNet`.
        estimator: folder of a `FaceEstimator`; None for a prior that only draws samples.
        folder: written whole or not at all; an earlier one of the kind is replaced.
        begin_index: N by default.

    Returns:
        The folder.

    Raises:
        ValueError: a folder of something else, or N outside 1..T.
    """
    check_begin_index(begin_index)
    if folder.exists() and not (folder.is_dir() and (_json(folder / _INDEX) or not any(folder.iterdir()))):
        raise ValueError(f"{folder} holds something else; a new or empty folder is accepted: choose another -o.")
    for given, kind in ((unet, UNet), (estimator, FaceEstimator)):
        if given is not None and _json(given / "config.json").get("_class_name") != kind.__name__:
            raise ValueError(
                f"{given} holds no {kind.__name__}; a folder that `python -m difface train` or `convert` wrote is "
                "accepted: check it."
            )
    loaded = FaceEstimator.from_pretrained(estimator) if estimator else None
    save_whole(DifFacePipeline(UNet.from_pretrained(unet), build_scheduler("ddim"), loaded, begin_index), folder)
    return folder


def load(
    name: str = DEFAULT,
    estimator: str | None = None,
    scheduler: str = "ddim",
    device: str = "auto",
    dtype: str = "float32",
    prior_only: bool = False,
) -> DifFacePipeline:
    """A ready pipeline.

    Args:
        name: of the profile.
        estimator: of those of the profile; None for its first.
        scheduler: see `difface.schedulers`.
        device: "cpu", "cuda", "mps" or "auto" (the best there is).
        dtype: "float32" (as in the official code), "float16", "bfloat16" or "auto" (see `difface.precision.choose`).
        prior_only: leave the estimator out, to `sample` only.

    Raises:
        ValueError: an unknown name, or an estimator that the profile has not.
        difface.weights.WeightMissing: weights that are neither here nor to be had.
    """
    chosen, sampler = profile(name), build_scheduler(scheduler)  # refused, if they must be, before anything is fetched
    loaded = None if prior_only else load_estimator(name, estimator, device, dtype)
    return DifFacePipeline(load_unet(name, device, dtype), sampler, loaded, begin_index=chosen.begin_index)


def inpainting_estimator(name: str) -> str:
    """The name of a profile's inpainting estimator, for `load`.

    Raises:
        ValueError: an unknown profile, or one without such an estimator.
    """
    if not profile(name).inpainting:
        able = [known.name for known in PROFILES.values() if known.inpainting]
        raise ValueError(
            f"the profile '{name}' has no inpainting estimator; {', '.join(able)} are accepted: use --profile "
            f"{able[0]}, or train one with `python -m difface train estimator --task inpaint`."
        )
    return next(iter(profile(name).inpainting))


def load_unet(name: str, device: str = "auto", dtype: str = "float32") -> UNet:
    """The prior of a profile; arguments and errors as for `load`."""
    chosen = profile(name)
    place = resolve_device(device)
    unet = UNet.from_pretrained(chosen.unet(), torch_dtype=torch_dtype(dtype, place))
    return unet.to(place, memory_format=torch.channels_last)  # the same numbers in less time


def load_estimator(
    name: str, estimator: str | None = None, device: str = "auto", dtype: str = "float32"
) -> FaceEstimator:
    """An estimator of a profile; arguments and errors as for `load`."""
    known = profile(name).estimators | profile(name).inpainting
    if not known:
        raise ValueError(f"no estimator of the profile '{name}' is published; it can only sample: use another profile.")
    estimator = next(iter(known)) if estimator is None else estimator
    if estimator not in known:
        raise ValueError(
            f"the profile '{name}' has no estimator '{estimator}'; {', '.join(known)} are accepted: choose one."
        )
    place = resolve_device(device)
    return FaceEstimator.from_pretrained(known[estimator](), torch_dtype=torch_dtype(dtype, place)).to(place)


def restoring_estimator(name: str, estimator: str | None = None) -> str:
    """The name of an estimator that restores faces without a mask, for `load`: the given one, or the profile's first.

    Raises:
        ValueError: an unknown profile, or one that has not got it.
    """
    known = profile(name).estimators
    if estimator is None and known:
        return next(iter(known))
    if estimator in known:
        return estimator
    given = f"'{estimator}' " if estimator else ""
    what = f"the profile '{name}' has no estimator {given}that restores without a mask"
    if known:
        raise ValueError(f"{what}; {', '.join(known)} are accepted: choose one.")
    able = [other.name for other in PROFILES.values() if other.estimators]
    hint = " (`python -m difface inpaint` fills holes)" if profile(name).inpainting else ""
    raise ValueError(f"{what}; {', '.join(able)} are accepted: use another profile{hint}.")


def resolve_device(name: str) -> torch.device:
    """ "cpu", "cuda", "mps" or "auto" (the best there is) as a device.

    Raises:
        ValueError: it is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError):
        raise ValueError(
            f"the device '{name}' is not there; auto, cpu, cuda and mps are accepted: use --device cpu."
        ) from None
    return torch.device(name)
