"""What weights exist: the official release and its neighbours, each with its address, size, digest and licence.

A size or digest is None where no checked file was at hand: the first download records them beside the file
(`difface.weights.download`). Files that have no direct public address are looked for only.
"""

from dataclasses import dataclass
from difflib import get_close_matches

_DIFFACE = "https://github.com/zsyOAOA/DifFace/releases/download/V1.0"
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download/v0.1.0"
_CODEFORMER = "https://github.com/sczhou/CodeFormer/releases/download/v0.1.0"
_GFPGAN = "https://github.com/TencentARC/GFPGAN/releases/download"
_TORCHVISION = "https://download.pytorch.org/models"
_PYIQA = "https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights"

_S_LAB = "S-Lab 1.0 (non-commercial)"
_INSIGHTFACE = "InsightFace models (non-commercial research)"


@dataclass(frozen=True)
class Weight:
    """One file of weights.

    Attributes:
        name: file name, the key in `CATALOG`.
        url: direct address, or None where there is none: it is in `archive`, or the user puts the file into place.
        kind: 'unet', 'estimator', 'detector', 'upsampler', 'identity', 'landmarks', 'metric' or 'method'.
        licence: the licence of the weights.
        what: what the file is, in one line.
        used_by: the part of the project that asks for it.
        size: bytes, or None where not known yet.
        sha256: hex digest, or None where not known yet.
        archive: name of the catalogued ZIP file that holds it.
    """

    name: str
    url: str | None
    kind: str
    licence: str
    what: str
    used_by: str
    size: int | None = None
    sha256: str | None = None
    archive: str | None = None

    @property
    def source(self) -> str | None:
        """The address that it comes from, alone or in its archive; None where there is none."""
        return CATALOG[self.archive].url if self.archive else self.url

    @property
    def non_commercial(self) -> bool:
        """Whether its licence must be accepted before it is downloaded."""
        return "non-commercial" in self.licence

    @property
    def command(self) -> str:
        """What gets it, where it has a source."""
        return f"python -m difface fetch {self.name}{' --accept-licence' if self.non_commercial else ''}"


def _at(base: str, name: str, kind: str, licence: str, what: str, used_by: str) -> Weight:
    """A file that keeps its name at `base`, of unknown size and digest."""
    return Weight(name, f"{base}/{name}", kind, licence, what, used_by)


_PRIORS_AND_ESTIMATORS = (
    _at(_DIFFACE, "iddpm_ffhq512_ema500000.pth", "unet", _S_LAB, "diffusion prior, FFHQ 512, EMA at 500k", "ffhq512"),
    _at(
        _DIFFACE,
        "iddpm_ffhq256_ema750000.pth",
        "unet",
        _S_LAB,
        "diffusion prior, FFHQ 256, EMA at 750k",
        "ffhq256-inpaint",
    ),
    _at(_DIFFACE, "swinir_restoration512_L1.pth", "estimator", _S_LAB, "SwinIR for restoration, L1", "ffhq512"),
    _at(_DIFFACE, "lama_inpainting256.pth", "estimator", _S_LAB, "LaMa for inpainting, L1", "ffhq256-inpaint"),
    _at(
        "https://openaipublic.blob.core.windows.net/diffusion/jul-2021",
        "256x256_diffusion_uncond.pt",
        "unet",
        "MIT",
        "unconditional ImageNet-256 prior of guided-diffusion",
        "imagenet256-sr",
    ),
)

_FACES = (
    _at(
        "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.1",
        "RealESRGAN_x2plus.pth",
        "upsampler",
        "BSD-3-Clause",
        "Real-ESRGAN x2 for the background",
        "faces",
    ),
    Weight(
        "buffalo_l.zip",
        "https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip",
        "detector",
        _INSIGHTFACE,
        "SCRFD detector, ArcFace ResNet-50 and landmark nets (about 326 MB)",
        "faces, identity",
        sha256="80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
    ),
    Weight(
        "scrfd_2.5g_bnkps.onnx",
        None,
        "detector",
        _INSIGHTFACE,
        "SCRFD-2.5GF face detector with 5 points",
        "faces",
        3_290_207,
        "bc24bb349491481c3ca793cf89306723162c280cb284c5a5e49df3760bf5c2ce",
    ),
    Weight(
        "det_10g.onnx",
        None,
        "detector",
        _INSIGHTFACE,
        "SCRFD-10GF face detector with 5 points",
        "faces",
        archive="buffalo_l.zip",
    ),
    Weight(
        "w600k_r50.onnx",
        None,
        "identity",
        _INSIGHTFACE,
        "ArcFace ResNet-50 on WebFace600K, 112x112 face to 512 numbers",
        "IDS-r50",
        archive="buffalo_l.zip",
        sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    ),
    Weight(
        "2d106det.onnx",
        None,
        "landmarks",
        _INSIGHTFACE,
        "106 landmarks of a 192x192 face",
        "LMD-106",
        archive="buffalo_l.zip",
    ),
    Weight(
        "mobilefacenet.onnx",
        None,
        "identity",
        _INSIGHTFACE,
        "MobileFaceNet, 112x112 face to 128 numbers",
        "identity",
        3_998_018,
        "e72a5710cce378dc46472b6b845cb90647634f2738d8c3e581735cf195b9866f",
    ),
)

