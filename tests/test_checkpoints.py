"""Unfinished trials: whatever ends an attempt, the next one loses and repeats nothing."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import attempts as attempts_module
from support.attempts import EPOCHS, Attempts, interrupt_at, keeping, run, saving
from support.buckets import Bucket
from support.comparing import assert_same, in_order
from support.storing import about
from support.waiting import HANG_SECONDS

from orchestrator.errors import NotLoadedError, TrialError
from orchestrator.running.failures import Retries
from orchestrator.running.resuming import GapError
from orchestrator.store import Store
from orchestrator.store.checkpoint import Rows, added
from orchestrator.store.files import Files
from orchestrator.store.saving import Saving
from orchestrator.store.schema import PROBE_SCHEMA
from orchestrator.store.trial_folder import TrialFolder

BOTH = pytest.mark.parametrize("train", [saving, keeping])


def tables(store: Store) -> dict[str, Any]:
    """Read what must be the same after any fault."""
    frames = {
        "trials": store.snapshot().trials(),
        "epochs": store.snapshot().epochs(),
        "probes": store.snapshot().probes(),
    }
    return {**{name: in_order(frame) for name, frame in frames.items()}, "kept": kept(store)}


def kept(store: Store) -> pd.DataFrame:
    """Read the artifacts."""
    files = store.files
    paths = [name for name in files.whole_tree("artifacts") if not name.startswith(".")]
    contents = [(files.read(f"artifacts/{path}") or b"").decode() for path in paths]
    return pd.DataFrame({"path": paths, "content": contents})


@pytest.fixture
def undisturbed(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the tables of a trial that nothing interrupts."""
    train = (
        request.node.callspec.params.get("train", saving)
        if hasattr(request.node, "callspec")
        else saving
    )
    attempts = Attempts(str(tmp_path / "undisturbed"), train)
    attempts.finish(1)
    assert list(attempts.store.snapshot().epochs()["epoch"]) == list(range(1, EPOCHS + 1))
    assert [path.partition("/")[2] for path in kept(attempts.store)["path"]] == ["last", "sum.json"]
    return tables(attempts.store)


# Kills


