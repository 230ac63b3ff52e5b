"""What `orch` says to wrong input: exit code 2, where and what, and a store left alone."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from support import commands
from support.toys import SWEEP, TRAINABLE, Toy

from orchestrator.cli.main import main

STORED = ("status", "table", "prune", "claims", "effects", "figure", "report")
"""Commands that need a store."""
RUNS = "\ndef train(params, trial):\n    yield {}\n"
"""What could run, if the module that holds it could be imported."""
ALL = ("plan", "sweep", *STORED)


class Ended(NamedTuple):
    code: int | str | None
    out: str
    err: str


Orch = Callable[..., Ended]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the toy sweep has run."""
    toy = Toy(tmp_path_factory.mktemp("finished"))
    assert commands.orch(toy.folder, "sweep", "sweep.yaml", "--runner", "inline").exit_code == 0
    return toy.folder / "results"


@pytest.fixture
def orch(toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Orch:
    """The command in the toy's folder; an exception that it lets through fails the test."""
    monkeypatch.chdir(toy.folder)
    monkeypatch.syspath_prepend(toy.folder)

    def run(*args: object) -> Ended:
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args], prog_name="orch")
        return Ended(end.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def results(toy: Toy, finished: Path) -> Path:
    """The toy's own copy of the finished store."""
    return Path(shutil.copytree(finished, toy.folder / "results"))


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def sweep_args(file: object) -> tuple[object, ...]:
    return "sweep", file, "--runner", "inline"


def args_of(command: str, file: object) -> tuple[object, ...]:
    return sweep_args(file) if command == "sweep" else (command, file)


# Files.


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SWEEP.replace("seeds", "seedz"), "`seedz`: unknown key `seedz`; did you mean `seeds`?"),
        (SWEEP.replace("  lr", "\tlr"), "wrong.yaml: line 8: a tab"),
        (SWEEP.replace("name: toy", "name: ../toy"), "wrong.yaml: line 1: `name`: expected"),
        (SWEEP.replace("epochs: 2", "x: !!python/object {}"), "wrong.yaml: line 9: YAML tags"),
        ("", "wrong.yaml: line 1: the file is empty"),
        ("PAR1\0\x15\x04", "wrong.yaml: line 1: a binary file"),
    ],
    ids=["unknown key", "tab", "name", "tag", "empty", "binary"],
)
def test_a_wrong_file_is_refused_by_every_command(
    command: str, content: str, said: str, orch: Orch, toy: Toy
) -> None:
    (toy.folder / "wrong.yaml").write_text(content)
    before = contents(toy.folder)
    ended = orch(*args_of(command, "wrong.yaml"))
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("error: wrong.yaml: line ")
    assert said in ended.err
    assert contents(toy.folder) == before


@pytest.mark.parametrize("command", ALL)
def test_a_file_that_is_not_there_is_named(command: str, orch: Orch, toy: Toy) -> None:
    before = contents(toy.folder)
    assert orch(*args_of(command, "none.yaml")) == (2, "", "error: none.yaml: no such file\n")
    assert contents(toy.folder) == before


def test_a_real_process_says_it_without_a_traceback_and_with_exit_code_2(toy: Toy) -> None:
    file = toy.changed("[1, 2]", "[]")
    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator", "sweep", str(file)],
        cwd=toy.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"error: {file}: line 6: `factors.depth`: an empty axis; expected at least one value\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", said)


