"""What every method promises, whatever its rule."""

import pytest
import torch
from conftest import generators, small_unet

from difface import inpaint, methods, profiles
from difface.images import to_tensors
from difface.methods.chain import Chain
from difface.models.unet import UNet
from difface.operators import BlockMeans, KnownPixels
from difface.schedulers import ancestral, every, respaced

QUICK = {
    "repaint": {"steps": 4, "jump_length": 1, "jump_n_sample": 2},
    "ddrm": {"steps": 4},
    "replacement": {"steps": 3},
    "score-sde": {"indices": [0, 999]},
    "mcg": {"steps": 3},
    "pigdm": {"steps": 4},
    "ilvr": {"steps": 4, "range_t": 1},
    "ccdf": {"steps": 6, "t_0": 0.5},
    "gdp": {"steps": 3, "guidance_scale": 100},  # the official scale is for more pixels: here it would swing up
    "dr2": {"steps": 10, "tau": 4, "omega": 6},
    "dps": {"steps": 3},
    "ddnm": {"steps": 4},
    "diffpir": {"steps": 4},
    "red-diff": {"steps": 4},
    "sdedit": {"steps": 4, "rounds": 2},
}
"""Each rival with a few calls."""


@pytest.fixture(scope="module")
def unet() -> UNet:
    return small_unet()


def quick(name: str, unet: UNet) -> methods.ChainMethod:
    method = methods.METHODS[name](unet, **QUICK[name])
    method.set_progress_bar_config(disable=True)
    return method


def problem(task: str, count: int, side: int = 16) -> tuple[torch.Tensor, dict]:
    """Pictures and what is known of them."""
    lq = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(7))
    if task == "super-resolution":
        return BlockMeans(4).measure(lq), {"scale": 4}
    if task == "inpainting":
        mask = torch.zeros(count, 1, side, side)
        for k in range(count):
            mask[k, :, 4:10, 3 + k : 12] = 1
        return lq, {"mask": mask}
    return lq, {}


TASKS = [(name, task) for name in QUICK for task in methods.METHODS[name].tasks]


def test_all_rivals_are_tried():
    assert {*QUICK, "difface"} == set(methods.METHODS)
    assert len({kind.name for kind in methods.METHODS.values()}) == len(methods.METHODS)


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_a_batch_is_its_singles(name, task, unet):
    method = quick(name, unet)
    lq, known = problem(task, 2)
    together = method.restore(lq, generator=generators(1, 2), **known)
    assert together.shape == (2, 3, 16, 16) and together.min() >= 0 and together.max() <= 1
    for k in range(2):
        own = {key: value[k : k + 1] if key == "mask" else value for key, value in known.items()}
        alone = method.restore(lq[k : k + 1], generator=torch.Generator().manual_seed(k + 1), **own)
        assert (together[k] - alone[0]).abs().max() < 1e-3
    assert (together - method.restore(lq, generator=generators(3, 4), **known)).abs().max() > 1e-3


@pytest.mark.parametrize("name", [name for name, task in TASKS if task == "inpainting"])
def test_what_is_missing_is_not_seen(name, unet):
    method = quick(name, unet)
    lq, known = problem("inpainting", 1)
    other = torch.where(known["mask"] == 1, 1 - lq, lq)
    first = method.restore(lq, generator=generators(1), **known)
    assert torch.equal(first, method.restore(other, generator=generators(1), **known))


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_calls_are_foretold(name, task, unet):
    method, seen, steps = quick(name, unet), [], []
    hook = unet.register_forward_pre_hook(lambda module, arguments: seen.append(1))
    lq, known = problem(task, 1)
    result = method.restore(
        lq, generator=generators(1), callback_on_step_end=lambda *arguments: steps.append(arguments), **known
    )
    hook.remove()
    assert len(seen) == method.calls(task) > 0
    assert [step for _, step, _, _ in steps] == list(range(len(steps)))
    assert ((steps[-1][3]["sample"] / 2 + 0.5).clamp(0, 1) - result).abs().max() < 1e-6
    assert all(tensors["pred_original_sample"].shape == result.shape for _, _, _, tensors in steps)


