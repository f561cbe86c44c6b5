"""What holds of a method's result, on the embedded prior and a real face."""

from math import sqrt

import pytest
import torch

from difface import methods, profiles
from difface.images import to_tensors
from difface.methods.resizer import enlarge
from difface.models.unet import UNet
from difface.operators import BlockMeans, KnownPixels
from difface.schedulers import ancestral


@pytest.fixture(scope="module")
def unet() -> UNet:
    return profiles.load_unet("tiny", "cpu")


@pytest.fixture(scope="module")
def face(astronaut_face) -> torch.Tensor:
    return to_tensors(astronaut_face)[0][None]


@pytest.fixture(scope="module")
def mask() -> torch.Tensor:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:44, 24:50] = 1
    return mask


def last_state(method: methods.ChainMethod, lq: torch.Tensor, **known) -> torch.Tensor:
    """The result in [-1, 1], not clipped."""
    last = {}
    method.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    method.restore(lq, generator=generator, callback_on_step_end=lambda *step: last.update(step[-1]), **known)
    return last["sample"]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (methods.DDNM, {"steps": 5}),
        (methods.ScoreSDE, {"indices": [0, 500, 999]}),
        (methods.PiGDM, {"steps": 5, "keep_known": True}),
    ],
)
def test_known_pixels_are_ys(kind, settings, unet, face, mask):
    x = last_state(kind(unet, **settings), face, mask=mask)
    off = (x - (2 * face - 1)) * (1 - mask)
    assert off.abs().max() < 1e-5


@pytest.mark.parametrize("kind", [methods.RePaint, methods.Replacement, methods.MCG])
def test_known_pixels_keep_the_noise_of_the_first_timestep(kind, unet, face, mask):
    """RePaint takes one more step of the network from there, the others end on Q(y, t_0)."""
    settings = {"jump_length": 2, "jump_n_sample": 1} if kind is methods.RePaint else {}
    x = last_state(kind(unet, 6, **settings), face, mask=mask)
    off = ((x - (2 * face - 1)) * (1 - mask)).square().sum() / (3 * (1 - mask).sum())
    assert 0.003 < off.sqrt() < 0.03


def test_ddnms_block_means_are_ys(unet, face):
    low = BlockMeans(4).measure(face)
    x = last_state(methods.DDNM(unet, steps=5), low, scale=4)
    assert (BlockMeans(4).measure(x) - (2 * low - 1)).abs().max() < 1e-5


class Guess:
    """An estimator that answers with a given picture."""

    dtype, takes_mask = torch.float32, True

    def __init__(self, answer: torch.Tensor):
        self.answer = answer

    def __call__(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.answer


def test_ccdf_starts_low_and_contracts(unet, face, mask):
    """Two guesses e apart start sqrt(abar) e apart in x, where known pixels are then the same, and end closer still."""
    guesses, starts, ends = (face, face.flip(-1)), [], []
    for guess in guesses:
        method = methods.CCDF(unet, steps=25, t_0=0.2, estimator=Guess(guess))
        hook = unet.register_forward_pre_hook(lambda module, arguments: starts.append(arguments))
        ends.append(last_state(method, face, mask=mask))
        hook.remove()
    first, second = starts[0], starts[5]
    assert len(starts) == 10 and first[1] == 166
    abar = float(ancestral([999]).alphas_cumprod[166])
    apart = 2 * (guesses[0] - guesses[1])
    assert (first[0] - second[0] - sqrt(abar) * apart).abs().max() < 1e-5
    assert (starts[1][0] - starts[6][0]).norm() < (first[0] - second[0]).norm()
    assert (ends[0] - ends[1]).norm() < 0.5 * apart.norm()
    assert KnownPixels(mask).measure(ends[0] - ends[1]).abs().max() < 1e-6


def test_ccdfs_guess_is_the_profiles_estimator(face, mask):
    """The painted hole is no face after a fifth of the chain; LaMa's is."""
    method = methods.METHODS["ccdf"].load("tiny", "cpu", steps=50)
    with torch.no_grad():
        guess = method._guess(KnownPixels(mask).measure(2 * face - 1), KnownPixels(mask))
    with torch.no_grad():
        expected = 2 * profiles.load_estimator("tiny", "lama", "cpu")(face, mask) - 1
    assert (guess - expected).abs().max() < 1e-4
    low = BlockMeans(4).measure(face)
    assert (method._guess(2 * low - 1, BlockMeans(4)) - enlarge(2 * low - 1, 4)).abs().max() < 1e-6


def test_ccdf_walks_a_fifth_of_the_chain(unet):
    method = methods.CCDF(unet)
    assert method.timesteps("inpainting")[0] == 199 and method.calls("inpainting") == 200
