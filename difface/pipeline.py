"""DifFace (Yue and Loy, TPAMI 2024): estimate, noise to x_N, denoise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler, DiffusionPipeline, SchedulerMixin
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image

from difface import images
from difface.constraints import Constraint
from difface.models.estimator import FaceEstimator
from difface.models.unet import UNet
from difface.schedulers import FAST_CALLS, set_chain

Pictures = list[Image.Image] | torch.Tensor
Generators = torch.Generator | list[torch.Generator] | None
DEFAULT_ETA = 0.5
DEFAULT_STEPS = 250


@dataclass
class DifFaceOutput(BaseOutput):
    """What a call returns.

    Attributes:
        images: restored faces, B * K of them, grouped by input: PIL images at the callers' sizes, or with
            `output_type="pt"` a tensor (B * K, 3, H, W) in [0, 1].
        estimates: f(y), one for each of the B inputs, in the same form; None for samples of the prior alone.
        info: what was done: `begin_index` (N), `calls`, `timesteps`, `noise_timestep`, `scheduler`, `eta`,
            `num_inference_steps`, `official_start`, `dtype`, `size`.
    """

    images: Pictures
    estimates: Pictures | None
    info: dict[str, Any]


class DifFacePipeline(DiffusionPipeline):
    """Blind face restoration with a plain estimator and a diffusion prior.

    Args:
        unet: predicts eps from (x_t, t); of six output channels the last three (variance) are dropped.
        scheduler: stock `DDIMScheduler`, or DPM-Solver++ or UniPC (see `difface.schedulers`).
        estimator: f(y), [0, 1] to [0, 1]. None is enough to `sample` from the prior.
        begin_index: N, see `set_begin_index`.
    """

    model_cpu_offload_seq = "estimator->unet"
    _optional_components = ["estimator"]
    _callback_tensor_inputs = ["sample", "pred_original_sample"]

    def __init__(self, unet: UNet, scheduler, estimator: FaceEstimator | None = None, begin_index: int = 400):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler, estimator=estimator)
        self.set_begin_index(begin_index)

    def set_begin_index(self, begin_index: int) -> None:
        """Set N, the timestep on the T-step training chain below which the reverse chain starts.

        N does not change with the number of inference steps. (The scheduler's own method of this name counts
        positions in the list of inference steps.) Larger N: more realism, less fidelity.

        Raises:
            ValueError: N is not a whole number in 1..T.
        """
        _check_begin_index(begin_index, self.scheduler)
        self.register_to_config(begin_index=begin_index)

    @property
    def size(self) -> int:
        """Side in pixels at which the networks work."""
        return self.unet.config.sample_size

    @torch.no_grad()
    def __call__(
        self,
        image: Any,
        num_inference_steps: int | None = None,
        eta: float = DEFAULT_ETA,
        generator: Generators = None,
        num_images_per_input: int = 1,
        constraint: Constraint | None = None,
        official_start: bool = False,
        noise: torch.Tensor | None = None,
        step_noise: torch.Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[["DifFacePipeline", int, int, dict], dict] | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["sample"],  # noqa: B006 (as in diffusers)
    ) -> DifFaceOutput | tuple:
        """Restore aligned faces (Alg. 1).

        Args:
            image: B pictures, as `difface.images.to_tensors` takes them: PIL images, uint8 arrays or a tensor
                (B, 3, H, W) in [0, 1]. They are worked on at the model's size and returned at their own.
            num_inference_steps: with DDIM the length of the whole chain's grid, a divisor of T (250: every fourth
                timestep), of which the steps below N are taken; with others the number of network calls.
                Default 250, with others 5.
            eta: 0 (DDIM) to 1 (DDPM), Eq. 7; needs DDIM.
            generator: one CPU generator per output picture (B * K, grouped by input); a single one if there is one
                picture; None for fresh randomness.
            num_images_per_input: K answers for each input.
            constraint: known degradation (`difface.constraints`), applied to every x0_hat; needs DDIM. With
                `Downsampled(s)` `image` holds the small pictures, and those returned are s times as large.
            official_start: noise f(y) to alphas_cumprod[N] as the official code does, instead of to the level of the
                first timestep that is taken; needs DDIM and N < T.
            noise: zeta of x_N, (B * K, 3, size, size), instead of a draw.
            step_noise: z of every step, (calls, B * K, 3, size, size), instead of draws.
            output_type: "pil" or "pt".
            return_dict: False returns the tuple (images, estimates, info).
            callback_on_step_end: called as (pipeline, step, timestep, tensors) after every step; may return a changed
                "sample". An exception raised in it ends the call.
            callback_on_step_end_tensor_inputs: of "sample" and "pred_original_sample" (x0_hat), both in [-1, 1].

        Raises:
            ValueError, TypeError: an argument outside what is accepted; the message says which and what is.
        """
        if self.estimator is None:
            raise ValueError(
                "this pipeline has no estimator, so it can only `sample`; load or pass `estimator=` to restore."
            )
        self._check_output_type(output_type)
        inputs = images.to_tensors(image)
        _check_count(num_images_per_input)
        self._check_mask(constraint)
        if constraint is not None:
            inputs = constraint.prepared(inputs, self.size)
        sizes = [tuple(tensor.shape[-2:]) for tensor in inputs]
        scheduler = chain(self.scheduler, self.config.begin_index, num_inference_steps, eta, constraint, official_start)

        # 1. Estimate: x_0 is roughly f(y).
        y = torch.stack([images.fit_square(tensor, self.size) for tensor in inputs]).to(self._execution_device)
        mask = None
        if constraint is not None:
            constraint = constraint.fitted(len(y), self.size, y.device)
            mask = constraint.mask if self.estimator.takes_mask else None
        estimates = self.estimator(y.to(self.estimator.dtype), mask).float()

        # 2. Noise to x_N ~ N(sqrt(abar_N) f(y), (1 - abar_N) I) (Eq. 11).
        x_0 = (2 * estimates - 1).repeat_interleave(num_images_per_input, dim=0)
        generators = one_generator_each(generator, len(x_0))
        zeta = self._noise(noise, x_0.shape, generators)
        start = self.config.begin_index if official_start else int(scheduler.timesteps[0])
        x_n = scheduler.add_noise(x_0, zeta, torch.full((len(x_0),), start, device=x_0.device))

        # 3. Denoise from x_N down to x_0 (Eq. 8-9).
        if constraint is not None:
            constraint = constraint.fitted(len(x_0), self.size, y.device)
            target = (2 * y - 1).repeat_interleave(num_images_per_input, dim=0)
        x_0 = self._denoise(
            x_n,
            scheduler,
            eta,
            generators,
            step_noise,
            project=None if constraint is None else lambda x0_hat: constraint(x0_hat, target),
            callback=callback_on_step_end,
            callback_inputs=callback_on_step_end_tensor_inputs,
        )

        # 4. Pictures out, at the callers' sizes.
        repeated = [size for size in sizes for _ in range(num_images_per_input)]
        pictures = self._pictures((x_0 / 2 + 0.5).clamp(0, 1), repeated, output_type)
        info = self._info(scheduler, start, eta, num_inference_steps, official_start)
        output = DifFaceOutput(images=pictures, estimates=self._pictures(estimates, sizes, output_type), info=info)
        self.maybe_free_model_hooks()
        return output if return_dict else output.to_tuple()

    @torch.no_grad()
    def sample(
        self,
        count: int,
        num_inference_steps: int | None = None,
        eta: float = 1.0,
        generator: Generators = None,
        output_type: str = "pil",
        callback_on_step_end: Callable[["DifFacePipeline", int, int, dict], dict] | None = None,
    ) -> DifFaceOutput:
        """Draw faces from the prior alone, from pure noise down the whole chain.

        Args:
            count: how many.
            num_inference_steps, eta, generator, output_type, callback_on_step_end: as for a call; eta is 1 (DDPM) by
                default; another needs DDIM.

        Raises:
            ValueError, TypeError: as for a call.
        """
        self._check_output_type(output_type)
        _check_count(count)
        scheduler = whole_chain(self.scheduler, num_inference_steps, eta)
        total = scheduler.config.num_train_timesteps
        generators = one_generator_each(generator, count)
        shape = (count, self.unet.config.in_channels, self.size, self.size)
        x_t = self._noise(None, shape, generators)
        x_0 = self._denoise(x_t, scheduler, eta, generators, callback=callback_on_step_end)
        pictures = self._pictures((x_0 / 2 + 0.5).clamp(0, 1), [(self.size, self.size)] * count, output_type)
        info = self._info(scheduler, int(scheduler.timesteps[0]), eta, num_inference_steps, False) | {
            "begin_index": total
        }
        self.maybe_free_model_hooks()
        return DifFaceOutput(images=pictures, estimates=None, info=info)

    def _denoise(
        self,
        sample: torch.Tensor,
        scheduler,
        eta: float,
        generators: list[torch.Generator],
        step_noise: torch.Tensor | None = None,
        project: Callable[[torch.Tensor], torch.Tensor] | None = None,
        callback: Callable | None = None,
        callback_inputs: list[str] = ["sample", "pred_original_sample"],  # noqa: B006
    ) -> torch.Tensor:
        """The reverse chain over `scheduler.timesteps`: network, stock scheduler step, constraint; x_0 in [-1, 1]."""
        unknown = set(callback_inputs) - set(self._callback_tensor_inputs)
        if unknown:
            raise ValueError(
                f"`callback_on_step_end_tensor_inputs` must be of {self._callback_tensor_inputs}; got {sorted(unknown)}."
            )
        if step_noise is not None and step_noise.shape != (len(scheduler.timesteps), *sample.shape):
            raise ValueError(
                f"`step_noise` must be {(len(scheduler.timesteps), *sample.shape)}; got {tuple(step_noise.shape)}."
            )
        timesteps = scheduler.timesteps.tolist()
        with self.progress_bar(total=len(timesteps)) as progress:
            for i, timestep in enumerate(timesteps):
                model_input = scheduler.scale_model_input(sample, timestep).to(self.unet.dtype)
                eps = self.unet(model_input, timestep).sample[:, : sample.shape[1]].float()
                step_arguments = self._step_arguments(
                    scheduler, eta, generators, None if step_noise is None else step_noise[i]
                )
                step = scheduler.step(eps, timestep, sample, **step_arguments)
                x0_hat = (
                    step.pred_original_sample if isinstance(scheduler, DDIMScheduler) else scheduler.model_outputs[-1]
                )
                sample = step.prev_sample
                if project is not None:
                    # The DDIM update is linear in x0_hat: x_s moves by sqrt(abar_s) (x0' - x0_hat), eps stays (Eq. 6, 15-16).
                    refined = project(x0_hat)
                    sample = sample + _next_alpha_cumprod(scheduler, timestep).sqrt() * (refined - x0_hat)
                    x0_hat = refined
                if callback is not None:
                    tensors = {"sample": sample, "pred_original_sample": x0_hat}
                    changed = callback(self, i, timestep, {name: tensors[name] for name in callback_inputs}) or {}
                    sample = changed.get("sample", sample)
                progress.update()
        return sample

    def _step_arguments(self, scheduler, eta: float, generators: list, noise: torch.Tensor | None) -> dict:
        if isinstance(scheduler, DDIMScheduler):
            return (
                dict(eta=eta, variance_noise=noise.to(self._execution_device))
                if noise is not None
                else dict(eta=eta, generator=generators)
            )
        if noise is not None:
            raise ValueError(f"`step_noise` needs DDIM; this pipeline has {type(scheduler).__name__}.")
        return dict(generator=generators) if "generator" in scheduler.step.__code__.co_varnames else {}

    def check_inputs(
        self,
        num_inference_steps: int | None = None,
        eta: float = DEFAULT_ETA,
        constraint: Constraint | None = None,
        official_start: bool = False,
    ) -> list[int]:
        """What a call with these settings would do: its timesteps, one network call each.

        Raises:
            ValueError: as the call would, before anything is computed.
        """
        begin_index = self.config.begin_index
        return chain(
            self.scheduler, begin_index, num_inference_steps, eta, constraint, official_start
        ).timesteps.tolist()

    def _noise(self, given: torch.Tensor | None, shape: tuple[int, ...], generators: list) -> torch.Tensor:
        if given is None:
            return randn_tensor(tuple(shape), generator=generators, device=self._execution_device, dtype=torch.float32)
        if given.shape != tuple(shape):
            raise ValueError(f"`noise` must be {tuple(shape)}; got {tuple(given.shape)}.")
        return given.to(self._execution_device, torch.float32)

    def _check_mask(self, constraint: Constraint | None) -> None:
        if self.estimator.takes_mask and getattr(constraint, "mask", None) is None:
            raise ValueError("this pipeline's estimator needs a mask; got none: pass `constraint=Masked(mask)`.")

    @staticmethod
    def _check_output_type(output_type: str) -> None:
        if output_type not in ("pil", "pt"):
            raise ValueError(f"`output_type` must be 'pil' or 'pt'; got {output_type!r}.")

    def _pictures(self, batch: torch.Tensor, sizes: list[tuple[int, int]], output_type: str) -> Pictures:
        fitted = [images.unfit_square(x, *size) for x, size in zip(batch, sizes, strict=True)]
        if output_type == "pil":
            return [images.to_pil(x) for x in fitted]
        if len(set(sizes)) > 1:
            raise ValueError("`output_type='pt'` needs inputs of one size; got several: use 'pil'.")
        return torch.stack(fitted).cpu()

    def _info(
        self, scheduler, start: int, eta: float, num_inference_steps: int | None, official_start: bool
    ) -> dict[str, Any]:
        timesteps = scheduler.timesteps.tolist()
        return {
            "begin_index": self.config.begin_index,
            "calls": len(timesteps),
            "timesteps": timesteps,
            "noise_timestep": start,
            "scheduler": type(scheduler).__name__,
            "eta": eta if isinstance(scheduler, DDIMScheduler) else None,
            "num_inference_steps": _steps(scheduler, num_inference_steps),
            "official_start": official_start,
            "dtype": str(self.unet.dtype).removeprefix("torch."),
            "size": self.size,
        }


def chain(
    scheduler: SchedulerMixin,
    begin_index: int,
    num_inference_steps: int | None = None,
    eta: float = DEFAULT_ETA,
    constraint: Constraint | None = None,
    official_start: bool = False,
) -> SchedulerMixin:
    """The scheduler of a call with its timesteps set, all arguments checked; it takes no network.

    Args:
        scheduler: may be changed in place; the one that is returned is to be used.
        begin_index: N.
        num_inference_steps, eta, constraint, official_start: as for a call of `DifFacePipeline`.

    Raises:
        ValueError: as the call would.
    """
    _check_begin_index(begin_index, scheduler)
    _check_eta(eta)
    if not isinstance(scheduler, DDIMScheduler):
        wanted = {"constraint": constraint is not None, "official_start": official_start, "eta": eta != DEFAULT_ETA}
        given = [name for name, used in wanted.items() if used]
        if given:
            raise ValueError(
                f"`{given[0]}` needs DDIM; this pipeline has {type(scheduler).__name__}: change `scheduler`."
            )
    total = scheduler.config.num_train_timesteps
    if official_start and begin_index >= total:
        raise ValueError(
            f"`official_start` noises to alphas_cumprod[N], so N must be at most {total - 1}; got {begin_index}."
        )
    return set_chain(scheduler, begin_index, _steps(scheduler, num_inference_steps))


def whole_chain(scheduler: SchedulerMixin, num_inference_steps: int | None = None, eta: float = 1.0) -> SchedulerMixin:
    """The same for `DifFacePipeline.sample`, which starts at T."""
    _check_eta(eta)
    if eta != 1 and not isinstance(scheduler, DDIMScheduler):
        raise ValueError(f"`eta` needs DDIM; this pipeline has {type(scheduler).__name__}: change `scheduler`.")
    return set_chain(scheduler, scheduler.config.num_train_timesteps, _steps(scheduler, num_inference_steps))


def _steps(scheduler: SchedulerMixin, num_inference_steps: int | None) -> int:
    if num_inference_steps is not None:
        return num_inference_steps
    return DEFAULT_STEPS if isinstance(scheduler, DDIMScheduler) else FAST_CALLS


def _check_begin_index(begin_index: int, scheduler: SchedulerMixin) -> None:
    total = scheduler.config.num_train_timesteps
    if isinstance(begin_index, bool) or not isinstance(begin_index, int) or not 1 <= begin_index <= total:
        raise ValueError(f"N must be a whole number in 1..{total}; got {begin_index!r}. The paper uses 400.")


def _check_eta(eta: float) -> None:
    if not 0 <= eta <= 1:
        raise ValueError(f"`eta` must be in [0, 1]; got {eta}. 0 is DDIM, 1 is DDPM, the paper uses 0.5.")


def _check_count(count: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"the number of pictures must be a whole number from 1; got {count!r}.")


def one_generator_each(generator: Generators, count: int) -> list[torch.Generator]:
    """One CPU generator per output picture, so that picture k does not depend on the batch that it is in."""
    if generator is None:
        generators = [torch.Generator() for _ in range(count)]
        for fresh in generators:
            fresh.seed()
        return generators
    generators = [generator] if isinstance(generator, torch.Generator) else list(generator)
    if len(generators) != count:
        raise ValueError(
            f"`generator` must hold one torch.Generator per output picture ({count}); got {len(generators)}. "
            "Use `[torch.Generator().manual_seed(seed + k) for k in range(n)]`."
        )
    for one in generators:
        if one.device.type != "cpu":
            raise ValueError(
                f"`generator` must be on the CPU, so that a seed gives the same picture anywhere; got {one.device}."
            )
    return generators


def _next_alpha_cumprod(scheduler: DDIMScheduler, timestep: int) -> torch.Tensor:
    """abar_s of the next lower point of DDIM's grid."""
    s = timestep - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    return scheduler.alphas_cumprod[s] if s >= 0 else scheduler.final_alpha_cumprod
