"""What stands in each table: its rows as settings, its columns, and which printed row is which."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from difface import inpaint, profiles
from difface.methods import Task
from eval import paper, published, rivals
from eval.datasets import Dataset
from eval.metrics import METRICS, IndRMSE
from eval.run import Method
from eval.settings import Agreement, FolderMethod, Setting
from eval.tables import ntire

OFFLINE = ("ID angle", "FD-prior", "KID-prior")
"""Columns beside the paper's own that the files at hand allow offline."""

CALLS = "Calls"
"""Network calls of the prior for each picture."""

EXTRA = {
    **dict.fromkeys(("IV", "V"), (*OFFLINE, IndRMSE.name)),
    "VI": ("PSNR in hole", "FD-prior", "KID-prior"),
    "VII": (CALLS,),
    "VIII": (CALLS,),
    "XI": (),
}
"""The same in the tables that have others."""

TASKS: dict[str, Task] = {
    **dict.fromkeys(("III", "IV", "VIII"), "blind"),
    **dict.fromkeys(("VI", "VII"), "inpainting"),
    **dict.fromkeys(("X", "XI"), "super-resolution"),
}
"""Tables in which other methods stand: what these are asked for."""

KINDS: dict[str, dict[str | None, str]] = {
    "VI": {"Box": "box", "Irregular": "irregular", "Half": "half", "Expand": "expand"},
    "VII": {None: "box"},
    "X": {"x8": "x8", "x16": "x16"},
    "XI": {None: "x4"},
}
"""Tables of known degradations: the paper's block -> the kind of `eval.datasets.KINDS`."""

AVERAGE = {"VI": "Average"}
"""Tables whose last block is the plain mean of the others, and its name."""

TRADE_OFFS = ((500, 200), (250, 100), (100, 40), (50, 20), (20, 8))
"""Table IX: (steps of the whole chain, network calls), all from N = 400."""

SAMPLES = "samples"
"""A row's method: faces that the prior draws on its own."""

NETWORKS = {
    **dict.fromkeys(("I", "II", "III", "IV", "V", "VIII", "IX", "X"), "ffhq512"),
    **dict.fromkeys(("VI", "VII"), "ffhq256-inpaint"),
    "XI": "imagenet256-sr",
}
"""Number -> the profile of the networks that the paper measured."""

PAPER_START = 400
"""N of the paper's tables, on the chain of 1000."""


@dataclass(frozen=True)
class Row:
    """A row of a measured table.

    Attributes:
        label: the method's name here.
        method: how its pictures are made, or `SAMPLES`; None when they cannot be here.
        printed: the row's name in the paper's table, None when the paper has none.
        reason: why there is no `method`.
    """

    label: str
    method: Method | Literal["samples"] | None
    printed: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Options:
    """What the command line may change.

    Attributes:
        profile: which networks.
        steps: of the whole chain, instead of the paper's 250.
        start: N instead of the profile's.
        folders: other methods' pictures.
        rivals: other methods that run here, see `eval.rivals.chosen`.
        metrics: columns beside those of the table.
        protocol: of `eval.published`; its columns are added.
    """

    profile: str = "tiny"
    steps: int = 250
    start: int | None = None
    folders: tuple[FolderMethod, ...] = ()
    rivals: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    protocol: str = published.PAPER

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns beside those of the table.

        Raises:
            ValueError: an unknown protocol.
        """
        return (*published.columns(self.protocol), *self.metrics)

    @property
    def guess(self) -> Setting | None:
        """f(y) of the profile's first estimator that needs no mask; None where there is none."""
        return self.setting(begin_index=None) if profiles.profile(self.profile).estimators else None

    def setting(self, **changes) -> Setting:
        """The profile's DifFace with its first estimator, and `changes`.

        Raises:
            ValueError: the profile has no estimator that restores without a mask.
        """
        estimator = profiles.restoring_estimator(self.profile)
        start = profiles.profile(self.profile).begin_index if self.start is None else self.start
        return replace(Setting(self.profile, estimator, start, steps=self.steps), **changes)


