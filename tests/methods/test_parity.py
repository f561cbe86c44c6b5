"""Each method is the official one: its public call, fed with the recorded noise, gives what the official code gave."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from conftest import official_unet
from safetensors.torch import load_file

from difface import methods
from difface.methods.chain import jumps
from difface.models.unet import UNet
from difface.operators import BlockMeans
from difface.schedulers import ancestral

TOLERANCE = 1e-4
"""Of the result. States on the way may be twice as far off, where the official float32 loses digits at large t."""


class Case:
    """One official run: its settings, and its tensors by name."""

    def __init__(self, folder: Path, name: str):
        self.settings = json.loads((folder / "cases.json").read_text())[name]
        self.tensors = load_file(folder / f"{name}.safetensors")

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.tensors[name]

    def known(self) -> dict:
        """What `restore` is told beside the picture."""
        return {"mask": self["mask"]} if "mask" in self.tensors else {"scale": 4}

    def run(self, method: methods.Method, lq: torch.Tensor, draws=None, **known) -> tuple:
        """Every state and timestep that the network saw, the last state before it is clipped, the result in [-1, 1]."""
        seen, samples = [], []
        hook = method.unet.register_forward_pre_hook(lambda module, arguments: seen.append(arguments))
        method.set_progress_bar_config(disable=True)
        try:
            result = method.restore(
                lq / 2 + 0.5,
                draws=list(self["draws"]) if draws is None else draws,
                callback_on_step_end=lambda method, step, timestep, tensors: samples.append(tensors["sample"]),
                **known,
            )
        finally:
            hook.remove()
        assert len(seen) == method.calls(method._task(known.get("mask"), known.get("scale")))
        return seen, samples[-1], 2 * result - 1

    def check(self, method: methods.Method, lq: torch.Tensor, draws=None, **known) -> None:
        """All of that is the official run's."""
        seen, last, result = self.run(method, lq, draws, **known)
        for (ours, _), theirs in zip(seen, self.tensors.get("x_in", []), strict=False):
            assert (ours - theirs).abs().max() < 2 * TOLERANCE
        for (_, ours), theirs in zip(seen, self.tensors.get("t_in", []), strict=False):
            assert abs(float(ours) - float(theirs)) < 1e-4
        assert (last - self["out"]).abs().max() < TOLERANCE
        assert (result - self["out"].clamp(-1, 1)).abs().max() < TOLERANCE


@pytest.fixture(scope="module")
def official_net(parity: Path, tmp_path_factory) -> UNet:
    """The small network that the official code was run on, converted to diffusers: 32 x 32 pixels, learned variance."""
    overrides = load_file(parity / "methods" / "net_overrides.safetensors")
    return official_unet(parity, tmp_path_factory.mktemp("net"), overrides)


@pytest.fixture
def case(request, parity) -> Case:
    return Case(parity / "methods", request.param)


def cases(*names: str):
    return pytest.mark.parametrize("case", names, indirect=True)


def test_network(parity, official_net):
    fixture = load_file(parity / "methods" / "net_overrides.safetensors")
    with torch.no_grad():
        output = official_net(fixture["x"], fixture["t"]).sample
    assert (output - fixture["out"]).abs().max() < 1e-5


@cases("repaint_inpaint", "repaint_inpaint_j2n3")
def test_repaint(case, official_net):
    settings = case.settings
    method = methods.RePaint(
        official_net, int(settings["respacing"]), settings["jump_length"], settings["jump_n_sample"]
    )
    assert method.times == settings["times"]
    assert method.timesteps("inpainting") == settings["timestep_map"][::-1]
    case.check(method, case["y"], **case.known())


@cases("ddrm_inpaint", "ddrm_sr4", "ddrm_inpaint_sigma0.1", "ddrm_sr4_sigma0.1")
def test_ddrm(case, official_net):
    settings = case.settings
    method = methods.DDRM(official_net, settings["steps"], settings["eta"], settings["etaB"], settings["sigma_y"])
    case.check(method, case["y"], [case["noise_T_pixel"], *case["noise_pixel"]], **case.known())


@cases("pgdm_sr4", "pgdm_inpaint", "pgdm_inpaint_in2", "pgdm_sr4_eta0", "pgdm_sr4_noawd")
def test_pigdm(case, official_net):
    settings = case.settings
    form = {"adaptive": settings["awd"], "keep_known": settings["deg"].startswith("in2")}
    method = methods.PiGDM(official_net, settings["steps"], settings["eta"], settings["grad_term_weight"], **form)
    case.check(method, case["y"], **case.known())


