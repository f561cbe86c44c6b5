"""Which methods there are: what each is, what it needs, what it costs, and whether its weights are here."""

from difface.methods import LEARNED, METHODS, SR3, DifFace, Method, SwinIR
from difface.weights import CATALOG, WeightMissing
from eval.markdown import markdown_grid

_NEEDS = {"inpainting": "a mask", "super-resolution": "a scale", "blind": "nothing more"}


def listing(profile: str = "tiny") -> str:
    """A table in Markdown, one row per method, with the calls of its network at official settings.

    Args:
        profile: whose networks are asked.
    """
    rows = [["name", "method", "kind", "needs beside the picture", "calls", "state"]]
    for name, kind in (METHODS | LEARNED).items():
        needs = " or ".join(_NEEDS[task] for task in kind.tasks)
        rows.append([name, kind.name, _sort(kind), needs, *_calls_and_state(kind, profile)])
    return markdown_grid(rows, texts=6)


def _sort(kind: type[Method]) -> str:
    if kind in (DifFace, SwinIR):
        return "ours"
    if kind is SR3:
        return "trained here"
    return "by weight" if kind in LEARNED.values() else "training-free"


def _calls_and_state(kind: type[Method], profile: str) -> tuple[str, str]:
    try:
        method = kind.load(profile, device="cpu")
    except WeightMissing as problem:
        command = CATALOG[problem.name].command if problem.name else "python -m difface train sr3"
        return "-", f"`{command}`"
    except ValueError as problem:
        return "-", str(problem)
    calls = {task: f"{method.calls(task):,}" for task in kind.tasks}
    if len(set(calls.values())) > 1:
        calls = {task: f"{count} ({task})" for task, count in calls.items()}
    return ", ".join(dict.fromkeys(calls.values())), "ready"
