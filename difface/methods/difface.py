"""DifFace itself (Yue and Loy, TPAMI 2024), as one method among the others."""

from typing import Self

import torch

from difface import inpaint, profiles
from difface.chain import DEFAULT_ETA, chain
from difface.constraints import Downsampled, Masked
from difface.methods.base import Call, Method, Task
from difface.pipeline import DifFacePipeline


class DifFace(Method):
    """`DifFacePipeline` with its official settings: f(y) is noised to N and denoised on the 250-step grid (Alg. 1).

    Without more eta is 0.5. With a mask N = 480 and eta = 1, and known pixels are kept at every step (Eq. 14-16). With
    a scale the block means are kept (`difface.constraints.Downsampled`), and small pictures from 8 pixels are taken.

    Args:
        restoring: the pipeline for whole and for small pictures, with its N set.
        inpainting: the pipeline for pictures with a mask; its estimator takes one.
        steps: of the whole chain's grid.
    """

    name = "DifFace"
    tasks = ("inpainting", "super-resolution", "blind")

    def __init__(self, restoring: DifFacePipeline | None, inpainting: DifFacePipeline | None, steps: int = 250):
        self.restoring, self.inpainting, self.steps = restoring, inpainting, steps

    @classmethod
    def load(cls, profile: str = profiles.DEFAULT, device: str = "auto", dtype: str = "float32", **settings) -> Self:
        chosen = profiles.profile(profile)
        restoring, inpainting = (
            profiles.load(profile, next(iter(estimators)), device=device, dtype=dtype) if estimators else None
            for estimators in (chosen.estimators, chosen.inpainting)
        )
        if inpainting is not None:
            inpainting.set_begin_index(inpaint.START)
        return cls(restoring, inpainting, **settings)

    @property
    def size(self) -> int:
        return (self.restoring or self._pipeline("inpainting")).size

    def set_progress_bar_config(self, **config) -> None:
        for pipeline in (self.restoring, self.inpainting):
            if pipeline is not None:
                pipeline.set_progress_bar_config(**config)

    def calls(self, task: Task) -> int:
        pipeline = self._pipeline(task)
        return len(chain(pipeline.scheduler, pipeline.config.begin_index, self.steps).timesteps)

    def _restore(self, call: Call) -> torch.Tensor:
        pipeline, callback = self._pipeline(call.task), call.callback
        self._check_of_side(call.lq, self.size, call.scale)
        constraint = Masked(call.mask) if call.mask is not None else Downsampled(call.scale) if call.scale else None
        noise, *step_noise = (None,) if call.draws is None else call.draws
        result = pipeline(
            call.lq.clamp(0, 1),
            self.steps,
            inpaint.ETA if call.task == "inpainting" else DEFAULT_ETA,
            call.generator,
            constraint=constraint,
            noise=noise,
            step_noise=torch.stack(step_noise) if step_noise else None,
            output_type="pt",
            callback_on_step_end=callback and (lambda _, *step: callback(self, *step)),
            callback_on_step_end_tensor_inputs=["sample", "pred_original_sample"],
        )
        assert isinstance(result.images, torch.Tensor)  # by its output type
        return result.images

    def _pipeline(self, task: Task) -> DifFacePipeline:
        pipeline = self.inpainting if task == "inpainting" else self.restoring
        if pipeline is None:
            raise ValueError(f"this profile has no estimator for {task}; use another profile.")
        return pipeline
