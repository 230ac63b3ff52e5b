"""The code of a trial: which files count, what they hold, and whether they are still the same."""

from __future__ import annotations

import ast
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commands import orch
from support.sharing import sweep_in

from orchestrator.code import (
    Archive,
    Content,
    Currency,
    Manifest,
    Scope,
    code_of,
    program_path,
)
from orchestrator.code.manifest import LARGEST
from orchestrator.code.trees import is_same
from orchestrator.errors import InputError, TrainableError
from orchestrator.spec import Sweep, load
from orchestrator.store.archives import Archives, archive_file
from orchestrator.store.files import Files
from orchestrator.store.sweep_code import read_code, require_code


class Place:
    """A working folder, and what Python imports from it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, patch
        folder.mkdir(exist_ok=True)
        patch.setattr(sys, "path", [str(folder), *sys.path])

    def write(self, files: Mapping[str, str]) -> None:
        """Write the texts of files, by path."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def import_also_from(self, folder: Path) -> None:
        """Add a folder to the import path, as an editable install and PYTHONPATH do."""
        self._patch.setattr(sys, "path", [*sys.path, str(folder)])

    def scope(self, *excluded: Path) -> Scope:
        return Scope(str(self.folder), tuple(map(str, excluded)))

    def code(self, module: str = "fit", *globs: str, excluded: tuple[Path, ...] = ()) -> Archive:
        return code_of(module, self.scope(*excluded), globs)

    def run(self, *command: str, excluded: tuple[Path, ...] = (), **keys: Any) -> Manifest:
        """Read the code of a sweep that runs a command."""
        return read_code(self.sweep(*command, **keys), self.scope(*excluded)).manifest

    def sweep(self, *command: str, **keys: Any) -> Sweep:
        base = {"name": "run", "seeds": [0, 1], "factors": {"set": ["a", "b"]}}
        base |= {"command": [*command, "--{params}"], "select": {"metric": "score"}}
        return load(base | keys)

    def names(self, module: str = "fit", *globs: str) -> set[str]:
        return set(self.code(module, *globs).manifest.files)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path / "work", monkeypatch)


# Which files count.


def test_imports_are_followed_wherever_they_stand(place: Place) -> None:
    place.write(
        {
            "fit.py": "import model\ndef train(params, trial):\n    from losses import loss\n",
            "model.py": "try:\n    import layers.deep\nexcept ImportError:\n    layers = None\n",
            "losses.py": "",
            "layers/__init__.py": "from . import wide",
            "layers/deep.py": "",
            "layers/wide.py": "",
            "layers/unused.py": "",
            "unrelated.py": "",
        }
    )
    assert place.names() == {
        *("fit.py", "model.py", "losses.py"),
        *("layers/__init__.py", "layers/deep.py", "layers/wide.py", "layers/unused.py"),
    }


def test_a_namespace_folder_counts_whole(place: Place) -> None:
    place.write(
        {
            "fit.py": "from parts.head import HEAD",
            "parts/head.py": "HEAD = 1",
            "parts/more/tail.py": "",
        }
    )
    assert place.names() == {"fit.py", "parts/head.py", "parts/more/tail.py"}


def test_modules_that_import_each_other_are_read_once(place: Place) -> None:
    place.write({"fit.py": "import model", "model.py": "import fit"})
    assert place.names() == {"fit.py", "model.py"}


def test_the_module_of_an_entry_within_a_package_brings_the_package(place: Place) -> None:
    place.write(
        {"lab/__init__.py": "", "lab/runs/fit.py": "from ..data import load", "lab/data.py": ""}
    )
    assert place.names("lab.runs.fit") == {"lab/__init__.py", "lab/runs/fit.py", "lab/data.py"}


def test_a_file_that_does_not_parse_counts_as_it_is(place: Place) -> None:
    place.write({"fit.py": "import lab", "lab/__init__.py": "", "lab/draft.py": "def ("})
    assert "lab/draft.py" in place.names()


def test_what_is_installed_does_not_count(place: Place) -> None:
    place.write({"fit.py": "import json, numpy, orchestrator, vendored, absent_altogether"})
    installed = place.folder / ".venv/lib/site-packages"
    installed.mkdir(parents=True)
    (installed / "vendored.py").write_text("")
    place.import_also_from(installed)
    assert place.names() == {"fit.py"}


def test_what_lies_in_another_folder_is_named_from_its_entry_of_the_path(
    place: Place, tmp_path: Path
) -> None:
    (tmp_path / "checkout/shared").mkdir(parents=True)
    (tmp_path / "checkout/shared/__init__.py").write_text("")
    (tmp_path / "checkout/alone.py").write_text("")
    place.import_also_from(tmp_path / "checkout")
    place.write({"fit.py": "import shared, alone"})
    code = place.code()
    assert set(code.manifest.files) == {"fit.py", "shared/__init__.py", "alone.py"}
    assert not list(Currency(place.scope()).differences(code))
    (tmp_path / "checkout/alone.py").write_text("A = 1")
    (difference,) = Currency(place.scope()).differences(code)
    assert difference.text == "alone.py differs"


