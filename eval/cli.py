"""The command line of the evaluation suite."""

from pathlib import Path
from typing import Annotated

import typer

from difface import cli

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Measure what the README and the model cards state."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status as that of `python -m difface`."""
    return cli.run(app, arguments, "python -m eval")


@app.command("tiny-report")
def tiny_report(
    train: Annotated[Path, typer.Option(help="Folder of aligned 64-pixel training faces, the Frechet distance's reference.")],
    test: Annotated[Path, typer.Option(help="Folder of aligned 64-pixel test faces.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file; rows that are there already are kept.")],
    limit: Annotated[int | None, typer.Option(min=2, help="Only the first faces of the test folder.")] = None,
) -> None:
    """Score the embedded models on test faces at three levels of Eq. 17, into a JSON file and a table."""
    from eval.tiny_report import markdown, report

    typer.echo(markdown(report(train, test, output, limit)))