@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        (["2>/dev/full"], 0, ""),
        ([">/dev/full"], 2, "error: standard output: No space left on device\n"),
        ([">/dev/full", "2>/dev/full"], 2, ""),
    ],
)
def test_a_full_disk_of_its_output_ends_no_process_with_a_traceback(
    toy: Toy, redirected: list[str], code: int, said: str
) -> None:
    command = shlex.join([sys.executable, "-m", "orchestrator", "plan", str(toy.file)])
    shell = ["bash", "-c", " ".join([command, *redirected])]
    ended = subprocess.run(shell, cwd=toy.folder, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (code, said)


# Trainables.


def test_a_module_that_cannot_be_found_is_told_by_plan_and_sweep(orch: Orch, toy: Toy) -> None:
    file = toy.changed("toy:train", "toi.inner:train")
    for command in ("plan", "sweep"):
        ended = orch(*args_of(command, file))
        assert ended.code == 2
        assert f"error: {file}: line 2: `trainable`: the module `toi` cannot be found" in ended.err
    assert not (toy.folder / "results").exists()


@pytest.mark.parametrize("printed", ["bye", "42", "{}"])
def test_what_a_module_prints_at_its_exit_is_no_answer(printed: str, orch: Orch, toy: Toy) -> None:
    (toy.folder / "chatty.py").write_text(
        "import atexit\nfrom toy import train\nprint('hello', end='')\n"
        f"atexit.register(print, {printed!r})\n"
    )
    ended = orch(*sweep_args(toy.changed("toy:train", "chatty:train")))
    assert ended.code == 0, ended.err


def test_a_file_that_cannot_be_written_is_named(orch: Orch, toy: Toy) -> None:
    assert orch(*sweep_args(toy.file)).code == 0
    (toy.folder / "taken").touch()
    for command in ("report", "figure"):
        target = toy.folder / f"taken/{command}.html"
        ended = orch(command, str(toy.file), "-o", str(target))
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert f"error: {target} cannot be written" in ended.err


def test_the_module_that_is_orch_itself_is_no_trainable(orch: Orch, toy: Toy) -> None:
    ended = orch(*sweep_args(toy.changed("toy:train", "__main__:train")))
    assert ended.code == 2
    assert "line 2: `trainable`: the module `__main__` cannot be found" in ended.err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_package" + RUNS, "ModuleNotFoundError: No module named 'no_such_package'"),
        ("def train(:", "broken.py, line 1: SyntaxError: invalid syntax"),
        ("raise RuntimeError('no GPU')" + RUNS, "RuntimeError: no GPU"),
        (
            "import sys; sys.exit('not a module')" + RUNS,
            "its configs ended with exit code 1: not a module",
        ),
        ("import os; os.kill(os.getpid(), 9)" + RUNS, "its configs was killed by SIGKILL, as may"),
        (
            "def trian(params, trial): ...",
            "unknown function of broken `train`; did you mean `trian`",
        ),
        ("train = 3", "`train` is of type int, and no function"),
    ],
)
def test_a_trainable_that_cannot_be_imported_is_told_before_anything_is_written(
    source: str, said: str, orch: Orch, toy: Toy
) -> None:
    (toy.folder / "broken.py").write_text(source)
    file = toy.changed("toy:train", "broken:train")
    ended = orch(*sweep_args(file))
    assert ended.code == 2
    assert ended.err.startswith(f"error: {file}: line 2: `trainable`: ")
    assert said in ended.err
    assert not (toy.folder / "results").exists()


def test_configs_that_the_trainable_refuses_are_told_and_the_store_stays(
    orch: Orch, toy: Toy, results: Path
) -> None:
    before = contents(results)
    file = toy.changed("1e-2", "1e-2, 7")
    ended = orch(*sweep_args(file))
    assert ended == (
        2,
        "",
        f"error: {file}: line 2: `trainable`: the rate 7 is too large "
        "(order=convention, depth=1, lr=7 and 3 more)\n",
    )
    assert contents(results) == before


def test_a_refusal_of_the_only_config_names_no_values(orch: Orch, toy: Toy) -> None:
    (toy.folder / "one.yaml").write_text(
        "name: one\ntrainable: toy:train\nseeds: [0]\nfixed: {order: swap, depth: 1, lr: 7}\n"
        "select: {metric: accuracy, mode: max}\n"
    )
    ended = orch(*sweep_args(toy.folder / "one.yaml"))
    assert ended.err.endswith("one.yaml: line 2: `trainable`: the rate 7 is too large\n")


def test_a_check_with_a_mistake_in_it_is_told_as_such(orch: Orch, toy: Toy) -> None:
    (toy.folder / "toy.py").write_text(TRAINABLE.replace('params.get("lr", 0)', 'params["rate"]'))
    ended = orch(*sweep_args(toy.file))
    assert ended.code == 2
    assert "line 2: `trainable`: `check` raised KeyError: 'rate' (order=conv" in ended.err
    assert not (toy.folder / "results").exists()


def test_what_a_module_prints_when_it_is_imported_does_no_harm(orch: Orch, toy: Toy) -> None:
    noise = 'print("loading", end="")\n'
    (toy.folder / "toy.py").write_text(noise + TRAINABLE)
    ended = orch(*sweep_args(toy.changed("1e-2", "7")))
    assert "the rate 7 is too large" in ended.err


# A store of another sweep.