def test_another_checkout_has_the_same_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for name in ("one", "other"):
        with monkeypatch.context() as patch:
            place = Place(tmp_path / name, patch)
            place.write({"fit.py": "import model", "model.py": "B = 1", "conf/base.py": ""})
            digests.append(place.code("fit", "conf/*").digest)
    assert len(set(digests)) == 1


def test_a_module_that_is_nowhere_is_refused_in_words(place: Place) -> None:
    with pytest.raises(TrainableError, match="the module `nowhere` cannot be found from"):
        place.code("nowhere")


# What commands run.


def test_a_script_imports_from_its_own_folder_first_then_from_the_working_folder(
    place: Place,
) -> None:
    place.write(
        {
            "scripts/fit.py": "import model, layers, time, json\nimport queue\n",
            "scripts/model.py": "from losses import loss",
            "scripts/losses.py": "",
            "scripts/queue.py": "",
            "scripts/time.py": "",
            "model.py": "",
            "layers/__init__.py": "",
            "unrelated.py": "",
        }
    )
    found = place.run("python", "-u", "./scripts/fit.py", "--out={trial.folder}/fit.py")
    own = {"scripts/fit.py", "scripts/model.py", "scripts/losses.py", "scripts/queue.py"}
    assert set(found.files) == {*own, "layers/__init__.py"}, "`time` is built in"
    assert found.words == ()


def test_a_module_after_m_is_run_from_the_working_folder(place: Place) -> None:
    place.write({"lab/__init__.py": "", "lab/fit_a.py": "import losses", "losses.py": ""})
    found = place.run("torchrun", "-m", "lab.fit_{set}", "-m", "not.there")
    assert set(found.files) == {"lab/__init__.py", "lab/fit_a.py", "losses.py"}


def test_a_file_counts_that_some_trials_word_names(place: Place, tmp_path: Path) -> None:
    (tmp_path / "beyond").write_text("")
    named = {"conf/a.yaml", "conf/b.yaml", "data/0.bin", "data/1.bin", "fit.sh", "seen.txt", "a"}
    unnamed = {"conf/c.yaml", "data/2.bin", "results/a.txt", ".venv/lib/x.txt", "python", "out/a"}
    place.write(dict.fromkeys([*named, *unnamed], ""))
    (place.folder / "link").symlink_to(tmp_path / "beyond")
    (place.folder / "fit.sh").chmod(0o755)
    found = place.run(
        *("./fit.sh", "--conf=conf/{set}.yaml", "data={set}=data/{seed}.bin", "seen.txt"),
        *("results/a.txt", ".venv/lib/x.txt", "link", str(tmp_path / "beyond"), "x" * 5000),
        *("out", "{trial.folder}/seen.txt", "conf/{trial.id}c.yaml"),
        excluded=(place.folder / "results",),
        code=["seen*"],
    )
    assert set(found.files) == named
    assert found.words == ("a", "conf/a.yaml", "conf/b.yaml", "data/0.bin", "data/1.bin")
    assert set(place.run("python", str(place.folder / "out/a")).files) == {"out/a", "a"}


def test_only_a_manifest_that_words_add_to_tells_of_them(place: Place) -> None:
    place.write({"fit.py": "", "x.txt": ""})
    assert "words" not in place.code().manifest.as_dict()
    assert place.run("python", "fit.py", "x.txt").as_dict()["words"] == ["x.txt"]


def test_a_program_that_cannot_be_started_is_refused_with_its_line(place: Place) -> None:
    place.write({"fit.sh": "", "fit_a.sh": "", "bin/x": ""})
    (place.folder / "fit_a.sh").chmod(0o755)
    for program, said in {
        "nowhere-at-all": f"the program `nowhere-at-all` is not found in {ENVIRONMENT}, nor on",
        "fit.sh": "; the file of the working folder is `./fit.sh`",
        "./fit.sh": "fit.sh is not executable: run `chmod +x ./fit.sh`, or put the program that",
        "./none.sh": f"the program {place.folder}/none.sh is not found",
        "./bin": f"the program {place.folder}/bin is a folder",
        "./fit_{set}.sh": f"the program {place.folder}/fit_b.sh is not found",
    }.items():
        with pytest.raises(TrainableError) as caught:
            require_code(place.sweep(program), place.scope())
        assert str(caught.value).startswith("the sweep's mapping: `command[0]`: ")
        assert said in str(caught.value)
    require_code(place.sweep("./fit_a.sh"), place.scope())