def test_a_kill_at_any_change_of_files_loses_and_repeats_nothing(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    tests = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, attempts_module.__file__, tmp_path / "killed"],
        env={**os.environ, "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stores = list((tmp_path / "killed").iterdir())
    assert len(stores) > 8 * EPOCHS
    for path in stores:
        assert_same(tables(Store(str(path))), undisturbed)
        assert not list((path / "checkpoints").iterdir())
        assert not list((path / "folders").iterdir())


@pytest.mark.no_cover
@BOTH
def test_an_attempt_that_lives_on_beside_the_next_breaks_nothing(
    tmp_path: Path, undisturbed: dict[str, Any], train: Any
) -> None:
    """The first attempt stops at some change of files, and goes on after the second has saved."""
    for instant in range(200):
        attempts = Attempts(str(tmp_path / str(instant)), train)
        first = attempts.start(1)
        stopped, go, ended = threading.Event(), threading.Event(), threading.Event()

        def pause(stopped: threading.Event = stopped, go: threading.Event = go) -> None:
            stopped.set()
            assert go.wait(HANG_SECONDS)

        def zombie(
            first: Any = first, ends: tuple[threading.Event, ...] = (ended, stopped)
        ) -> None:
            with contextlib.suppress(Exception):
                run(first, EPOCHS)
            for end in ends:
                end.set()

        thread = threading.Thread(target=zombie)
        with pytest.MonkeyPatch.context() as patch:
            interrupt_at(instant, pause, patch)
            thread.start()
            assert stopped.wait(HANG_SECONDS)
        at_its_end = ended.is_set()
        retried(attempts, 2, epochs=2)
        go.set()
        thread.join(HANG_SECONDS)
        retried(attempts, 4)
        assert_same(tables(attempts.store), undisturbed)
        if at_its_end:
            break
    assert at_its_end
    assert instant > 20


def retried(attempts: Attempts, number: int, epochs: int | None = None) -> None:
    """Run an attempt, and the next one where the folder, which is shared on a disk, is ahead."""
    try:
        run(attempts.start(number), epochs)
    except GapError:
        run(attempts.start(number + 1), epochs)


class CrashError(BaseException):
    """Stands for a SIGKILL."""


def crash() -> None:
    raise CrashError


@BOTH
def test_a_crash_at_any_request_of_a_save_to_a_bucket_loses_nothing(
    s3: Bucket, undisturbed: dict[str, Any], train: Any
) -> None:
    for instant in range(100):
        attempts = Attempts(f"{s3.address}/{instant}", train)
        first = attempts.start(1)
        run(first, 2)
        with pytest.MonkeyPatch.context() as patch:
            interrupt_at(instant, crash, patch)
            crashed = False
            try:
                run(first, 1)
            except CrashError:
                crashed = True
        first.close()
        attempts.finish(2)
        assert_same(tables(attempts.store), undisturbed)
        if not crashed:
            break
    assert instant > 5


def test_a_reader_never_fails_while_a_trial_saves(tmp_path: Path) -> None:
    attempts = Attempts(str(tmp_path / "toy"))
    attempts.lab.prepare(attempts.sweep)
    attempts.lab.save(attempts.sweep, attempts.trial)
    pid = os.fork()
    if pid == 0:
        save_many(attempts, 300)
        os._exit(0)
    counts = []
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        checkpoint = attempts.store.checkpoint(attempts.trial.trial_id)
        assert checkpoint
        assert len(checkpoint.rows) == checkpoint.head.epochs
        assert len(checkpoint.rows.probes) in {4, 2 * checkpoint.head.epochs}
        counts.append((checkpoint.head.attempt, checkpoint.head.epochs))
    assert counts == sorted(counts)
    checkpoint = attempts.store.checkpoint(attempts.trial.trial_id)
    assert checkpoint
    assert checkpoint.head.epochs == 300


def rows(first: int, count: int = 1, probes: int = 2) -> Rows:
    """Make up the rows of some epochs."""
    epochs = range(first, first + count)
    return Rows(
        pa.table(
            {"epoch": list(epochs), "step": pa.nulls(count), "score": [e / 7 for e in epochs]}
        ),
        pa.Table.from_pylist(
            [
                {"epoch": e, "probe": f"p{i}", "layer": "conv", "layer_index": i, "value": e / 3}
                for e in epochs
                for i in range(probes)
            ],
            schema=PROBE_SCHEMA,
        ),
    )


def save_many(attempts: Attempts, epochs: int, state: bytes = b"s", probes: int = 2) -> None:
    files = attempts.store.files
    folder = TrialFolder(files, attempts.trial.trial_id)
    writer = Saving(files, attempts.trial.trial_id, 2, folder)
    for epoch in range(1, epochs + 1):
        writer.save(rows(epoch, probes=probes), state, about(attempts.trial, attempts.sweep))


# What a save costs


@pytest.mark.no_cover
def test_the_last_of_2000_saves_write_as_much_as_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = Files.write

    def write(files: Files, name: str, data: bytes | pa.Buffer) -> None:
        size = memoryview(data).nbytes
        written[-1] += size
        if "/head-" in name:
            written.append(0)
        # What the state holds does not matter, and takes the longest.
        real(files, name, b"" if "/state-" in name else data)

    attempts = Attempts(str(tmp_path / "toy"))
    monkeypatch.setattr(Files, "write", write)
    written.append(0)
    save_many(attempts, 2000, state=bytes(1_000_000), probes=24)
    first, last = sum(written[:100]) / 100, sum(written[1900:2000]) / 100
    assert len(written) == 2001
    assert last <= 1.1 * first
    assert len(attempts.lab.checkpoint_files(attempts.trial)) < 2 * (math.log2(2000) + 1) + 3


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60))
def test_merged_parts_hold_each_epoch_once_and_are_few(sizes: list[int]) -> None:
    parts: tuple[Rows, ...] = ()
    rewritten = total = 0
    for size in sizes:
        before = set(map(id, parts))
        parts = added(parts, rows(total + 1, size))
        total += size
        rewritten += sum(len(part) for part in parts if id(part) not in before)
        epochs = [e for part in parts for e in part.epochs["epoch"].to_pylist()]
        assert epochs == list(range(1, total + 1))
        probes = [e for part in parts for e in part.probes["epoch"].to_pylist()]
        assert probes == [e for e in epochs for _ in range(2)]
        assert len(parts) <= math.log2(total) + 1
    assert rewritten <= total * (math.log(total, 1.5) + 1)


# Heads


def test_the_next_best_head_counts_where_the_best_is_not_whole(tmp_path: Path) -> None:
    attempts = Attempts(str(tmp_path / "toy"))
    store, trial_id = attempts.store, attempts.trial.trial_id
    attempts.lab.prepare(attempts.sweep)
    told: list[str] = []
    reader = Store(attempts.lab.location, on_corrupt=lambda error: told.append(error.name))
    saved = ((3, 2), (2, 4), (1, 3))  # as behind partitions: the highest attempt has saved first
    for attempt, epochs in saved:
        writer = Saving(store.files, trial_id, attempt, TrialFolder(store.files, trial_id))
        writer.save(rows(1, epochs), b"state", about(attempts.trial, attempts.sweep))
    for attempt, epochs in saved:
        checkpoint = reader.checkpoint(trial_id)
        assert checkpoint
        assert (checkpoint.head.attempt, checkpoint.head.epochs) == (attempt, epochs)
        (part,) = attempts.lab.checkpoint_files(attempts.trial, f"epochs-{attempt}")
        part.write_bytes(b"damage")
        told.clear()
    assert reader.checkpoint(trial_id) is None
    assert [name.rpartition("/")[2][:8] for name in told] == ["epochs-3", "epochs-2", "epochs-1"]


