"""The command line of the evaluation suite."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from difface import cli, folders

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eval.again import Check
    from eval.settings import FolderMethod

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Measure what the README and the model cards state."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status as that of `python -m difface`."""
    return cli.run(app, arguments, "python -m eval", less="a smaller --batch")


@app.command()
def table(
    number: Annotated[str, typer.Argument(metavar="N", help="I to XI.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for results and tables.")],
    profile: cli.ProfileName = "tiny",
    data: Annotated[
        list[str],
        typer.Option(
            help="sampled, a folder of aligned faces, celeba=DIR, or lfw|webphoto|wider|real=DIR; repeatable."
        ),
    ] = ["sampled"],  # noqa: B006 (read only)
    methods: Annotated[
        list[str],
        typer.Option(
            help="fast (at most 200 network calls), all, free (on our own prior), none, or names of `eval methods`, "
            "and NAME=DIR: another method's pictures; repeatable."
        ),
    ] = ["fast"],  # noqa: B006
    metrics: Annotated[
        list[str], typer.Option(help="A column more: SSIM (RGB), IDS-r50, LMD-106, ...; repeatable.")
    ] = [],  # noqa: B006
    protocol: Annotated[
        str, typer.Option(help="paper, vqfr, pmrf, osdface or ntire: adds that protocol's columns and what it prints.")
    ] = "paper",
    limit: Annotated[int | None, typer.Option(min=2, help="At most so many pictures.")] = None,
    scale: Annotated[float | None, typer.Option(help="One s for all (sigma 1, delta 5, q 60), not the grid.")] = None,
    steps: Annotated[int, typer.Option(help="Of the whole chain, in rows that do not vary it.")] = 250,
    start: Annotated[int | None, typer.Option(help="N; the profile's by default.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Real faces for FD-prior and FID-F.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures through the networks at once.")] = 8,
    device: cli.Device = "auto",
    dtype: cli.Dtype = "float32",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run and fetched.")] = False,
) -> None:
    """Measure a table of the paper, beside what the paper prints; what is done already is reused."""
    from difface import profiles
    from eval.run import Runner
    from eval.tables import build, definitions, plan, render
    from eval.tables.data import datasets, samples

    folders, rivals = _parsed(methods)
    options = definitions.Options(profile, steps, start, folders, rivals, tuple(metrics), protocol)
    if dry_run:
        return typer.echo(plan.plan(number, options, reference))
    definitions.rows(number, options)
    definitions.columns(number, options.columns)
    profiles.resolve_device(device)  # refused, if it must be, before anything is done
    runner = Runner(output, device, dtype, batch, reference, guess=options.guess)
    found = datasets(number, data, output / "data", profile, limit, scale)
    alone = partial(samples, output / "data", limit, profile, steps, runner.device, runner.dtype)
    result = build.build(number, found, alone, runner, options)
    if runner.state.is_main_process:
        paths = render.write(result, output)
        typer.echo(render.markdown(result))
        typer.echo("\n".join(map(str, paths)))


def _parsed(methods: list[str]) -> "tuple[tuple[FolderMethod, ...], tuple[str, ...]]":
    """What --methods was given: folders of pictures, and names of methods that run here."""
    from eval.settings import FolderMethod

    folders = tuple(FolderMethod.parse(given) for given in methods if "=" in given)
    return folders, tuple(name for given in methods if "=" not in given for name in given.split(","))


Made = Annotated[Path, typer.Option("--results", metavar="DIR", help="Folder that `table` wrote into.")]
Referred = Annotated[
    Path | None, typer.Option("--reference", help="The faces that distances refer to, where the table had a folder.")
]
Kept = Annotated[
    Path | None, typer.Option("--data", help="The clean faces of a table, where its folder keeps no pictures.")
]


@app.command()
def again(
    number: Annotated[str, typer.Argument(metavar="TABLE", help="I to XI.")],
    row: Annotated[str, typer.Argument(metavar="ROW", help="Its name in the table.")],
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="A measured metric.")],
    results: Made = Path("results"),
    block: Annotated[str | None, typer.Option(help="Of a table in parts; the first by default.")] = None,
    picture: Annotated[str | None, typer.Option(help="Name of one picture; all by default.")] = None,
    reference: Referred = None,
    data: Kept = None,
) -> None:
    """Make one number of a table again, pictures and scores, and compare it with what is stored."""
    from eval.again import again

    _tell(again(results, number, row, column, block, picture, reference, data))


