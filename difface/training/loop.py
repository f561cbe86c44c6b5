"""The training loop that the prior and the estimators share: AdamW, EMA, bfloat16, checkpoints, exact resume."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import ModelMixin
from diffusers.training_utils import EMAModel
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from difface.images import whole_file

CHECKPOINT = "checkpoint.pt"
LossFunction = Callable[[ModelMixin, torch.Tensor, torch.Generator], torch.Tensor]
Preview = Callable[[ModelMixin, Path], None]


class TrainingError(ValueError):
    """A training that cannot start or go on; the message is one line."""


@dataclass(frozen=True)
class Settings:
    """How to train; saved beside the results.

    Attributes:
        steps: optimiser steps in all.
        batch_size: images per step and process.
        learning_rate: AdamW's, after `warmup` and before `decay` (weight decay is 0, as in the paper's code).
        warmup: steps over which the rate rises linearly from 0.
        decay: last steps, over which it falls linearly to 0.
        ema_decay: largest decay of the exponential moving average of the weights, which is what is saved in the end.
        minutes: stop cleanly after this long; the next run resumes.
        checkpoint_minutes: time between checkpoints.
        preview_every: steps between previews, 0 for none.
        seed: of every random draw; the draws of a step depend on it, the step and the process alone.
        precision: "bf16" (autocast) or "no" (float32).
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int
    decay: int
    ema_decay: float
    minutes: float = float("inf")
    checkpoint_minutes: float = 5.0
    preview_every: int = 0
    seed: int = 0
    precision: str = "bf16"

    def rate(self, step: int) -> float:
        """Learning rate of step `step`, counted from 0."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        fall = min(1.0, (self.steps - step) / max(self.decay, 1))
        return self.learning_rate * rise * fall


class Faces:
    """All faces of a folder in memory, in order of name.

    Attributes:
        images: (n, 3, size, size) uint8.
    """

    def __init__(self, folder: Path, size: int):
        from difface import images

        files = images.find([folder])
        tensors = []
        for file in files:
            tensor = images.to_tensors(images.read(file))[0]
            if tensor.shape[-2:] != (size, size):
                raise TrainingError(
                    f"{file} is {tensor.shape[2]}x{tensor.shape[1]} pixels; aligned faces of {size}x{size} are accepted: run "
                    f"`python -m difface align {folder} -o DIR --size {size}` first."
                )
            tensors.append(tensor.mul(255).round().to(torch.uint8))
        self.images = torch.stack(tensors)

    def batch(self, step: int, settings: Settings, process: int, processes: int) -> torch.Tensor:
        """The images of one step: (batch_size, 3, size, size) in [0, 1]. Every epoch is a fresh permutation."""
        count = len(self.images)
        first = (step * processes + process) * settings.batch_size
        indices = []
        for position in range(first, first + settings.batch_size):
            epoch, place = divmod(position, count)
            indices.append(_permutation(count, settings.seed, epoch)[place].item())
        return self.images[indices].float() / 255


_permutations: dict[tuple[int, int, int], torch.Tensor] = {}


def _permutation(count: int, seed: int, epoch: int) -> torch.Tensor:
    key = (count, seed, epoch)
    if key not in _permutations:
        if len(_permutations) > 4:
            _permutations.clear()
        _permutations[key] = torch.randperm(count, generator=generator_of(seed, 1, epoch))
    return _permutations[key]


def generator_of(*parts: int) -> torch.Generator:
    """A CPU generator whose seed mixes the given numbers, so that every step and process has its own stream."""
    state = 0x9E3779B97F4A7C15
    for part in parts:
        state = ((state ^ (part + 0x632BE59BD9B4E019)) * 0xBF58476D1CE4E5B9) % 2**64
        state ^= state >> 31
    return torch.Generator().manual_seed(state % 2**63)


def fit(
    model: ModelMixin,
    faces: Faces,
    compute_loss: LossFunction,
    settings: Settings,
    output: Path,
    preview: Preview | None = None,
) -> None:
    """Train `model` and save its moving average in `output`, resuming from `output`'s checkpoint when there is one.

    Args:
        model: a diffusers model, changed in place.
        faces: the training images.
        compute_loss: (model, x_0 in [0, 1] (B, 3, H, W), generator) -> scalar; every draw must come from the generator.
        settings: the options.
        output: folder; receives the model (`save_pretrained`), `settings.json`, `log.csv`, the checkpoint and previews.
        preview: called with the averaged model and a path for a PNG.

    Raises:
        TrainingError: the checkpoint in `output` is of another network.
    """
    accelerator = Accelerator(mixed_precision=settings.precision)
    output.mkdir(parents=True, exist_ok=True)
    model.to(memory_format=torch.channels_last).train()
    ema = EMAModel(model.parameters(), decay=settings.ema_decay)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    step = _resume(output / CHECKPOINT, model, ema, optimizer)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    ema.to(accelerator.device)

    started = saved = time.monotonic()
    first_step = step
    losses: list[float] = []
    with _progress(accelerator.is_main_process) as progress:
        task = progress.add_task("", total=settings.steps, completed=step, note="")
        while step < settings.steps and time.monotonic() - started < settings.minutes * 60:
            index = accelerator.process_index
            x_0 = faces.batch(step, settings, index, accelerator.num_processes)
            for group in optimizer.param_groups:
                group["lr"] = settings.rate(step)
            loss = compute_loss(wrapped, x_0.to(accelerator.device), generator_of(settings.seed, 2, step, index))
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            ema.step(model.parameters())
            step += 1

            losses.append(loss.item())
            seen = (step - first_step) * settings.batch_size * accelerator.num_processes
            note = f"loss {sum(losses[-100:]) / len(losses[-100:]):.4f}, {seen / (time.monotonic() - started):.1f} images/s"
            progress.update(task, completed=step, note=note)
            if accelerator.is_main_process:
                if step % 50 == 0:
                    _log(output, step, sum(losses[-50:]) / len(losses[-50:]), settings.rate(step - 1))
                if time.monotonic() - saved > settings.checkpoint_minutes * 60:
                    _checkpoint(output / CHECKPOINT, model, ema, optimizer, step)
                    saved = time.monotonic()
                if preview and settings.preview_every and step % settings.preview_every == 0:
                    _preview(preview, model, ema, output / f"preview_{step:07d}.png")
    if accelerator.is_main_process:
        _checkpoint(output / CHECKPOINT, model, ema, optimizer, step)
        ema.copy_to(model.parameters())
        model.eval()
        model.save_pretrained(output)
        record = {
            **asdict(settings),
            "steps_done": step,
            "images_seen": step * settings.batch_size * accelerator.num_processes,
        }
        with whole_file(output / "settings.json") as temporary:
            temporary.write_text(json.dumps(record, indent=1, default=str))


def _progress(shown: bool) -> Progress:
    columns = (
        TextColumn("step {task.completed}/{task.total}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, disable=not shown)


def _checkpoint(path: Path, model: ModelMixin, ema: EMAModel, optimizer, step: int) -> None:
    state = {"step": step, "model": model.state_dict(), "ema": ema.state_dict(), "optimizer": optimizer.state_dict()}
    with whole_file(path) as temporary:
        torch.save(state, temporary)


def _resume(path: Path, model: ModelMixin, ema: EMAModel, optimizer: torch.optim.Optimizer) -> int:
    """Load a checkpoint into its three parts; the number of steps done (0 without a checkpoint)."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise TrainingError(
            f"{path} is of another network ({str(error).splitlines()[1].strip()}); the same options resume: use them, or another folder."
        ) from None
    ema.load_state_dict(state["ema"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def _log(output: Path, step: int, loss: float, rate: float) -> None:
    path = output / "log.csv"
    if not path.exists():
        path.write_text("step,loss,learning_rate\n")
    with path.open("a") as file:
        file.write(f"{step},{loss:.6f},{rate:.3e}\n")


def _preview(preview: Preview, model: ModelMixin, ema: EMAModel, path: Path) -> None:
    ema.store(model.parameters())
    ema.copy_to(model.parameters())
    model.eval()
    preview(model, path)
    model.train()
    ema.restore(model.parameters())
