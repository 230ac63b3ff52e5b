"""What the documentation shows was run.

The fenced blocks of a page run in order, in a folder of their own. ``sh`` and ``python`` blocks
are run, those with a ``title`` are written to a file of that name, and other ``yaml`` blocks
are laid over the quickstart's sweep file, which must load. A ``text`` block after one that ran
is what it printed. Comments before a block say what is special about it::

    <!-- exits 2 -->                    the last command of the block ends with this code
    <!-- digits vary -->                words are compared, numbers are another machine's
    <!-- not run: it needs a GPU -->    only that commands, options and files exist
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from ruamel.yaml import YAML
from support import commands

from orchestrator.cli.main import main
from orchestrator.spec import loading as spec

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
FIRST = "first-sweep.md"
"""The page whose sweep the other pages read."""

FENCE = re.compile(
    r'(?P<notes>(?:^<!-- [^\n]* -->\n)*)^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block and what its page says of it."""

    place: str
    language: str
    title: str | None
    text: str
    notes: str

    @property
    def code(self) -> int:
        found = re.search(r"<!-- exits (\d+) -->", self.notes)
        return int(found[1]) if found else 0

    @property
    def is_run(self) -> bool:
        return "<!-- not run: " not in self.notes


def blocks(page: str) -> list[Block]:
    text = (DOCS / page).read_text()
    return [
        Block(
            f"{page}, line {text.count(chr(10), 0, found.start('language')) + 1}",
            found["language"],
            found["title"],
            found["text"],
            found["notes"],
        )
        for found in FENCE.finditer(text)
    ]


class Reader:
    """Someone who types a page into a terminal, from top to bottom."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {}

    def read(self, page: str) -> None:
        printed = ""
        for block in blocks(page):
            if not block.language:
                continue  # a sketch
            if block.language == "text":
                check_shown(block, printed)
            elif not block.is_run:
                check_exists(block)
            else:
                printed = self.run(block)

    def run(self, block: Block) -> str:
        if block.title:
            (self.folder / block.title).write_text(block.text)
            return ""
        match block.language:
            case "yaml":
                check_fragment(block)
                return ""
            case "python":
                return self.python(block)
            case "sh":
                return self.shell(block)
            case other:
                raise AssertionError(f"{block.place}: nothing is known of `{other}` blocks")

    def python(self, block: Block) -> str:
        out = io.StringIO()
        with commands.as_in_a_new_process(self.folder), contextlib.redirect_stdout(out):
            sys.path.insert(0, str(self.folder))
            exec(compile(block.text, block.place, "exec"), self.names)  # noqa: S102
        return out.getvalue()

    def shell(self, block: Block) -> str:
        code, out, err = 0, "", ""
        for line in block.text.replace("\\\n", " ").splitlines():
            assert code == 0, f"{block.place}: {out}{err}"
            code, printed, err = self.command(line)
            out += printed
        assert code == block.code, f"{block.place}: exit code {code}\n{out}{err}"
        return out if out or not code else err

    def command(self, line: str) -> tuple[int, str, str]:
        """Run one line: `orch` in this process, which spares its imports, else by a shell."""
        words = shlex.split(line, comments=True)
        if words[:1] != ["orch"]:
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=False,
            )
            return done.returncode, done.stdout, done.stderr
        arguments, target = words[1:], None
        if arguments[-2:-1] == [">"]:
            *arguments, _, target = arguments
        if arguments[0] == "sweep" and "--runner" not in arguments:
            arguments += ["--runner", "inline"]
        done = commands.orch(self.folder, *arguments)
        if target is None:
            return done.exit_code, done.stdout, done.stderr
        (self.folder / target).write_text(done.stdout)
        return done.exit_code, "", done.stderr


def check_shown(block: Block, printed: str) -> None:
    """Find what a page shows, in pieces where it leaves something out, in what was printed."""
    vary = "<!-- digits vary -->" in block.notes
    printed = plain(printed, vary)
    position = 0
    for piece in re.split(r"^…\n", block.text, flags=re.MULTILINE):
        shown = plain(piece, vary)
        found = printed.find(shown, position)
        assert found >= 0, f"{block.place} shows\n{piece}\nwhich is not printed:\n{printed}"
        position = found + len(shown)


def plain(text: str, vary: bool) -> str:
    """Drop what depends on the folder, and where digits vary, on the machine too."""
    text = re.sub(r"(/\S+)?/(?=results/)", "", text)
    if vary:
        text = re.sub(r"\b[0-9a-f]{16}\b", "ID", text).replace("(within noise)", "")
        text = re.sub(r"[-+]?\d[\d.,]*|[─-╿]+|±", " ", text)
        return " ".join(text.split())
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def check_exists(block: Block) -> None:
    """Check that the commands of a block that is not run exist, and the files they name."""
    if block.language != "sh":
        return
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        for word in words:
            assert not word.startswith("sweeps/") or (ROOT / word).exists(), block.place
        if words[:1] == ["make"]:
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(), block.place
        start = next((i + 1 for i, w in enumerate(words) if w in {"orch", "orchestrator"}), None)
        if start is not None and words[start:] and words[start] != "--version":
            command = main.commands[words[start]]
            context = click.Context(command)
            command.make_parser(context).parse_args(words[start + 1 :])


def check_fragment(block: Block) -> None:
    """Lay a piece of YAML over the quickstart's sweep file, and check the whole."""
    yaml = YAML()
    whole = yaml.load((ROOT / "sweeps/quickstart.yaml").read_text())
    whole.update(yaml.load(block.text))
    out = io.StringIO()
    yaml.dump(whole, out)
    spec.load_text(out.getvalue(), block.place)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Read the first page, which makes the store that others read, in a shorter version."""
    threads = torch.get_num_threads()
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "sweeps", folder / "sweeps")
    file = folder / "sweeps/quickstart.yaml"
    text = file.read_text()
    assert text.count("  epochs: 10\n") == 1
    file.write_text(text.replace("  epochs: 10\n", "  epochs: 2\n  train_size: 200\n"))
    with pytest.MonkeyPatch.context() as patch:
        settle_in(patch, folder)
        Reader(folder).read(FIRST)
    yield folder
    torch.set_num_threads(threads)  # which trials of this process have set


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settle_in(monkeypatch, tmp_path)


def settle_in(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Fix what a terminal decides."""
    patch.setenv("COLUMNS", "80")
    patch.setenv("ORCH_CACHE_DIR", str(folder / "cache"))
    patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    patch.setattr(sys, "dont_write_bytecode", True)
    for name in ("ORCH_DATA_DIR", "RAY_ADDRESS", "FORCE_COLOR"):
        patch.delenv(name, raising=False)


@pytest.mark.no_cover
@pytest.mark.parametrize("page", [page for page in PAGES if page != FIRST])
def test_what_a_page_shows_is_what_happens(page: str, made: Path, tmp_path: Path) -> None:
    if {"duckdb", "polars"} & set(re.findall(r"^import (\w+)", (DOCS / page).read_text(), re.M)):
        pytest.importorskip("duckdb")
        pytest.importorskip("polars")
    folder = tmp_path / "work"
    shutil.copytree(made, folder)
    Reader(folder).read(page)


def test_the_first_page_makes_the_store_that_the_others_read(made: Path) -> None:
    assert (made / "results/quickstart/trials").is_dir()
