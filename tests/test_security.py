"""What docs/security.md claims of the code: nothing that was read is run, or taken for markup."""

from __future__ import annotations

import ast
import io
import json
import pickle
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from support.commands import orch
from support.toys import SWEEP, Toy

from orchestrator import open_store
from orchestrator.code import Scope, code_of
from orchestrator.spec.grid import expand
from orchestrator.spec.loading import load
from orchestrator.store import Store
from orchestrator.store.checkpoint import About, Rows
from orchestrator.store.saving import Saving
from orchestrator.store.schema import PROBE_SCHEMA
from orchestrator.store.trial_folder import TrialFolder

ROOT = Path(__file__).parent.parent

# What runs code that it reads, and the one place that may: there, Tune's own note about a trial
# that failed is read from a folder of this process's own, which nobody else can write to.
UNPICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
MAY_UNPICKLE = {"orchestrator/running/runners/ray_errors.py"}


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """List what a module calls, as it is written there, such as `torch.load`."""
    return [(ast.unparse(n.func), n) for n in ast.walk(tree) if isinstance(n, ast.Call)]


def is_true(call: ast.Call, name: str) -> bool:
    values = [keyword.value for keyword in call.keywords if keyword.arg == name]
    return bool(values) and isinstance(values[0], ast.Constant) and values[0].value is True


@pytest.mark.parametrize("package", ["orchestrator", "trainables"])
def test_no_module_runs_what_it_reads(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        tree, name = ast.parse(path.read_text()), path.relative_to(ROOT).as_posix()
        for called, call in calls(tree):
            where = f"{name}, line {call.lineno}: {called}"
            assert called not in {"eval", "exec", "compile", "__import__", "os.system"}, where
            assert not is_true(call, "shell"), where
            assert not is_true(call, "allow_pickle"), where
            if called == "torch.load":
                assert is_true(call, "weights_only"), where
            if called.split(".")[0] in UNPICKLERS and called.split(".")[-1] in {"load", "loads"}:
                assert name in MAY_UNPICKLE, where
            if called.endswith("YAML"):
                assert "unsafe" not in ast.unparse(call), where
        if name not in MAY_UNPICKLE:
            names = {
                f"{getattr(n, 'module', '')}.{alias.name}"
                for n in ast.walk(tree)
                if isinstance(n, ast.Import | ast.ImportFrom)
                for alias in n.names
            }
            found = {n for n in names if UNPICKLERS & set(n.split("."))}
            assert found <= {"pickle.UnpicklingError"}, name


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


def test_the_bomb_goes_off_where_somebody_unpickles(mark: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(mark)))  # noqa: S301
    assert mark.exists()


RUN = ("sweep", "sweep.yaml", "--runner", "inline")


def test_pickles_in_place_of_a_stores_files_are_told_and_not_loaded(toy: Toy, mark: Path) -> None:
    assert orch(toy.folder, *RUN).exit_code == 0
    store = toy.folder / "results/toy"
    trial_id = expand(load(toy.file))[0].trial_id
    (store / "checkpoints" / trial_id).mkdir()
    (store / "checkpoints" / trial_id / "head-1-0123").touch()
    for path in [p for p in store.rglob("*") if p.is_file() and p.name != "sweep.yaml"]:
        path.write_bytes(pickle.dumps(Bomb(mark)))
    for command in (("plan",), ("status",), ("table",), ("report",), RUN[:1]):
        done = orch(toy.folder, *command, "sweep.yaml", *(RUN[2:] if command == RUN[:1] else ()))
        assert "Traceback" not in done.stderr, done.stderr
    assert "16 of 16 trials done" in done.stderr
    assert not mark.exists()


def test_an_arrow_type_that_is_a_pickle_is_not_loaded(toy: Toy, mark: Path) -> None:
    """Old versions of Arrow unpickled the type of a column (CVE-2023-47248)."""
    assert orch(toy.folder, *RUN).exit_code == 0
    (merged,) = (toy.folder / "results/toy/trials").glob("merged-*.parquet")
    table = pq.read_table(merged)
    hostile = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Bomb(mark)),
    }
    position = table.schema.get_field_index("host")
    field = pa.field("host", pa.string(), metadata=hostile)
    table = table.set_column(position, field, table["host"].cast(pa.string()))
    pq.write_table(table, merged)
    assert len(open_store(toy.folder / "results/toy").trials) == 16
    assert not mark.exists()


DIGITS = """\
name: digits
trainable: trainables.classify:train
seeds: [0]
factors: {order: [swap]}
fixed: {model: vgg16_8, width: 0.125, dataset: digits, activation: tanh, lr: 0.1, epochs: 2}
select: {metric: test_accuracy}
retries: 0
"""


