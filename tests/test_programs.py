"""Programs as they are, run as trials: what becomes of their output, and how they end."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.attempts import Attempts
from support.memory_limit import limited
from support.processes import run, start, working_in
from support.waiting import until

from orchestrator.code.recorder import Loaded
from orchestrator.errors import KilledError, TrialFailedError, UsageError
from orchestrator.running.processes.descendants import subreaping
from orchestrator.running.processes.host import TrialProcesses

JSON = {"json": "stdout"}
DAEMON = """
import os
import sys
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("daemon.part", "w") as file:
            file.write(str(os.getpid()))
        os.rename("daemon.part", "daemon")
        time.sleep(1000)
    os._exit(0)
while not os.path.exists("daemon"):
    time.sleep(0.01)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with working_in(tmp_path) as place:
        yield place


@pytest.fixture
def program(folder: Path) -> Iterator[Callable[..., TrialProcesses]]:
    """Make trials of a Python script, whose words follow its text."""
    opened: list[TrialProcesses] = []

    def make(text: str, *words: str, metrics: dict[str, str] | None = JSON) -> TrialProcesses:
        (folder / "script.py").write_text(textwrap.dedent(text))
        runs = {"command": ["python", "script.py", *words], "metrics": metrics or {}}
        opened.append(TrialProcesses(json.dumps(runs), str(folder), threads=1))
        return opened[-1]

    with subreaping():  # as a worker is
        yield make
        for each in opened:
            each.close()


def metrics_of(trials: TrialProcesses, **params: Any) -> list[dict[str, Any]]:
    return [dict(report.metrics) for report in run(trials, start(**params))]


def test_each_json_line_is_an_epoch_and_all_output_is_in_the_log_in_order(program: Any) -> None:
    trials = program(
        """
        import json, subprocess, sys
        print("a line", "of two")
        print("no newline", end="", flush=True)
        print()
        for step in range(2000):
            print(f"\\rstep {step}", end="")
        print()
        print(json.dumps({"step": 10, "train": {"loss": 0.5}, "name": "vgg"}))
        subprocess.run(["echo", "a child's line"], check=True)
        print(json.dumps({"step": 20, "train": {"loss": 0.25}, "name": "vgg"}))
        print("the end", end="")
        """
    )
    lines: list[str] = []
    reports = list(trials.run(start(), None, lines.append))
    assert [(r.step, r.metrics) for r in reports] == [
        (10.0, {"train/loss": 0.5}),
        (20.0, {"train/loss": 0.25}),
    ]
    text = [line for line in "\n".join(lines).splitlines() if "attempt 1" not in line]
    assert text[0].endswith("runs python script.py")
    printed = [line for line in text[1:] if "`name` is left out" not in line]
    assert printed == [
        "a line of two",
        "no newline",
        "step 1999",
        '{"step": 10, "train": {"loss": 0.5}, "name": "vgg"}',
        "a child's line",
        '{"step": 20, "train": {"loss": 0.25}, "name": "vgg"}',
        "the end",
    ]
    assert len(text) - len(printed) == 2  # what it runs, and that `name` is no number, once


def test_stdout_and_stderr_are_in_the_log_in_order_where_a_regex_reads_both(program: Any) -> None:
    trials = program(
        """
        import sys
        for epoch in range(1, 4):
            print(f"epoch {epoch}", file=sys.stderr)
            print(f"accuracy 0.{epoch}")
        """,
        metrics={"regex": r"accuracy (?P<accuracy>[\d.]+)"},
    )
    lines: list[str] = []
    reports = list(trials.run(start(), None, lines.append))
    assert [r.metrics["accuracy"] for r in reports] == [0.1, 0.2, 0.3]
    printed = "\n".join(lines).splitlines()[2:]
    assert printed == [text for e in (1, 2, 3) for text in (f"epoch {e}", f"accuracy 0.{e}")]


def test_a_progress_bar_is_one_line_however_often_it_is_drawn(program: Any) -> None:
    trials = program(
        """
        for epoch in range(2):
            for image in range(20_000):
                print(f"\\repoch {epoch}, image {image}, {' ' * 60}, loss 0.{image}", end="")
            print(f"\\repoch {epoch} done, loss 0.{epoch}")
        print("\\r" * (3 << 20) + "loss 0.7", end="\\r")
        """,
        metrics={"regex": r"loss (?P<loss>[\d.]+)"},
    )
    assert metrics_of(trials) == [{"loss": 0.0}, {"loss": 0.1}, {"loss": 0.7}]


