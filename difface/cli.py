"""The command line: parse, call the library, write files. Bad input ends in one line on stderr, no traceback."""

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from difface.files import whole_file
from difface.memory import is_out_of_memory

if TYPE_CHECKING:
    from PIL.Image import Image

    from difface.folders import Found
    from difface.methods import Method
    from difface.pipeline import DifFacePipeline
    from difface.routing import Route
    from difface.start import Doubt

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""What an output folder may answer."""
LONGEST_NAME = 255
"""Bytes that the name of a file may have."""
BATCH = 8
"""Pictures that go through the networks at once."""
MOST = 10_000
"""Answers to a picture, and faces of `sample`, at most."""
MIN_SCORE = 0.5
"""Of faces that are found, by default."""
MAX_SIZE = 4096
"""Side in pixels of faces that are cut out or trained on, at most."""
MAX_STEPS = 10**9
"""Of a training, at most."""

Inputs = Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures or folders of pictures.")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.")]
Recursive = Annotated[
    bool,
    typer.Option("--recursive", help="Search folders in folders too; the results lie in folders of the same names."),
]
Seed = Annotated[int, typer.Option(help="Picture k of any input uses seed + k.")]
ProfileName = Annotated[
    str,
    typer.Option(
        "--profile",
        envvar="DIFFACE_PROFILE",
        help="small, tiny, ffhq512, ffhq256-inpaint, imagenet256-sr, or a folder of `assemble`.",
    ),
]
Rival = Annotated[
    str | None,
    typer.Option("--method", help="Another method, with its official settings: ddrm, ... (`python -m eval methods`)."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Dtype = Annotated[str, typer.Option(help="auto (bfloat16 where it is faster), float32, float16 or bfloat16.")]


# Typer brings its own copy of click: its exceptions are reached through the public one that derives from them all.
UsageProblem: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class Failures(Exception):
    """Some files of a batch failed; each has been reported."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command of `python -m difface`; see `run`."""
    return run(app, arguments, "python -m difface")


def run(commands: typer.Typer, arguments: list[str] | None, name: str, less: str = "fewer --samples") -> int:
    """Run a command; the exit status: 0 done, 1 some or all of the work failed, 2 the command was not accepted.

    Args:
        commands: the program.
        arguments: None for those of the process.
        name: of the program.
        less: what needs less memory there.
    """
    from difface.weights import WeightError

    try:
        return commands(arguments, prog_name=name, standalone_mode=False) or 0
    except UsageProblem as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # no command at all: its message is the help
            typer.echo(error.format_message())
            return 0
        return _report(" ".join(error.format_message().split()), 2)
    except (typer.Abort, KeyboardInterrupt):
        return _report("stopped; what was finished is kept.", 1)
    except Failures as error:
        return _report(str(error), 1)
    except (WeightError, OSError) as error:
        return _report(_one_line(error), 1)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _report(f"memory ran out; smaller pictures and {less} need less: try these, or --device cpu.", 1)
    except (ValueError, TypeError) as error:
        return _report(_one_line(error), 2)


def _report(message: str, status: int) -> int:
    typer.echo(f"error: {message}", err=True)
    return status


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        hint = ": free space or choose another folder, and run it again" if error.errno in _DISK else ""
        return f"{error.strerror}{where}; nothing was left half-written{hint}."
    return " ".join(str(error).split())


def _each(
    files: list[Path],
    work: Callable[[list[Path], list], None],
    batch: int = 1,
    read: Callable[[Path], object] | None = None,
) -> None:
    """Read the files and do them in batches; go on past those that fail, report them at the end.

    Args:
        files: pictures.
        work: called with some of the files and what `read` made of them.
        batch: how many at once.
        read: `difface.images.read` by default.
    """
    from difface.images import ImageError
    from difface.images import read as read_picture

    read, failed = read or read_picture, 0
    for first in range(0, len(files), batch):
        group, pictures = [], []
        for file in files[first : first + batch]:
            try:
                pictures.append(read(file))
                group.append(file)
            except ImageError as error:
                _report(str(error), 1)
                failed += 1
        try:
            if group:
                work(group, pictures)
        except ImageError as error:
            _report(f"{', '.join(map(str, group))}: {error}", 1)
            failed += len(group)
    if failed:
        raise Failures(f"{failed} of {len(files)} pictures could not be used; the others are done.")


class _Results:
    """Where the results of a command go: OUTPUT/PLACE/NAME + ending for each of its pictures.

    Args:
        found: the pictures; what was left out is said.
        output: the folder of the results.
        endings: of the names of the files that a picture makes, such as "_s1.png".
        others: files that must not be overwritten either.

    Raises:
        ValueError: two pictures would make the same file, a result would lie over an input, or nothing can be written
            there.
    """

    def __init__(self, found: "Found", output: Path, endings: tuple[str, ...] = (".png",), others: Iterable[Path] = ()):
        self.output, self.places = output, dict(zip(found.files, found.places, strict=True))
        sources = {os.path.realpath(file) for file in (*found.files, *others)}
        makers: dict[str, Path] = {}
        for file in found.files:
            for ending in endings:
                target = self.of(file, ending)
                place = os.path.realpath(target)
                if makers.setdefault(place, file) != file:
                    raise ValueError(
                        f"{makers[place]} and {file} would both become {target.name}; different names are accepted: "
                        "rename one."
                    )
                if place in sources:
                    raise ValueError(
                        f"{target} would be overwritten by a result; another folder is accepted: change -o."
                    )
        _check_writable(output)
        for note in found.notes:
            typer.echo(f"note: {note}", err=True)

    def of(self, file: Path, ending: str) -> Path:
        """The result of a picture; where its name would be too long for a file, it is cut."""
        stem = os.fsencode(file.stem)[: LONGEST_NAME - len(ending)].decode(errors="ignore")
        return self.output / self.places[file] / f"{stem}{ending}"