def test_an_attempt_goes_on_where_the_state_of_the_best_head_is_damaged(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    attempts = Attempts(str(tmp_path / "toy"))
    run(attempts.start(1), 3)
    (state,) = attempts.lab.checkpoint_files(attempts.trial, "state")
    state.write_bytes(b"damage")
    with pytest.warns(UserWarning, match=f"{state.name} cannot be read"):
        attempts.finish(1)  # the driver's start says so, and moves it away
    assert list(attempts.lab.folder.glob(f"corrupt/checkpoints/*/{state.name}"))
    assert_same(tables(attempts.store), undisturbed)


@pytest.mark.parametrize("place", ["../../outside", "/outside", "deep/../../outside"])
def test_a_head_that_leads_out_of_its_folder_is_refused(tmp_path: Path, place: str) -> None:
    attempts = Attempts(str(tmp_path / "toy"))
    run(attempts.start(1), 1)
    (path,) = attempts.lab.checkpoint_files(attempts.trial, "head")
    head = json.loads(path.read_bytes().partition(b"\n")[2])
    head["folder"] = {place: head["state"]}
    content = json.dumps(head).encode()
    path.write_bytes(b"%08x\n%s" % (zlib.crc32(content), content))
    with pytest.warns(UserWarning, match="it lists files outside of its folder"):
        assert attempts.store.checkpoint(attempts.trial.trial_id) is None


# States


def test_a_trial_that_resumes_without_loading_fails_in_words_and_is_not_retried(
    tmp_path: Path,
) -> None:
    def deaf(_params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, float]]:
        trial.save(b"state")
        yield {"score": 1.0, "loss": 1.0}
        yield {"score": 2.0, "loss": 0.5}

    attempts = Attempts(str(tmp_path / "toy"), deaf)
    run(attempts.start(1), 1)
    with pytest.raises(NotLoadedError, match=r"resumes after epoch 1, but .* trial\.load\(\)") as e:
        attempts.finish(2)
    assert not Retries(9).allow(attempts.trial.trial_id, 1, e.value)


def test_a_save_without_a_later_epoch_is_dropped(tmp_path: Path) -> None:
    def cut_short(params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, float]]:
        for metrics in saving(params, trial):
            yield metrics
            trial.save(b"[9, 9.0]")
            raise RuntimeError("no epoch follows")

    attempts = Attempts(str(tmp_path / "toy"), cut_short)
    with pytest.raises(RuntimeError):
        attempts.finish(1)
    checkpoint = attempts.store.checkpoint(attempts.trial.trial_id, with_state=True)
    assert checkpoint
    assert json.loads(checkpoint.state or b"")[0] == 1


def test_the_row_says_after_which_epochs_later_attempts_went_on(tmp_path: Path) -> None:
    attempts = Attempts(str(tmp_path / "toy"))
    for number, epochs in ((1, 2), (2, 2)):  # the second reports epoch 2 again, and runs one more
        run(attempts.start(number), epochs)
    attempts.finish(3)
    (row,) = attempts.store.snapshot().trials().to_dict("records")
    assert json.loads(row["resumed_at"]) == [2, 3]
    assert row["attempts"] == 3


# The folder


def test_a_retry_finds_the_folder_and_its_number_and_the_end_deletes_it(
    any_place: str,
) -> None:
    seen = []

    def visiting(params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, float]]:
        names = sorted(path.name for path in trial.folder.iterdir())
        seen.append((trial.attempt, trial.folder.is_absolute(), names))
        (trial.folder / f"attempt-{trial.attempt}").write_text("here")
        yield from saving(params, trial)

    attempts = Attempts(any_place, visiting)
    for number, epochs in ((1, 2), (2, 2)):
        execution = attempts.start(number)
        run(execution, epochs)
        execution.close()
    attempts.finish(3)
    assert seen == [
        (1, True, []),
        (2, True, ["attempt-1"]),
        (3, True, ["attempt-1", "attempt-2"]),
    ]
    assert not attempts.store.files.tree("folders")
    assert not attempts.store.files.tree("checkpoints")


