"""The training loop that the prior and the estimators share: AdamW, EMA, bfloat16, checkpoints, exact resume."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import torch
from accelerate import Accelerator
from diffusers import ModelMixin
from diffusers.training_utils import EMAModel
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import DataLoader

from difface.files import scratch_folder, whole_file
from difface.training.data import Batch, Faces, Steps, TrainingError, generator_of

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"
LOG_EVERY = 50
"""Steps between lines of `log.csv`."""
RECENT = 100
"""Steps over which the loss is averaged in the progress bar."""
LossFunction = Callable[[ModelMixin, Batch, torch.Generator], torch.Tensor]
Preview = Callable[[ModelMixin, Path], None]


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
        workers: processes that prepare the pictures ahead, for a GPU that would wait for them; 0: none.
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
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        if self.precision not in ("bf16", "no"):
            raise TrainingError(f"`precision` must be 'bf16' or 'no'; got {self.precision!r}.")
        for name in ("learning_rate", "ema_decay", "minutes", "checkpoint_minutes"):
            if not getattr(self, name) >= 0:  # also refuses NaN
                raise TrainingError(f"`{name}` must be a number from 0 up; got {getattr(self, name)}.")
        if not 0 <= self.seed < 2**63:
            raise TrainingError(f"`seed` must be in 0..2^63 - 1; got {self.seed}.")

    def rate(self, step: int) -> float:
        """Learning rate of step `step`, counted from 0."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        fall = min(1.0, (self.steps - step) / max(self.decay, 1))
        return self.learning_rate * rise * fall


def mirrored(x_0: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B, 3, H, W), each mirrored left to right half the time."""
    flips = torch.rand(len(x_0), 1, 1, 1, generator=generator).to(x_0.device) < 0.5
    return torch.where(flips, x_0.flip(-1), x_0)


def gaussian(x_0: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Standard normal noise of the shape of `x_0`, on its device.

    A GPU draws it itself, from a seed of the generator's: a CPU would draw slower than the GPU trains.
    """
    if x_0.device != generator.device:
        seed = int(torch.randint(2**62, (), generator=generator))
        generator = torch.Generator(x_0.device).manual_seed(seed)
    return torch.randn(x_0.shape, generator=generator, device=x_0.device)


def warm_start(kind: type[ModelMixin], folder: Path, **config) -> ModelMixin:
    """A trained network to go on from, in float32.

    Args:
        kind: its class.
        folder: its diffusers folder.
        config: what its config must say.

    Raises:
        TrainingError: the folder is not there, or holds another network.
    """
    try:
        found = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        raise TrainingError(f"{folder} holds no trained network; a folder that `train` wrote is accepted.") from None
    for name, wanted in {"_class_name": kind.__name__, **config}.items():
        if found.get(name) != wanted:
            raise TrainingError(f"{folder} holds a network of {name} {found.get(name)!r}; {wanted!r} is accepted here.")
    return kind.from_pretrained(folder, torch_dtype=torch.float32)