ENVIRONMENT = Path(sys.executable).parent


def test_programs_are_those_of_this_python_before_those_on_path(place: Place) -> None:
    place.write({"python": ""})
    (place.folder / "python").chmod(0o755)
    path = program_path({"PATH": str(place.folder)})
    assert shutil.which("python", path=path) == str(ENVIRONMENT / "python")
    assert program_path({}).split(os.pathsep)[0] == str(ENVIRONMENT)


# Globs.


def test_globs_reach_into_folders_but_not_hidden_ones_stores_or_the_sweep_file(
    place: Place,
) -> None:
    place.write({"fit.py": ""})
    kept = ("a.json", "conf/b.json", "conf/deep/c.json")
    left_out = ("results/d.json", ".venv/e.json", "conf/.hidden/f.json", "sweep.json")
    for name in (*kept, *left_out):
        path = place.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    excluded = (place.folder / "results", place.folder / "sweep.json")
    code = place.code("fit", "**/*.json", excluded=excluded)
    assert code.manifest.globs == {"**/*.json": kept}
    assert set(code.manifest.files) == {"fit.py", *kept}


@pytest.mark.parametrize("pattern", ["../*.json", "conf/../../x", "/etc/*"])
def test_a_glob_that_leaves_the_folder_is_refused(place: Place, pattern: str) -> None:
    with pytest.raises(InputError, match="leaves the working folder"):
        place.scope().match(pattern)


def test_a_link_does_not_lead_out_of_the_folder(place: Place, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (place.folder / "link.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InputError, match=r"link\.json is a link"):
        place.scope().match("*.json")


# What makes code stale.


def differences(place: Place, code: Archive) -> list[str]:
    return [difference.text for difference in Currency(place.scope()).differences(code)]


def test_each_way_in_which_files_differ_is_told(place: Place) -> None:
    place.write({"fit.py": "import lab", "lab/__init__.py": "A = 1", "lab/model.py": ""})
    (place.folder / "base.json").write_text("1")
    code = place.code("fit", "*.json")
    assert differences(place, code) == []
    (place.folder / "more.json").write_text("2")
    assert differences(place, code) == ["`*.json` now matches more.json"]
    (place.folder / "more.json").unlink()
    (place.folder / "base.json").write_text("1 ")
    assert differences(place, code) == ["base.json differs"]
    (place.folder / "base.json").unlink()
    told = ["base.json is gone", "`*.json` no longer matches base.json"]
    assert differences(place, code) == told
    (place.folder / "base.json").write_text("1")
    place.write({"lab/__init__.py": "A = 2"})
    assert differences(place, code) == ["lab/__init__.py differs"]


def test_code_without_a_manifest_is_never_current(place: Place) -> None:
    place.write({"fit.py": ""})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("fit.py", "")
    for data in (buffer.getvalue(), b"no zip", None):
        why = Currency(place.scope()).why_stale("digest", lambda _, data=data: Archive.read(data))
        assert why == "the store does not have the files of its code"


NAMES = st.sampled_from(["a", "b", "rate", "total"])
VALUES = st.recursive(
    st.one_of(
        NAMES,
        st.integers(0, 9).map(str),
        st.floats(0, 9).map(repr),
        st.text("ab #'\"\\\n", max_size=4).map(repr),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    ),
    max_leaves=5,
)
STATEMENTS = st.tuples(NAMES, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}")
PROGRAMS = st.lists(STATEMENTS, min_size=1, max_size=6)


@given(statements=PROGRAMS, data=st.data())
def test_comments_and_layout_make_nothing_stale(statements: list[str], data: Any) -> None:
    before, lines = "\n".join(statements), []
    for statement in statements:
        lines += data.draw(st.lists(st.sampled_from(["", "# a = 1", "    # note"]), max_size=2))
        lines.append(statement + data.draw(st.sampled_from(["", "  ", " # said", ";"])))
    assert is_same("fit.py", before.encode(), "\n".join(lines).encode())
    assert is_same("fit.py", before.encode(), ast.unparse(ast.parse(before)).encode())


@given(one=PROGRAMS, other=PROGRAMS)
def test_any_other_tree_is_another_version(one: list[str], other: list[str]) -> None:
    first, second = "\n".join(one), "\n".join(other)
    same = ast.unparse(ast.parse(first)) == ast.unparse(ast.parse(second))
    assert is_same("fit.py", first.encode(), second.encode()) == same


def test_what_is_no_python_differs_by_any_byte() -> None:
    assert not is_same("base.yaml", b"a: 1", b"a: 1  # the same")
    assert not is_same("broken.py", b"def (", b"def (  # as broken")


# What is kept.


def git(folder: Path, *words: str) -> str:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull}
    who |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **who}, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_archive_holds_the_files_the_commit_and_the_changes_to_them(place: Place) -> None:
    place.write({"fit.py": "import model", "model.py": "BASE = 0.5\n", "other.py": "A = 1\n"})
    git(place.folder, "init")
    git(place.folder, "add", ".")
    git(place.folder, "commit", "-m", "first")
    clean = place.code()
    place.write({"model.py": "BASE = 0.9\n", "other.py": "A = 2\n"})
    edited = place.code()

    with zipfile.ZipFile(io.BytesIO(clean.data)) as archive:
        assert set(archive.namelist()) == {"manifest.json", "files/fit.py", "files/model.py"}
    with zipfile.ZipFile(io.BytesIO(edited.data)) as archive:
        head = json.loads(archive.read("manifest.json"))
        changes = archive.read("changes.diff").decode()
        assert archive.read("files/model.py") == b"BASE = 0.9\n"
    assert head["commit"] == git(place.folder, "rev-parse", "HEAD")
    assert head["files"]["model.py"] == list(Content.of(b"BASE = 0.9\n"))
    assert "-BASE = 0.5\n+BASE = 0.9\n" in changes
    assert "other.py" not in changes
    assert place.code().data == edited.data