# Trials that never save


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_trial_with_a_counter_goes_on_from_its_folder(any_place: str, every: int) -> None:
    attempts = Attempts(any_place, keeping, every)
    first = attempts.start(1)
    run(first, 4 // every * every)
    first.close()
    kept = attempts.store.checkpoint(attempts.trial.trial_id)
    assert kept
    assert kept.head.epochs == 4 // every * every
    attempts.finish(2)
    epochs = attempts.store.snapshot().epochs()
    assert list(epochs["epoch"]) == list(range(1, EPOCHS + 1))
    assert list(epochs["step"]) == [10.0 * e for e in range(1, EPOCHS + 1)]
    probes = attempts.store.snapshot().probes()
    assert sorted(probes["epoch"]) == list(range(1, EPOCHS + 1))


def stepping(*attempts: list[float]) -> Any:
    """Make a trainable that yields these steps in its attempts."""

    def train(_params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, float]]:
        trial.log(f"found {sorted(path.name for path in trial.folder.iterdir())}")
        (trial.folder / "mark").touch()
        for step in attempts[trial.attempt - 1]:
            yield {"step": step, "score": 1.0, "loss": float(trial.attempt)}

    return train


def test_a_yielded_epoch_is_the_counter_where_there_is_no_step(tmp_path: Path) -> None:
    def counting(_params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, float]]:
        for epoch in ([0, 1, 2], [2, 3])[trial.attempt - 1]:
            yield {"epoch": epoch, "score": 1.0, "loss": float(trial.attempt)}

    attempts = Attempts(str(tmp_path / "toy"), counting)
    run(attempts.start(1), 3)
    run(attempts.start(2), 2)
    kept = attempts.store.checkpoint(attempts.trial.trial_id)
    assert kept
    assert kept.rows.epochs["logged/epoch"].to_pylist() == [0, 1, 2, 3]
    assert kept.rows.epochs["loss"].to_pylist() == [1, 1, 2, 2]


def test_rows_from_the_first_step_on_are_replaced_and_those_before_stay(tmp_path: Path) -> None:
    attempts = Attempts(str(tmp_path / "toy"), stepping([10, 20, 30, 40], [25, 35, 45]))
    run(attempts.start(1), 4)
    attempts.finish(2)
    epochs = attempts.store.snapshot().epochs()
    assert list(epochs["step"]) == [10, 20, 25, 35, 45]
    assert list(epochs["loss"]) == [1, 1, 2, 2, 2]
    assert list(epochs["epoch"]) == [1, 2, 3, 4, 5]
    assert json.loads(attempts.store.snapshot().trials()["resumed_at"][0]) == [2]


@pytest.mark.parametrize("then", [[100.0], []])
def test_a_gap_ends_the_attempt_and_the_next_begins_with_nothing(
    tmp_path: Path, then: list[float]
) -> None:
    attempts = Attempts(str(tmp_path / "toy"), stepping([10, 20], then, [10, 20, 30]))
    run(attempts.start(1), 2)
    with pytest.raises(GapError, match=r"step.* the next attempt starts from the beginning") as e:
        attempts.finish(2)
    assert Retries(2).allow(attempts.trial.trial_id, 2, e.value)
    attempts.finish(3)
    assert list(attempts.store.snapshot().epochs()["step"]) == [10, 20, 30]
    assert set(attempts.store.snapshot().epochs()["loss"]) == {3}
    found = [line.partition("found ")[2] for line in attempts.log if "found" in line]
    assert found == ["[]", "['mark']", "[]"]


@pytest.mark.parametrize("steps", [[10.0, 10.0], [20.0, 10.0], [math.nan, 10.0]])
def test_without_a_counter_that_grows_the_next_attempt_begins_with_nothing(
    tmp_path: Path, steps: list[float]
) -> None:
    attempts = Attempts(str(tmp_path / "toy"), stepping(steps, [5, 6]))
    with contextlib.suppress(TrialError):
        run(attempts.start(1), 2)
    attempts.finish(2)
    assert list(attempts.store.snapshot().epochs()["step"]) == [5, 6]
    assert "found []" in "\n".join(attempts.log).rpartition("attempt 2")[2]
    assert json.loads(attempts.store.snapshot().trials()["resumed_at"][0]) == []


def test_the_driver_of_a_trial_that_goes_on_by_itself_hears_of_its_earlier_metrics(
    tmp_path: Path,
) -> None:
    def train(_params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, float]]:
        if trial.attempt == 1:
            yield from ({"step": step, "score": 1.0, "warmup": 5.0} for step in (1, 2, 3))
        yield {"step": 3, "score": 1.0}
        yield {"step": 4, "score": 1.0}

    attempts = Attempts(str(tmp_path / "toy"), train)
    run(attempts.start(1), 2)
    first, second = (set(epoch.metrics) for epoch in attempts.start(2))
    assert first == {"score", "warmup"}
    assert second == {"score"}
