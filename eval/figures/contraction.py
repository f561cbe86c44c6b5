"""Fig. 4 and 5: error contraction in numbers, and as pictures."""

from dataclasses import replace

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from difface import profiles
from difface.contraction import contraction
from difface.weights import WeightMissing
from eval.datasets import generator_of
from eval.figures.bench import Bench
from eval.figures.faces import Faces
from eval.figures.options import figure
from eval.figures.scores import reason
from eval.figures.sheet import Sheet
from eval.figures.style import BLUE, GREY, VERMILION, note, panels


@figure("estimator")
def figure_4(bench: Bench) -> tuple[Figure, pd.DataFrame]:
    """sqrt(abar_t) (Eq. 13), kappa_t and the KL divergence (Eq. 12) over the training chain.

    Without a truth for the KL's error e = x_0 - f(y), or without the weights of f, its panel says so.

    Returns:
        Three plots; and for each t in 0..T-1: `alphas_cumprod`, `factor`, `kappa`, and over the faces `kl_mean`,
        `kl_min`, `kl_max` in nats.
    """
    quantities = contraction()
    t = range(len(quantities.alphas_cumprod))
    table = pd.DataFrame(
        {"t": t, "alphas_cumprod": quantities.alphas_cumprod, "factor": quantities.factor, "kappa": quantities.kappa}
    )
    figure, (left, middle, right) = panels(3, 1.8)
    left.plot(t, table.factor, color=BLUE)
    left.set(title=r"(a) error contraction", ylabel=r"$\sqrt{\bar\alpha_t}$", ylim=(0, 1.02))
    middle.semilogy(t, table.kappa, color=BLUE)
    middle.set(title=r"(b) signal to noise", ylabel=r"$\kappa_t=\bar\alpha_t/(1-\bar\alpha_t)$")
    right.set(title=r"(c) divergence of $p(x_t|y)$ and $q(x_t|x_0)$", ylabel="KL (nats)")
    try:
        squared = _errors(bench).double().square().flatten(1).sum(1)
    except (WeightMissing, ValueError) as error:
        table[["kl_mean", "kl_min", "kl_max"]] = float("nan")
        note(right, reason(error))
    else:
        for name, value in (("mean", squared.mean()), ("min", squared.min()), ("max", squared.max())):
            table[f"kl_{name}"] = quantities.kappa / 2 * value  # Eq. 12
        right.semilogy(t, table.kl_mean, color=VERMILION, label=f"mean of {len(squared)} faces")
        right.fill_between(t, table.kl_min, table.kl_max, color=VERMILION, alpha=0.25, linewidth=0, label="range")
        right.legend(loc="upper right")
    for axes in [axes for axes in figure.axes if axes.axison]:
        axes.set(xlabel="timestep $t$", xlim=(0, len(t)))
        _mark(axes, profiles.profile(bench.profile).begin_index)
    return figure, table


def _mark(axes: Axes, begin_index: int) -> None:
    """A line at N."""
    axes.axvline(begin_index, color=GREY, linewidth=0.8, linestyle="--")
    place = {"xy": (begin_index, 0.03), "xytext": (3, 0), "xycoords": ("data", "axes fraction")}
    axes.annotate(f"$N$ = {begin_index}", **place, textcoords="offset points", fontsize=7)


