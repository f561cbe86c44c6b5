"""Examples in docstrings give what they say, and every public function of the modules for the numbers has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

from difface import metrics

MODULES = [
    *(f"difface.{name}" for name in ("chain", "contraction", "degradation", "masks", "schedulers")),
    *(f"difface.metrics.{module.name}" for module in pkgutil.iter_modules(metrics.__path__)),
]


def examples(module: str) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(importlib.import_module(module)) if test.examples]


@pytest.mark.parametrize("test", [test for module in MODULES for test in examples(module)], ids=lambda test: test.name)
def test_an_example_gives_what_it_says(test) -> None:
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_function_has_an_example(module) -> None:
    """But those that need a file of weights."""
    shown = {test.name.rpartition(".")[2] for test in examples(module)}
    missing = {
        name
        for name, function in vars(importlib.import_module(module)).items()
        if inspect.isfunction(function) and function.__module__ == module and not name.startswith("_")
        if "WeightMissing" not in (function.__doc__ or "")
    }
    assert missing <= shown
