"""The samplers: stock diffusers schedulers with the prior's noise schedule, and grids of timesteps."""

from bisect import bisect_left

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)

NUM_TRAIN_TIMESTEPS = 1000
"""T of every prior here; beta is linear from 1e-4 to 0.02."""
FAST_CALLS = 5
"""Network calls of the fast path, by the scheduler that the profile names."""

_NOISE = dict(num_train_timesteps=NUM_TRAIN_TIMESTEPS, beta_start=1e-4, beta_end=0.02, beta_schedule="linear")
# With `sample_max_value` 1 diffusers' dynamic thresholding is plain clipping of x0_hat to [-1, 1], as DDIM does it.
_SOLVER = dict(**_NOISE, thresholding=True, sample_max_value=1.0, final_sigmas_type="zero")

SURPLUS = 1.6
"""Of `NoisyDDPMScheduler`, found on training faces of the embedded prior at 128 pixels. For N = 400, s = 8 and five
calls 1, 1.3, 1.6 and 2 gave PSNR 21.09, 20.87, 20.57, 20.03 dB and FD identity 79.0, 70.4, 66.6, 69.0 (untouched
51.5)."""


class NoisyDDPMScheduler(DDPMScheduler):
    """Stock DDPM whose every step adds `SURPLUS` times the posterior's variance.

    In a long step x0_hat is the mean of many answers, and what it lacks of detail is missing in x_s, too: its variance
    is larger than the posterior's, which takes x0_hat for x_0 (Bao et al., Analytic-DPM, ICLR 2022, Theorem 1). The
    network takes the surplus for detail and makes it a face's, as with the inflated noise of Karras et al. (NeurIPS
    2022, Sec. 4, S_noise).
    """

    def _get_variance(self, t, predicted_variance=None, variance_type=None) -> torch.Tensor:
        return SURPLUS * super()._get_variance(t, predicted_variance, variance_type)


SCHEDULERS = {
    "ddim": lambda: DDIMScheduler(
        **_NOISE, clip_sample=True, set_alpha_to_one=True, steps_offset=0, timestep_spacing="leading"
    ),
    "ddpm": lambda: DDPMScheduler(**_NOISE, clip_sample=True, variance_type="fixed_small"),
    "ddpm-noisy": lambda: NoisyDDPMScheduler(**_NOISE, clip_sample=True, variance_type="fixed_small"),
    "dpm++": lambda: DPMSolverMultistepScheduler(**_SOLVER, algorithm_type="dpmsolver++"),
    "dpm++sde": lambda: DPMSolverMultistepScheduler(**_SOLVER, algorithm_type="sde-dpmsolver++"),
    "unipc": lambda: UniPCMultistepScheduler(**_SOLVER, use_exponential_sigmas=True),
}
"""DDIM with the official settings, DDPM (Eq. 7 with eta 1) on few timesteps, the same with more noise,
DPM-Solver++(2M), its SDE form, and UniPC."""


def build_scheduler(name: str) -> SchedulerMixin:
    """A fresh scheduler by its name on the command line.

    Raises:
        ValueError: unknown name.

    Example:
        >>> scheduler = build_scheduler("ddim")
        >>> scheduler.set_timesteps(250)
        >>> scheduler.timesteps[:3].tolist(), scheduler.config.clip_sample
        ([996, 992, 988], True)
    """
    if name not in SCHEDULERS:
        raise ValueError(f"the scheduler '{name}' is unknown; {', '.join(SCHEDULERS)} are accepted: choose one.")
    return SCHEDULERS[name]()


