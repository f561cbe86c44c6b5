"""Published networks by their files: random weights in the official naming come in by the methods' own door."""

import sys
from collections.abc import Callable

import pytest
import torch
from spandrel.architectures.GFPGAN import GFPGAN as GFPGANNetwork
from spandrel.architectures.LaMa import LaMa as LaMaNetwork
from spandrel.architectures.RestoreFormer import RestoreFormer as RestoreFormerNetwork
from torch import nn

from difface import images, methods
from difface.methods import GFPGAN, CodeFormer, LaMa, RestoreFormer, SwinIR
from difface.weights import CATALOG, WeightMissing, WeightRefused, load_state_dict


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def put(tmp_path, monkeypatch) -> Callable[[str, object], None]:
    """Puts a checkpoint where files of that name are looked for."""
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path / "cache"))
    return lambda name, content: torch.save(content, tmp_path / name)


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """Smooth, 60 x 64, red at the left and blue at the bottom."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 60), torch.linspace(0, 1, 64), indexing="ij")
    return torch.stack([0.9 - 0.8 * x, 0.3 + 0.1 * x * y, 0.1 + 0.7 * y])[None]


def quiet(method: methods.Method) -> methods.Method:
    method.set_progress_bar_config(disable=True)
    return method


def codeformer() -> nn.Module:
    return pytest.importorskip("spandrel_extra_arches.architectures.CodeFormer").CodeFormer()


@pytest.mark.parametrize(
    ("kind", "build", "nest"),
    [
        (GFPGAN, GFPGANNetwork, "params_ema"),
        (RestoreFormer, lambda: RestoreFormerNetwork(ch=32), "params"),
        (CodeFormer, codeformer, "params_ema"),
    ],
)
def test_a_network_in_its_official_file_runs_at_512_in_its_convention(kind, build, nest, put, picture) -> None:
    state = build().state_dict()
    put(kind.file, {nest: state, "other": {"weight": torch.zeros(1)}})
    method = quiet(kind.load("tiny", "cpu"))
    found = method.network.state_dict()
    assert found.keys() == state.keys() and all(torch.equal(found[name], state[name]) for name in state)
    seen = []
    method.network.register_forward_hook(
        lambda _, given, options, out: seen.append((given, options, out)), with_kwargs=True
    )
    result = method.restore(picture, generator=seeded(0))
    [((x,), options, (answer, *_))] = seen
    # what goes in and out is RGB in [-1, 1], 512 pixels: the picture's square is 2 pixels higher above and below
    assert (x - (2 * images.fit_square(picture[0], 512)[None] - 1)).abs().max() < 1e-6
    assert x[0, 0, 256, 5] > 0.7 and x[0, 0, 256, 506] < -0.7 and x[0, 2, 500, 256] > 0.5
    assert options.get("weight", 0.5) == 0.5
    assert (result[0] - images.unfit_square((answer[0] / 2 + 0.5).clamp(0, 1), 60, 64)).abs().max() < 1e-5
    assert result.shape == picture.shape and result.min() >= 0 and result.max() <= 1 and result.std() > 0.01


class Identity(nn.Module):
    """A network that changes nothing, in the convention of most: (x, ...) -> (x, codes)."""

    def __init__(self):
        super().__init__()
        self.unused, self.options = nn.Parameter(torch.zeros(1)), []

    def forward(self, x, **options):
        self.options.append(options)
        return x, None


@pytest.mark.parametrize("kind", [RestoreFormer, CodeFormer])
def test_a_network_that_changes_nothing_gives_the_picture_back(kind, picture) -> None:
    method = quiet(kind(Identity()))
    batch = torch.cat([picture, picture.flip(1)])
    assert (method.restore(batch) - batch).abs().max() < 0.01


def test_codeformers_fidelity(picture) -> None:
    network = Identity()
    for weight in (0.5, 0.0, 1.0):
        quiet(CodeFormer(network, **({} if weight == 0.5 else {"weight": weight}))).restore(picture)
    assert network.options == [{"weight": 0.5}, {"weight": 0.0}, {"weight": 1.0}]
    with pytest.raises(ValueError, match="`weight` must be in .0, 1.; got 1.5"):
        CodeFormer(network, weight=1.5)


def test_gfpgans_noise_is_the_official_one_and_a_pictures_own(picture) -> None:
    torch.manual_seed(1)
    network = GFPGANNetwork(narrow=0.25)
    for module in network.stylegan_decoder.style_convs:
        module.weight.data.fill_(0.5)
    method = quiet(GFPGAN(network))
    both = method.restore(picture.expand(2, -1, -1, -1), generator=[seeded(3), seeded(4)])
    torch.manual_seed(3)  # the official call draws from the global stream
    with torch.no_grad():
        official = network(2 * images.fit_square(picture[0], 512)[None] - 1, return_rgb=False)[0]
    expected = images.unfit_square((official[0] / 2 + 0.5).clamp(0, 1), 60, 64)
    assert (both[0] - expected).abs().max() < 1e-5
    assert (both[1] - expected).abs().mean() > 1e-3


class Exported(nn.Module):
    """What the official export wraps around LaMa: (image, mask) -> the picture with its holes filled."""

    def __init__(self, generator: nn.Module):
        super().__init__()
        self.model = nn.Module()
        self.model.generator = generator

    def forward(self, image, mask):
        return mask * self.model.generator(image * (1 - mask), mask) + (1 - mask) * image


def test_lama_comes_out_of_its_torchscript_file_and_fills_holes_alone(put, tmp_path, picture) -> None:
    exported = Exported(LaMaNetwork(in_nc=4, out_nc=3).model).eval()
    traced = torch.jit.trace(exported, (torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)), check_trace=False)
    traced.save(tmp_path / LaMa.file)
    state = exported.state_dict()
    read = load_state_dict(tmp_path / LaMa.file)
    assert read.keys() == state.keys() and all(torch.equal(read[name], state[name]) for name in state)

    method = quiet(LaMa.load("tiny", "cpu"))
    mask = torch.zeros(1, 1, 60, 64)
    mask[..., 20:40, 10:30] = 1
    given = []
    method.network.register_forward_hook(lambda _, given_, out: given.append((*given_, out)))
    result = method.restore(picture, mask=mask)
    ((x, hole, out),) = given
    assert x.shape == (1, 3, 256, 256) and set(hole.unique().tolist()) == {0, 1}
    assert hole[0, 0, 8 + 80 : 8 + 160, 40:120].all() and hole.mean() < 1.2 * 80 * 80 / 256**2
    with torch.no_grad():
        assert (exported(x, hole) - out).abs().max() < 1e-5
    assert torch.equal(result * (1 - mask), picture * (1 - mask))
    assert ((result - picture).abs() * mask).max() > 0.05
    other = method.restore(torch.where(mask == 1, torch.rand_like(picture), picture), mask=mask)
    assert torch.equal(other, torch.where(mask == 1, result, picture))  # what is missing is not seen


def test_a_larger_picture_stays_as_large_for_lama() -> None:
    seen = []

    class Recorder(Identity):
        def forward(self, x, mask):
            seen.append(x.shape)
            return x

    quiet(LaMa(Recorder())).restore(torch.rand(1, 3, 300, 411), mask=torch.ones(1, 1, 300, 411))
    assert seen == [(1, 3, 416, 416)]


def test_swinir_is_the_estimator_of_the_profile(astronaut_face) -> None:
    from difface.profiles import load_estimator

    lq = images.to_tensors(astronaut_face)[0][None]
    with torch.no_grad():
        expected = load_estimator("tiny", "swinir", "cpu")(lq)
    assert (quiet(SwinIR.load("tiny", "cpu")).restore(lq) - expected).abs().max() < 1e-5


BY_FILE = [kind for kind in methods.LEARNED.values() if hasattr(kind, "file")]


@pytest.mark.parametrize("kind", BY_FILE, ids=lambda kind: kind.name)
def test_without_its_file_a_method_says_what_gets_it(kind, put) -> None:
    with pytest.raises(WeightMissing, match=f"Get it with: {CATALOG[kind.file].command}$"):
        kind.load()
    assert CATALOG[kind.file].kind == "method" and CATALOG[kind.file].url.endswith(kind.file)


def test_codeformer_alone_is_asked_for_by_its_licence() -> None:
    assert CATALOG["codeformer.pth"].command.endswith("fetch codeformer.pth --accept-licence")
    assert [kind.name for kind in BY_FILE if CATALOG[kind.file].non_commercial] == ["CodeFormer"]


def test_without_its_package_codeformer_says_what_gets_it_and_under_which_licence(put, monkeypatch) -> None:
    put("codeformer.pth", {"params_ema": {"position_emb": torch.zeros(2, 2)}})
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    with pytest.raises(ValueError, match="S-Lab License 1.0 .non-commercial.*pip install spandrel_extra_arches"):
        CodeFormer.load()


def test_another_network_is_refused(put) -> None:
    put("RestoreFormer.pth", LaMaNetwork(in_nc=4).state_dict())
    with pytest.raises(WeightRefused, match="holds LaMa, not RestoreFormer"):
        RestoreFormer.load()
    put("GFPGANv1.3.pth", {"params": {"weight": torch.zeros(3)}})
    with pytest.raises(WeightRefused, match="is not the GFPGAN that it should be"):
        GFPGAN.load()


def test_what_they_cannot_do_is_one_line(picture) -> None:
    mask = torch.zeros(1, 1, 60, 64)
    with pytest.raises(ValueError, match="RestoreFormer takes a degraded picture alone; got a picture with `mask=`"):
        RestoreFormer(Identity()).restore(picture, mask=mask)
    with pytest.raises(ValueError, match="LaMa takes a picture with `mask=` .*; got a degraded picture alone"):
        LaMa(Identity()).restore(picture)
    with pytest.raises(ValueError, match="has no chain that takes `draws`"):
        RestoreFormer(Identity()).restore(picture, draws=[])


def test_the_callback_can_end_the_work(picture) -> None:
    def stop(method, step, timestep, tensors):
        assert (step, timestep) == (0, 0) and (tensors["sample"] / 2 + 0.5 - picture).abs().max() < 0.01
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quiet(RestoreFormer(Identity())).restore(picture, callback_on_step_end=stop)