def test_given_draws_are_the_generators(unet):
    method = quick("repaint", unet)
    lq, known = problem("inpainting", 1)
    source = torch.Generator().manual_seed(5)
    draws = [torch.randn(1, 3, 16, 16, generator=source) for _ in range(60)]
    expected = method.restore(lq, generator=generators(5), **known)
    assert torch.equal(method.restore(lq, draws=draws, **known), expected)
    with pytest.raises(ValueError, match="`draws` ended after 3"):
        method.restore(lq, draws=draws[:3], **known)
    with pytest.raises(ValueError, match="number 0 is"):
        method.restore(lq, draws=[torch.zeros(1, 3, 8, 8)], **known)


def test_a_callback_may_end_it(unet):
    def stop(method, step, timestep, tensors):
        raise InterruptedError(step)

    lq, known = problem("inpainting", 1)
    with pytest.raises(InterruptedError, match="0"):
        quick("ddrm", unet).restore(lq, callback_on_step_end=stop, **known)


PICTURE, MASK = torch.rand(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)


@pytest.mark.parametrize(
    ("name", "lq", "known", "message"),
    [
        ("repaint", PICTURE, {}, "RePaint takes a picture with `mask=`.*; got a degraded picture alone"),
        ("ilvr", PICTURE, {"mask": MASK}, "ILVR takes a small picture with `scale=` or a degraded picture alone; got"),
        ("ddrm", PICTURE, {"mask": MASK, "scale": 4}, "a mask or a scale is accepted; got both"),
        ("ddrm", PICTURE, {"scale": 1}, "`scale` must be a whole number from 2"),
        ("ddrm", PICTURE, {"scale": 4}, "must be 4 pixels on each side for this prior and scale 4; got 16x16"),
        ("ddrm", PICTURE[0], {"mask": MASK}, r"must be a tensor \(B, 3, H, W\); got \(3, 16, 16\)"),
        ("ddrm", 255 * PICTURE, {"mask": MASK}, r"must be in \[0, 1\]"),
        ("ddrm", PICTURE * float("nan"), {"mask": MASK}, r"must be in \[0, 1\]"),
        ("ddrm", PICTURE, {"mask": MASK + 0.5}, "`mask` must be binary"),
        ("ddrm", PICTURE, {"mask": MASK[..., :8]}, "`mask` must be"),
        ("ddrm", PICTURE, {"mask": MASK.expand(2, -1, -1, -1)}, "`mask` must be"),
        ("ddrm", PICTURE, {"mask": MASK, "generator": generators(1, 2)}, "one torch.Generator per output picture"),
        ("sdedit", PICTURE[..., :8], {}, "must be 16 pixels"),
    ],
)
def test_refusals(name, lq, known, message, unet):
    with pytest.raises(ValueError, match=message) as error:
        quick(name, unet).restore(lq, **known)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (methods.RePaint, {"steps": 1}, "`steps` must be a whole number in 2..1000"),
        (methods.RePaint, {"jump_length": 0}, "jump length"),
        (methods.DDNM, {"steps": 30}, "`steps` must divide 1000; got 30"),
        (methods.ILVR, {"down_n": 5}, "divides the prior's 16 pixels"),
        (methods.DR2, {"tau": 9, "steps": 10, "omega": 3}, "tau <= omega"),
        (methods.DPS, {"down": "nearest"}, "'cubic' or 'mean'"),
        (methods.DiffPIR, {"down": "nearest"}, "'blur', 'cubic' or 'mean'"),
        (methods.ScoreSDE, {"predictor": "euler"}, "'reverse' or 'ancestral'"),
        (methods.CCDF, {"t_0": 0}, "`t_0`"),
        (methods.SDEdit, {"start": 0}, "`start`"),
        (methods.SDEdit, {"steps": 5, "start": 100}, "fewer than two calls"),
        (methods.CCDF, {"steps": 0}, "`steps` must be a whole number"),
        (methods.DR2, {"steps": 0}, "`steps` must be a whole number"),
    ],
)
def test_refused_settings(kind, settings, message, unet):
    with pytest.raises(ValueError, match=message):
        kind(unet, **settings)


