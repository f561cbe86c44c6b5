"""Inpainting: the missing parts of an aligned face are filled, what is known stays the picture's own."""

from collections.abc import Callable

import torch
from PIL import Image

from difface import images, masks
from difface.constraints import Masked
from difface.pipeline import DifFaceOutput, DifFacePipeline

START, ETA = 480, 1.0
"""N and eta as released for inpainting."""


def fill(
    pipeline: DifFacePipeline,
    picture: Image.Image,
    constraint: Masked,
    generators: list[torch.Generator],
    *,
    num_inference_steps: int | None = None,
    eta: float = ETA,
    composite: bool = True,
    callback_on_step_end: Callable | None = None,
) -> DifFaceOutput:
    """Fill the holes of an aligned face (Eq. 14-16), once per generator.

    Args:
        pipeline: with an estimator that takes a mask, and DDIM.
        picture: of any mode.
        constraint: with one mask, of the picture's size.
        generators: one per answer.
        num_inference_steps, eta: as for the pipeline.
        composite: put the picture's own bytes back where they are known.
        callback_on_step_end: as for the pipeline, with x0_hat (`pred_original_sample`).

    Returns:
        The pipeline's output, PIL images of the picture's size; `.info` also holds `rule`, `gamma` and `composite`, and
        `notes` on the picture.

    Raises:
        ImageError: the mask has another size than the picture, or leaves no pixel of the model's known.
        ValueError: as the pipeline.
    """
    picture, mask = images.to_rgb(picture), constraint.mask
    if mask.shape[-2:] != (picture.height, picture.width):
        raise images.ImageError(
            f"its mask is {mask.shape[-1]}x{mask.shape[-2]} and the picture {picture.width}x{picture.height} pixels; "
            "the same size is accepted: make the mask for this picture."
        )
    if constraint.fitted(1, pipeline.size).mask.all():
        raise images.ImageError(
            f"at the model's {pipeline.size} pixels its mask leaves none that is wholly known; a mask with larger "
            "known parts is accepted: mark less as missing."
        )
    output = pipeline(
        picture,
        num_inference_steps,
        eta,
        generators,
        len(generators),
        constraint,
        callback_on_step_end=callback_on_step_end,
        callback_on_step_end_tensor_inputs=["pred_original_sample"],
    )
    filled = [masks.paste_known(answer, picture, mask) for answer in output.images] if composite else output.images
    info = output.info_of(0) | {"rule": constraint.rule, "gamma": f"{constraint.gamma:g}", "composite": composite}
    return DifFaceOutput(images=filled, estimates=output.estimates, info=info)
