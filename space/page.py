"""The page: its head, its tabs, and how it looks."""

from pathlib import Path

import gradio as gr

from difface import profiles
from space import about, address, answers, api, entry, inpaint, paper, photo, restore, shared, widgets, worse

MAX_WAITING = 40
THEME = gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]).set(
    color_accent="*primary_600",
    block_label_text_color="*primary_700",
    block_title_text_color="*primary_700",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    checkbox_label_background_fill_selected="*primary_600",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_300",
)  # no font is fetched, and every text stands out from its ground
STYLE = Path(__file__).with_name("page.css")
SCRIPT = Path(__file__).with_name("page.js")

HEAD = """
# DifFace Studio
Blurred, noisy and blocky **faces** come back sharp: a model that knows faces draws what is lost.
"""
BANNER = "Answered by **{name}** at **{size} × {size} pixels**."
FOOT = """
Nothing you upload is kept: it is used for your request only, and deleted from this server within {minutes} minutes.
Method: DifFace (Yue and Loy, TPAMI 2024), on Hugging Face diffusers. Weights: {licence}. Transparent parts of a picture
are laid on white. Where InsightFace's SCRFD finds the faces, its model is for non-commercial research.
"""


TABS = ("restore", "photo", "inpaint", "answers", "worse", "paper", "about")
"""Their names in an address."""
REMEMBER_TAB = """() => setTimeout(() => {
  const chosen = document.querySelector("[role=tab][aria-selected=true]");
  const address = new URL(location);
  address.searchParams.set("tab", chosen.dataset.tabId);
  history.replaceState(history.state, "", address);
})"""
"""The tab stands in the address, so that a link leads to it."""


def build(profile_name: str = profiles.DEFAULT, examples: Path = shared.EXAMPLES) -> gr.Blocks:
    """The page.

    Args:
        profile_name: one that restores without a mask; its networks are loaded by `shared.warm_up` or the first
            request.
        examples: folder of faces to click on, with whole photos in its folder photos; may be empty or missing.
    """
    profile, minutes = profiles.profile(profile_name), sum(shared.CLEANING) // 60
    if shared.spaces is not None:
        shared.pipeline_for(profile_name)  # ZeroGPU forks: what a request loads is gone after it
        inpaint.load(profile)
    with entry.Page(title="DifFace Studio", analytics_enabled=False, delete_cache=shared.CLEANING) as page:
        gr.Markdown(HEAD, elem_classes="head")
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            with gr.Tab("Restore a face", id="restore"):
                single = restore.tab(profile, examples)
            with gr.Tab("Whole photo", id="photo"):
                of_photo = photo.tab(profile, examples / "photos", single, tabs)
            with gr.Tab("Inpaint", id="inpaint"):
                to_inpaint = inpaint.tab(profile, examples)
            with gr.Tab("Several answers", id="answers"):
                of_answers = answers.tab(profile, examples, single, tabs)
            with gr.Tab("Make it worse", id="worse"):
                to_worse = worse.tab(profile)
            with gr.Tab("The paper", id="paper"):
                paper.tab(profile)
            with gr.Tab("How it works", id="about"):
                about.tab(profile, minutes)
        restore.send(single, {"inpaint": to_inpaint, "worse": to_worse}, tabs)
        address.remember(page, {"restore": single.settings, "photo": of_photo, "answers": of_answers})
        tabs.change(None, js=REMEMBER_TAB, api_name="remember_tab", **widgets.PRIVATE)
        page.load(_tab_of, None, tabs, api_name="tab_of_address", **widgets.PRIVATE)
        gr.Markdown(_banner(profile), elem_id="banner")
        gr.Markdown(FOOT.format(minutes=minutes, licence=profile.licence), elem_classes="foot")
    api.document(page)
    return page.queue(max_size=MAX_WAITING, default_concurrency_limit=1)


def _banner(profile: profiles.Profile) -> str:
    name = restore.NAMES.get(profile.name, f"the networks in {profiles.label(profile.name)}")
    return BANNER.format(name=name, size=profile.size)


def _tab_of(request: gr.Request) -> dict:
    """The tab that the address names; another name changes nothing."""
    wanted = request.query_params.get("tab")
    return gr.Tabs(selected=wanted) if wanted in TABS else gr.skip()