@pytest.mark.parametrize("name", [name for name in QUICK if name != "score-sde"])
@pytest.mark.parametrize("steps", [0, 1, 1001])
def test_steps_that_do_not_fit(name, steps, unet):
    kind = methods.METHODS[name]
    with pytest.raises(ValueError, match="steps"):
        kind(unet, steps=steps).calls(kind.tasks[0])


def test_grids():
    assert respaced(8) == [999, 856, 714, 571, 428, 285, 143, 0]
    assert every(5) == [800, 600, 400, 200, 0]


@pytest.mark.parametrize("channels", [3, 6])
def test_the_ancestral_step_is_the_stock_one(channels):
    """Same numbers as `DDPMScheduler.step` with the same noise, for both kinds of prior."""
    timesteps = respaced(7)
    stock = ancestral(timesteps)
    stock.variance_type = "learned_range" if channels == 6 else "fixed_small"
    stock.register_to_config(variance_type=stock.variance_type)
    unet, shape = small_unet(out_channels=channels), (1, 3, 16, 16)
    chain = Chain(unet, ancestral(timesteps), shape, None, lambda: None, None)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for i in (6, 3, 1, 0):
        with torch.no_grad():
            output = unet(x, timesteps[6 - i]).sample
            expected = stock.step(output, timesteps[6 - i], x, generator=torch.Generator().manual_seed(i)).prev_sample
            z = torch.randn(shape, generator=torch.Generator().manual_seed(i))
            assert (chain.ancestral(x, i, chain.predict(x, i).clipped(), z) - expected).abs().max() < 5e-5


@pytest.mark.parametrize("known", [KnownPixels((torch.rand(1, 1, 8, 8) > 0.5).float()), BlockMeans(4)])
def test_operators(known):
    """H H^+ H = H, PI = H^+ H, and all singular values that are not 0 are q: H H^T = q^2 on what can be measured."""
    x = torch.randn(2, 3, 8, 8)
    assert (known.measure(known.project(x)) - known.measure(x)).abs().max() < 1e-6
    assert (known.spread(known.measure(x)) - known.project(x)).abs().max() < 1e-6
    x.requires_grad_()
    y = known.measure(x)
    (adjoint,) = torch.autograd.grad(y, x, y.detach())
    assert (known.measure(adjoint) - known.singular**2 * y).abs().max() < 1e-6


def test_difface_is_the_pipeline(small):
    method = methods.DifFace(small, None, steps=10)
    lq, _ = problem("blind", 2)
    expected = small(lq, 10, generator=generators(1, 2), output_type="pt").images
    assert torch.equal(method.restore(lq, generator=generators(1, 2)), expected)
    low, known = BlockMeans(2).measure(lq), {"scale": 2}
    enlarged = method.restore(low, generator=generators(1, 2), **known)
    assert (BlockMeans(2).measure(enlarged) - low).abs().max() < 0.05
    assert method.calls("blind") == 4
    with pytest.raises(ValueError, match="no estimator"):
        methods.DifFace(None, None).size  # noqa: B018 (it is refused)
    with pytest.raises(ValueError, match="no estimator for inpainting"):
        method.restore(lq, mask=torch.ones(1, 1, 16, 16))


def test_difface_fills_holes(astronaut_face):
    pipeline = profiles.load("tiny", "lama", device="cpu")
    pipeline.set_begin_index(inpaint.START)
    method = methods.DifFace(None, pipeline, steps=10)
    method.set_progress_bar_config(disable=True)
    lq, mask = to_tensors(astronaut_face)[0][None], torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 20:40] = 1
    filled = method.restore(lq, mask=mask, generator=generators(1))
    assert ((filled - lq).abs() * (1 - mask)).max() < 1e-5 and ((filled - lq).abs() * mask).max() > 0.01
    assert method.calls("inpainting") == 5


def test_load():
    method = methods.METHODS["ddrm"].load("tiny", "cpu", steps=10)
    assert method.unet.config.sample_size == 64 and method.calls("inpainting") == 10
    assert methods.METHODS["difface"].load("tiny", "cpu").calls("inpainting") == 120