def test_a_program_gets_its_params_and_its_trial_as_words_and_environment(
    program: Any, folder: Path
) -> None:
    trials = program(
        """
        import json, os, pathlib, sys
        keys = ("ORCH_TRIAL_ID", "ORCH_TRIAL_FOLDER", "ORCH_ATTEMPT", "ORCH_SMOKE")
        given = {"argv": sys.argv[1:], "env": [os.environ.get(key) for key in keys]}
        given["file"] = json.loads(pathlib.Path(sys.argv[-1]).read_text())
        pathlib.Path("given.json").write_text(json.dumps(given))
        print('{"score": 1}')
        """,
        "--{params}",
        "{trial.id}",
        "{trial.attempt}",
        "{params.json}",
    )
    begin = start(lr=0.1, layers=[8, 4], name=None, fast=True, attempt=2)
    run(trials, begin)
    given = json.loads((folder / "given.json").read_text())
    words = ["--seed=3", "--lr=0.1", "--layers=[8,4]", "--fast=true", begin.trial_id, "2"]
    assert given["argv"][:-1] == words
    assert given["env"] == [begin.trial_id, begin.folder, "2", None]
    assert given["file"] == begin.params


def test_python_is_the_one_that_runs_orch(program: Any) -> None:
    trials = program(
        """
        import json, sys
        print(json.dumps({"same": sys.prefix == sys.argv[1]}))
        """,
        sys.prefix,
    )
    assert metrics_of(trials) == [{"same": 1.0}]


def test_a_smoke_run_ends_a_program_after_its_first_epoch(program: Any) -> None:
    trials = program(
        """
        import os, time
        print('{"smoke": %s}' % os.environ["ORCH_SMOKE"], flush=True)
        time.sleep(1000)
        """
    )
    (report,) = run(trials, start(smoke=True))
    assert report.metrics == {"smoke": 1.0}


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        (
            "import argparse\nargparse.ArgumentParser(prog='fit').parse_args(['--wdith=1'])",
            UsageError,
            "the program ended with exit code 2: fit: error: unrecognized arguments: --wdith=1",
        ),
        (
            "print('{\"score\": 1}')\nraise ValueError('no luck')",
            TrialFailedError,
            "the program ended with exit code 1: ValueError: no luck",
        ),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
            KilledError,
            "the program was killed by SIGSEGV",
        ),
    ],
)
def test_a_program_that_fails_says_how_and_its_last_words(
    program: Any, script: str, kind: type[TrialFailedError], said: str
) -> None:
    with pytest.raises(kind) as error:
        run(program(script), start())
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("end", "kind", "said"),
    [
        (
            "sys.exit('the reason')",
            TrialFailedError,
            "the program ended with exit code 1: the reason",
        ),
        ("os.kill(os.getpid(), 9)", KilledError, "the program was killed by SIGKILL"),
    ],
)
def test_a_line_that_its_end_has_cut_does_not_hide_how_a_program_ended(
    program: Any, end: str, kind: type[TrialFailedError], said: str
) -> None:
    trials = program(f"import os, sys\nprint('{{\"score\": 0.', end='', flush=True)\n{end}")
    with pytest.raises(kind) as error:
        run(trials, start())
    assert str(error.value).startswith(said)


def test_a_json_line_may_have_characters_that_terminals_obey(program: Any) -> None:
    line = json.dumps({"score": 0.5, "sample": "a\x85\x7fb"}, ensure_ascii=False)
    lines: list[str] = []
    (report,) = program(f"print({line!r})").run(start(), None, lines.append)
    assert report.metrics == {"score": 0.5}
    assert r"a\x85\x7fb" in "\n".join(lines)


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (JSON, "stdout has none; its last lines are `score = 1`"),
        ({"regex": "acc (?P<acc>.*)"}, "matches nothing; its last lines are `score = 1`"),
        ({"csv": "metrics.csv"}, "metrics.csv, which does not exist or is empty"),
        (None, "never called orchestrator.report"),
    ],
)
def test_a_program_without_a_metric_fails_and_its_last_lines_are_shown(
    program: Any, metrics: dict[str, str] | None, said: str
) -> None:
    trials = program("print('score = 1')", metrics=metrics)
    with pytest.raises(TrialFailedError, match="the program ended without a metric") as error:
        run(trials, start())
    assert said in str(error.value)


