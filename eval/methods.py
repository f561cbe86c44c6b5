"""Which methods there are: what each is, what it needs and what it costs."""

from difface.methods import METHODS, DifFace

_NEEDS = {"inpainting": "a mask", "super-resolution": "a scale", "blind": "nothing more"}


def listing(profile: str = "tiny") -> str:
    """A table in Markdown, one row per method, with the calls of the prior's network at official settings.

    Args:
        profile: whose networks are asked.
    """
    rows = [("name", "method", "kind", "needs beside the picture", "calls"), ("---",) * 5]
    for name, kind in METHODS.items():
        method = kind.load(profile, device="cpu")
        calls = {task: f"{method.calls(task):,}" for task in kind.tasks}
        if len(set(calls.values())) > 1:
            calls = {task: f"{count} ({task})" for task, count in calls.items()}
        needs = " or ".join(_NEEDS[task] for task in kind.tasks)
        sort = "ours" if kind is DifFace else "training-free"
        rows.append((name, kind.name, sort, needs, ", ".join(dict.fromkeys(calls.values()))))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
