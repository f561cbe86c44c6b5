"""The tab that explains: the chain, how the error contracts, and what the model cannot do."""

import html
import os
from pathlib import Path
from urllib.parse import quote

import gradio as gr
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from difface import profiles
from difface.contraction import contraction
from space import widgets
from space.shared import ROOT

SHOWN = ("notebooks", "docs")
"""Folders of the repository that the page links to."""
CHAIN = """
<figure class="drawing chain" tabindex="0">
<svg viewBox="0 32 720 100" role="img" aria-labelledby="chain-text">
<title id="chain-text">The chain: the bad photo y goes through a network f to a rough estimate; noise up to step N
gives x_N; the diffusion model denoises it step by step down to the restored face x_0.</title>
<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto"><path d="M0 0L8 4L0 8z"/>
</marker></defs>
<g class="boxes">
<rect x="4" y="40" width="110" height="60" rx="8"/><rect x="204" y="40" width="110" height="60" rx="8"/>
<rect x="404" y="40" width="110" height="60" rx="8"/><rect x="606" y="40" width="110" height="60" rx="8"/></g>
<g class="arrows"><path d="M116 70H200"/><path d="M316 70H400"/><path d="M516 70H602"/></g>
<g class="names"><text x="59" y="68">y</text><text x="259" y="68">f(y)</text>
<text x="459" y="68">x<tspan dy="4" font-size="12">N</tspan></text>
<text x="661" y="68">x<tspan dy="4" font-size="12">0</tspan></text></g>
<g class="words"><text x="59" y="88">bad photo</text><text x="259" y="88">rough estimate</text>
<text x="459" y="90">noised</text><text x="661" y="90">restored</text>
<text x="158" y="58">network</text><text x="358" y="58">+ noise</text><text x="559" y="58">denoise</text>
<text x="259" y="122">error e</text>
<text x="459" y="122">error √ᾱ<tspan dy="3" font-size="10">N</tspan><tspan dy="-3"> e</tspan></text>
<text x="661" y="122">a face again</text></g>
</svg></figure>
"""

HOW = """
**1. Estimate.** A plain network f, trained to undo blur, noise and compression, turns the photo y into a rough face. It
is safe but soft, and off by an error e.

**2. Contract.** Noise is added up to step N of 1000. The estimate, and with it its error, is scaled by √ᾱ<sub>N</sub>,
and noise takes its place: what f got wrong is drowned, what it got right still shows.

**3. Denoise.** A diffusion model that knows faces, and nothing of photos gone bad, removes the noise again. It never
saw the estimate's errors, so it draws a face where they were.

Small N keeps more of the estimate (fidelity); large N hides more of its errors and leaves more to the model (realism).
"""

LIMITS = """
## Honest limits

- **A restored face is no evidence of who somebody is.** What the photo does not show is made up: another seed gives
  another answer (see *Several answers*). Age, the colour of eyes and skin, glasses and teeth may change. Do not use it
  to identify people.
- {weights}
- Side views, children, sunglasses, strong make-up, hands before the face and very small faces are restored worse.
- The model works at {size} × {size} pixels. A face that is larger and sharp in your photo comes back softer, and is
  left alone in whole photos. Nothing but faces is restored: hair and background change only within the face's square.
- **Nothing uploaded is kept**: pictures are used for your request only, never logged, and deleted from this server
  within {minutes} minutes, results as well. Downloads say in their metadata that they are AI-restored.
- Tested on Linux with CPUs. Windows, macOS (MPS), GPUs and ZeroGPU should work, and have not been tested by us.

## More

[The paper](https://arxiv.org/abs/2212.06512) (Yue and Loy, TPAMI 2024) · [the authors' code](https://github.com/zsyOAOA/DifFace)
· licence of the weights that answer here: {licence}
"""

WEIGHTS = {
    "small": (
        "The embedded weights were trained on official portraits: 1,254 of members of the U.S. Congress and other "
        "American officials, 1,149 of members of the UK Parliament: mostly adults from 30 up, frontal, smiling, well "
        "lit. Everyone who is rare among them is restored worse, and pulled towards what is common there."
    ),
    "tiny": (
        "The embedded weights were trained on 1,149 official portraits of members of one parliament: mostly adults "
        "from 30 up, frontal, smiling, well lit. Everyone who is rare among them is restored worse, and pulled towards "
        "what is common there."
    ),
    "ffhq512": (
        "The weights were trained on FFHQ, 70,000 pictures from Flickr: everyone who is rare there is restored worse, "
        "and pulled towards what is common there."
    ),
}
"""Who the weights under-represent."""
UNKNOWN_WEIGHTS = (
    "Everyone who is rare among the faces that the weights were trained on is restored worse, and pulled towards what "
    "is common there."
)
"""The same of a folder of networks."""