_Accepted = dict[str, list]
_CLIPPED: _Accepted = {"thresholding": [True], "sample_max_value": [1]}
_EVEN: _Accepted = {"use_karras_sigmas": [False], "use_beta_sigmas": [False], "use_flow_sigmas": [False]}
_NEEDED: dict[type[SchedulerMixin], _Accepted] = {
    DDIMScheduler: {
        "clip_sample": [True],
        "clip_sample_range": [1],
        "thresholding": [False],
        "timestep_spacing": ["leading"],
        "steps_offset": [0],
        "set_alpha_to_one": [True],
    },
    DPMSolverMultistepScheduler: _CLIPPED
    | _EVEN
    | {
        "algorithm_type": ["dpmsolver++", "sde-dpmsolver++"],
        "use_exponential_sigmas": [False],
        "use_lu_lambdas": [False],
        "final_sigmas_type": ["zero"],
    },
    DDPMScheduler: {
        "clip_sample": [True],
        "clip_sample_range": [1],
        "thresholding": [False],
        "variance_type": ["fixed_small"],
    },
    UniPCMultistepScheduler: _CLIPPED | _EVEN | {"predict_x0": [True]},
}
"""Scheduler -> what its config may say, so that x0_hat is clipped to [-1, 1] and is what the last step arrives at."""


def check_scheduler(scheduler: SchedulerMixin) -> None:
    """Refuse a scheduler that is not one of `SCHEDULERS`, or was set up for another process than the priors'.

    Raises:
        ValueError: another class (Euler, DDPM, ...), prediction (v), noise schedule, spacing of sigmas, or no clipping.

    Example:
        >>> check_scheduler(build_scheduler("unipc"))
        >>> from diffusers import EulerDiscreteScheduler
        >>> check_scheduler(EulerDiscreteScheduler())
        Traceback (most recent call last):
            ...
        ValueError: the scheduler, EulerDiscreteScheduler, is not a sampler of this method; ...
    """
    kind = next((kind for kind in _NEEDED if isinstance(scheduler, kind)), None)
    if kind is None:
        problem = "is not a sampler of this method"
    else:
        needed = {"prediction_type": ["epsilon"]} | _NEEDED[kind]
        wrong = [name for name, accepted in needed.items() if scheduler.config[name] not in accepted]
        if wrong:
            accepted = " or ".join(map(repr, needed[wrong[0]]))
            problem = f"has {wrong[0]}={scheduler.config[wrong[0]]!r}, where this method needs {accepted}"
        elif not torch.equal(scheduler.alphas_cumprod, build_scheduler("ddim").alphas_cumprod):
            problem = "has another noise schedule than the prior (beta linear from 1e-4 to 0.02 over 1000 steps)"
        else:
            return
    raise ValueError(
        f"the scheduler, {type(scheduler).__name__}, {problem}; {', '.join(SCHEDULERS)} are accepted: use "
        '`pipeline.scheduler = difface.build_scheduler("ddim")`, or another of these names.'
    )