@app.command()
def verify(
    results: Made = Path("results"),
    sample: Annotated[int, typer.Option(min=1, help="Pictures to make again.")] = 20,
    seed: Annotated[int, typer.Option(help="Of their choice.")] = 0,
    reference: Referred = None,
    data: Kept = None,
) -> None:
    """Make a sample of a folder's pictures and scores again; drift beyond `eval/tolerances.yaml` fails."""
    from eval.again import verify

    _tell(verify(results, sample, seed, reference, data))


def _tell(checks: "Iterable[Check | str]") -> None:
    """Print what was made again; exit status 1 where something differs."""
    wrong = total = 0
    for check in checks:
        typer.echo(str(check))
        if not isinstance(check, str):
            total, wrong = total + 1, wrong + (not check.holds)
    typer.echo(f"{total - wrong} of {total} are the same.")
    if wrong:
        raise typer.Exit(1)


@app.command()
def methods(profile: cli.ProfileName = "tiny") -> None:
    """List the methods that can be compared: kind, need, network calls as released, and what gets their weights."""
    from eval.methods import listing

    typer.echo(listing(profile))


FigureFaces = Annotated[
    Path | None, typer.Option(help="Folder of aligned clean faces; samples and the astronaut else.")
]
FigureInputs = Annotated[Path | None, typer.Option(help="Folder of degraded faces, paired with the others by name.")]
FigureFolder = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for PDF, PNG and CSV.")]
FigureLimit = Annotated[int, typer.Option(min=2, help="At most so many faces.")]
FigureSteps = Annotated[int | None, typer.Option(help="Of the whole DDIM chain; the paper's is 250.")]
FigureReference = Annotated[Path | None, typer.Option(help="Real faces for Frechet distances (7a, 7b).")]


@app.command()
def figure(
    number: Annotated[str, typer.Argument(metavar="N", help="3 to 15 or 17; 7a, 7b, and 7 for both.")],
    output: FigureFolder,
    profile: cli.ProfileName = "tiny",
    methods: Annotated[
        list[str],
        typer.Option(
            help="NAME=DIR: another method's pictures (7b, 9, 10, 12, 14, 15); or fast, free, all, or names of "
            "`eval methods`: those that run here (not 7b); repeatable."
        ),
    ] = [],  # noqa: B006
    metrics: Annotated[list[str], typer.Option(help="LPIPS, FID-G, ... instead of the default; repeatable.")] = [],  # noqa: B006
    reference: FigureReference = None,
    data: FigureFaces = None,
    lq: FigureInputs = None,
    limit: FigureLimit = 3,
    steps: FigureSteps = None,
) -> None:
    """Draw a figure of the paper, with the table behind it."""
    from eval.figures.draw import draw

    folders, rivals = _parsed(methods)
    others = {method.name: method.folder for method in folders}
    for path in draw(number, output, profile, data, lq, limit, steps, others, rivals, reference, metrics):
        typer.echo(path)


@app.command()
def levels(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for s_1/NAME.png, s_1.5/..., ...")
    ],
    data: FigureFaces = None,
    profile: cli.ProfileName = "tiny",
    limit: FigureLimit = 3,
) -> None:
    """Write the inputs of figure 7b, for another method to answer: `figure 7b --methods NAME=DIR` adds its line."""
    from eval.figures import write_levels
    from eval.figures.draw import faces_of

    write_levels(faces_of(profile, data, None, limit), output)
    typer.echo(output)


@app.command()
def figures(
    output: FigureFolder,
    profile: cli.ProfileName = "tiny",
    data: FigureFaces = None,
    lq: FigureInputs = None,
    limit: FigureLimit = 3,
    steps: FigureSteps = None,
    reference: FigureReference = None,
) -> None:
    """Draw all figures in one go."""
    from eval.figures.draw import draw

    for path in draw("all", output, profile, data, lq, limit, steps, reference=reference):
        typer.echo(path)


TestFaces = Annotated[
    Path, typer.Option(help="Folder of aligned faces of the profile's size that it was not trained on.")
]
TrainFaces = Annotated[Path, typer.Option(help="Folder of its training faces, which distances between sets refer to.")]
Work = Annotated[Path, typer.Option(help="Folder for pictures and scores; what is done already is reused.")]
Limit = Annotated[int | None, typer.Option(min=2, help="At most so many faces.")]