def columns(number: str, metrics: Sequence[str] = ()) -> list[str]:
    """Names of a table's measured columns: the paper's, those of pictures that work offline, and `metrics`.

    Raises:
        ValueError: an unknown metric.
    """
    for name in metrics:
        if name not in (*METRICS, ntire.SCORE, ntire.BELOW):
            raise ValueError(f"the metric '{name}' is unknown; {', '.join(METRICS)} are accepted: choose of these.")
    named = [column.name for column in paper.table(number).columns]
    scored = any(column in METRICS for column in named)
    offline = [name for name in EXTRA.get(number, OFFLINE) if scored or name not in METRICS]
    parts = [*(ntire.PARTS if ntire.SCORE in metrics else ()), *([ntire.COSINE] if ntire.BELOW in metrics else ())]
    return list(dict.fromkeys([*named, *offline, *parts, *metrics]))


def rows(number: str, options: Options) -> list[Row]:
    """The rows of a table.

    Args:
        number: of those in `TABLES`.
        options: from the command line.

    Raises:
        ValueError: a table that is not made here, or settings that the chain refuses.
    """
    if number not in TABLES:
        raise ValueError(f"table '{number}' is not made here; {', '.join(TABLES)} are accepted: choose one.")
    ours = TABLES[number](options)
    for row in ours:
        if isinstance(row.method, Setting):
            row.method.chain()
    return [*_peers(number, ours, options), *ours]


def as_printed(number: str, block: str | None, dataset: Dataset, options: Options) -> bool:
    """Whether a table's numbers on a set are of the paper's data, networks, N and steps."""
    printed = paper.table(number)
    images = {part.name: part.images for part in printed.blocks}.get(block)
    paper_data = dataset.source in ("celeba", "real") and len(dataset.items) == images
    same_size = printed.setting.size in (None, dataset.size)
    unchanged = options.start is None and options.steps == (printed.setting.steps or options.steps)
    return paper_data and same_size and unchanged and options.profile == NETWORKS[number]


def shared(rows: Sequence[Row]) -> str:
    """How the chains of the rows were made, in a line: what all share; what differs is in the rows' names."""
    chains = [row.method for row in rows if isinstance(row.method, Setting) and row.method.begin_index is not None]
    if not chains:
        return ""
    parts = []
    for form, field in (
        ("profile {}", "profile"),
        ("N = {}", "begin_index"),
        ("{} steps", "steps"),
        ("eta {:g}", "eta"),
    ):
        values = {getattr(chain, field) for chain in chains}
        values = set(map(profiles.label, values)) if field == "profile" else values
        parts += [form.format(value) for value in values if len(values) == 1]
    return ", ".join(parts) + " where a row says nothing else"


def _estimators(options: Options) -> list[Row]:
    result = []
    known = profiles.profile(options.profile).estimators
    for label, estimator in (("SRCNN", "srcnn"), ("SwinIR", "swinir")):
        for name, changes in ((label, {"begin_index": None}), (f"DifFace({label})", {})):
            if estimator in known:
                result.append(Row(name, options.setting(estimator=estimator, **changes), name))
            else:
                result.append(
                    Row(
                        name,
                        None,
                        name,
                        f"the weights of {label} are not published for {profiles.label(options.profile)}",
                    )
                )
    return result


def _etas(options: Options) -> list[Row]:
    return [
        Row(f"DifFace(eta={eta:g})", options.setting(eta=eta), f"DifFace(eta={eta:g})")
        for eta in (0, 0.25, 0.5, 0.75, 1)
    ]


def _ours(options: Options) -> list[Row]:
    return [
        Row("input (LQ)", Setting()),
        Row("f(y)", options.setting(begin_index=None)),
        Row("DifFace", options.setting(), "DifFace"),
    ]