_METRICS = (
    _at(
        f"{_GFPGAN}/v0.1.0",
        "arcface_resnet18.pth",
        "identity",
        "Apache-2.0",
        "ArcFace ResNet-18 on grey 128x128",
        "IDS",
    ),
    Weight(
        "resnet18_110.pth",
        None,
        "identity",
        "unknown",
        "ArcFace ResNet-18 of VQFR's script (Google Drive folder 1k3RCSliF6PsujCMIdCD1hNM63EozlDIZ)",
        "IDS",
    ),
    Weight(
        "adaface_ir50_ms1mv2.ckpt",
        None,
        "identity",
        "MIT",
        "AdaFace ResNet-50, of NTIRE's identity filter (Google Drive file 1eUaSHG4pGlIZK7hBkqjyp2fc2epKoBvI)",
        "AdaFace cosine",
    ),
    _at(_FACEXLIB, "alignment_WFLW_4HG.pth", "landmarks", "MIT", "AWing FAN, 98 WFLW landmarks", "LMD"),
    _at(
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights",
        "pt_inception-2015-12-05-6726825d.pth",
        "metric",
        "Apache-2.0",
        "Inception of the Frechet distance",
        "FID",
    ),
    Weight(
        "inception_FFHQ_512-f7b384ab.pth",
        None,
        "metric",
        "Apache-2.0",
        "FFHQ-512 statistics, 50,000 images (Google Drive folder 13cWIQyHX3iNmZRJ5v8v3kdyrT9RBTAi9)",
        "FID-F",
    ),
    Weight(
        "inception_FFHQ_256-0948f50d.pth",
        None,
        "metric",
        "Apache-2.0",
        "FFHQ-256 statistics, 50,000 images (Google Drive folder 13cWIQyHX3iNmZRJ5v8v3kdyrT9RBTAi9)",
        "FID-F",
    ),
    _at(
        _TORCHVISION,
        "vgg16-397923af.pth",
        "metric",
        "BSD-3-Clause",
        "VGG-16 of torchvision, the body of LPIPS",
        "LPIPS",
    ),
    _at(
        _TORCHVISION,
        "alexnet-owt-7be5be79.pth",
        "metric",
        "BSD-3-Clause",
        "AlexNet of torchvision, the body of LPIPS-alex",
        "LPIPS-alex",
    ),
    _at(
        _TORCHVISION,
        "squeezenet1_1-b8a52dc0.pth",
        "metric",
        "BSD-3-Clause",
        "SqueezeNet 1.1 of torchvision, the body of LPIPS-squeeze",
        "LPIPS-squeeze",
    ),
    _at(_PYIQA, "niqe_modelparameters.mat", "metric", _S_LAB, "NIQE parameters", "NIQE, PI"),
    _at(_PYIQA, "NRQM_model.mat", "metric", _S_LAB, "NRQM random forest", "NRQM, PI"),
)

_METHODS = (
    _at(f"{_GFPGAN}/v1.3.0", "GFPGANv1.3.pth", "method", "Apache-2.0", "GFPGAN 1.3", "methods"),
    _at(f"{_GFPGAN}/v1.3.0", "GFPGANv1.4.pth", "method", "Apache-2.0", "GFPGAN 1.4", "methods"),
    _at(f"{_GFPGAN}/v0.2.0", "GFPGANCleanv1-NoCE-C2.pth", "method", "Apache-2.0", "GFPGAN 1.2", "methods"),
    _at(f"{_GFPGAN}/v1.3.4", "RestoreFormer.pth", "method", "Apache-2.0", "RestoreFormer", "methods"),
    _at(_CODEFORMER, "codeformer.pth", "method", _S_LAB, "CodeFormer", "methods"),
    _at(
        "https://github.com/Sanster/models/releases/download/add_big_lama",
        "big-lama.pt",
        "method",
        "Apache-2.0",
        "LaMa trained on Places, TorchScript",
        "methods",
    ),
)

CATALOG: dict[str, Weight] = {
    weight.name: weight for weight in (*_PRIORS_AND_ESTIMATORS, *_FACES, *_METRICS, *_METHODS)
}
"""File name -> `Weight`."""


def lookup(name: str) -> Weight:
    """The catalog's entry of that file name.

    Raises:
        ValueError: no such entry; the message names the nearest ones.
    """
    if name in CATALOG:
        return CATALOG[name]
    by_lower = {known.lower(): known for known in CATALOG}
    near = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.4)]
    names = f"the nearest are {', '.join(near)}" if near else f"known are {', '.join(CATALOG)}"
    raise ValueError(f"There are no weights called {name!r}; {names}. Give one of the names in the catalog.")
