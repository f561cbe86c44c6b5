"""The reverse chain of a call: what the call would do, said before any network is there."""

from copy import deepcopy
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, SchedulerMixin, UniPCMultistepScheduler

from difface.constraints import Constraint
from difface.schedulers import (
    FAST_CALLS,
    NUM_TRAIN_TIMESTEPS,
    check_divides,
    check_scheduler,
    log_snr_grid,
    quadratic_grid,
)

DEFAULT_ETA = 0.5
DEFAULT_STEPS = 250
"""Of the whole chain, with DDIM."""


@dataclass(frozen=True)
class Chain:
    """The reverse chain of a call: what it would do.

    Attributes:
        scheduler: a copy, with its timesteps set.
        begin_index: N, on the training chain.
        num_inference_steps: of the whole chain with DDIM, network calls with others.
        eta: Eq. 7; None where the scheduler has none.
        official_start: noise to alphas_cumprod[N] instead of to the level of the first timestep.
    """

    scheduler: SchedulerMixin
    begin_index: int
    num_inference_steps: int
    eta: float | None
    official_start: bool

    @property
    def timesteps(self) -> list[int]:
        """One network call each, falling."""
        return self.scheduler.timesteps.tolist()

    @property
    def noise_timestep(self) -> int:
        """t of x_N: the level that f(y) is noised to."""
        return self.begin_index if self.official_start else self.timesteps[0]

    def info(self) -> dict[str, Any]:
        """As in `DifFaceOutput.info`."""
        return {
            "begin_index": self.begin_index,
            "calls": len(self.timesteps),
            "timesteps": self.timesteps,
            "noise_timestep": self.noise_timestep,
            "scheduler": type(self.scheduler).__name__,
            "eta": self.eta,
            "num_inference_steps": self.num_inference_steps,
            "official_start": self.official_start,
        }


def chain(
    scheduler: SchedulerMixin,
    begin_index: int,
    num_inference_steps: int | None = None,
    eta: float = DEFAULT_ETA,
    constraint: Constraint | None = None,
    official_start: bool = False,
    default_eta: float = DEFAULT_ETA,
) -> Chain:
    """What a call with these settings would do; it takes no network and changes nothing.

    DDIM: the grid of `num_inference_steps` steps over the whole training chain, cut to t < N. Others:
    `num_inference_steps` points from t = N - 1 down, from the last straight to x0_hat: those of DDPM are quadratic,
    those of the solvers uniform in log-SNR.

    Args:
        scheduler: see `check_scheduler`.
        begin_index: N; T for samples of the prior alone.
        num_inference_steps, eta, constraint, official_start: as for a call of `DifFacePipeline`.
        default_eta: the only eta that does without DDIM.

    Raises:
        ValueError: as the call would.

    Example:
        >>> from difface.schedulers import build_scheduler
        >>> paper = chain(build_scheduler("ddim"), 400, 250)
        >>> len(paper.timesteps), paper.timesteps[:2], paper.timesteps[-1], paper.noise_timestep
        (100, [396, 392], 0, 396)
        >>> chain(build_scheduler("ddpm"), 400, 5).timesteps
        [399, 255, 143, 63, 15]
    """
    check_scheduler(scheduler)
    check_begin_index(begin_index)
    if isinstance(eta, bool) or not isinstance(eta, Real) or not 0 <= eta <= 1:
        raise ValueError(f"`eta` must be in [0, 1]; got {eta!r}. 0 is DDIM, 1 is DDPM, the paper uses 0.5.")
    is_ddim = isinstance(scheduler, DDIMScheduler)
    if not is_ddim:
        _refuse(scheduler, constraint=constraint is not None, official_start=official_start, eta=eta != default_eta)
    if official_start and begin_index >= NUM_TRAIN_TIMESTEPS:
        raise ValueError(
            f"`official_start` noises to alphas_cumprod[N], so N must be at most {NUM_TRAIN_TIMESTEPS - 1}; got "
            f"{begin_index}."
        )
    if num_inference_steps is None:
        num_inference_steps = DEFAULT_STEPS if is_ddim else FAST_CALLS
    if isinstance(num_inference_steps, bool) or not isinstance(num_inference_steps, int | np.integer):
        raise ValueError(f"`num_inference_steps` must be a whole number; got {num_inference_steps!r}.")
    spaced = _spaced_ddim if is_ddim else _spaced_ddpm if isinstance(scheduler, DDPMScheduler) else _spaced_solver
    own = spaced(deepcopy(scheduler), begin_index, num_inference_steps)
    return Chain(own, begin_index, num_inference_steps, eta if is_ddim else None, official_start)


def _refuse(scheduler: SchedulerMixin, **needs_ddim: bool) -> None:
    for name, given in needs_ddim.items():
        if given:
            raise ValueError(f"`{name}` needs DDIM; this pipeline has {type(scheduler).__name__}: change `scheduler`.")


def check_begin_index(begin_index: int) -> None:
    """Raise `ValueError` unless N is a whole number in 1..T.

    Example:
        >>> check_begin_index(400)
        >>> check_begin_index(1001)
        Traceback (most recent call last):
            ...
        ValueError: N must be a whole number in 1..1000; got 1001. The paper uses 400.
    """
    if isinstance(begin_index, bool) or not isinstance(begin_index, int) or not 1 <= begin_index <= NUM_TRAIN_TIMESTEPS:
        raise ValueError(
            f"N must be a whole number in 1..{NUM_TRAIN_TIMESTEPS}; got {begin_index!r}. The paper uses 400."
        )


def _spaced_ddim(scheduler: DDIMScheduler, begin_index: int, steps: int) -> DDIMScheduler:
    check_divides(steps, NUM_TRAIN_TIMESTEPS)
    scheduler.set_timesteps(steps)
    scheduler.timesteps = scheduler.timesteps[scheduler.timesteps < begin_index]
    if len(scheduler.timesteps) < 2:
        raise ValueError(
            f"N = {begin_index} leaves {len(scheduler.timesteps)} network call(s) of {steps} steps; at least two are "
            f"needed: use N > {NUM_TRAIN_TIMESTEPS // steps} or more steps."
        )
    return scheduler


def _spaced_ddpm(scheduler: DDPMScheduler, begin_index: int, calls: int) -> DDPMScheduler:
    scheduler.set_timesteps(timesteps=quadratic_grid(begin_index, calls))
    return scheduler


def _spaced_solver(scheduler: SchedulerMixin, begin_index: int, calls: int) -> SchedulerMixin:
    grid = log_snr_grid(scheduler.alphas_cumprod.double().numpy(), begin_index, calls)
    if isinstance(scheduler, DPMSolverMultistepScheduler):
        scheduler.set_timesteps(timesteps=grid)
        return scheduler
    # UniPC takes its grid from its config: two ends, and between them uniform in log-SNR.
    sigmas = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt()
    ends = dict(sigma_max=sigmas[grid[0]].item(), sigma_min=sigmas[grid[-1]].item(), final_sigmas_type="zero")
    scheduler = UniPCMultistepScheduler.from_config(scheduler.config, **ends, use_exponential_sigmas=True)
    scheduler.set_timesteps(calls)
    return scheduler