def _check_writable(folder: Path) -> None:
    """Raise `ValueError` unless files can be written into a folder, which may not exist yet; nothing is left there."""
    made = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(
            f"nothing can be written into {folder} ({error.strerror}); a folder is accepted: change -o."
        ) from None
    finally:
        for place in made:
            with suppress(OSError):
                place.rmdir()


def _say(file: Path, notes: Iterable[str]) -> None:
    """Report what was done to a picture before it was restored."""
    for note in notes:
        typer.echo(f"note: {file}: the picture is {note}.", err=True)


def _say_dtype(given: str, pipeline: "DifFacePipeline") -> None:
    """Report in which type the networks compute and why, where it was left to the machine."""
    from difface.precision import choose

    if given == "auto":
        name, reason = choose(given, pipeline.device)
        typer.echo(f"note: the networks compute in {name}: {reason}.", err=True)


def _seeds(seed: int, count: int) -> list:
    import torch

    return [torch.Generator().manual_seed(_checked(seed, count) + k) for k in range(count)]


def _checked(seed: int, count: int = 1) -> int:
    """The seed, after it and the `count` - 1 seeds that follow it were found to be valid."""
    if not 0 <= seed < 2**63 - count:
        raise ValueError(f"--seed must be in 0..2^63 - 1; got {seed}.")
    return seed


Estimator = Annotated[str | None, typer.Option(help="An estimator of the profile, e.g. swinir or srcnn.")]
Scheduler = Annotated[str | None, typer.Option(help="ddim, ddpm, ddpm-noisy, dpm++, dpm++sde or unipc.")]
AUTO = "auto"
"""Of --start: N by how bad a face is."""
Start = Annotated[str | None, typer.Option(help="N, 1..1000, or auto: by how bad a face is; the profile's by default.")]
Steps = Annotated[int | None, typer.Option(help="Inference steps; 250 with ddim, 5 with the others.")]
Eta = Annotated[float, typer.Option(help="0 (DDIM) to 1 (DDPM).")]
Fast = Annotated[bool, typer.Option("--fast", help="Five network calls, by the profile's fastest scheduler.")]
Exact = Annotated[bool, typer.Option("--exact", help="DDIM in float32, bit for bit as before there was bfloat16.")]
Samples = Annotated[int, typer.Option(min=1, max=MOST, help="Answers per picture.")]
Results = Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.")]
Aligned = Annotated[bool, typer.Option("--aligned", help="Each picture is one aligned face: take it as it is.")]
Photo = Annotated[bool, typer.Option("--photo", help="Each picture is a photo: find its faces, paste them back.")]
FaceNumbers = Annotated[
    str | None,
    typer.Option("--faces", metavar="1,3,...", help="Of a photo only these faces, by the numbers of --list."),
]
MinScore = Annotated[float, typer.Option(min=0, max=1, help="Least confidence of a face that is found.")]
List = Annotated[bool, typer.Option("--list", help="Say which faces are found, where, how large; restore nothing.")]
Upscale = Annotated[int, typer.Option(min=1, max=2, help="Of photos: 2 makes them twice as wide and high.")]
Large = Annotated[bool, typer.Option("--large", help="Restore also faces of more than 1.5 times the model's size.")]
Estimates = Annotated[bool, typer.Option("--save-estimates", help="Also write f(y) of faces, NAME_estimate.png.")]
Scale = Annotated[
    int | None,
    typer.Option(help="With --method: the pictures are small, each pixel the mean of so many, squared, of the result."),
]
Format = Annotated[str, typer.Option("--format", help="Of the results: png or jpg.")]


