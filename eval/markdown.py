"""Tables in Markdown."""


def markdown_grid(rows: list[list[str]], texts: int = 1) -> str:
    """Cells as a Markdown table: the first row is the head, the first `texts` columns are text, the others numbers."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * texts + " ---: |" * (len(rows[0]) - texts), *lines[1:]])