def respaced(steps: int) -> list[int]:
    """The official code's respacing "N": timesteps round(i 999 / (N - 1)), i = N - 1, ..., 0, of stock `DDPMScheduler`.

    Raises:
        ValueError: `steps` outside 2..T.

    Example:
        >>> respaced(5)
        [999, 749, 500, 250, 0]
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or not 2 <= steps <= NUM_TRAIN_TIMESTEPS:
        raise ValueError(f"`steps` must be a whole number in 2..{NUM_TRAIN_TIMESTEPS}; got {steps!r}.")
    return _grid("linspace", steps)


def every(steps: int) -> list[int]:
    """Every k-th timestep, k = T / N: T - k, ..., k, 0.

    Raises:
        ValueError: `steps` outside 2..T, or no divisor of T.

    Example:
        >>> every(5)
        [800, 600, 400, 200, 0]
        >>> every(7)
        Traceback (most recent call last):
            ...
        ValueError: `steps` must divide 1000; got 7. The nearest that do are 5 and 8.
    """
    respaced(steps)
    check_divides(steps, NUM_TRAIN_TIMESTEPS, "steps")
    return _grid("leading", steps)


def _grid(spacing: str, steps: int) -> list[int]:
    scheduler = DDPMScheduler(**_NOISE, timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    return scheduler.timesteps.tolist()


def ancestral(timesteps: list[int]) -> DDPMScheduler:
    """Stock `DDPMScheduler` with the prior's noise schedule on a grid of timesteps, largest first.

    Example:
        >>> ancestral([900, 500, 100]).timesteps.tolist()
        [900, 500, 100]
    """
    scheduler = DDPMScheduler(**_NOISE)
    scheduler.set_timesteps(timesteps=timesteps)
    return scheduler


def log_snr_grid(alphas_cumprod: np.ndarray, begin_index: int, calls: int) -> list[int]:
    """`calls` different timesteps from N - 1 down to 2, as uniform in log(abar / (1 - abar)) as whole numbers allow.

    Args:
        alphas_cumprod: abar_t, (T,).
        begin_index: N in 4..T.
        calls: network calls, 1..N - 2; a single one is at N - 1.

    Raises:
        ValueError: more or fewer calls than that.

    Example:
        >>> abar = build_scheduler("ddim").alphas_cumprod.numpy()
        >>> log_snr_grid(abar, 400, 5)
        [399, 178, 56, 14, 2]
    """
    _check_room(begin_index, calls)
    if calls == 1:
        return [begin_index - 1]
    log_snr = np.log(alphas_cumprod / (1 - alphas_cumprod))
    wanted = np.linspace(log_snr[2], log_snr[begin_index - 1], calls)
    return _different(np.interp(-wanted, -log_snr, np.arange(len(log_snr))), begin_index)


def quadratic_grid(begin_index: int, calls: int) -> list[int]:
    """`calls` different timesteps N (k / K)^2 - 1, k = K, ..., 1, as near as whole numbers allow (Song et al., ICLR
    2021, appendix D.2).

    Few steps go wrong least near it: dynamic programming over the steps of a long chain (tiny, N = 400, five calls)
    finds 399, 273, 151, 62, 16.

    Args:
        begin_index: N in 4..T.
        calls: K, network calls, 1..N - 2.

    Raises:
        ValueError: more or fewer calls than that.

    Example:
        >>> quadratic_grid(400, 5), quadratic_grid(250, 3)
        ([399, 255, 143, 63, 15], [249, 110, 27])
    """
    _check_room(begin_index, calls)
    return _different(begin_index * (np.arange(1, calls + 1) / calls) ** 2 - 1, begin_index)


def _check_room(begin_index: int, calls: int) -> None:
    if begin_index < 4:
        raise ValueError(
            f"N = {begin_index} leaves no room for two network calls; N from 4 is accepted: use a larger N."
        )
    if not 1 <= calls <= begin_index - 2:
        raise ValueError(
            f"{calls} network calls do not fit between t = 2 and N = {begin_index}; 1 to {begin_index - 2} do with "
            "`num_inference_steps`: choose one of these, or a larger N."
        )


def _different(timesteps: np.ndarray, begin_index: int) -> list[int]:
    """Rising timesteps as whole numbers, falling, from N - 1: where rounding meets one twice, it moves up, then back
    below N."""
    grid = timesteps.round().astype(int).clip(0)
    for i in range(1, len(grid)):
        grid[i] = max(grid[i], grid[i - 1] + 1)
    grid[-1] = begin_index - 1
    for i in range(len(grid) - 2, -1, -1):
        grid[i] = min(grid[i], grid[i + 1] - 1)
    return grid[::-1].tolist()


def check_divides(steps: int, total: int, name: str = "num_inference_steps") -> None:
    """Raise `ValueError` unless `steps` divides `total`; it names the nearest numbers that do.

    Example:
        >>> check_divides(250, 1000)
        >>> check_divides(240, 1000)
        Traceback (most recent call last):
            ...
        ValueError: `num_inference_steps` must divide 1000; got 240. The nearest that do are 200 and 250.
    """
    divisors = [n for n in range(1, total + 1) if total % n == 0]
    if steps in divisors:
        return
    place = bisect_left(divisors, steps)
    nearest = divisors[-2:] if place >= len(divisors) - 1 else divisors[max(place - 1, 0) : max(place - 1, 0) + 2]
    raise ValueError(
        f"`{name}` must divide {total}; got {steps}. The nearest that do are {nearest[0]} and {nearest[1]}."
    )