@figure("estimator", "begin_index", "steps")
def figure_5(bench: Bench, *, shown: int = 2) -> tuple[Figure, pd.DataFrame]:
    """The direct mapping y -> x_0 beside the contracted path y -> x_N -> x_0: the estimate's error before and after.

    Errors are of images in [-1, 1]; in the maps their absolute value, averaged over the colours, on one scale.

    Args:
        shown: faces with pictures, two rows each; norms are given for all.

    Returns:
        The sheet with bars of the norms; and for each face: `N`, `timestep` t of x_N, `error` = ||e||, `factor` =
        sqrt(abar_t), `contracted` = sqrt(abar_t) ||e|| and `kl` in nats (Eq. 12).

    Raises:
        ValueError: faces without truth.
    """
    setting = bench.ours()
    timestep = setting.chain().noise_timestep
    error, quantities = _errors(bench), contraction()
    norms = error.double().flatten(1).norm(dim=1)
    table = pd.DataFrame(
        {"face": bench.faces.names, "N": setting.begin_index, "timestep": timestep, "error": norms}
        | {"factor": quantities.factor[timestep].item(), "contracted": quantities.factor[timestep] * norms}
        | {"kl": quantities.kl(error, timestep)}
    )
    seen = bench.first(shown)
    return _paths(seen.faces, error, seen.pictures(setting), table), table


def _errors(bench: Bench) -> Tensor:
    """e = x_0 - f(y) in [-1, 1], (B, 3, H, H)."""
    return 2 * (bench.faces.truth() - bench.unrounded(replace(bench.ours(), begin_index=None)))


def _paths(faces: Faces, error: Tensor, answer: Tensor, table: pd.DataFrame) -> Figure:
    """Rows (a) and (b) for each face, and the norms of all below."""
    truth, factor, count = faces.truth(), table.factor[0], len(faces.names)
    sheet = Sheet(2 * count, 5, faces.size, block=2, right=0.5, below=0.6 + 0.26 * min(len(table), 8))
    maps = error[:count].abs().mean(1)
    largest = maps.max().item()
    noise = torch.stack(
        [torch.randn(face.shape, generator=generator_of(name)) for face, name in zip(truth, faces.names, strict=True)]
    )
    for column, text in ((1, "from the estimate"), (2, "from the truth"), (3, "difference")):
        sheet.heading(column, text)
    for k in range(count):
        a, b = 2 * k, 2 * k + 1
        sheet.label(a, "(a) direct")
        sheet.label(b, "(b) contracted")
        sheet.picture(a + 0.5, 0, faces.lq[k], "input $y$")
        sheet.picture(a + 0.5, 4, answer[k], "DifFace")
        sheet.picture(a, 1, truth[k] - error[k] / 2, "$f(y)$")
        sheet.picture(a, 2, truth[k], "$x_0$")
        sheet.heat(a, 3, maps[k], largest, rf"$|e|$,  $\|e\|$ = {table.error[k]:.1f}")
        for column, x in ((1, truth[k] - error[k] / 2), (2, truth[k])):
            x_n = factor * (2 * x - 1) + (1 - factor**2) ** 0.5 * noise[k]  # Eq. 2 and 11, one zeta
            sheet.picture(b, column, x_n / 2 + 0.5, r"$x_N\sim p(x_N|y)$" if column == 1 else r"$x_N\sim q(x_N|x_0)$")
        caption = rf"$\sqrt{{\bar\alpha_N}}|e|$,  norm {table.contracted[k]:.1f}"
        sheet.heat(b, 3, factor * maps[k], largest, caption)
        sheet.colour_bar(a, b, largest, "absolute error, images in [-1, 1]")
    _bars(sheet, table.head(8), factor)
    return sheet.figure


def _bars(sheet: Sheet, table: pd.DataFrame, factor: float) -> None:
    axes = sheet.plot(left=0.75)
    places = torch.arange(len(table)).numpy()
    axes.barh(places - 0.2, table.error, 0.38, color=VERMILION, label=r"$\|e\|$")
    axes.barh(
        places + 0.2, table.contracted, 0.38, color=BLUE,
        label=rf"$\sqrt{{\bar\alpha_N}}\,\|e\|$,  $\sqrt{{\bar\alpha_N}}$ = {factor:.3f}",
    )  # fmt: skip
    axes.set_yticks(places, table.face)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"norm of the error, images in [-1, 1] ($N$ = {table.N[0]})")
    axes.set_xlim(0, table.error.max() * 1.45)
    axes.legend(loc="center right")
