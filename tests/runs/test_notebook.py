"""The notebook of the documentation, run by a real kernel, with trials on a real Ray."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs/notebook.ipynb"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
        patch.setenv("PYTHONWARNINGS", "default")  # a kernel's own warnings are not ours
        NotebookClient(
            notebook, timeout=600, resources={"metadata": {"path": str(folder)}}
        ).execute()
    return notebook


def outputs(notebook: nbformat.NotebookNode, mime: str) -> list[str]:
    """List what cells show for themselves, of one kind."""
    return [
        output["data"][mime]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "execute_result" and mime in output["data"]
    ]


def streams(notebook: nbformat.NotebookNode, name: str) -> str:
    return "".join(
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream" and output["name"] == name
    )


def test_it_shows_what_the_repository_has(ran: nbformat.NotebookNode) -> None:
    shown = nbformat.read(NOTEBOOK, as_version=4)
    assert outputs(ran, "text/plain")[:2] == outputs(shown, "text/plain")[:2]
    table, findings, figure, *_ = outputs(ran, "text/html")
    assert "<caption>schedules: loss, probe:slope</caption>" in table
    assert "shrinking less than constant" in findings
    assert figure.startswith("<svg")


def test_it_prints_nothing_but_progress(ran: nbformat.NotebookNode) -> None:
    assert streams(ran, "stdout") == "Writing line_fit.py\n"
    assert streams(ran, "stderr") == ""
    progress = [
        output["data"]["text/plain"]
        for output in ran.cells[3]["outputs"]
        if output["output_type"] == "display_data"
    ]
    assert any("30 of 30 trials done" in text for text in progress)
