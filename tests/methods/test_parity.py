"""Each method is the official one: its public call, fed with the recorded noise, gives what the official code gave."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from difface import methods
from difface.methods.chain import jumps

TOLERANCE = 1e-4


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

    def check(self, method: methods.Method, lq: torch.Tensor, draws=None, tolerance=TOLERANCE, **known) -> None:
        """Every state that the network saw, and the result before and after it is clipped."""
        seen, samples = [], []
        hook = method.unet.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0].detach()))
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
        for ours, theirs in zip(seen, self.tensors.get("x_in", []), strict=False):
            assert (ours - theirs).abs().max() < tolerance
        assert len(seen) == method.calls(method._task(known.get("mask"), known.get("scale")))
        assert (samples[-1] - self["out"]).abs().max() < tolerance
        assert (2 * result - 1 - self["out"].clamp(-1, 1)).abs().max() < tolerance


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


def test_repaints_schedule(official_net):
    times = jumps(250, 10, 10)
    assert sum(there < here for here, there in pairwise(times)) == 2410
    assert sum(there > here for here, there in pairwise(times)) == 2160
    assert methods.RePaint(official_net).calls("inpainting") == 2410
