"""Tables and sessions of the documentation that tests measure and write."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def rewrite(name: str, text: str, *, by: str = "make test-cluster") -> None:
    """Replace the text between the marks of a page.

    Args:
        name: of the page.
        text: what it is to hold there.
        by: who writes it, as the first mark says.
    """
    page = DOCS / name
    start, end = f"<!-- made by {by} -->", "<!-- end -->"
    before, _, rest = page.read_text().partition(start)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{start}\n{text}\n{end}{after}")
