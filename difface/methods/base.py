"""What all methods share: one public call, its checks, and the way from pictures to the chain and back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar, cast

import torch
from diffusers import DDPMScheduler
from tqdm.auto import tqdm

from difface import profiles
from difface.constraints import Downsampled, Masked
from difface.methods.chain import Chain, drawn, recorded
from difface.models.unet import UNet
from difface.operators import BlockMeans, KnownPixels, Operator
from difface.pipeline import Generators, one_generator_each
from difface.schedulers import ancestral, respaced

Task = Literal["inpainting", "super-resolution", "blind"]
Callback = Callable[["Method", int, int, dict], Any]
Known = TypeVar("Known", bound=Operator | None)
"""How y comes of x_0 in the tasks of a method: `KnownPixels` with a mask, `BlockMeans` with a scale, None for "blind".
"""

_GIVEN = {
    "inpainting": "a picture with `mask=` (1 = missing)",
    "super-resolution": "a small picture with `scale=`",
    "blind": "a degraded picture alone",
}


class Call(NamedTuple):
    """What `Method.restore` was called with, see there, and the task that follows from it."""

    task: Task
    lq: torch.Tensor
    mask: torch.Tensor | None
    scale: int | None
    generator: Generators
    draws: Iterable[torch.Tensor] | None
    callback: Callback | None


class Method(ABC):
    """A way to restore pictures.

    Attributes:
        name: as in tables.
        tasks: what it can do: "inpainting" (a mask), "super-resolution" (a scale), "blind" (neither).
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[Task, ...]]

    @classmethod
    @abstractmethod
    def load(cls, profile: str = profiles.DEFAULT, device: str = "auto", dtype: str = "float32", **settings) -> Self:
        """The method with the networks of a profile.

        Args:
            profile, device, dtype: as for `difface.profiles.load`.
            settings: of the constructor.
        """

    @property
    @abstractmethod
    def size(self) -> int:
        """Side in pixels at which it works."""

    @abstractmethod
    def set_progress_bar_config(self, **config) -> None:
        """Arguments of tqdm, as for a pipeline; `disable=True` shows no bar."""

    @abstractmethod
    def calls(self, task: Task) -> int:
        """Calls of its network for one batch."""

    @torch.no_grad()
    def restore(
        self,
        lq: torch.Tensor,
        *,
        mask: torch.Tensor | None = None,
        scale: int | None = None,
        generator: Generators = None,
        draws: Iterable[torch.Tensor] | None = None,
        callback_on_step_end: Callback | None = None,
    ) -> torch.Tensor:
        """Restore B pictures; each as it would be alone.

        Args:
            lq: RGB in [0, 1] (noise may reach a little beyond), (B, 3, H, W) of the prior's size, or with `scale` the
                small pictures (B, 3, H / scale, W / scale), each pixel the mean of a block. Missing pixels are never
                seen.
            mask: (1, 1, H, W) or (B, 1, H, W), 1 = missing, 0 = known.
            scale: how many times as long the result's sides are.
            generator: one CPU generator per picture; a single one if there is one picture; None for fresh randomness.
            draws: standard normal noise (B, 3, H, W) in the order in which the method asks for it, instead of
                `generator`'s.
            callback_on_step_end: called as (method, step, timestep, tensors) after every step, where tensors holds
                "sample" (at the end the result before it is clipped) and "pred_original_sample" (x0_hat), both in
                [-1, 1]. An exception raised in it ends the call.

        Returns:
            (B, 3, H, W) RGB in [0, 1], on the CPU.

        Raises:
            ValueError: an argument outside what is accepted, or a task that the method cannot do.
        """
        task = self._task(mask, scale)
        return self._restore(Call(task, lq, mask, scale, generator, draws, callback_on_step_end))

    @abstractmethod
    def _restore(self, call: Call) -> torch.Tensor:
        """Do what `restore` promises, after the task was checked."""

    @classmethod
    def check_task(cls, task: Task) -> None:
        """Raise `ValueError` unless the method can do a task."""
        if task not in cls.tasks:
            able = " or ".join(_GIVEN[one] for one in cls.tasks)
            raise ValueError(f"{cls.name} takes {able}; got {_GIVEN[task]}: give it that, or use another method.")

    def _task(self, mask: torch.Tensor | None, scale: int | None) -> Task:
        """The task that is asked for, after it was found to be one that the method can do."""
        if mask is not None and scale is not None:
            raise ValueError("a mask or a scale is accepted; got both at once: leave one out.")
        task: Task = "inpainting" if mask is not None else "blind" if scale is None else "super-resolution"
        self.check_task(task)
        if scale is not None:
            Downsampled(scale)  # refuses what is no scale
        return task

    @staticmethod
    def _check(lq: torch.Tensor) -> None:
        """Refuse what is no batch of pictures."""
        if not isinstance(lq, torch.Tensor) or lq.ndim != 4 or lq.shape[1] != 3 or not lq.numel():
            given = tuple(lq.shape) if isinstance(lq, torch.Tensor) else type(lq).__name__
            raise ValueError(f"`lq` must be a tensor (B, 3, H, W); got {given}. Use `difface.images.to_tensors`.")
        if not lq.isfinite().all() or lq.min() < -1 or lq.max() > 2:
            raise ValueError(
                f"`lq` must be in [0, 1], give or take its noise; got [{lq.min():g}, {lq.max():g}]. Divide bytes by "
                "255."
            )

    @classmethod
    def _check_of_side(cls, lq: torch.Tensor, side: int, scale: int | None) -> None:
        """Refuse what is no batch of pictures of a prior's side."""
        cls._check(lq)
        wanted, size = side / (scale or 1), tuple(lq.shape[-2:])
        if size != (wanted, wanted):
            raise ValueError(
                f"`lq` must be {wanted:g} pixels on each side for this prior{f' and scale {scale}' if scale else ''}; "
                f"got {size[1]}x{size[0]}. Resize it, or use another prior."
            )