DIFFERENT = {
    "a fixed value": ("epochs: 2", "epochs: 3", "`fixed.epochs` was 2, is 3"),
    "a fixed value's kind of number": ("epochs: 2", "epochs: 2.0", "`fixed.epochs` was 2, is 2.0"),
    "a fixed value's type": ("epochs: 2", "epochs: true", "`fixed.epochs` was 2, is true"),
    "another trainable": (":train", ":other", "`trainable` was toy:train, is toy:other"),
    "a new fixed param": ("epochs: 2", "epochs: 2, width: 1", "`fixed.width` is new"),
    "one param fewer": ("fixed: {epochs: 2}", "fixed: {}", "`fixed.epochs` is gone"),
    "another name of a factor": ("  depth", "  deep", "`factors.depth` is gone"),
    "a new search param": ("  lr:", "  wd: [1]\n  lr:", "`search.wd` is new"),
    "a param in another section": (
        "search:\n  lr: [0.1, 1e-2]\nfixed: {epochs: 2}",
        "fixed: {epochs: 2, lr: 0.5}",
        "`search.lr` was [0.1,0.01], is 0.5",
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_may_not_change_under_one_name_is_refused_and_named(
    old: str, new: str, said: str, orch: Orch, toy: Toy, results: Path
) -> None:
    file = toy.changed(old, new)
    before = contents(results)
    for command in ("sweep", "prune"):
        ended = orch(*args_of(command, file))
        assert ended.code == 2
        assert f"holds a sweep `toy` that differs:\n  {said}" in ended.err
        assert "give this one another `name`, or change it back" in ended.err
    assert contents(results) == before


COMMAND = SWEEP.replace("trainable: toy:train", 'command: [python, toy.py, "--{params}"]')
OTHER_COMMANDS = {
    "another word": (
        "toy.py",
        "-u, toy.py",
        "`command` was [python, toy.py, --{params}], is [python",
    ),
    "new metrics": ("seeds:", "metrics: {json: stdout}\nseeds:", "`metrics` is new"),
    "a trainable": (
        'command: [python, toy.py, "--{params}"]',
        "trainable: toy:train",
        "`trainable` is new\n  `command` is gone",
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), OTHER_COMMANDS.values(), ids=OTHER_COMMANDS)
def test_another_command_under_one_name_is_refused(
    old: str, new: str, said: str, orch: Orch, toy: Toy, results: Path
) -> None:
    (results / "toy" / "sweep.yaml").write_text(COMMAND)
    toy.file.write_text(COMMAND.replace(old, new))
    before = contents(results)
    for command in ("plan", "sweep", "prune"):
        ended = orch(*args_of(command, "sweep.yaml"))
        assert ended.code == 2
        assert f"holds a sweep `toy` that differs:\n  {said}" in ended.err
    assert contents(results) == before


@pytest.mark.parametrize("command", ["plan", "sweep"])
def test_a_program_that_is_not_there_is_refused_before_anything_is_written(
    command: str, orch: Orch, toy: Toy
) -> None:
    toy.file.write_text(COMMAND.replace("python", "phyton"))
    before = contents(toy.folder)
    ended = orch(*args_of(command, "sweep.yaml"))
    assert ended.code == 2
    assert "sweep.yaml: line 2: `command[0]`: the program `phyton` is not found in" in ended.err
    assert contents(toy.folder) == before


def test_one_and_true_are_different_values_of_a_fixed_param(
    orch: Orch, toy: Toy, results: Path
) -> None:
    shutil.copy(toy.changed("epochs: 2", "epochs: 1"), results / "toy" / "sweep.yaml")
    ended = orch(*sweep_args(toy.changed("epochs: 2", "epochs: true")))
    assert ended.code == 2
    assert "`fixed.epochs` was 1, is true" in ended.err


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[0, 1]", "[0, 5]"),
        ("[1, 2]", "[2, 3]"),
        ("1e-2", "1e-3"),
        ("select:", "description: x\nretries: 5\nresources: {cpu: 2}\nselect:"),
        ("select:", "exclude: [{depth: 2}]\nselect:"),
        ("select:", "variants: [{when: {depth: 1}, fixed: {epochs: 5}}]\nselect:"),
        ("  order: [convention, swap]\n  depth: [1, 2]", "  depth: [1]\n  order: [swap, nobn]"),
        ("select: {metric: accuracy}", "select: {metric: accuracy, mode: min, at: best}"),
    ],
)
def test_everything_else_may_change(old: str, new: str, orch: Orch, toy: Toy) -> None:
    assert orch("prune", toy.changed(old, new)).code == 0
    assert orch("plan", toy.changed(old, new)).code == 0