@dataclass
class State:
    """What a checkpoint holds; every random draw follows from the settings' seed and the step.

    Attributes:
        model: the network in training.
        ema: the moving average of its weights.
        optimizer: AdamW.
        step: optimiser steps done.
        losses: of the last steps, `RECENT` at most.
    """

    model: ModelMixin
    ema: EMAModel
    optimizer: torch.optim.Optimizer
    step: int = 0
    losses: list[float] = field(default_factory=list)

    @staticmethod
    def fresh(model: ModelMixin, settings: Settings) -> "State":
        """The state before the first step."""
        model.to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.0)
        return State(model, EMAModel(model.parameters(), decay=settings.ema_decay, foreach=True), optimizer)

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        parts = {"model": self.model, "ema": self.ema, "optimizer": self.optimizer}
        told = {"step": self.step, "losses": self.losses}
        with whole_file(path) as temporary, temporary.open("wb") as file:  # by its path the file's name would be inside
            torch.save(told | {name: part.state_dict() for name, part in parts.items()}, file)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            TrainingError: it is of another network.
        """
        stored = torch.load(path, map_location="cpu", weights_only=True)
        try:
            self.model.load_state_dict(stored["model"])
        except RuntimeError as error:
            raise TrainingError(
                f"{path} is of another network ({str(error).splitlines()[1].strip()}); the same network resumes: use "
                "the options that it was made with, or another folder."
            ) from None
        self.ema.load_state_dict(stored["ema"] | {"decay": self.ema.decay})
        self.optimizer.load_state_dict(stored["optimizer"])
        self.step, self.losses = stored["step"], stored["losses"]

    @contextmanager
    def averaged(self) -> Iterator[ModelMixin]:
        """The model with its averaged weights, for as long as the block lasts."""
        self.ema.store(self.model.parameters())
        self.ema.copy_to(self.model.parameters())
        self.model.eval()
        yield self.model
        self.model.train()
        self.ema.restore(self.model.parameters())


def fit(
    model: ModelMixin,
    faces: Faces,
    compute_loss: LossFunction,
    settings: Settings,
    output: Path,
    preview: Preview | None = None,
    told: dict | None = None,
) -> None:
    """Train `model` and save its moving average in `output`, resuming from `output`'s checkpoint when there is one.

    Args:
        model: a diffusers model, changed in place.
        faces: the training images.
        compute_loss: (model, batch, generator) -> scalar; every draw must come from the generator.
        settings: the options.
        output: folder; receives the model (`save_pretrained`), `settings.json`, `log.csv`, the checkpoint and previews.
        preview: called with the averaged model and a path for a PNG.
        told: what `settings.json` says beside the settings.

    Raises:
        TrainingError: the checkpoint in `output` is of another network.
    """
    accelerator = Accelerator(mixed_precision=settings.precision)
    output.mkdir(parents=True, exist_ok=True)
    state = State.fresh(model, settings)
    if (output / CHECKPOINT).exists():
        state.load(output / CHECKPOINT)
    if accelerator.is_main_process:
        _forget_log(output, state.step)
    wrapped, state.optimizer = accelerator.prepare(state.model, state.optimizer)
    state.ema.to(accelerator.device)

    batches = _batches(accelerator, faces, settings, state.step)
    started = saved = time.monotonic()
    per_step, first_step = settings.batch_size * accelerator.num_processes, state.step
    with _progress(accelerator.is_main_process) as progress:
        task = progress.add_task("", total=settings.steps, completed=state.step, note="")
        while state.step < settings.steps and not _out_of_time(accelerator, started, settings.minutes):
            _train_step(accelerator, wrapped, state, next(batches), compute_loss, settings)
            loss = sum(state.losses) / len(state.losses)
            speed = (state.step - first_step) * per_step / (time.monotonic() - started)
            progress.update(task, completed=state.step, note=f"loss {loss:.4f}, {speed:.1f} images/s")
            if not accelerator.is_main_process:
                continue
            if state.step % LOG_EVERY == 0:
                recent = state.losses[-LOG_EVERY:]
                _log(output, state.step, sum(recent) / len(recent), settings.rate(state.step - 1))
            if preview and settings.preview_every and state.step % settings.preview_every == 0:
                with state.averaged() as averaged:
                    preview(averaged, output / f"preview_{state.step:07d}.png")
            if time.monotonic() - saved > settings.checkpoint_minutes * 60:  # after all else that belongs to the step
                state.save(output / CHECKPOINT)
                saved = time.monotonic()
    if accelerator.is_main_process:
        _finish(state, settings, per_step, output, told or {})


def _batches(accelerator: Accelerator, faces: Faces, settings: Settings, first_step: int) -> Iterator[Batch]:
    """This process's batches from a step on."""
    steps = Steps(faces, settings.seed, settings.batch_size, accelerator.process_index, accelerator.num_processes)
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=range(first_step, settings.steps),
        num_workers=settings.workers,
        pin_memory=accelerator.device.type == "cuda",
        worker_init_fn=_one_thread,
    )
    return iter(loader)


def _one_thread(worker: int) -> None:
    """For OpenCV: the workers are many already."""
    cv2.setNumThreads(1)


def _train_step(
    accelerator: Accelerator, wrapped, state: State, batch: Batch, compute_loss: LossFunction, settings: Settings
) -> None:
    """One optimiser step."""
    process = accelerator.process_index
    batch = Batch(batch.x_0.to(accelerator.device, non_blocking=True), batch.soft)
    for group in state.optimizer.param_groups:
        group["lr"] = settings.rate(state.step)
    loss = compute_loss(wrapped, batch, generator_of(settings.seed, 2, state.step, process))
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.ema.step(state.model.parameters())
    state.step += 1
    state.losses = [*state.losses[1 - RECENT :], loss.item()]


def _out_of_time(accelerator: Accelerator, started: float, minutes: float) -> bool:
    """Whether the time of any process is up: all must stop at the same step."""
    late = torch.tensor([float(time.monotonic() - started >= minutes * 60)], device=accelerator.device)
    return accelerator.gather(late).max().item() > 0


def _finish(state: State, settings: Settings, per_step: int, output: Path, told: dict) -> None:
    """Write the checkpoint, the averaged weights and what was done, each file whole or not at all."""
    state.save(output / CHECKPOINT)
    with state.averaged() as averaged, scratch_folder(output) as scratch:
        averaged.save_pretrained(scratch)
        for file in scratch.iterdir():
            file.replace(output / file.name)
    record = asdict(settings) | told | {"steps_done": state.step, "images_seen": state.step * per_step}
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


def _forget_log(output: Path, step: int) -> None:
    """Take the lines of later steps than this one out of the log: they will be done again."""
    path = output / LOG
    if path.exists():
        head, *lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and int(line.partition(",")[0]) <= step]
        with whole_file(path) as temporary:
            temporary.write_text("".join([head, *kept]))


def _log(output: Path, step: int, loss: float, rate: float) -> None:
    path = output / LOG
    if not path.exists():
        with whole_file(path) as temporary:
            temporary.write_text("step,loss,learning_rate\n")
    with path.open("a") as file:
        file.write(f"{step},{loss:.6f},{rate:.3e}\n")