def test_a_large_file_counts_by_its_digest_alone(place: Place) -> None:
    place.write({"fit.py": ""})
    large = place.folder / "table.bin"
    large.write_bytes(b"\0" * (LARGEST + 1))
    code = place.code("fit", "*.bin")
    assert code.manifest.files["table.bin"] == Content.of_file(large)
    assert code.content("table.bin") is None
    assert len(code.data) < 10_000
    assert differences(place, code) == []
    with large.open("r+b") as stream:
        stream.write(b"\1")
    assert differences(place, code) == ["table.bin differs"]


def test_files_that_a_trial_adds_are_kept_beside_the_others(place: Place) -> None:
    place.write({"fit.py": "A = 1"})
    code = place.code()
    more = code.but((), {"late.py": b"B = 2"})
    assert set(more.manifest.files) == {"fit.py", "late.py"}
    assert (more.content("fit.py"), more.content("late.py")) == (b"A = 1", b"B = 2")
    assert more.digest != code.digest


@given(
    files=st.dictionaries(st.text("ab./", min_size=1), st.binary(max_size=8), max_size=4),
    globs=st.dictionaries(st.text("*a", min_size=1), st.tuples(st.text("ab"))),
    words=st.lists(st.text("ab")).map(tuple),
)
def test_a_manifest_survives_its_archive(
    files: dict[str, bytes], globs: dict[str, tuple[str, ...]], words: tuple[str, ...]
) -> None:
    manifest = Manifest({name: Content.of(data) for name, data in files.items()}, globs, words)
    assert Archive(Archive.pack(manifest, files, None).data).manifest == manifest


def test_damage_anywhere_in_an_archive_ends_no_reader_and_is_mended(tmp_path: Path) -> None:
    contents = {"fit.py": b"RATE = 0.1\n" * 3}
    manifest = Manifest({name: Content.of(data) for name, data in contents.items()}, {})
    whole = Archive.pack(manifest, contents, None)
    files = Files(str(tmp_path))
    files.make_folder("code")
    name = archive_file(whole.digest)
    harmless = 0
    for place, bit in itertools.product(range(len(whole.data)), range(8)):
        damaged = bytearray(whole.data)
        damaged[place] ^= 1 << bit
        read = Archive.read(bytes(damaged))
        harmless += read is not None and read.content("fit.py") == contents["fit.py"]
        assert read is None or read.content("fit.py") in {None, contents["fit.py"]}
    assert harmless < 4 * len(whole.data)
    files.write(name, whole.data[:100])
    Archives(files).write(whole)
    assert files.read(name) == whole.data


def test_a_store_that_lost_its_sources_makes_those_of_another_one_no_staler(place: Place) -> None:
    place.write({"fit.py": ""})
    code = place.code()
    currency = Currency(place.scope())
    assert currency.why_stale("digest", lambda _: None) is not None
    assert currency.is_current("digest", lambda _: code)


def test_a_store_without_its_sources_is_asked_for_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_in(tmp_path)
    (lost,) = (tmp_path / "results/noise/code").glob("*.zip")
    lost.unlink()
    asked, read = [], Archives.read

    def noted(archives: Archives, digest: str) -> Archive | None:
        asked.append(digest)
        return read(archives, digest)

    monkeypatch.setattr(Archives, "read", noted)
    counts = json.loads(orch(tmp_path, "plan", "noise.yaml", "--json").stdout)
    assert (counts["done"], counts["stale"]) == (10, 10)
    assert asked == [lost.stem]