@cases("ddrm_sr4", "pgdm_sr4")
def test_block_means_are_nearly_ys(case, official_net, request):
    """Neither ends on y, as DDNM does, but up to 0.012."""
    if "ddrm" in request.node.name:
        method, draws = methods.DDRM(official_net, 10), [case["noise_T_pixel"], *case["noise_pixel"]]
    else:
        method, draws = methods.PiGDM(official_net, 10), None
    _, last, _ = case.run(method, case["y"], draws, scale=4)
    off = (BlockMeans(4).measure(last) - case["y"]).abs().max()
    assert 0.001 < off < 0.0125


@cases("mcg_inpaint")
def test_mcg(case, official_net):
    case.check(methods.MCG(official_net, int(case.settings["respacing"])), case["y"], **case.known())


@cases("vanilla_inpaint")
def test_replacement(case, official_net):
    case.check(methods.Replacement(official_net, int(case.settings["respacing"])), case["y"], **case.known())


@cases("scoresde_inpaint_pc", "scoresde_inpaint_ancestral")
def test_score_sde(case, official_net):
    settings = case.settings
    method = methods.ScoreSDE(
        official_net,
        "reverse" if settings["predictor"] == "ReverseDiffusionPredictor" else "ancestral",
        corrector=settings["corrector"] == "LangevinCorrector",
        snr=settings["snr"],
        indices=settings["step_indices"],
    )
    case.check(method, case["y"], **case.known())


@cases("ilvr_n4")
def test_ilvr(case, official_net):
    settings = case.settings
    method = methods.ILVR(official_net, int(settings["respacing"]), settings["down_N"], settings["range_t"])
    case.check(method, case["ref"])


@cases("gdp_inpaint", "gdp_sr4")
def test_gdp(case, official_net):
    settings = case.settings
    method = methods.GDP(official_net, int(settings["respacing"]), settings["img_guidance_scale"])
    case.check(method, case["y"], **case.known())


@cases("dr2_n4", "dr2_n1")
def test_dr2(case, official_net):
    settings = case.settings
    method = methods.DR2(official_net, settings["section"][0], settings["N"], settings["tau"], settings["omega"])
    case.check(method, case["ref"])


@cases("dps_inpaint", "dps_sr4")
def test_dps(case, official_net):
    """The noise of missing pixels is part of the official y; here the method draws it first."""
    settings = case.settings
    method = methods.DPS(
        official_net, int(settings["respacing"]), settings["scale"], noise_sigma=settings["noise_sigma"]
    )
    draws = [case["y"] / settings["noise_sigma"], *case["draws"]] if "mask" in case.tensors else None
    case.check(method, case["y"], draws, **case.known())


@cases(
    "ddnm_inpaint",
    "ddnm_sr4",
    "ddnm_inpaint_travel",
    "ddnmplus_inpaint_sigma0.1",
    "ddnmplus_sr4_sigma0.1",
    "ddnmsimple_sr4",
    "ddnmsimple_inpaint_sigma0.1",
)
def test_ddnm(case, official_net, request):
    settings = case.settings
    form = {name: settings.get(name, 1) for name in ("travel_length", "travel_repeat")}
    form["simplified"] = "ddnmsimple" in request.node.name
    method = methods.DDNM(official_net, settings["steps"], settings["eta"], settings["sigma_y"], **form)
    assert method.times == settings["times"]
    case.check(method, case["y"], **case.known())


def diffpir(settings: dict, net, **down) -> methods.DiffPIR:
    method = methods.DiffPIR(
        net, settings["iter_num"], settings["zeta"], settings["noise_level_img"], settings["lambda_"], **down
    )
    assert method.timesteps("inpainting") == settings["timesteps"]
    return method


@cases("diffpir_inpaint", "diffpir_inpaint_zeta0.3_sigma0.05", "diffpir_sr4_cubic")
def test_diffpir(case, official_net):
    case.check(diffpir(case.settings, official_net, down="cubic"), case["y"], **case.known())


@cases("diffpir_sr4_blur")
def test_diffpir_blur(case, official_net):
    """At t = 999 rho is 1e-7, and the official expression loses digits in float32; from the second state on it agrees.

    The second run gets there by a first draw that makes up for the difference (zeta of it is in the state).
    """
    method = diffpir(case.settings, official_net, down="blur", kernel=case["kernel"][0, 0])
    seen, last, _ = case.run(method, case["y"], **case.known())
    assert (last - case["out"]).abs().max() < 5e-3
    draws = list(case["draws"])
    abar = float(ancestral([999]).alphas_cumprod[case.settings["timesteps"][1]])
    draws[1] = draws[1] + (case["x_in"][1] - seen[1][0]) / (case.settings["zeta"] * (1 - abar)) ** 0.5
    case.check(method, case["y"], draws, **case.known())


def test_repaints_schedule(official_net):
    times = jumps(250, 10, 10)
    assert sum(there < here for here, there in pairwise(times)) == 2410
    assert sum(there > here for here, there in pairwise(times)) == 2160
    assert methods.RePaint(official_net).calls("inpainting") == 2410