def test_a_selection_metric_that_a_filled_store_lacks_is_told_before_anything_changes(
    orch: Orch, toy: Toy, results: Path
) -> None:
    file = toy.changed("select: {metric: accuracy}", "select: {metric: acc}")
    before = contents(results)
    ended = orch(*sweep_args(file))
    assert ended.code == 2
    assert f"error: {file}: line 10: `select.metric`: unknown metric `acc`" in ended.err
    assert contents(results) == before


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("command", "new"),
    [
        ("table", "tables: [{name: t, values: [acc]}]"),
        ("claims", "claims: [{name: c, compare: {depth: [1, 2]}, metric: acc, expect: less}]"),
        ("figure", "figures: [{name: f, kind: curves, values: [acc]}]"),
    ],
)
def test_another_metric_that_no_trial_has_is_told_when_it_is_to_be_shown(
    command: str, new: str, orch: Orch, toy: Toy
) -> None:
    select = "select: {metric: accuracy}"
    file = toy.changed(select, f"{select}\n{new}")
    ended = orch(command, file)
    assert ended.code == 2
    assert "the store has no metric `acc`; it has `score`, `accuracy`, `loss`" in ended.err


def test_a_damaged_copy_of_the_sweep_file_in_the_store_is_named(
    orch: Orch, toy: Toy, results: Path
) -> None:
    (results / "toy" / "sweep.yaml").write_text("name: [")
    before = contents(results)
    for command in ("sweep", "table", "status", "prune"):
        ended = orch(*args_of(command, toy.file))
        assert ended.code == 2
        assert "the store's copy of its sweep file is damaged: results/toy/sweep.yaml" in ended.err
    assert contents(results) == before


# Stores that are not there, or cannot be.


@pytest.mark.parametrize("command", STORED)
def test_a_command_that_reads_a_store_says_which_one_makes_it(
    command: str, orch: Orch, toy: Toy
) -> None:
    before = contents(toy.folder)
    ended = orch(command, "sweep.yaml", "--store", "elsewhere")
    said = "elsewhere has no store of `toy`; run `orch sweep sweep.yaml --store elsewhere` first"
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert contents(toy.folder) == before


@pytest.mark.parametrize("root", ["blocked", "blocked/results"])
def test_a_store_that_cannot_be_written_is_named(root: str, orch: Orch, toy: Toy) -> None:
    (toy.folder / "blocked").write_text("a file, not a folder")
    before = contents(toy.folder)
    ended = orch(*sweep_args("sweep.yaml"), "--store", root)
    assert ended.code == 2
    assert root in ended.err
    assert {k: v for k, v in contents(toy.folder).items() if "__pycache__" not in k} == before


@pytest.mark.parametrize("command", ALL)
def test_an_address_of_no_known_kind_is_no_store(command: str, orch: Orch) -> None:
    ended = orch(*args_of(command, "sweep.yaml"), "--store", "nowhere://bucket/folder")
    assert ended.code == 2
    assert "nowhere://bucket/folder: not a store's address" in ended.err


# Options.


@pytest.mark.parametrize("command", ["plan", "sweep", "table"])
@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ("a", "--seeds a: expected seeds such as 0-4 or 0,2,5"),
        ("", "--seeds : expected seeds such as 0-4 or 0,2,5"),
        ("4-0", "--seeds 4-0: 4-0 is not a range from low to high"),
        ("1,1", "--seeds 1,1: the value 1 is repeated"),
        ("0-129999", "the grid has 1,040,000 trials; the limit is 1,000,000"),
    ],
)
def test_bad_seeds_are_repeated_and_explained(
    command: str, seeds: str, said: str, orch: Orch, results: Path
) -> None:
    before = contents(results)
    ended = orch(*args_of(command, "sweep.yaml"), "--seeds", seeds)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert contents(results) == before


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["swep", "sweep.yaml"], "No such command 'swep'"),
        (["sweep"], "Missing argument 'FILE'"),
        (["sweep", "sweep.yaml", "--runer", "inline"], "No such option"),
        (["sweep", "sweep.yaml", "--runner", "slurm"], "'slurm' is not one of 'tune', 'inline'"),
        (["table", "sweep.yaml", "--format", "xls"], "'xls' is not one of"),
        (["plan", "sweep.yaml", "--data-dir", "toy.py"], "'toy.py' is a file"),
        (["plan", "sweep.yaml", "another.yaml"], "unexpected extra argument"),
    ],
)
def test_wrong_commands_and_options_are_explained(
    args: list[str], said: str, orch: Orch, toy: Toy
) -> None:
    before = contents(toy.folder)
    ended = orch(*args)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Usage: orch ")
    assert said in ended.err
    assert contents(toy.folder) == before
