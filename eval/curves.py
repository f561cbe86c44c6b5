"""The loss of a training over the images seen, from its log: what a model card shows."""

from pathlib import Path

import pandas as pd

from difface.files import whole_file
from eval.figures.style import GREY, panels, styled


@styled
def draw_curve(run: Path, output: Path) -> Path:
    """Draw loss and learning rate.

    Args:
        run: folder of a training: `log.csv` (step, loss as the mean of 50 steps, learning_rate) and `settings.json`.
        output: PNG file.

    Returns:
        `output`.
    """
    table, settings = pd.read_csv(run / "log.csv"), pd.read_json(run / "settings.json", typ="series")
    images = table["step"] * int(settings["batch_size"]) / 1000
    figure, (loss,) = panels(1)
    loss.semilogy(images, table["loss"])
    loss.set(xlabel="images seen (thousands)", ylabel="training loss")
    rate = loss.twinx()
    rate.plot(images, table["learning_rate"], color=GREY, linestyle="--")
    rate.set_ylabel("learning rate (dashed)")
    rate.grid(False)
    with whole_file(output) as temporary:
        figure.savefig(temporary, format="png")
    return output
