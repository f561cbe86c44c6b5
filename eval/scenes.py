"""Group pictures that anybody may use: faces that nobody has, composed into whole photos of several people."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from difface import images


@dataclass(frozen=True)
class Scene:
    """How faces are put together.

    Attributes:
        name: of the file.
        columns, rows: of faces.
        side: of each face, in pixels.
        gap: between faces, in pixels.
        ground: colour of the background, lighter above.
        frame: colour and width in pixels of each face's frame; None blends the faces into each other's ground.
        grey: as an old photo, without colour.
        margin: around all faces, in pixels; as wide as the gap at least.
    """

    name: str
    columns: int
    rows: int
    side: int
    gap: int
    ground: tuple[int, int, int]
    frame: tuple[tuple[int, int, int], int] | None = None
    grey: bool = False
    margin: int = 24

    @property
    def count(self) -> int:
        """How many faces there are."""
        return self.columns * self.rows

    def scaled(self, factor: float) -> "Scene":
        """The same scene, `factor` times as large."""
        frame = self.frame and (self.frame[0], round(self.frame[1] * factor))
        side, gap, margin = (round(number * factor) for number in (self.side, self.gap, self.margin))
        return replace(self, side=side, gap=gap, margin=margin, frame=frame)


SCENES = (
    Scene("call", 2, 2, 84, 10, (38, 42, 50), ((70, 76, 88), 2)),
    Scene("wall", 3, 2, 84, 34, (196, 180, 158), ((96, 62, 38), 7)),
    Scene("group", 5, 2, 76, -12, (120, 120, 120), None, grey=True),
)


def compose(scene: Scene, faces: torch.Tensor) -> torch.Tensor:
    """Draw a scene.

    Args:
        scene: the layout.
        faces: (count, 3, H, W) in [0, 1], the scene's `count` of them, in reading order.

    Returns:
        (3, height, width) in [0, 1].

    Raises:
        ValueError: another number of faces.
    """
    if len(faces) != scene.count:
        raise ValueError(f"the scene '{scene.name}' shows {scene.count} faces; got {len(faces)}.")
    step, margin = scene.side + scene.gap, max(scene.gap, scene.margin)
    width, height = (2 * margin + count * step - scene.gap for count in (scene.columns, scene.rows))
    photo = _ground(width, height, scene.ground)
    for k, face in enumerate(faces):
        row, column = divmod(k, scene.columns)
        corner = (margin + column * step, margin + row * step)
        _place(photo, images.to_pil(face).resize((scene.side, scene.side), Image.Resampling.LANCZOS), corner, scene)
    if scene.grey:
        photo = photo.convert("L").convert("RGB")
    return images.to_tensors(photo)[0]


def _ground(width: int, height: int, colour: tuple[int, int, int]) -> Image.Image:
    """An even ground that is lighter above, as a lit wall."""
    light = np.linspace(1.12, 0.85, height)[:, None, None]
    return Image.fromarray((light * np.array(colour) * np.ones((1, width, 1))).clip(0, 255).astype(np.uint8))


def _place(photo: Image.Image, face: Image.Image, corner: tuple[int, int], scene: Scene) -> None:
    """Paste a face, framed or with soft edges."""
    if scene.frame:
        colour, line = scene.frame
        box = (corner[0] - line, corner[1] - line, corner[0] + scene.side + line - 1, corner[1] + scene.side + line - 1)
        ImageDraw.Draw(photo).rectangle(box, fill=colour)
        photo.paste(face, corner)
        return
    soft = Image.new("L", face.size)
    edge = scene.side // 10
    ImageDraw.Draw(soft).ellipse((edge, 0, scene.side - edge, scene.side - edge // 2), fill=255)
    photo.paste(face, corner, soft.filter(ImageFilter.GaussianBlur(scene.side / 24)))
