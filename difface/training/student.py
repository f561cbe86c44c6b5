"""Distil the prior: one step of the student lands where many of the prior's own deterministic steps land.

Progressive distillation (Salimans and Ho, ICLR 2022), in one go and for the end of the chain that DifFace walks: a step
leads from t to t / `RATIO`, so three calls lead from t = 400 over 100 and 25 to the face.
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import torch

from difface import images
from difface.models.unet import UNet
from difface.schedulers import build_scheduler
from difface.training.data import Batch, Faces
from difface.training.loop import LossFunction, Settings, fit, gaussian, mirrored, warm_start

RATIO = 4
"""How many times smaller a step makes t."""
WITHIN = 4
"""The teacher's steps of DPM-Solver++ within one of the student's."""
STARTS = (150, 450)
"""Where a walk begins, uniformly: N of every preset is among them."""
LAST = 2
"""The least t at which the teacher is asked."""
SMOOTHED = 0.5
"""Share of the walks that start from a face without detail, as f(y) is."""
SHRUNK = (2, 8)
"""How many times such a face was made smaller and larger again."""


def train_student(faces: Faces, output: Path, settings: Settings, init: Path) -> None:
    """Train a copy of a prior to take long steps.

    Args:
        faces: the training pictures; their size sets the network's. Each gives as many examples as its walk has places.
        output: receives the student and what resumes its training.
        settings: the options.
        init: folder of the prior.

    Raises:
        difface.training.data.TrainingError: `init` or a checkpoint of another network.
    """
    teacher = warm_start(UNet, init, sample_size=faces.size).eval().requires_grad_(False)
    told = {"size": faces.size, "init": init, "ratio": RATIO}
    fit(deepcopy(teacher).requires_grad_(True), faces, student_loss(teacher, settings.precision), settings, output, told=told)


def student_loss(teacher: UNet, precision: str = "no") -> LossFunction:
    """Mean squared error of eps in x_t, against the eps whose step leads to where the teacher arrives.

    Args:
        teacher: the prior.
        precision: of its calls, "bf16" or "no".
    """
    alphas_cumprod = build_scheduler("ddim").alphas_cumprod

    def compute_loss(model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        x_0 = smoothed(mirrored(batch.x_0, generator), generator)
        begin_index = int(torch.randint(STARTS[0], STARTS[1] + 1, (), generator=generator))
        noise = gaussian(x_0, generator)
        places = alphas_cumprod.to(x_0.device)
        with torch.autocast(x_0.device.type, torch.bfloat16, enabled=precision == "bf16"):
            walk = list(walked(teacher.to(x_0.device), 2 * x_0 - 1, noise, begin_index))
        pairs = list(zip(walk[:-WITHIN], walk[WITHIN:], strict=True))
        x_t = torch.cat([x for (_, x), _ in pairs]).contiguous(memory_format=torch.channels_last)
        x_s = torch.cat([x for _, (_, x) in pairs])
        t, s = (torch.tensor([pair[k][0] for pair in pairs], device=x_0.device) for k in (0, 1))
        t, s = t.repeat_interleave(len(x_0)), s.repeat_interleave(len(x_0))
        wanted = eps_between(x_t, x_s, places[t], places[s])
        return (model(x_t, t).sample.float() - wanted).square().mean()

    return compute_loss


def smoothed(x_0: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B, 3, H, W) in [0, 1] -> the same, `SMOOTHED` of the time without its detail; one draw for all."""
    if torch.rand((), generator=generator) >= SMOOTHED:
        return x_0
    side = x_0.shape[-1]
    times = SHRUNK[0] + (SHRUNK[1] - SHRUNK[0]) * torch.rand((), generator=generator).item()
    small = round(side / times)
    return images.resize(images.resize(x_0, small, small), side, side).clamp(0, 1)


@torch.no_grad()
def walked(
    teacher: UNet, x_0: torch.Tensor, noise: torch.Tensor, begin_index: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """The places (t, x_t) of the teacher's walk from t = N - 1 down to `LAST`, by stock DPM-Solver++(2M).

    Args:
        teacher: predicts eps.
        x_0: (B, 3, H, W) in [-1, 1].
        noise: the same shape.
        begin_index: N.
    """
    scheduler = build_scheduler("dpm++")
    grid = walk_grid(begin_index)
    scheduler.set_timesteps(timesteps=grid, device=x_0.device)
    x = scheduler.add_noise(x_0, noise, scheduler.timesteps[:1].expand(len(x_0)))
    for t in scheduler.timesteps:
        yield int(t), x
        eps = teacher(x.contiguous(memory_format=torch.channels_last), t).sample[:, :3].float()
        x = scheduler.step(eps, t, x).prev_sample


def walk_grid(begin_index: int) -> list[int]:
    """Timesteps N - 1, (N - 1) / r, (N - 1) / r^2, ... down to `LAST`, as whole numbers; r^`WITHIN` = `RATIO`.

    Example:
        >>> walk_grid(401)
        [400, 283, 200, 141, 100, 71, 50, 35, 25, 18, 12, 9, 6, 4, 3, 2]
    """
    factor, grid = RATIO ** (1 / WITHIN), []
    while (t := (begin_index - 1) / factor ** len(grid)) >= LAST:
        grid.append(round(t))
    return grid


def eps_between(x_t: torch.Tensor, x_s: torch.Tensor, abar_t: torch.Tensor, abar_s: torch.Tensor) -> torch.Tensor:
    """The eps with which a step of DDIM (eta 0) leads from x_t to x_s; abar_t, abar_s are (B,).

    Example:
        >>> x_0, noise, abar = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor([[0.3] * 2, [0.9] * 2])
        >>> x_t, x_s = (a.sqrt().view(-1, 1, 1, 1) * x_0 + (1 - a).sqrt().view(-1, 1, 1, 1) * noise for a in abar)
        >>> torch.allclose(eps_between(x_t, x_s, *abar), noise, atol=1e-5)
        True
    """
    abar_t, abar_s = abar_t.reshape(-1, 1, 1, 1), abar_s.reshape(-1, 1, 1, 1)
    kept = (abar_s / abar_t).sqrt()
    return (x_s - kept * x_t) / ((1 - abar_s).sqrt() - kept * (1 - abar_t).sqrt())