@app.command()
def restore(
    inputs: Inputs,
    output: Results = None,
    profile: ProfileName = "small",
    estimator: Estimator = None,
    start: Start = None,
    steps: Steps = None,
    eta: Eta = 0.5,
    scheduler: Scheduler = None,
    fast: Fast = False,
    exact: Exact = False,
    samples: Samples = 1,
    seed: Seed = 0,
    aligned: Aligned = False,
    photo: Photo = False,
    face_numbers: FaceNumbers = None,
    min_score: MinScore = MIN_SCORE,
    only_list: List = False,
    upscale: Upscale = 1,
    large: Large = False,
    save_estimates: Estimates = False,
    method: Rival = None,
    scale: Scale = None,
    kind: Format = "png",
    recursive: Recursive = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Restore any picture: one aligned face as it is; in anything else each face is found, restored and pasted back."""
    taking = _Taking(aligned, photo, _numbers(face_numbers), min_score, upscale, large, save_estimates)
    sampling = _Sampling(estimator, start, steps, eta, scheduler, fast, exact)
    taking.check()
    dtype = sampling.dtype(dtype)
    if method is not None:
        _refuse_ours(method, taking.given() | sampling.given() | {"--list": only_list})
    sampling.check(profile, method, scale)
    if only_list:
        return _list_faces(inputs, recursive, taking, profile)
    answers = _restored_files(inputs, recursive, output, samples, seed, kind, save_estimates, profile)
    if method is not None:
        rival = _load_rival(method, scale, profile, device, dtype, steps)
        return _restore_by(rival, answers, scale=scale)
    _Restoring(taking, sampling, answers).run(device, dtype)


def _numbers(text: str | None) -> tuple[int, ...]:
    """--faces as numbers; without --faces none, which stands for all of them."""
    if text is None:
        return ()
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise ValueError(f"--faces must be numbers from 1 with commas between them, such as 1,3; got '{text}'.")
    return numbers


def _restored_files(
    inputs: list[Path],
    recursive: bool,
    output: Path | None,
    samples: int,
    seed: int,
    kind: str,
    save_estimates: bool,
    profile: str,
) -> "_Answers":
    """What `restore` writes. What has to be refused is refused here, before networks are loaded."""
    from difface import folders, metadata

    if kind not in metadata.FORMATS:
        raise ValueError(f"--format is '{kind}'; {' and '.join(metadata.FORMATS)} are accepted: choose one.")
    if output is None:
        raise ValueError("there is no folder for the results; -o DIR is accepted: add it, or --list to see faces only.")
    endings = _endings(samples, kind)
    found = folders.search(inputs, recursive, output)
    results = _Results(found, output, (*endings, f"_estimate.{kind}") if save_estimates else endings)
    return _Answers(results, endings, profile, _checked(seed, samples))


def _load_rival(method: str, scale: int | None, profile: str, device: str, dtype: str, steps: int | None) -> "Method":
    from difface.methods import load

    return load(method, "blind" if scale is None else "super-resolution", profile, device, _official(dtype), steps)


def _official(dtype: str) -> str:
    """The type of another method, whose official settings are in float32 where none is given."""
    return "float32" if dtype == "auto" else dtype


@dataclass(frozen=True)
class _Taking:
    """How `restore` takes pictures; see its options."""

    aligned: bool
    photo: bool
    numbers: tuple[int, ...]
    min_score: float
    upscale: int
    large: bool
    save_estimates: bool

    def check(self) -> None:
        """Raise `ValueError` where options contradict each other."""
        given = [option for option, used in self.given().items() if used]
        if self.aligned and (others := [option for option in given if option not in ("--aligned", "--save-estimates")]):
            raise ValueError(f"--aligned takes pictures as they are; got {others[0]} too: leave one out.")
        if self.save_estimates and (self.photo or self.numbers):
            raise ValueError("--save-estimates is for aligned faces; got --photo or --faces: leave one out.")

    def given(self) -> dict[str, bool]:
        """Option -> whether it is given."""
        return {
            "--aligned": self.aligned,
            "--photo": self.photo,
            "--faces": bool(self.numbers),
            "--min-score": self.min_score != MIN_SCORE,
            "--upscale": self.upscale != 1,
            "--large": self.large,
            "--save-estimates": self.save_estimates,
        }

    def read(self, file: Path, size: int) -> "tuple[Image, Route]":
        """A picture, and how it is restored by a model of `size` pixels.

        Raises:
            ImageError: it cannot be used; the message names it.
        """
        from difface import images, routing

        picture = images.read(file)
        aligned = True if self.aligned else False if self.photo or self.numbers else None
        try:
            route = routing.route(picture, size, aligned=aligned, min_score=self.min_score)
            return picture, route._replace(faces=route.faces and self._chosen(route.faces))
        except images.ImageError as error:
            raise images.ImageError(f"{file}: {error}") from None

    def _chosen(self, found: list) -> list:
        from difface.images import ImageError

        if self.numbers and max(self.numbers) > len(found):
            raise ImageError(f"face {max(self.numbers)} is not there; 1 to {len(found)} are accepted: see --list.")
        return [face for number, face in enumerate(found, 1) if not self.numbers or number in self.numbers]


@dataclass(frozen=True)
class _Sampling:
    """How `restore` draws; see its options."""

    estimator: str | None
    start: str | None
    steps: int | None
    eta: float
    scheduler: str | None
    fast: bool
    exact: bool

    def dtype(self, given: str) -> str:
        """--dtype, or what --exact makes of it.

        Raises:
            ValueError: --exact beside another type or sampler.
        """
        if not self.exact:
            return given
        sampler = "--fast" if self.fast else self.scheduler or "ddim"
        if given not in ("auto", "float32") or sampler != "ddim":
            raise ValueError(
                f"--exact stands for --dtype float32 --scheduler ddim; got {given} and {sampler}: leave one out."
            )
        return "float32"

    def sampler_of(self, profile: str) -> str:
        """The scheduler's name."""
        from difface import profiles

        return profiles.profile(profile).fast if self.fast else self.scheduler or "ddim"

    def given(self) -> dict[str, bool]:
        """Option -> whether it is given; --steps is for every method."""
        named = {"--estimator": self.estimator, "--start": self.start, "--scheduler": self.scheduler}
        return {"--eta": self.eta != 0.5, "--fast": self.fast, "--exact": self.exact} | {
            name: value is not None for name, value in named.items()
        }

    def check(self, profile: str, method: str | None, scale: int | None) -> None:
        """Raise `ValueError` where this is not accepted, before networks are loaded."""
        from difface.chain import chain
        from difface.schedulers import build_scheduler

        if method is not None:
            return
        if scale is not None:
            raise ValueError("--scale is for --method, which says who enlarges; got no --method: add it.")
        if self.fast and (self.scheduler or self.steps is not None):
            raise ValueError(
                "--fast stands for a scheduler and --steps 5; got another scheduler or number of steps: leave one out."
            )
        chain(build_scheduler(self.sampler_of(profile)), self.start_of(profile), self.steps, self.eta)
        self.doubt_of(profile)

    def start_of(self, profile: str) -> int:
        """N: the one that was given, or the profile's; with `auto` the least that may be chosen."""
        from difface import profiles
        from difface.start import LEAST

        if self.start is None:
            return profiles.profile(profile).begin_index
        if self.start == AUTO:
            return LEAST
        if not self.start.isdecimal():
            raise ValueError(f"--start must be a whole number in 1..1000, or auto; got '{self.start}'.")
        return int(self.start)

    def doubt_of(self, profile: str) -> "Doubt | None":
        """What `--start auto` goes by; None where N is the same for all pictures.

        Raises:
            ValueError: the profile does not say how far off its estimator is.
        """
        from difface import profiles

        if self.start != AUTO:
            return None
        known, estimator = profiles.profile(profile).doubts, profiles.restoring_estimator(profile, self.estimator)
        if estimator not in known:
            able = [name for name in profiles.EMBEDDED if profiles.profile(name).doubts]
            raise ValueError(
                f"how far off the estimator '{estimator}' of '{profile}' is was not measured; --start auto is accepted "
                f"with the first of {', '.join(able)}: give N."
            )
        return known[estimator]


def _list_faces(inputs: list[Path], recursive: bool, taking: _Taking, profile: str) -> None:
    """Say which faces are found; no network but the detector is loaded."""
    from difface import faces, folders, profiles

    size = profiles.profile(profile).size
    every = replace(taking, numbers=(), photo=taking.photo or bool(taking.numbers))

    def work(group: list[Path], read: list) -> None:
        (file,), ((_, route),) = group, read
        if route.faces is None:
            return typer.echo(f"{file}: one aligned face{', supposed: ' if route.note else ''}{route.note}")
        typer.echo(f"{file}: found by {faces.detector_name()}")
        for number, face in enumerate(route.faces, 1):
            if not taking.numbers or number in taking.numbers:
                left, top, right, bottom = (round(side) for side in face.box)
                turn = "which way is up is not known" if face.turn is None else f"turned by {round(face.turn)} degrees"
                place = f"x {left} to {right}, y {top} to {bottom}"
                typer.echo(f"  {number}: {place}, {face.side:.0f} pixels, score {face.score:.2f}, {turn}")

    _each(folders.search(inputs, recursive).files, work, read=lambda file: every.read(file, size))


@dataclass(frozen=True)
class _Restoring:
    """The work of `restore`."""

    taking: _Taking
    sampling: _Sampling
    answers: "_Answers"

    def run(self, device: str, dtype: str) -> None:
        """Load the networks and restore all pictures."""
        from difface import profiles

        profile = self.answers.profile
        estimator = profiles.restoring_estimator(profile, self.sampling.estimator)
        pipeline = profiles.load(profile, estimator, self.sampling.sampler_of(profile), device, dtype)
        pipeline.set_begin_index(self.sampling.start_of(profile))
        _say_dtype(dtype, pipeline)
        made = {"estimator": estimator, "sampler": self.sampling.sampler_of(profile)}
        doubt = self.sampling.doubt_of(profile)

        def work(group: list[Path], read: list) -> None:
            faces = [(file, picture) for file, (picture, route) in zip(group, read, strict=True) if route.faces is None]
            for alike in _by_start(pipeline, faces, doubt):
                self._faces(pipeline, made, *map(list, zip(*alike, strict=True)))
            for file, (picture, route) in zip(group, read, strict=True):
                if route.note:
                    typer.echo(f"note: {file}: {route.note}", err=True)
                if route.faces is not None:
                    _start_at_the_worst(pipeline, picture, route.faces, doubt)
                    self._photo(pipeline, made, file, picture, route.faces)

        batch = max(1, BATCH // len(self.answers.endings))
        _each(self.answers.files, work, batch, lambda file: self.taking.read(file, pipeline.size))

    def _photo(self, pipeline: "DifFacePipeline", made: dict, file: Path, photo: "Image", found: list) -> None:
        from difface import metadata
        from difface.faces.photo import restore_photo

        steps, eta = self.sampling.steps, self.sampling.eta
        draw = partial(restore_photo, pipeline, photo, found, num_inference_steps=steps, eta=eta)
        for k in range(len(self.answers.endings)):
            seed = self.answers.seed + k
            picture, info = draw(seed=seed, scale=self.taking.upscale, large=self.taking.large)
            for note in info["notes"]:
                typer.echo(f"note: {file}: {note}", err=True)
            comment = metadata.RESTORED if info["faces"] else metadata.UNTOUCHED
            self.answers.write(k, picture, info | made, file, photo, comment)

    def _faces(self, pipeline: "DifFacePipeline", made: dict, files: list[Path], pictures: list) -> None:
        from difface import images

        samples = len(self.answers.endings)
        generators = [generator for _ in files for generator in self.answers.generators()]
        steps, eta = self.sampling.steps, self.sampling.eta
        result = pipeline(pictures, steps, eta, generators, num_images_per_input=samples)
        for j, restored in enumerate(result.images):
            of, k = divmod(j, samples)
            self.answers.write(k, restored, result.info_of(j) | made, files[of], pictures[of])
        for file, notes in zip(files, result.info["notes"], strict=True):
            _say(file, notes)
        if self.taking.save_estimates:
            assert result.estimates is not None, "a call makes them"
            for file, estimate in zip(files, result.estimates, strict=True):
                kind = self.answers.endings[0].rpartition(".")[2]
                images.write(estimate, self.answers.results.of(file, f"_estimate.{kind}"))


def _by_start(
    pipeline: "DifFacePipeline", faces: "list[tuple[Path, Image]]", doubt: "Doubt | None"
) -> "Iterator[list[tuple[Path, Image]]]":
    """Aligned faces in groups of the same N, which the pipeline is set to before each; without a doubt in one."""
    if doubt is None or not faces:
        yield from [faces] if faces else []
        return
    starts = pipeline.begin_indices([picture for _, picture in faces], doubt)
    for start in sorted(set(starts)):
        pipeline.set_begin_index(start)
        yield [face for face, of in zip(faces, starts, strict=True) if of == start]


def _start_at_the_worst(pipeline: "DifFacePipeline", photo: "Image", found: list, doubt: "Doubt | None") -> None:
    """Set N to what the worst face of a photo needs."""
    from difface import faces

    crops = [faces.align(photo, face.points, pipeline.size) for face in found if face.points is not None]
    if doubt is not None and crops:
        pipeline.set_begin_index(max(pipeline.begin_indices(crops, doubt)))


@app.command()
def inpaint(
    inputs: Inputs,
    output: Output,
    mask: Annotated[
        str,
        typer.Option(
            metavar="FILE|DIR|auto",
            help="White = missing: one mask for all, a folder of masks of the pictures' names, or auto (holes of exact "
            "black).",
        ),
    ] = "auto",
    rule: Annotated[str, typer.Option(help="How known pixels pull: step (as released) or closed (Eq. 16).")] = "step",
    gamma: Annotated[
        float | None, typer.Option(help="How much: 0..0.5 with step, 0..inf with closed; the largest by default.")
    ] = None,
    no_composite: Annotated[
        bool, typer.Option("--no-composite", help="Leave known pixels as the model gives them.")
    ] = False,
    profile: ProfileName = "small",
    start: Annotated[int | None, typer.Option(help="N, 1..1000; 480 by default, as released.")] = None,
    steps: Annotated[int | None, typer.Option(help="Inference steps; 250 by default.")] = None,
    eta: Annotated[float | None, typer.Option(help="0 (DDIM) to 1 (DDPM); 1 by default, as released.")] = None,
    samples: Annotated[int, typer.Option(min=1, max=MOST, help="Answers per picture.")] = 1,
    seed: Seed = 0,
    method: Rival = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Fill the missing parts of aligned faces; known pixels stay the picture's own bytes."""
    from difface import folders
    from difface.inpaint import ETA, START
    from difface.methods import load

    if method is not None:
        ours = {"--start": start, "--eta": eta, "--gamma": gamma}
        _refuse_ours(method, {"--rule": rule != "step"} | {option: value is not None for option, value in ours.items()})
    endings = _endings(samples)
    results = _Results(folders.search(inputs), output, endings, _mask_files(mask))
    answers, composite = _Answers(results, endings, profile, _checked(seed, samples)), not no_composite
    if method is not None:
        find_mask = _mask_source(mask)
        rival = load(method, "inpainting", profile, device, _official(dtype), steps)
        return _restore_by(rival, answers, find_mask, composite=composite)
    start, eta = START if start is None else start, ETA if eta is None else eta
    _fill_all(answers, mask, rule, gamma, start, device, dtype, num_inference_steps=steps, eta=eta, composite=composite)


def _fill_all(
    answers: "_Answers", mask: str, rule: str, gamma: float | None, start: int, device: str, dtype: str, **settings
) -> None:
    """The work of `inpaint` by DifFace; `settings` of `difface.inpaint.fill`."""
    import torch

    from difface import profiles
    from difface.chain import chain
    from difface.constraints import Masked, Rule
    from difface.inpaint import fill
    from difface.schedulers import build_scheduler

    pull = partial(Masked, rule=cast(Rule, rule), gamma=gamma)  # which refuses what is no rule
    steps, eta = settings["num_inference_steps"], settings["eta"]
    chain(build_scheduler("ddim"), start, steps, eta, pull(torch.zeros(1, 1, 8, 8)))
    find_mask = _mask_source(mask)
    estimator = profiles.inpainting_estimator(answers.profile)
    pipeline = profiles.load(answers.profile, estimator, "ddim", device, dtype)
    pipeline.set_begin_index(start)
    _say_dtype(dtype, pipeline)

    def work(group: list[Path], pictures: list) -> None:
        (file,), (picture,) = group, pictures
        constraint = pull(find_mask(file))

        def draw(generators: list) -> tuple[Any, dict]:
            result = fill(pipeline, picture, constraint, generators, **settings)
            return result.images, result.info

        _say(file, answers.draw(file, picture, draw)["notes"])

    _each(answers.files, work)


def _refuse_ours(method: str, given: dict[str, bool]) -> None:
    """Refuse options of DifFace (name -> whether they are given) beside --method."""
    for option, used in given.items():
        if used:
            raise ValueError(f"--method {method} has settings of its own; got {option}: leave it out.")


def _restore_by(method: "Method", answers: "_Answers", find_mask: Callable | None = None, **known) -> None:
    """Restore the pictures by another method, one after the other; `known` as for `restore_pictures`."""
    from difface.methods.pictures import restore_pictures

    def work(group: list[Path], pictures: list) -> None:
        (file,), (picture,) = group, pictures
        mask = None if find_mask is None else find_mask(file)

        def draw(generators: list) -> tuple[Any, dict]:
            restored = restore_pictures(method, [picture], generators, len(generators), mask=mask, **known)
            return restored, {"method": method.name}

        answers.draw(file, picture, draw)

    _each(answers.files, work)


def _endings(samples: int, kind: str = "png") -> tuple[str, ...]:
    """How the file names of a picture's answers end."""
    return tuple(f"_s{k + 1}.{kind}" for k in range(samples)) if samples > 1 else (f".{kind}",)


@dataclass(frozen=True)
class _Answers:
    """The answers of a command to each picture.

    Attributes:
        results: where they go.
        endings: of their files' names.
        profile: whose networks make them.
        seed: of the first; each has one more than the last.
    """

    results: _Results
    endings: tuple[str, ...]
    profile: str
    seed: int

    @property
    def files(self) -> list[Path]:
        """The pictures."""
        return list(self.results.places)

    def generators(self) -> list:
        """One for each answer."""
        return _seeds(self.seed, len(self.endings))

    def write(
        self, k: int, answer: "Image", info: dict, file: Path, picture: "Image", comment: str | None = None
    ) -> None:
        """Write an answer to a picture and its file, with what its metadata say; `comment` says how it was made."""
        from difface import images, metadata

        text = metadata.restored_text(info, self.profile, self.seed + k, comment or metadata.RESTORED)
        images.write(answer, self.results.of(file, self.endings[k]), text, picture)

    def draw(self, file: Path, picture: "Image", draw: Callable) -> dict:
        """Draw the answers to a picture, at most `BATCH` at once, and write them.

        Args:
            file, picture: what is answered.
            draw: takes generators and returns as many pictures, and what their metadata say.

        Returns:
            The latter.
        """
        generators = self.generators()
        for first in range(0, len(generators), BATCH):
            drawn, info = draw(generators[first : first + BATCH])
            for k, answer in enumerate(drawn, first):
                self.write(k, answer, info, file, picture)
        return info


def _mask_files(given: str) -> list[Path]:
    """The files that --mask names."""
    place = Path(given)
    return sorted(place.iterdir()) if place.is_dir() else [place]


def _mask_source(given: str) -> Callable:
    """--mask as a function that finds the mask (1, 1, H, W) of a picture file."""
    from difface import masks
    from difface.folders import find, is_picture
    from difface.images import ImageError

    if given == "auto":
        return masks.find_mask
    folder = Path(given)
    if not folder.is_dir():
        one = masks.read_mask(find([folder])[0])
        return lambda file: one

    found = {path.stem: path for path in sorted(folder.iterdir(), reverse=True) if is_picture(path)}

    def of_the_same_name(file: Path):
        if file.stem not in found:
            raise ImageError(f"{folder} holds no mask for it; {file.stem}.png is accepted: add it.")
        return masks.read_mask(found[file.stem])

    return of_the_same_name


@app.command()
def degrade(
    inputs: Inputs,
    output: Output,
    scale: Annotated[float, typer.Option(help="s: the sides shrink by this factor.")] = 4,
    blur: Annotated[
        str, typer.Option(metavar="SX,SY,THETA", help="Blur in pixels along two axes, angle in radians.")
    ] = "1,1,0",
    noise: Annotated[float, typer.Option(help="Standard deviation, in grey levels of 255.")] = 5,
    jpeg: Annotated[int, typer.Option(help="JPEG quality, 1..100.")] = 60,
    random: Annotated[bool, typer.Option("--random", help="Draw the parameters as in training.")] = False,
    recursive: Recursive = False,
    seed: Seed = 0,
) -> None:
    """Make clean pictures worse (Eq. 17); NAME.json beside NAME.png holds the parameters."""
    from difface import folders, images
    from difface.degradation import Degradation, Ranges, draw, noise_generator
    from difface.degradation import degrade as apply

    sigma_x, sigma_y, theta = _blur(blur)
    fixed = Degradation(scale, sigma_x, sigma_y, theta, noise, jpeg)
    found = folders.search(inputs, recursive, output)
    beside = filter(Path.exists, (file.with_suffix(".json") for file in found.files))
    results = _Results(found, output, (".png", ".json"), beside)

    def work(group: list[Path], pictures: list) -> None:
        hq = images.to_tensors(pictures)[0]
        generator = noise_generator(_checked(seed))
        degradation = draw(generator, Ranges.nearest(max(hq.shape[-2:]))) if random else fixed
        images.write(images.to_pil(apply(hq, degradation, generator)), results.of(group[0], ".png"))
        with whole_file(results.of(group[0], ".json")) as temporary:
            temporary.write_text(json.dumps(asdict(degradation)))

    _each(found.files, work)


def _blur(text: str) -> tuple[float, float, float]:
    try:
        sigma_x, sigma_y, theta = map(float, text.split(","))
    except ValueError:
        raise ValueError(f"--blur must be SX,SY,THETA, three numbers such as 1,1,0; got '{text}'.") from None
    return sigma_x, sigma_y, theta


@app.command()
def sample(
    output: Output,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=MOST, help="How many faces.")] = 16,
    profile: ProfileName = "small",
    steps: Annotated[int | None, typer.Option(help="Inference steps; 250 with ddim, 5 with the others.")] = None,
    eta: Annotated[float, typer.Option(help="0 (DDIM) to 1 (DDPM).")] = 1.0,
    scheduler: Annotated[str, typer.Option(help="ddim, ddpm, ddpm-noisy, dpm++, dpm++sde or unipc.")] = "ddim",
    seed: Seed = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Draw faces from the prior alone, into sample_SEED.png."""
    from difface import images, metadata, profiles
    from difface.chain import chain
    from difface.schedulers import NUM_TRAIN_TIMESTEPS, build_scheduler

    generators = _seeds(seed, count)
    _check_writable(output)
    chain(build_scheduler(scheduler), NUM_TRAIN_TIMESTEPS, steps, eta, default_eta=1.0)
    pipeline = profiles.load(profile, None, scheduler, device, dtype, prior_only=True)
    _say_dtype(dtype, pipeline)
    for first in range(0, count, BATCH):
        part = generators[first : first + BATCH]
        result = pipeline.sample(len(part), steps, eta, part)
        for k, picture in enumerate(result.images, seed + first):
            text = metadata.restored_text(result.info, profile, k, metadata.GENERATED)
            images.write(picture, output / f"sample_{k:04d}.png", text)


@app.command()
def fetch(
    name: Annotated[str | None, typer.Argument(metavar="[PROFILE|WEIGHT]")] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="I keep to the licence for non-commercial use; asked once.")
    ] = False,
) -> None:
    """Download the weights of a profile, or one file; without a name list what there is."""
    from difface import profiles, weights

    if name is None:
        for known in profiles.PROFILES.values():
            typer.echo(f"{known.name}: {', '.join(known.files) or 'embedded, nothing to fetch'}; {known.licence}")
        for weight in weights.CATALOG.values():
            typer.echo(f"{weight.name}: {weight.what}; {weight.licence}")
        return
    files = profiles.PROFILES[name].files if name in profiles.PROFILES else (name,)
    if not files:
        typer.echo(f"{name} is embedded: there is nothing to fetch.")
    for file in files:
        typer.echo(weights.fetch(file, accept_licence=accept_licence))


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An official checkpoint.")],
    output: Output,
    kind: Annotated[str, typer.Option(help="unet or estimator.")],
    size: Annotated[int | None, typer.Option(help="Side of the images in pixels (unet).")] = None,
    head_width: Annotated[int, typer.Option(help="Channels per attention head (unet).")] = 64,
) -> None:
    """Turn an official checkpoint into a diffusers folder."""
    from difface import weights

    typer.echo(weights.convert(file, output, kind, image_size=size, head_width=head_width))
    if kind == "unet":
        typer.echo(
            f"note: {head_width} channels per attention head are taken, which the checkpoint does not tell; if the "
            "network has another number it will answer wrongly: give that with --head-width.",
            err=True,
        )


@app.command()
def assemble(
    prior: Annotated[Path, typer.Argument(metavar="PRIOR", help="Folder of a prior, of `train` or `convert`.")],
    output: Output,
    estimator: Annotated[
        Path | None, typer.Argument(metavar="[ESTIMATOR]", help="The same of an estimator; none is enough to `sample`.")
    ] = None,
    start: Annotated[int, typer.Option(help="N by default, 1..1000.")] = 400,
) -> None:
    """Put a prior and an estimator into one folder, which every --profile takes."""
    from difface import profiles

    typer.echo(profiles.assemble(prior, estimator, output, start))


@app.command()
def align(
    inputs: Inputs,
    output: Output,
    size: Annotated[int, typer.Option(min=8, max=MAX_SIZE, help="Side of the crops in pixels.")] = 64,
    margin: Annotated[
        bool,
        typer.Option(
            "--margin", help="Twice as large and with a margin, for `train`, which moves faces a little each time."
        ),
    ] = False,
    recursive: Recursive = False,
) -> None:
    """Cut the largest face of each photo out, aligned by the FFHQ template; photos without a face are reported."""
    from difface import faces, folders, images

    found = folders.search(inputs, recursive, output)
    results = _Results(found, output)
    typer.echo(f"note: faces are found by {faces.detector_name()}.", err=True)

    def work(group: list[Path], pictures: list) -> None:
        face = faces.largest(faces.find_faces(pictures[0]))
        assert face.points is not None, "`largest` is of those that have them"
        images.write(faces.align(pictures[0], face.points, size, margin), results.of(group[0], ".png"))

    _each(found.files, work)


@app.command()
def train(
    kind: Annotated[str, typer.Argument(metavar="prior|estimator|sr3", help="What to train.")],
    data: Annotated[list[Path], typer.Option(help="Folder of aligned faces (see `align`); repeat it for several.")],
    output: Output,
    soft: Annotated[
        list[Path] | None, typer.Option(help="Of a prior: folder of pictures less sharp than --size; repeatable.")
    ] = None,
    soft_from: Annotated[
        int | None, typer.Option(min=0, max=999, help="Least t at which those are used; 150 by default.")
    ] = None,
    memory: Annotated[float, typer.Option(min=0, help="GB of decoded pictures to keep; larger sets stay on disk.")] = 4,
    task: Annotated[str, typer.Option(help="Of an estimator: restore, inpaint or sr4.")] = "restore",
    architecture: Annotated[
        str | None, typer.Option(help="Of an estimator: swinir (default) or srcnn; lama to inpaint.")
    ] = None,
    scale: Annotated[
        int | None, typer.Option(help="Of sr3: how many times as long the sides become; 8 by default.")
    ] = None,
    size: Annotated[int, typer.Option(min=8, max=MAX_SIZE, help="Side in pixels.")] = 64,
    steps: Annotated[int, typer.Option(min=1, max=MAX_STEPS, help="Optimiser steps in all.")] = 8000,
    batch_size: Annotated[int, typer.Option(min=1, max=MAX_STEPS, help="Images per step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="AdamW's.")] = 4e-4,
    warmup: Annotated[int, typer.Option(min=0, max=MAX_STEPS, help="Steps of linear rise.")] = 200,
    decay: Annotated[
        int | None, typer.Option(min=0, max=MAX_STEPS, help="Last steps, of linear fall; half of all by default.")
    ] = None,
    ema_decay: Annotated[float, typer.Option(min=0, max=1, help="Of the moving average of the weights.")] = 0.9993,
    minutes: Annotated[float, typer.Option(help="Stop cleanly after this long; run again to go on.")] = inf,
    checkpoint_minutes: Annotated[float, typer.Option(help="Time between checkpoints.")] = 5,
    preview_every: Annotated[
        int, typer.Option(min=0, max=MAX_STEPS, help="Steps between the prior's sample sheets; 0: none.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Of all random draws.")] = 0,
    precision: Annotated[str, typer.Option(help="bf16, no, or auto: bf16 where it is faster here.")] = "auto",
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Processes that prepare pictures ahead, so that a GPU does not wait.")
    ] = 0,
    init: Annotated[Path | None, typer.Option(help="Folder of trained weights to start from.")] = None,
    p2_gamma: Annotated[float, typer.Option(min=0, help="Weights of the prior's loss over t; 0: all the same.")] = 0.0,
) -> None:
    """Train the prior (eps loss), an estimator (L1 on pairs made on the fly) or SR3; run it again to resume."""
    from difface.training.data import Faces
    from difface.training.estimator import train_estimator
    from difface.training.loop import Settings
    from difface.training.prior import SOFT_FROM, train_prior
    from difface.training.sr3 import SCALE, train_sr3

    settings = Settings(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup=warmup,
        decay=steps // 2 if decay is None else decay,
        ema_decay=ema_decay,
        minutes=minutes,
        checkpoint_minutes=checkpoint_minutes,
        preview_every=preview_every,
        seed=seed,
        precision=_training_precision(precision),
        workers=workers,
    )
    _refuse_foreign_options(
        kind,
        task=task != "restore",
        architecture=architecture,
        p2_gamma=p2_gamma,
        soft=soft,
        soft_from=soft_from is not None,
        scale=scale is not None,
    )
    if kind == "prior":
        pictures = Faces(data, size, soft or [], memory)
        train_prior(pictures, output, settings, init, p2_gamma, SOFT_FROM if soft_from is None else soft_from)
    elif kind == "estimator":
        train_estimator(Faces(data, size, memory=memory), output, architecture, settings, init, task)
    elif kind == "sr3":
        train_sr3(Faces(data, size, memory=memory), output, settings, init, SCALE if scale is None else scale)
    else:
        raise ValueError(f"'{kind}' cannot be trained; prior, estimator and sr3 are accepted: choose one.")


def _training_precision(name: str) -> str:
    """What "auto" means on this machine; another name is given back."""
    from difface.precision import choose
    from difface.profiles import resolve_device

    if name != "auto":
        return name
    return "bf16" if choose("auto", resolve_device("auto")).name == "bfloat16" else "no"


def _refuse_foreign_options(kind: str, **given) -> None:
    """Refuse options (name -> whether they are given) that the training of this kind would not use."""
    of_priors, of_estimators, of_sr3 = ("p2_gamma", "soft", "soft_from"), ("task", "architecture"), ("scale",)
    foreign = {
        "prior": of_estimators + of_sr3,
        "estimator": of_priors + of_sr3,
        "sr3": of_priors + of_estimators,
    }
    for name in foreign.get(kind, ()):
        if given[name]:
            plural = kind if kind == "sr3" else f"{kind}s"
            raise ValueError(f"--{name.replace('_', '-')} is not for {plural}; got it: leave it out.")
