"""A command looks at a store once: what it opens and lists, counted on a disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.toys import Toy

import orchestrator
from orchestrator.store.files import Files
from orchestrator.store.parts import MERGED

LISTING = ("stamps", "whole_tree", "folders")
OPENING = ("open", "read")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count how often each file is opened, and each folder listed."""
    counts: Counter[str] = Counter()

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(Files, name)

        def look(files: Files, target: str = "") -> Any:
            counts[f"{files.root}/{target}"] += 1
            return original(files, target) if target else original(files)

        return look

    for name in (*LISTING, *OPENING):
        monkeypatch.setattr(Files, name, counted(name))
    return counts


@pytest.fixture
def finished(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run a sweep to its end beside another one, and return its file."""
    monkeypatch.chdir(toy.folder)
    other = toy.changed("name: toy", "name: other")
    for file in (other, toy.file):
        orchestrator.run(file, runner="inline", progress=False)
    return toy.file


def test_a_run_with_nothing_to_do_opens_a_file_and_lists_a_folder_at_most_twice(
    finished: Path, looks: Counter[str]
) -> None:
    results = orchestrator.run(finished, runner="inline", progress=False)
    results.tables()
    assert results.missing == []
    assert sum(MERGED in name for name in looks) == 3
    assert {name: count for name, count in looks.items() if count > 2} == {}


def test_a_run_with_nothing_to_do_does_not_look_at_other_stores(
    finished: Path, looks: Counter[str]
) -> None:
    orchestrator.run(finished, runner="inline", progress=False)
    assert [name for name in looks if "/other/" in name] == []


def test_results_read_a_merged_file_once_beside_its_footer(
    finished: Path, looks: Counter[str]
) -> None:
    results = orchestrator.open_store(finished.with_name("results") / "toy")
    assert (len(results.trials), len(results.epochs)) == (16, 32)
    assert len(results.probes("chance")) == 32
    results.tables()
    merged = {name: count for name, count in looks.items() if MERGED in name}
    assert list(merged.values()) == [2, 2, 2]
