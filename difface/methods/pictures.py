"""Pictures of any size and mode through a method that works at one size."""

import torch
from PIL import Image

from difface import images, masks
from difface.constraints import Downsampled, Masked
from difface.methods.base import Method


def restore_pictures(
    method: Method,
    pictures: list[Image.Image],
    generators: list[torch.Generator],
    count: int = 1,
    *,
    mask: torch.Tensor | None = None,
    scale: int | None = None,
    composite: bool = True,
) -> list[Image.Image]:
    """Restore pictures as `DifFacePipeline` does: worked on at the method's size, returned at their own.

    Args:
        pictures: of any size and mode; with `scale` small ones, of the method's side / scale.
        generators: one per result.
        count: results per picture.
        mask: (1, 1, H, W) of the pictures' size or (B, 1, H, W), 1 = missing.
        scale: how many times as long the sides become.
        composite: with a mask: put the pictures' own bytes back where they are known.

    Returns:
        B * count results, grouped by picture.

    Raises:
        ImageError: a mask of another size than its picture, small pictures of another size than that.
        ValueError: as `restore`.
    """
    inputs, side, known = images.to_tensors(pictures), method.size, None
    try:
        if mask is not None:
            inputs, known = Masked(mask).prepared(inputs, side), Masked(mask).fitted(len(inputs) * count, side).mask
        elif scale is not None:
            Downsampled(scale).prepared(inputs, side)  # refuses those of another size
    except ValueError as error:
        raise images.ImageError(str(error)) from None
    lq = torch.stack([image if scale else images.fit_square(image, side) for image in inputs])
    results = method.restore(lq.repeat_interleave(count, dim=0), mask=known, scale=scale, generator=generators)
    answers = []
    for k, result in enumerate(results):
        picture = pictures[k // count]
        if scale is None:
            result = images.unfit_square(result, picture.height, picture.width)
        answer = images.to_pil(result)
        if mask is not None and composite:
            answer = masks.paste_known(answer, picture, mask[min(k // count, len(mask) - 1)][None])
        answers.append(answer)
    return answers
