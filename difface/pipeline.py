"""DifFace (Yue and Loy, TPAMI 2024): estimate, noise to x_N, denoise."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DiffusionPipeline, DPMSolverMultistepScheduler
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image

from difface import images
from difface.chain import DEFAULT_ETA, Chain, chain, check_begin_index
from difface.constraints import Constraint
from difface.models.estimator import FaceEstimator
from difface.models.unet import UNet
from difface.schedulers import NUM_TRAIN_TIMESTEPS, check_scheduler
from difface.start import Doubt
from difface.tone import tone_of

Pictures = list[Image.Image] | torch.Tensor | np.ndarray
Generators = torch.Generator | list[torch.Generator] | None


@dataclass
class DifFaceOutput(BaseOutput):
    """What a call returns.

    Attributes:
        images: restored faces, B * K of them, grouped by input: PIL images at the callers' sizes, or in [0, 1] with
            `output_type="pt"` a tensor (B * K, 3, H, W), with "np" a float32 array (B * K, H, W, 3).
        estimates: f(y), one for each of the B inputs, in the same form; None for samples of the prior alone.
        info: what was done: `begin_index` (N), `calls`, `timesteps`, `noise_timestep`, `scheduler`, `eta`,
            `num_inference_steps`, `official_start`, `dtype`, `size`, and `notes`: for each of the B inputs a list of
                what
            was done to it on the way in, in words that go on "The picture is ..." (`difface.tone`, `difface.colour`).
            An interrupted call lists the calls that were made.
    """

    images: Pictures
    estimates: Pictures | None
    info: dict[str, Any]

    def info_of(self, k: int) -> dict[str, Any]:
        """`info` of restored face k by itself, for its metadata: with the notes on its own input."""
        per_input = len(self.images) // len(self.info["notes"])
        return self.info | {"notes": self.info["notes"][k // per_input]}


class DifFacePipeline(DiffusionPipeline):
    """Blind face restoration with a plain estimator and a diffusion prior.

    A folder that `save_pretrained` wrote is opened by `DifFacePipeline.from_pretrained(folder)`, and without this class
    by `DiffusionPipeline.from_pretrained(folder, custom_pipeline=difface.__path__[0], trust_remote_code=True)`, where
    diffusers runs a copy of this file; the package must be there for the networks.

    Args:
        unet: predicts eps from (x_t, t); of six output channels the last three (variance) are dropped.
        scheduler: stock `DDIMScheduler`, or DDPM, DPM-Solver++ or UniPC (see `difface.schedulers`).
        estimator: f(y), [0, 1] to [0, 1]. None is enough to `sample` from the prior.
        begin_index: N, see `set_begin_index`.
    """

    model_cpu_offload_seq = "estimator->unet"
    _optional_components = ["estimator"]
    _callback_tensor_inputs = ["sample", "pred_original_sample"]

    def __init__(self, unet: UNet, scheduler, estimator: FaceEstimator | None = None, begin_index: int = 400):
        super().__init__()
        check_scheduler(scheduler)
        self._interrupt, self._num_timesteps = False, 0
        self.register_modules(unet=unet, scheduler=scheduler, estimator=estimator)
        self.set_begin_index(begin_index)

    def set_begin_index(self, begin_index: int) -> None:
        """Set N, the timestep on the T-step training chain below which the reverse chain starts.

        N does not change with the number of inference steps. (The scheduler's own method of this name counts
        positions in the list of inference steps.) Larger N: more realism, less fidelity.

        Raises:
            ValueError: N is not a whole number in 1..T.
        """
        check_begin_index(begin_index)
        self.register_to_config(begin_index=begin_index)

    @property
    def size(self) -> int:
        """Side in pixels at which the networks work."""
        return self.unet.config.sample_size

    @property
    def num_timesteps(self) -> int:
        """Steps of the call that is under way, or of the last one."""
        return self._num_timesteps

    @property
    def interrupt(self) -> bool:
        """Whether the rest of the call's steps is left out: a callback sets `pipeline._interrupt = True`."""
        return self._interrupt

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
        callback_on_step_end: Callable[["DifFacePipeline", int, int, dict], dict | None] | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["sample"],  # noqa: B006 (as in diffusers)
    ) -> DifFaceOutput | Any:
        """Restore aligned faces (Alg. 1).

        Args:
            image: B pictures, as `difface.images.to_tensors` takes them: PIL images, uint8 arrays or a tensor
                (B, 3, H, W) in [0, 1]. They are worked on at the model's size and returned at their own. Dark, faded,
                black and white and toned ones come back as such (`difface.tone`).
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
            output_type: "pil", "pt" or "np".
            return_dict: False returns the tuple (images, estimates, info).
            callback_on_step_end: called as (pipeline, step, timestep, tensors) after every step; may return a changed
                "sample". `pipeline._interrupt = True` leaves the other steps out, an exception ends the call.
            callback_on_step_end_tensor_inputs: of "sample" and "pred_original_sample" (x0_hat), both in [-1, 1] and in
                the tone that the networks see.

        Raises:
            ValueError, TypeError: an argument outside what is accepted; the message says which and what is.
        """
        inputs, notes = map(list, zip(*images.with_notes(image), strict=True))
        _check_callback(callback_on_step_end)
        steps = chain(self.scheduler, self.config.begin_index, num_inference_steps, eta, constraint, official_start)
        self.check_inputs(
            inputs,
            steps,
            num_images_per_input,
            constraint,
            noise,
            step_noise,
            output_type,
            callback_on_step_end_tensor_inputs,
        )
        generators = one_generator_each(generator, len(inputs) * num_images_per_input)
        if constraint is not None:
            inputs = constraint.prepared(inputs, self.size)
        sizes = [tuple(tensor.shape[-2:]) for tensor in inputs]

        # 1. Estimate: x_0 is roughly f(y).
        colours = constraint is not None and constraint.gives_colours
        tones = [tone_of(images.fit_square(tensor, self.size), colours) for tensor in inputs]
        y = torch.stack([tone.given for tone in tones]).to(self._execution_device)
        mask = None
        if constraint is not None:
            constraint = constraint.fitted(len(y), self.size, y.device)
            mask = constraint.mask if self.estimator.takes_mask else None
        estimates = self.estimator(y.to(self.estimator.dtype), mask).float()

        # 2. Noise to x_N ~ N(sqrt(abar_N) f(y), (1 - abar_N) I) (Eq. 11).
        x_0 = (2 * estimates - 1).repeat_interleave(num_images_per_input, dim=0)
        zeta = self._noise(noise, x_0.shape, generators)
        x_n = steps.scheduler.add_noise(x_0, zeta, torch.full((len(x_0),), steps.noise_timestep, device=x_0.device))

        # 3. Denoise from x_N down to x_0 (Eq. 8-9).
        if constraint is not None:
            constraint = constraint.fitted(len(x_0), self.size, y.device)
            target = (2 * y - 1).repeat_interleave(num_images_per_input, dim=0)
        x_0, calls = self._denoise(
            x_n,
            steps,
            generators,
            step_noise,
            project=None if constraint is None else lambda x0_hat: constraint(x0_hat, target),
            callback=callback_on_step_end,
            callback_inputs=callback_on_step_end_tensor_inputs,
        )

        # 4. Pictures out, in the callers' tones and sizes.
        x_0 = (x_0 / 2 + 0.5).clamp(0, 1).unflatten(0, (len(tones), -1))
        x_0 = torch.stack([tone.back(answer) for tone, answers in zip(tones, x_0, strict=True) for answer in answers])
        estimates = torch.stack([tone.back(estimate) for tone, estimate in zip(tones, estimates, strict=True)])
        repeated = [size for size in sizes for _ in range(num_images_per_input)]
        pictures = self._pictures(x_0, repeated, output_type)
        estimates = self._pictures(estimates, sizes, output_type)
        info = self._info(steps, calls)
        info["notes"] = [[*before, *tone.notes] for before, tone in zip(notes, tones, strict=True)]
        output = DifFaceOutput(images=pictures, estimates=estimates, info=info)
        self.maybe_free_model_hooks()
        return output if return_dict else output.to_tuple()

    @torch.no_grad()
    def begin_indices(self, image: Any, doubt: Doubt) -> list[int]:
        """N for each of B aligned faces, by how bad it is (`difface.start`); f(y) is computed for this alone.

        Args:
            image: as for a call.
            doubt: of this pipeline's estimator.

        Raises:
            ValueError, TypeError: an argument outside what is accepted, or an estimator that takes a mask.
        """
        if self.estimator is None or self.estimator.takes_mask:
            raise ValueError("N by how bad a picture is needs an estimator that restores without a mask; got none.")
        inputs = images.to_tensors(image)
        y = torch.stack([tone_of(images.fit_square(tensor, self.size)).given for tensor in inputs])
        y = y.to(self._execution_device)
        return doubt.begin_index(y, self.estimator(y.to(self.estimator.dtype)).float())

    @torch.no_grad()
    def sample(
        self,
        count: int,
        num_inference_steps: int | None = None,
        eta: float = 1.0,
        generator: Generators = None,
        output_type: str = "pil",
        callback_on_step_end: Callable[["DifFacePipeline", int, int, dict], dict | None] | None = None,
    ) -> DifFaceOutput:
        """Draw faces from the prior alone, from pure noise down the whole chain.

        Args:
            count: how many.
            num_inference_steps, eta, generator, output_type, callback_on_step_end: as for a call; eta is 1 (DDPM) by
                default; another needs DDIM.

        Raises:
            ValueError, TypeError: as for a call.
        """
        _check_count(count)
        _check_output(output_type)
        _check_callback(callback_on_step_end)
        steps = chain(self.scheduler, NUM_TRAIN_TIMESTEPS, num_inference_steps, eta, default_eta=1.0)
        generators = one_generator_each(generator, count)
        x_t = self._noise(None, (count, self.unet.config.in_channels, self.size, self.size), generators)
        x_0, calls = self._denoise(x_t, steps, generators, callback=callback_on_step_end)
        pictures = self._pictures((x_0 / 2 + 0.5).clamp(0, 1), [(self.size, self.size)] * count, output_type)
        self.maybe_free_model_hooks()
        return DifFaceOutput(images=pictures, estimates=None, info=self._info(steps, calls))

    def _denoise(
        self,
        sample: torch.Tensor,
        steps: Chain,
        generators: list[torch.Generator],
        step_noise: torch.Tensor | None = None,
        project: Callable[[torch.Tensor], torch.Tensor] | None = None,
        callback: Callable | None = None,
        callback_inputs: list[str] = ["sample", "pred_original_sample"],  # noqa: B006
    ) -> tuple[torch.Tensor, int]:
        """The reverse chain: network, stock scheduler step, constraint; x_0 in [-1, 1], and the calls it took."""
        scheduler, timesteps, calls = steps.scheduler, steps.timesteps, 0
        self._num_timesteps, self._interrupt = len(timesteps), False
        with self.progress_bar(total=len(timesteps)) as progress:
            for i, timestep in enumerate(timesteps):
                if self.interrupt:
                    continue
                calls += 1
                model_input = scheduler.scale_model_input(sample, timestep).to(self.unet.dtype)
                eps = self.unet(model_input, timestep).sample[:, : sample.shape[1]].float()
                step_arguments = self._step_arguments(steps, generators, None if step_noise is None else step_noise[i])
                step = scheduler.step(eps, timestep, sample, **step_arguments)
                tells = isinstance(scheduler, DDIMScheduler | DDPMScheduler)
                x0_hat = step.pred_original_sample if tells else scheduler.model_outputs[-1]
                sample = step.prev_sample
                if project is not None:
                    # DDIM is linear in x0_hat: x_s moves by sqrt(abar_s) (x0' - x0_hat), eps stays (Eq. 6, 15-16).
                    refined = project(x0_hat)
                    sample = sample + _next_alpha_cumprod(scheduler, timestep).sqrt() * (refined - x0_hat)
                    x0_hat = refined
                if callback is not None:
                    tensors = {"sample": sample, "pred_original_sample": x0_hat}
                    changed = callback(self, i, timestep, {name: tensors[name] for name in callback_inputs}) or {}
                    sample = changed.get("sample", sample)
                progress.update()
        return sample, calls

    def _step_arguments(self, steps: Chain, generators: list, noise: torch.Tensor | None) -> dict:
        if isinstance(steps.scheduler, DPMSolverMultistepScheduler | DDPMScheduler):
            return dict(generator=generators)  # of the solver only the SDE form draws
        if not isinstance(steps.scheduler, DDIMScheduler):
            return {}
        drawn = dict(generator=generators) if noise is None else dict(variance_noise=noise.to(self._execution_device))
        return dict(eta=steps.eta) | drawn

    def check_inputs(
        self,
        inputs: list[torch.Tensor],
        steps: Chain,
        num_images_per_input: int,
        constraint: Constraint | None,
        noise: torch.Tensor | None,
        step_noise: torch.Tensor | None,
        output_type: str,
        callback_inputs: list[str],
    ) -> None:
        """Refuse what a call cannot do, before a network runs. (`difface.chain` says what it would do.)

        Args:
            inputs: B pictures (3, H, W) in [0, 1].
            steps: of the call.
            num_images_per_input, constraint, noise, step_noise, output_type: as for a call.
            callback_inputs: its `callback_on_step_end_tensor_inputs`.

        Raises:
            ValueError, TypeError: as the call.
        """
        if self.estimator is None:
            raise ValueError(
                "this pipeline has no estimator, so it can only `sample`; load or pass `estimator=` to restore."
            )
        _check_output(output_type, {tuple(tensor.shape[-2:]) for tensor in inputs})
        _check_count(num_images_per_input)
        if not isinstance(constraint, Constraint | None):
            raise TypeError(
                "`constraint` must be one of `difface.constraints`, e.g. `Masked(mask)`; got "
                f"{type(constraint).__name__}."
            )
        if self.estimator.takes_mask and getattr(constraint, "mask", None) is None:
            raise ValueError("this pipeline's estimator needs a mask; got none: pass `constraint=Masked(mask)`.")
        unknown = sorted(set(callback_inputs) - set(self._callback_tensor_inputs))
        if unknown:
            raise ValueError(
                f"`callback_on_step_end_tensor_inputs` must be of {self._callback_tensor_inputs}; got {unknown}."
            )
        self._check_draws(steps, len(inputs) * num_images_per_input, noise, step_noise)

    def _check_draws(
        self, steps: Chain, count: int, noise: torch.Tensor | None, step_noise: torch.Tensor | None
    ) -> None:
        """Refuse noise, handed over for `count` pictures, that is of another shape or that the scheduler does not
        take."""
        shape = (count, self.unet.config.in_channels, self.size, self.size)
        for name, given, wanted in (
            ("noise", noise, shape),
            ("step_noise", step_noise, (len(steps.timesteps), *shape)),
        ):
            if given is None:
                continue
            if not torch.is_tensor(given) or tuple(given.shape) != wanted:
                found = tuple(given.shape) if torch.is_tensor(given) else type(given).__name__
                raise ValueError(f"`{name}` must be a tensor {wanted}; got {found}.")
            if not given.isfinite().all():
                raise ValueError(f"`{name}` must hold finite numbers; got some that are not: draw it anew.")
        if step_noise is not None and not isinstance(steps.scheduler, DDIMScheduler):
            raise ValueError(f"`step_noise` needs DDIM; this pipeline has {type(steps.scheduler).__name__}.")

    def _noise(self, given: torch.Tensor | None, shape: tuple[int, ...], generators: list) -> torch.Tensor:
        if given is None:
            return randn_tensor(tuple(shape), generator=generators, device=self._execution_device, dtype=torch.float32)
        return given.to(self._execution_device, torch.float32)

    @staticmethod
    def _pictures(batch: torch.Tensor, sizes: list[tuple[int, int]], output_type: str) -> Pictures:
        fitted = [images.unfit_square(x, *size) for x, size in zip(batch, sizes, strict=True)]
        if output_type == "pil":
            return [images.to_pil(x) for x in fitted]
        stacked = torch.stack(fitted).cpu()
        return stacked if output_type == "pt" else stacked.permute(0, 2, 3, 1).numpy()

    def _info(self, steps: Chain, calls: int) -> dict[str, Any]:
        made = {"calls": calls, "timesteps": steps.timesteps[:calls]}
        return steps.info() | made | {"dtype": str(self.unet.dtype).removeprefix("torch."), "size": self.size}


