"""Marks of numbers whose trials ran different code, or with different packages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.code import Archive, Content, Manifest
from orchestrator.results.marks import OTHER_CODE, OTHER_PACKAGES, End, marks_of
from orchestrator.results.origins import Origin, Origins
from orchestrator.store.archives import Archives
from orchestrator.store.files import Files


@pytest.fixture
def archives(tmp_path: Path) -> Archives:
    (tmp_path / "code").mkdir()
    return Archives(Files(str(tmp_path)))


def code(archives: Archives, **files: str) -> str:
    """Keep some code, and return its digest."""
    contents = {f"{name}.py": text.encode() for name, text in files.items()}
    manifest = Manifest({name: Content.of(data) for name, data in contents.items()}, {})
    archives.write(Archive.pack(manifest, contents, None))
    return manifest.digest


def signs(archives: Archives, *origins: Origin) -> list[tuple[str, str]]:
    ends = {str(index): End("completed", 3, origin) for index, origin in enumerate(origins)}
    return list(marks_of(ends, ends, Origins(archives)).remarks())


def test_code_is_marked_where_a_file_of_both_trials_means_something_else(
    archives: Archives,
) -> None:
    first = Origin(code(archives, fit="A = 1", model="B = 1"), None)
    other = Origin(code(archives, fit="A = 1", model="B = 2"), None)
    (mark,) = signs(archives, first, other)
    assert mark == (OTHER_CODE, "its trials ran different code (model.py)")
    assert signs(archives, first, first) == []


@pytest.mark.parametrize("files", [{"fit": "A = (1)  # one"}, {"fit": "A = 1", "late": "C = 3"}])
def test_code_is_not_marked_for_comments_or_a_file_of_one_trial_alone(
    archives: Archives, files: Mapping[str, str]
) -> None:
    first = Origin(code(archives, fit="A = 1"), None)
    assert signs(archives, first, Origin(code(archives, **files), None)) == []


def test_packages_are_marked_where_both_trials_had_loaded_other_versions(
    archives: Archives,
) -> None:
    archives.write_environment("a", {"python": "3.11", "packages": {"numpy": "1", "pandas": "1"}})
    archives.write_environment("b", {"python": "3.12", "packages": {"numpy": "2", "scipy": "1"}})
    archives.write_environment("c", {"python": "3.11", "packages": {"scipy": "1"}})
    origins = [Origin("code", name) for name in "abc"]
    text = "its trials ran with other versions of Python, numpy"
    assert signs(archives, *origins[:2]) == [(OTHER_PACKAGES, text)]
    assert signs(archives, origins[0], origins[2]) == []
    assert signs(archives, origins[0], Origin("code", None)) == []
