"""The page's API as tools of assistants, by Gradio's MCP server, where its extra is installed."""

import ast
import asyncio
import base64
import json

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")
mcp = pytest.importorskip("mcp", reason="the extra mcp of gradio is not installed (pip install 'gradio[mcp]')")
from mcp.client.streamable_http import streamablehttp_client  # noqa: E402


def asked(address: str, *calls: tuple[str, dict]) -> tuple[dict, list]:
    """The tools by name, and the answers to calls, one after the other; a call may be a function of the last answer."""

    async def ask() -> tuple[dict, list]:
        async with (
            streamablehttp_client(f"{address}/gradio_api/mcp/") as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            answers: list = []
            for name, given in calls:
                given = given(answers[-1]) if callable(given) else given
                answers.append(await session.call_tool(name, given))
            return tools, answers

    return asyncio.run(ask())


@pytest.fixture
def sent(face) -> dict:
    """An aligned face as an assistant sends it."""
    return {"face": f"data:image/png;base64,{base64.b64encode(face.read_bytes()).decode()}", "aligned": True}


def test_every_endpoint_is_a_tool_with_the_fields_own_words(server):
    tools, _ = asked(server[0])
    assert len(tools) == 15 and {"restore", "restore_photo", "mask", "inpaint", "table", "astronaut"} <= {*tools}
    for tool in tools.values():
        assert len(tool.description) > 15
        assert all("." in field["description"] for field in tool.inputSchema["properties"].values()), tool.name
    assert "A number in 60..1000." in tools["restore"].inputSchema["properties"]["start"]["description"]


def test_a_hole_is_masked_and_filled_by_two_calls_and_no_file_stays_elsewhere(server, sent):
    def inpaint(mask) -> dict:
        return sent | {"painted": ast.literal_eval(mask.content[0].text), "steps": 20}

    _, answers = asked(server[0], ("mask", sent | {"kind": "half"}), ("inpaint", inpaint))
    assert "50% of the face was missing" in str(answers[1].content)
    assert [path.name for path in (server[1] / "files").glob("*/file.*")] == []  # but in the server's own folder


@pytest.mark.parametrize("path", ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:9/a.png"])
def test_no_file_and_no_address_is_read(server, path):
    smuggled = {"path": path, "meta": {"_type": "gradio.FileData"}}
    painted = {"background": None, "layers": [smuggled], "composite": None}
    calls = [("restore", {"face": path}), ("restore", {"face": smuggled}), ("batch", {"files": [path]})]
    face = {"face": json.dumps(smuggled)}
    _, answers = asked(server[0], *calls, ("restore", face), ("inpaint", face | {"painted": painted}))
    for answer in answers:
        assert answer.isError and "root:" not in str(answer.content), answer