def _inpainting(options: Options) -> list[Row]:
    try:
        lama = profiles.inpainting_estimator(options.profile)
    except ValueError as problem:
        return [Row("input (masked)", Setting()), Row("DifFace", None, "DifFace", str(problem))]
    start = inpaint.START if options.start is None else options.start
    ours = Setting(options.profile, lama, start, steps=options.steps, eta=inpaint.ETA, agreement=Agreement())
    return [
        Row("input (masked)", Setting()),
        Row("f(y)", replace(ours, begin_index=None)),
        Row("DifFace", ours, "DifFace"),
    ]


def _inpainting_timed(options: Options) -> list[Row]:
    return _inpainting(options)[1:]


def _super_resolution(options: Options) -> list[Row]:
    if not profiles.profile(options.profile).estimators:
        profile = profiles.label(options.profile)
        reason = f"no estimator of the profile '{profile}' is published, nor one for super-resolution"
        return [Row("input (nearest)", Setting()), Row("DifFace", None, "DifFace", reason)]
    return [
        Row("input (nearest)", Setting()),
        Row("f(y)", options.setting(begin_index=None)),
        Row("DifFace", options.setting(), "DifFace"),
        Row("DifFace, agreeing with y", options.setting(agreement=Agreement())),
    ]


def _timed(options: Options) -> list[Row]:
    return _ours(options)[1:]


def _with_samples(options: Options) -> list[Row]:
    return [*_ours(options), Row("Diffusion (samples of the prior)", SAMPLES, "Diffusion")]


def _accelerated(options: Options) -> list[Row]:
    return [
        Row(
            f"Dif({steps}/{calls}), {start} start",
            options.setting(begin_index=PAPER_START, steps=steps, official_start=start == "official"),
            f"Dif({steps}/{calls})",
        )
        for steps, calls in TRADE_OFFS
        for start in ("matched", "official")
    ]


def _peers(number: str, ours: list[Row], options: Options) -> list[Row]:
    """The paper's other methods, by folders of their pictures or as they run here, and others that are asked for."""
    folders = {folder.name.lower(): folder for folder in options.folders}
    task, result = TASKS.get(number), []
    chosen = {one.key: one for one in rivals.chosen(options.rivals, task, options.profile)} if task else {}
    mine = {row.printed for row in ours}
    for name in [row.method for row in paper.table(number).blocks[0].rows if row.method not in mine]:
        here = rivals.rival(name, task, options.profile) if task else None
        if name.lower() in folders:
            result.append(Row(name, folders.pop(name.lower()), name))
        elif here and chosen.pop(here.key, None):
            result.append(_running(here, name))
        else:
            result.append(Row(name, None, name, _absent(name, here)))
    result += [_running(one, None) for one in chosen.values()]
    return [*result, *(Row(folder.name, folder) for folder in folders.values())]


def _running(one: rivals.Rival, printed: str | None) -> Row:
    """The row of a method that runs here, or the reason why its network does not let it."""
    label = printed if printed and printed.lower() == one.label.lower() else one.label
    return Row(label, None if one.lacks else one, printed, one.lacks)


def _absent(name: str, here: rivals.Rival | None) -> str:
    """What would give a printed row its numbers."""
    pictures = f"--methods {name.lower()}=DIR scores the pictures of its own code"
    if here is None:
        return pictures
    remedy = here.lacks or f"--methods {here.key} runs it here, {here.calls:,} network calls a picture"
    return f"{remedy}; {pictures}"


TABLES = {
    "I": _estimators,
    "II": _etas,
    "III": _ours,
    "IV": _ours,
    "V": _with_samples,
    "VI": _inpainting,
    "VII": _inpainting_timed,
    "VIII": _timed,
    "IX": _accelerated,
    "X": _super_resolution,
    "XI": _super_resolution,
}
"""Number -> the function that makes our own rows."""