@app.command()
def report(
    test: TestFaces,
    train: TrainFaces,
    work: Work,
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file.")],
    profile: cli.ProfileName = "tiny",
    limit: Limit = None,
    most_calls: Annotated[
        int | None, typer.Option(min=0, help="Leave out what calls the prior more often for a picture.")
    ] = None,
    dtype: cli.Dtype = "float32",
) -> None:
    """Score embedded models on test faces at three levels of Eq. 17, into a JSON file and tables."""
    from eval.reports import embedded
    from eval.reports.study import Study

    typer.echo(embedded.markdown(embedded.report(Study(test, train, work, profile, limit, dtype), output, most_calls)))


@app.command()
def fairness(
    faces: Annotated[Path, typer.Option(help="Folder of aligned faces of the profile's size.")],
    labels: Annotated[Path, typer.Option(help="CSV with a column `file` and columns of labels.")],
    work: Work,
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file.")],
    by: Annotated[list[str] | None, typer.Option(help="Column to group by; repeat it for several.")] = None,
    person: Annotated[str, typer.Option(help="Column that tells people apart.")] = "person",
    methods: Annotated[list[str], typer.Option(help="Other methods that run here; repeatable.")] = [],  # noqa: B006
    profile: cli.ProfileName = "small",
    dtype: cli.Dtype = "float32",
) -> None:
    """Compare how well groups of people are restored, on any labelled set of faces."""
    from eval.reports import fairness as measure

    columns, rivals = by or ["sex", "ethnicity", "age"], [name for given in methods for name in given.split(",")]
    done = measure.fairness(faces, labels, columns, work, output, profile, person, dtype, rivals)
    typer.echo(measure.markdown(done))


@app.command()
def trends(
    test: TestFaces,
    train: TrainFaces,
    work: Work,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the CSV files.")],
    profile: cli.ProfileName = "tiny",
    limit: Limit = None,
    dtype: cli.Dtype = "float32",
) -> None:
    """Measure how N, eta and s act on embedded models: contraction, fidelity, identity and realism."""
    from eval.reports.study import Study
    from eval.reports.trends import trends as measure

    for path in measure(Study(test, train, work, profile, limit, dtype), output):
        typer.echo(path)


@app.command()
def starts(
    test: TestFaces,
    train: TrainFaces,
    work: Work,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the table.")],
    profile: cli.ProfileName = "tiny",
    limit: Limit = None,
    dtype: cli.Dtype = "float32",
) -> None:
    """Compare N by how bad a face is (`restore --start auto`) with one N for all, over all severities."""
    from eval.reports.starts import starts as measure
    from eval.reports.study import Study

    for path in measure(Study(test, train, work, profile, limit, dtype), output):
        typer.echo(path)


@app.command()
def constraints(
    test: TestFaces,
    train: TrainFaces,
    work: Work,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the report.")],
    steps: Annotated[int, typer.Option(help="Of the whole DDIM chain.")] = 100,
    profile: cli.ProfileName = "tiny",
    limit: Limit = None,
    dtype: cli.Dtype = "float32",
) -> None:
    """Measure how embedded models keep known pixels, luminance and block means, and what they make of the rest."""
    from eval.reports import known
    from eval.reports.study import Study

    typer.echo(known.markdown(known.report(Study(test, train, work, profile, limit, dtype), output, steps)))


@app.command()
def agreement(
    test: TestFaces,
    train: TrainFaces,
    work: Work,
    profile: cli.ProfileName = "tiny",
    limit: Limit = None,
    dtype: cli.Dtype = "float32",
) -> None:
    """FD-prior beside the distance on face embeddings, over sets of degraded and restored faces."""
    from eval.reports.agreement import agreement as measure
    from eval.reports.study import Study

    found = measure(Study(test, train, work, profile, limit, dtype))
    typer.echo(found.round(3).to_string(index=False))
    typer.echo(f"rank correlation (Spearman): {found['FD-prior'].corr(found['FD identity'], method='spearman'):.3f}")