def _check_output(output_type: str, sizes: Collection[tuple[int, ...]] = ()) -> None:
    """Refuse an output type that there is not, or that cannot hold inputs of these (different) sizes."""
    if output_type not in ("pil", "pt", "np"):
        raise ValueError(f"`output_type` must be 'pil', 'pt' or 'np'; got {output_type!r}.")
    if output_type != "pil" and len(sizes) > 1:
        raise ValueError(f"`output_type='{output_type}'` needs inputs of one size; got several: use 'pil'.")


def _check_callback(callback: Any) -> None:
    if callback is not None and not callable(callback):
        raise TypeError(f"`callback_on_step_end` must be a function or None; got {type(callback).__name__}.")


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
    generators = list(generator) if isinstance(generator, list | tuple) else [generator]
    for one in generators:
        if not isinstance(one, torch.Generator) or one.device.type != "cpu":
            raise ValueError(
                "`generator` must hold torch.Generators on the CPU, so that a seed gives the same picture anywhere; "
                f"got {one.device if isinstance(one, torch.Generator) else type(one).__name__}."
            )
    if len(generators) != count:
        raise ValueError(
            f"`generator` must hold one torch.Generator per output picture ({count}); got {len(generators)}. "
            "Use `[torch.Generator().manual_seed(seed + k) for k in range(n)]`."
        )
    return generators


def _next_alpha_cumprod(scheduler: DDIMScheduler, timestep: int) -> torch.Tensor:
    """abar_s of the next lower point of DDIM's grid."""
    s = timestep - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    return scheduler.alphas_cumprod[s] if s >= 0 else scheduler.final_alpha_cumprod
