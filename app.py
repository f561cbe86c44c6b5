"""The Space: `python app.py` builds the page of `space` and serves it."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import gradio as gr
from filelock import FileLock, Timeout

from difface.profiles import restoring_estimator
from space import about
from space.page import SCRIPT, STYLE, THEME, build
from space.shared import EXAMPLES, best_profile, fetch_detector, keep_clean, spaces, warm_up

MAX_UPLOAD = "64mb"
FOLDER, LOCK = "difface-", "lock"
"""Prefix of a server's folder, and the file in it that it holds while it runs."""
HAS_MCP = find_spec("mcp") is not None
"""Whether assistants can take the API as their tools: `pip install "gradio[mcp]"`."""


def serve(page: gr.Blocks, port: int | None, **options) -> tuple:
    """Start the server; `options` are Gradio's, `server_name` and `root_path` among them."""
    return page.launch(
        server_port=port,
        theme=THEME,
        css=STYLE.read_text(encoding="utf-8"),
        js=SCRIPT.read_text(encoding="utf-8"),
        max_file_size=MAX_UPLOAD,
        allowed_paths=[str(EXAMPLES)],
        app_kwargs={"routes": about.routes()},
        footer_links=["api"],
        run_history=False,
        mcp_server=HAS_MCP,
        enable_monitoring=False,
        ssr_mode=False,
        **options,
    )


def delete_abandoned(parent: Path) -> None:
    """Delete the folders of servers that are no more: nobody holds their locks."""
    for lock in parent.glob(f"{FOLDER}*/{LOCK}"):
        with suppress(Timeout, OSError), FileLock(lock, blocking=False):
            shutil.rmtree(lock.parent, ignore_errors=True)


@contextmanager
def own_folder() -> Iterator[None]:
    """Gradio's files are in a folder of its own, in `GRADIO_TEMP_DIR` if set: kept clean, in the end deleted, and where
    the server was killed, deleted by the next.
    """
    parent = os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()
    os.makedirs(parent, exist_ok=True)
    delete_abandoned(Path(parent))
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(0)
    )  # as hosts stop a server: by an exception, so that the folder goes
    with (
        tempfile.TemporaryDirectory(prefix=FOLDER, dir=parent, ignore_cleanup_errors=True) as folder,
        FileLock(Path(folder, LOCK)),
    ):
        os.environ["GRADIO_TEMP_DIR"] = folder
        if HAS_MCP:
            from gradio import mcp

            mcp.DEFAULT_TEMP_DIR = folder  # it has looked for the folder already, as Gradio was imported
        ended = Event()
        keep_clean(ended)
        try:
            yield
        finally:
            ended.set()


def main() -> None:
    """Parse, build, serve."""
    parser = argparse.ArgumentParser(description="Serve the page of DifFace Studio.")
    parser.add_argument(
        "--profile",
        help="small, tiny, ffhq512 or a folder of `difface assemble`; DIFFACE_PROFILE, else the best there is",
    )
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--port", type=int, default=port, help="GRADIO_SERVER_PORT, else 7860")
    parser.add_argument(
        "--host", help="address to listen at, 0.0.0.0 for the whole network; GRADIO_SERVER_NAME, else 127.0.0.1"
    )
    parser.add_argument("--root-path", help="path under which a proxy serves the page, such as /faces")
    arguments = parser.parse_args()
    profile = arguments.profile or os.environ.get("DIFFACE_PROFILE") or best_profile()
    try:
        restoring_estimator(profile)
    except ValueError as error:
        parser.error(f"{'--profile' if arguments.profile else 'DIFFACE_PROFILE'}: {error}")
    if not 0 < arguments.port < 2**16:
        parser.error(f"--port is {arguments.port}; 1 to {2**16 - 1} are accepted: choose one of these.")
    with own_folder():
        fetch_detector()
        page = build(profile)
        if spaces is None:  # ZeroGPU lends its GPU to requests only
            warm_up(profile)
        try:
            serve(page, arguments.port, server_name=arguments.host, root_path=arguments.root_path)
        except OSError:
            parser.error(
                f"the port {arguments.port} cannot be used; a free one is accepted: choose another with --port."
            )


__all__ = ["build", "main", "serve"]

if __name__ == "__main__":
    main()