def tab(profile: profiles.Profile, minutes: int) -> None:
    """Draw the tab.

    Args:
        profile: whose limits.
        minutes: after which files are deleted at the latest.
    """
    gr.HTML(CHAIN, padding=False)
    with gr.Row():
        with gr.Column(min_width=300):
            gr.Markdown(HOW)
        with gr.Column(min_width=300):
            start = widgets.may_be_empty(
                gr.Slider(1, 1000, profile.begin_index, step=1, label="N", elem_id="about-start")
            )
            curve = gr.HTML(contraction_curve(profile.begin_index), label="The curve", elem_id="curve", padding=False)
    start.change(
        contraction_of,
        start,
        curve,
        api_name="contraction",
        api_description="How much of the estimate's error is left at N, as a drawing.",
        queue=False,
        show_progress="hidden",
    )
    text = LIMITS.format(
        weights=WEIGHTS.get(profile.name, UNKNOWN_WEIGHTS),
        size=profile.size,
        minutes=minutes,
        licence=profile.licence,
    )
    gr.Markdown(text)
    gr.HTML(notebooks(ROOT / "notebooks"), padding=False)


def contraction_of(start: int | None) -> str:
    """The curve for N; as it is while the box is empty because another N is typed."""
    return gr.skip() if start is None else contraction_curve(start)


def contraction_curve(start: int) -> str:
    """The drawn curve of sqrt(abar_t) (Eq. 13) with N marked, and what it means there.

    Args:
        start: N in 1..1000; the level is that of timestep N - 1.
    """
    factor = contraction().factor
    value = factor[int(start) - 1].item()
    points = " ".join(f"{40 + 0.34 * t:.1f},{170 - 150 * factor[t]:.1f}" for t in range(0, len(factor), 20))
    x, y = 40 + 0.34 * start, 170 - 150 * value
    text = f"At N = {start} the factor √ᾱ_N is {value:.2f}: {value:.0%} of the estimate's error is left in x_N."
    caption = html.escape(text).replace("_N", "<sub>N</sub>")
    return f"""<figure class="drawing curve"><svg viewBox="0 0 400 210" role="img" aria-label="{html.escape(text)}">
<g class="axes"><path d="M40 20V170H380"/></g><polyline class="line" points="{points}"/>
<path class="mark" d="M{x:.1f} 170V{y:.1f}H40"/><circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>
<g class="words"><text x="22" y="24">1</text><text x="22" y="174">0</text><text x="40" y="188">0</text>
<text x="380" y="188">1000</text>
<text x="210" y="204">timestep t</text>
<text x="250" y="40">√ᾱ<tspan dy="3" font-size="10">t</tspan><tspan
dy="-3">, the part of the error that is left</tspan></text></g>
</svg><figcaption role="status">{caption}</figcaption></figure>"""


def notebooks(folder: Path) -> str:
    """Links to the notebooks in a folder, in new tabs; empty where there are none."""
    links = [link(f"notebooks/{path.name}", path.stem) for path in sorted(folder.glob("*.ipynb"))]
    return f"<p>Step by step in the notebooks: {' · '.join(links)}</p>" if links else ""


def link(place: str, text: str) -> str:
    """To a file of the repository, in a new tab: where a hosted Space shows it, elsewhere as the server has it.

    Args:
        place: in the repository, in one of the folders `SHOWN`.
        text: of the link.
    """
    space = os.environ.get("SPACE_ID")
    root = f"https://huggingface.co/spaces/{space}/blob/main/" if space else "files/"  # under the page's own address
    return f'<a href="{html.escape(root + quote(place))}" target="_blank" rel="noopener">{html.escape(text)}</a>'


def routes() -> list[Mount]:
    """What serves the folders that `link` leads to, without a word on where they are."""
    return [Mount(f"/files/{name}", StaticFiles(directory=ROOT / name, check_dir=False)) for name in SHOWN]