def test_a_broken_record_ends_the_program_and_says_where_it_is(program: Any) -> None:
    trials = program(
        """
        import time
        print('{"score": 1}')
        print('{"score": 1, "lo', flush=True)
        time.sleep(1000)
        """
    )
    with pytest.raises(TrialFailedError, match="line 2 of stdout begins as a JSON object"):
        run(trials, start())


def test_a_program_that_closes_its_output_goes_on(program: Any) -> None:
    trials = program(
        """
        import os
        os.close(1)
        os.close(2)
        with open("metrics.csv", "w") as file:
            file.write("step,score\\n1,0.5\\n2,0.75\\n")
        """,
        metrics={"csv": "metrics.csv"},
    )
    assert [r.metrics["score"] for r in run(trials, start())] == [0.5, 0.75]


def test_two_trials_that_run_at_once_cannot_have_their_metrics_in_one_file(program: Any) -> None:
    script = """
        import time
        with open("metrics.csv", "w") as file:
            file.write("score\\n1\\n2\\n")
        time.sleep(1000)
        """
    first = program(script, metrics={"csv": "metrics.csv"})
    second = program(script, metrics={"csv": "metrics.csv"})
    with contextlib.closing(first.run(start(), None, lambda _: None)) as reports:
        assert next(reports).metrics == {"score": 1.0}
        with pytest.raises(TrialFailedError, match="another trial that runs now has its metrics"):
            run(second, start())


def test_what_a_program_leaves_running_ends_with_it(program: Any, folder: Path) -> None:
    trials = program(DAEMON + "print('{\"score\": 1}')\n")
    assert metrics_of(trials) == [{"score": 1.0}]
    assert not psutil.pid_exists(int((folder / "daemon").read_text()))


def test_a_program_that_is_closed_ends_with_all_it_started_even_if_it_ignores_sigterm(
    program: Any, folder: Path
) -> None:
    trials = program(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + DAEMON
        + "print('{\"score\": 1}', flush=True)\nprint('{\"score\": 2}', flush=True)\n"
        + "time.sleep(1000)\n"
    )
    reports = trials.run(start(), None, lambda _: None)
    next(reports)
    daemon = psutil.Process(int((folder / "daemon").read_text()))
    reports.close()
    assert not daemon.is_running()
    assert psutil.Process(trials._warm._process.pid).children(recursive=True) == []