class ChainMethod(Method, Generic[Known]):
    """A method that walks down the chain by a rule of its own, with the prior alone.

    Args:
        unet: the prior, with three output channels (eps; the variance of an ancestral step is then the smaller of
            DDPM's two, beta_i (1 - abar_{i-1}) / (1 - abar_i)) or with six (eps, v).

    Attributes:
        steps: of the grid.
    """

    steps: int

    def __init__(self, unet: UNet):
        self.unet = unet
        self._progress_bar_config: dict[str, Any] = {}

    @classmethod
    def load(cls, profile: str = profiles.DEFAULT, device: str = "auto", dtype: str = "float32", **settings) -> Self:
        return cls(profiles.load_unet(profile, device, dtype), **settings)

    @property
    def size(self) -> int:
        return self.unet.config.sample_size

    def set_progress_bar_config(self, **config) -> None:
        self._progress_bar_config = config

    @staticmethod
    def grid(steps: int) -> list[int]:
        """The timesteps of so many steps, largest first: those of the official DDPM, where a method has no others."""
        return respaced(steps)

    def timesteps(self, task: Task) -> list[int]:
        """The grid for a task, largest first."""
        return self.grid(self.steps)

    def scheduler(self, task: Task) -> DDPMScheduler:
        """The chain's noise schedule and the grid on it."""
        return ancestral(self.timesteps(task))

    def calls(self, task: Task) -> int:
        return len(self.timesteps(task))

    @abstractmethod
    def _sample(self, chain: Chain, y: torch.Tensor, known: Known) -> torch.Tensor:
        """Walk down the chain.

        Args:
            y: in [-1, 1]: the known pixels, 0 where missing; or the small picture; or the degraded one.
            known: how y came of x_0; None for the task "blind".

        Returns:
            x_0, (B, 3, H, W), not clipped.
        """

    def _restore(self, call: Call) -> torch.Tensor:
        side, device, scale = self.size, self.unet.device, call.scale
        self._check_of_side(call.lq, side, scale)
        y = 2 * call.lq.to(device, torch.float32) - 1
        known: Operator | None = None
        if call.mask is not None:
            known = KnownPixels(checked_mask(call.mask, call.lq).to(device))
            y = known.measure(y)
        elif scale is not None:
            known = BlockMeans(scale)
        shape = (len(y), 3, side, side)
        if call.draws is None:
            noise = drawn(one_generator_each(call.generator, len(y)), shape, device)
        else:
            noise = recorded(call.draws, shape, device)
        scheduler = self.scheduler(call.task)
        with tqdm(total=self.calls(call.task), desc=self.name, **self._progress_bar_config) as bar:
            report = self._reporter(scheduler.timesteps.tolist()[::-1], call.callback)
            chain = Chain(self.unet, scheduler, shape, noise, bar.update, report)
            x_0 = self._sample(chain, y, cast(Known, known))  # `_task` lets the method's own alone through
        return (x_0 / 2 + 0.5).clamp(0, 1).cpu()

    def _reporter(self, timesteps: list[int], callback: Callback | None) -> Callable:
        step = 0

        def report(i: int, x: torch.Tensor, x0_hat: torch.Tensor) -> None:
            nonlocal step
            if callback is not None:
                callback(self, step, timesteps[i], {"sample": x, "pred_original_sample": x0_hat})
            step += 1

        return report


def check_divides_side(unet: UNet, name: str, value: int) -> int:
    """`value`, after it was found to divide the prior's side.

    Raises:
        ValueError: it is no whole number from 1 that divides the side.
    """
    side = unet.config.sample_size
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or side % value:
        raise ValueError(f"`{name}` must be a whole number that divides the prior's {side} pixels; got {value!r}.")
    return value


def checked_mask(mask: torch.Tensor, lq: torch.Tensor) -> torch.Tensor:
    """The mask in float32, after what is no binary mask for these pictures was refused."""
    mask = Masked(mask).mask
    if mask.shape[-2:] != lq.shape[-2:] or len(mask) not in (1, len(lq)):
        raise ValueError(
            f"`mask` must be (1, 1, H, W) or (B, 1, H, W) for `lq` {tuple(lq.shape)}; got {tuple(mask.shape)}."
        )
    return mask