def test_a_checkpoint_that_would_run_code_is_refused_in_words(tmp_path: Path, mark: Path) -> None:
    (tmp_path / "digits.yaml").write_text(DIGITS)
    (trial,) = expand(load(tmp_path / "digits.yaml"))
    state = io.BytesIO()
    torch.save({"epoch": 1, "model": Bomb(mark), "optimizer": {}}, state)
    code = code_of("trainables.classify", Scope(str(ROOT)))
    rows = Rows(
        pa.table({"epoch": [1], "test_accuracy": [0.5], "seconds": [1.0]}),
        PROBE_SCHEMA.empty_table(),
    )
    about = About(
        row={"trial_id": trial.trial_id},
        code_digest=code.digest,
        seconds=1.0,
        started_at=datetime.now(UTC),
        resumed_at=(),
        device="cpu",
        facts={},
    )
    store = Store(str(tmp_path / "results/digits"))
    store.files.make_folder("code")
    store.archives.write(code)
    own = TrialFolder(store.files, trial.trial_id)
    Saving(store.files, trial.trial_id, 1, own).save(rows, state.getvalue(), about)
    done = orch(tmp_path, "sweep", "digits.yaml", "--runner", "inline")
    assert done.exit_code == 1
    assert "the checkpoint contains objects other than tensors and plain values" in done.stderr
    assert not mark.exists()


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><b>"
PLAIN = "harmless"

WORDS = """\
name: words
description: {word}
trainable: words:train
seeds: [0, 1]
factors: {{kind: [{word}, other], side: [left, {word}]}}
search: {{lr: [0.1, 0.2]}}
select: {{metric: score}}
retries: 0
tables:
  - name: main
    rows: [kind]
    columns: [side]
    published: {{source: {word}, columns: [kind, score], rows: [[{word}, 1.0]]}}
claims:
  - {{name: helps, compare: {{kind: [{word}, other]}}, metric: score, expect: greater}}
figures:
  - {{name: main, kind: bars, values: [score], x: kind, title: {word}, labels: {{score: {word}}}}}
  - {{name: layers, kind: layers, values: ["probe:depth"]}}
  - {{name: panels, kind: curves, values: [score], panels: kind}}
"""

SAYING = """\
WORD = {word!r}


def train(params, trial):
    trial.record(device=WORD, note=WORD)
    trial.probe("depth", WORD, 1.0 + params["seed"], index=0)
    yield {{"score": params["lr"] + params["seed"], WORD: 1.0}}
    if params["side"] == "left" and params["kind"] == "other":
        raise RuntimeError(WORD)
"""


class Elements(HTMLParser):
    """Collects the elements of a page, with the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, *(name for name, _ in attrs)))


def page_saying(word: str, folder: Path) -> str:
    """Make the report of a sweep that says a word wherever a file or a trial may say one."""
    folder.mkdir()
    (folder / "words.py").write_text(SAYING.format(word=word))
    (folder / "words.yaml").write_text(WORDS.format(word=json.dumps(word)))
    assert orch(folder, "sweep", "words.yaml", "--runner", "inline").exit_code == 1
    done = orch(folder, "report", "words.yaml")
    assert done.exit_code == 0, done.stderr
    return (folder / "words.html").read_text(encoding="utf-8")


def test_no_word_of_a_file_or_a_trial_becomes_markup_in_a_report(tmp_path: Path) -> None:
    hostile = page_saying(HOSTILE, tmp_path / "hostile")
    assert HOSTILE not in hostile
    assert hostile.count("alert(1)") > 10
    plain = page_saying(PLAIN, tmp_path / "plain")
    assert Elements(hostile).found == Elements(plain).found


def test_the_code_beside_a_store_is_never_run(toy: Toy, mark: Path) -> None:
    """It is there to be read: what runs is the working folder's."""
    assert orch(toy.folder, *RUN).exit_code == 0
    (archive,) = (toy.folder / "results/toy/code").glob("*.zip")
    evil = toy.folder / "evil"
    evil.mkdir()
    (evil / "toy.py").write_text(f"open({str(mark)!r}, 'w')\n")
    shutil.make_archive(str(archive.with_suffix("")), "zip", evil)
    shutil.rmtree(evil)
    more = SWEEP.replace("seeds: [0, 1]", "seeds: [0, 1, 2]")
    toy.file.write_text(more)
    assert orch(toy.folder, *RUN).exit_code == 0
    assert not mark.exists()