def test_a_program_that_prints_nothing_ends_as_soon_as_it_is_closed(
    program: Any, folder: Path
) -> None:
    trials = program(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (open("asked", "w").close(), sys.exit(0)))
        print('{"score": 1}', flush=True)
        time.sleep(1000)
        """
    )
    reports = trials.run(start(), None, lambda _: None)
    next(reports)
    reports.close()
    assert (folder / "asked").exists()


def test_a_program_for_which_there_is_no_memory_is_named_with_what_it_had(program: Any) -> None:
    with limited(200 << 20) as group:
        trials = program(
            f"""
            import os
            open("{group}", "w").write(str(os.getpid()))
            bytearray(1 << 30)
            """
        )
        said = r"^the program was killed by the kernel because memory was full; it had \d+ MiB$"
        with pytest.raises(KilledError, match=said):
            run(trials, start())


@pytest.mark.parametrize("killed", ["warm process", "its child"])
def test_a_program_ends_when_what_runs_it_is_killed(
    program: Any, folder: Path, killed: str
) -> None:
    trials = program(DAEMON + "time.sleep(1000)\n")
    with ThreadPoolExecutor() as pool:
        trial = pool.submit(run, trials, start())
        until(lambda: trial.done() or (folder / "daemon").exists(), what="the program's daemon")
        warm = psutil.Process(trials._warm._process.pid)
        below = warm.children(recursive=True)
        (warm if killed == "warm process" else warm.children()[0]).send_signal(signal.SIGKILL)
        with pytest.raises(TrialFailedError, match="killed by SIGKILL"):
            trial.result()
    assert not any(process.is_running() for process in below)


def test_a_script_reports_by_one_line_from_any_of_its_processes(program: Any) -> None:
    trials = program(
        """
        import subprocess, sys
        from orchestrator import report
        report(score=1, step=10)
        child = "from orchestrator import report; report({'val/loss': 0.5}, score=2)"
        subprocess.run([sys.executable, "-c", child], check=True)
        """,
        metrics=None,
    )
    first, second = run(trials, start())
    assert (first.step, first.metrics) == (10.0, {"score": 1.0})
    assert second.metrics == {"score": 2.0, "val/loss": 0.5}


def test_reports_beside_metrics_are_ignored_and_the_log_says_so(program: Any) -> None:
    trials = program(
        """
        from orchestrator import report
        report(score=1)
        print('{"score": 2}')
        """
    )
    lines: list[str] = []
    reports = list(trials.run(start(), None, lines.append))
    assert [r.metrics["score"] for r in reports] == [2.0]
    assert sum("calls of orchestrator.report are ignored" in line for line in lines) == 1


def test_what_a_program_imports_is_noted(program: Any, folder: Path) -> None:
    (folder / "helper.py").write_text("import late\n")
    (folder / "late.py").write_text("")
    trials = program(
        """
        import subprocess, sys
        import numpy
        subprocess.run([sys.executable, "-c", "import helper"], check=True)
        print('{"score": 1}')
        """
    )
    loaded: list[Loaded] = []
    assert len(list(trials.run(start(), None, lambda _: None, loaded.append))) == 1
    files = {name: data for each in loaded for name, data in each.files.items()}
    assert {*files} == {"script.py", "helper.py", "late.py"}
    assert files["helper.py"] == b"import late\n"
    assert "numpy" in {name for each in loaded for name in each.modules}


def test_packages_of_another_environment_count_by_their_versions_there(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "other"], check=True)
    (site,) = (folder / "other").glob("lib/python3*/site-packages")
    (site / "numpy.py").write_text("")
    (site / "numpy-0.1.dist-info").mkdir()
    (site / "numpy-0.1.dist-info" / "METADATA").write_text("Name: numpy\nVersion: 0.1\n")
    (site / "numpy-0.1.dist-info" / "top_level.txt").write_text("numpy\n")
    (folder / "script.py").write_text("import numpy\nprint('{\"score\": 1}')\n")
    runs = {"command": ["other/bin/python", "script.py"], "metrics": JSON}
    loaded: list[Loaded] = []
    with contextlib.closing(TrialProcesses(json.dumps(runs), str(folder), threads=1)) as trials:
        list(trials.run(start(), None, lambda _: None, loaded.append))
    assert loaded[-1].packages == {"Python": platform.python_version(), "numpy": "0.1"}


def test_the_sitecustomize_that_ours_hides_is_run(program: Any, folder: Path) -> None:
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import os\nos.environ['HIDDEN'] = 'yes'\n")
    trials = program(
        """
        import json, os, sitecustomize
        print(json.dumps({"score": os.environ.get("HIDDEN") == "yes"}))
        """
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(hidden), *_python_path()]))
        assert metrics_of(trials) == [{"score": 1.0}]


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


# Programs that go on by themselves


RESUMING = """
import json
import os
import random
import signal
from pathlib import Path

attempt = int(os.environ["ORCH_ATTEMPT"])
file = Path(os.environ["ORCH_TRIAL_FOLDER"], "state.json")
state = json.loads(file.read_text()) if file.exists() else {"step": 0, "score": 0.0}
for epoch in range(state["step"] + 1, 6):
    state = {"step": epoch, "score": state["score"] + random.Random(epoch).random()}
    print(json.dumps(state), flush=True)
    if epoch == attempt:
        os.kill(os.getpid(), signal.SIGKILL)
    if epoch % 2 == 0:
        file.with_suffix(".part").write_text(json.dumps(state))
        file.with_suffix(".part").rename(file)
"""


def test_a_program_that_goes_on_by_itself_has_each_epoch_once_wherever_it_is_killed(
    program: Any, any_place: str
) -> None:
    attempts = Attempts(any_place)
    for number in itertools.count(1):
        execution = attempts.execution(number)  # in a bucket, with a folder as on another host
        trials = program(RESUMING)
        reports = trials.run(execution.start, execution.state, attempts.log.append)
        try:
            list(execution.follow(reports))
        except KilledError:
            continue
        break
    assert number == 6  # the five before were killed, each in another epoch
    snapshot = attempts.store.snapshot()
    epochs = snapshot.epochs()
    assert list(epochs["step"]) == [1, 2, 3, 4, 5]
    assert list(epochs["epoch"]) == [1, 2, 3, 4, 5]
    drawn = [random.Random(epoch).random() for epoch in range(1, 6)]
    assert list(epochs["score"]) == list(itertools.accumulate(drawn))
    assert snapshot.trials()["attempts"].to_list() == [6]
