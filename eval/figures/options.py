"""What a figure is called with: faces, a runner, a profile, and those of the shared options that it takes."""

import functools
from collections.abc import Callable
from inspect import Parameter, Signature, signature

import pandas as pd
from matplotlib.figure import Figure

from eval.figures.bench import Bench, temporary_runner
from eval.figures.scores import PAIRS
from eval.figures.style import styled
from eval.run import Runner

SHARED = {
    "estimator": None,
    "begin_index": None,
    "steps": 50,
    "others": None,
    "rivals": (),
    "metrics": PAIRS,
    "shown": 3,
}
"""Option that several figures take -> its default. `shown` is how many faces are taken; for the others see `Bench`."""


def figure(*taken: str, **defaults: object) -> Callable:
    """Make a figure of a function of a bench, and of options of its own, that returns a picture and its table.

    It is then called with faces, a runner (None: what it makes is kept as long as the process lasts), a profile, and
    these options. `help` and `inspect.signature` tell them; any other is refused.

    Args:
        taken: those of `SHARED` that it takes, too.
        defaults: of these, where they differ.
    """

    def decorate(function: Callable[..., tuple[Figure, pd.DataFrame]]) -> Callable[..., tuple[Figure, pd.DataFrame]]:
        common = signature(Bench).parameters
        runner = common["runner"].replace(default=None, annotation=Runner | None)
        own = list(signature(function).parameters.values())[1:]
        shared = [Parameter(name, Parameter.KEYWORD_ONLY, default=(SHARED | defaults)[name]) for name in taken]
        called = Signature([common["faces"], runner, common["profile"], *own, *shared])

        @functools.wraps(function)
        def drawn(*arguments, **options) -> tuple[Figure, pd.DataFrame]:
            given = called.bind(*arguments, **options)
            given.apply_defaults()
            chosen = dict(given.arguments)
            mine = {parameter.name: chosen.pop(parameter.name) for parameter in own}
            faces, runner, shown = chosen.pop("faces"), chosen.pop("runner"), chosen.pop("shown", None)
            return styled(function)(Bench(faces.first(shown), runner or temporary_runner(), **chosen), **mine)

        drawn.__signature__ = called
        return drawn

    return decorate