@app.command()
def bench(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for table and plot.")],
    profile: cli.ProfileName = "tiny",
    test: Annotated[
        Path | None, typer.Option(help="Folder of aligned test faces of its size: measure quality, too.")
    ] = None,
    train: Annotated[Path | None, typer.Option(help="Folder of its training faces, with --test.")] = None,
    work: Work = Path("runs/measured"),
    limit: Limit = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of the timing.")] = 3,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Faces at once, beside one; 4 and 16 by default, 1 for none.")
    ] = None,
    methods: Annotated[list[str], typer.Option(help="Other methods that run here; repeatable.")] = [],  # noqa: B006
    device: cli.Device = "auto",
) -> None:
    """Time the official path and every faster one in turn, and measure what their answers are worth."""
    from difface import profiles
    from eval.reports import speed
    from eval.reports.study import Study

    if (test is None) != (train is None):
        raise ValueError("quality takes --test and --train; got one of them: give both or none.")
    study = Study(test, train, work, profile, limit) if test and train else None
    place = speed.Place(profile, str(profiles.resolve_device(device)))
    rivals = [name for given in methods for name in given.split(",")]
    for path in speed.bench(place, output, study, repeats, batch or speed.BATCHES, rivals):
        typer.echo(path)


@app.command()
def status(
    results: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of measured tables; the committed ones by default.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write it as Markdown, JSON, HTML and a badge.")
    ] = None,
) -> None:
    """Say of every number of the paper whether it was reproduced, and if not, why."""
    from eval import status as measure

    results = results or measure.RESULTS
    numbers = measure.status(results)
    typer.echo(measure.markdown(numbers))
    for path in measure.write(numbers, output, results) if output else []:
        typer.echo(path)


@app.command()
def results(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The page, docs/results.md.")],
    readme: Annotated[Path | None, typer.Option(metavar="FILE", help="Renew the small table in it, too.")] = None,
) -> None:
    """Put all measured tables and reports on one page; nothing is measured."""
    from eval.results_page import write

    for path in write(output, readme):
        typer.echo(path)


@app.command()
def curve(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="PNG file.")],
) -> None:
    """Draw the loss of a training, for its model card."""
    from eval.curves import draw_curve

    typer.echo(draw_curve(run, output))


@app.command()
def denoising(
    weights: Annotated[list[Path], typer.Argument(metavar="UNET...", help="Folders of trained priors.")],
    data: Annotated[Path, typer.Option(help="Folder of aligned faces that they were not trained on.")],
) -> None:
    """PSNR of one denoising step at several timesteps: how trials of the prior's training compare."""
    from eval.denoising import TIMESTEPS, denoising_psnr
    from eval.markdown import markdown_grid

    rows = [["prior", *(f"t = {t}" for t in TIMESTEPS)]]
    for folder in weights:
        values = denoising_psnr(folder, data)
        rows.append([str(folder), *(f"{values[t]:.2f}" for t in TIMESTEPS)])
    typer.echo(markdown_grid(rows))


@app.command()
def notebooks(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Without .ipynb; all by default.")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="With fewer images, and keep nothing: do they run?")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Execute nothing: have code or weights changed since?")
    ] = False,
) -> None:
    """Execute the notebooks and keep them with their outputs."""
    from eval.notebooks import kept

    chosen = kept.find(names)
    if check and (found := [line for path in chosen for line in kept.problems(path)]):
        typer.echo("\n".join(found), err=True)
        raise typer.Exit(1)
    for path in [] if check else chosen:
        kept.execute(path, fast=True) if fast else kept.keep(path)
        typer.echo(path)


@app.command()
def gallery(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The assets folder: receives examples/ and gallery.png.")
    ],
    profile: cli.ProfileName = "small",
    seeds: Annotated[str, typer.Option(help="Seeds of the prior's samples, comma-separated.")] = "0,1,2,3,4,5,6",
) -> None:
    """Make the page's examples and the README's picture from samples of the embedded prior and the astronaut."""
    from eval.gallery import examples, landing, sheet

    numbers = [int(seed) for seed in seeds.split(",")]
    for path in [
        *examples(output / "examples", numbers, profile),
        landing(output / "examples", profile),
        sheet(output / "gallery.png", numbers, profile),
    ]:
        typer.echo(path)


@app.command("sheet")
def portrait_sheet(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Aligned faces of the profile's size, or folders.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="PNG file.")],
    profile: cli.ProfileName = "tiny",
    limit: Annotated[int, typer.Option(min=1, help="Only the first faces.")] = 16,
    level: Annotated[str, typer.Option(help="mild, middle or severe.")] = "middle",
) -> None:
    """Degrade faces, restore them, and write input | f(y) | DifFace | another seed | truth side by side."""
    import torch

    from difface import images
    from eval.gallery import comparison

    files = folders.find(inputs)[:limit]
    truth = torch.stack([images.to_tensors(images.read(file))[0] for file in files])
    typer.echo(comparison(output, [file.stem for file in files], truth, level, profile))
