"""What a program logs, in lines, CSV and event files, as epochs, however it is cut in pieces."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import TrialError
from orchestrator.running.programs import Epoch, Source, opened


class Program:
    """A program's log, and the epochs that are read of it so far."""

    def __init__(self, folder: Path, **metrics: str) -> None:
        self.said: list[str] = []
        self.source: Source = opened(metrics, folder, self.said.append)
        self.epochs: list[Epoch] = []

    def prints(self, *lines: str, stdout: bool = True) -> list[Epoch]:
        return self._new(epoch for text in lines for epoch in self.source.line(text, stdout=stdout))

    def poll(self) -> list[Epoch]:
        return self._new(self.source.poll())

    def end(self) -> list[Epoch]:
        return self._new(self.source.end())

    def _new(self, epochs: Iterator[Epoch]) -> list[Epoch]:
        new = list(epochs)
        self.epochs += new
        return new


# Lines


def test_each_match_of_a_regex_is_an_epoch_also_on_stderr(tmp_path: Path) -> None:
    program = Program(
        tmp_path, regex=r"step (?P<step>\d+): loss (?P<loss>\w\S*)( acc (?P<acc>[^;]+))?"
    )
    assert program.prints("step 1: loss 0.5 acc 1e-1; step 2: loss nan") == [
        {"step": 1.0, "loss": 0.5, "acc": 0.1},
        {"step": 2.0, "loss": pytest.approx(math.nan, nan_ok=True), "acc": None},
    ]
    assert program.prints("step 3: loss inf", stdout=False)[0]["loss"] == math.inf
    assert program.prints("nothing of that") == program.poll() == program.end() == []


def test_text_that_is_no_number_is_left_out_and_said_once(tmp_path: Path) -> None:
    program = Program(tmp_path, regex=r"(?P<what>\w+)=(?P<value>\S+)")
    assert program.prints("loss=0.5", "images=1,234", "loss=0.4") == [
        {"value": 0.5},
        {"value": 0.4},
    ]
    assert program.said == [
        "`what` is left out where it is no number, as `loss`",
        "`value` is left out where it is no number, as `1,234`",
    ]


def test_a_regex_without_a_number_shows_what_it_saw(tmp_path: Path) -> None:
    program = Program(tmp_path, regex="acc=(?P<acc>.*)")
    assert "`acc=(?P<acc>.*)` of `metrics` matches nothing; it printed nothing" in (
        program.source.nothing()
    )
    program.prints("a", "b", "accuracy 0.5", "", "done")
    assert program.source.nothing().endswith("its last lines are `b`, `accuracy 0.5`, `done`")
    program.prints("acc=high")
    assert "matches, but no group is a number" in program.source.nothing()


def test_a_json_object_on_a_line_of_stdout_is_an_epoch(tmp_path: Path) -> None:
    program = Program(tmp_path, json="stdout")
    assert program.prints(
        "epoch 1 of 2",
        "{'loss': 1}",
        '{"step": 1, "train": {"loss": 0.5, "top": {"5": 1e-1}}, "done": false, "gap": null}',
        '{ "huge": 1' + "0" * 5000 + "}",
        '{"name": "resnet", "sizes": [1, 2]}',
        "{}",
        '[{"loss": 1}]',
    ) == [
        {"step": 1.0, "train/loss": 0.5, "train/top/5": 0.1, "done": False, "gap": None},
        {"huge": math.inf},
    ]
    assert program.prints('{"loss": 1}', stdout=False) == []
    infinite = program.prints('{"nan": NaN, "least": -Infinity}')
    assert math.isnan(infinite[0]["nan"])
    assert infinite[0]["least"] == -math.inf
    assert program.said == [
        "`name` is left out where it is no number, as `resnet`",
        "`sizes` is left out where it is no number, as `[1.0, 2.0]`",
    ]


@pytest.mark.parametrize(
    "line",
    [
        '{"a": 1}{"a": 2}',
        '{"a": {"a": 0.5}',
        '{ "a": 1} 0.4}',
        '{"a": ' + "9" * 200,
        '{"a":' * 100_000,
    ],
)
def test_a_broken_json_object_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    program = Program(tmp_path, json="stdout")
    program.prints("begins", '{"a": 1}')
    program.prints("on stderr", stdout=False)
    with pytest.raises(TrialError) as error:
        program.prints(line)
    assert str(error.value).startswith("line 3 of stdout begins as a JSON object and is none: `{")
    assert line[:80] in str(error.value)
    assert line[:81] not in str(error.value) or len(line) < 81
    assert "with one call and flush" in str(error.value)


def test_json_without_a_number_shows_what_it_saw(tmp_path: Path) -> None:
    program = Program(tmp_path, json="stdout")
    program.prints("{'loss': 1}")
    assert "stdout has none; its last lines are `{'loss': 1}`" in program.source.nothing()
    program.prints('{"loss": "low"}')
    assert "none of those on stdout has a number" in program.source.nothing()


NESTED = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers()),
    lambda inner: st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=6,
)


@given(record=st.dictionaries(st.text(min_size=1), NESTED, max_size=4))
def test_a_json_object_gives_its_numbers_under_joined_names(record: dict[str, Any]) -> None:
    def numbers(mapping: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, value in mapping.items():
            if isinstance(value, dict):
                yield from numbers(value, f"{prefix}{name}/")
            elif not isinstance(value, str | list):
                yield prefix + name, value

    expected = list(numbers(record, ""))
    program = Program(Path(), json="stdout")
    if len(dict(expected)) < len(expected):
        with pytest.raises(TrialError, match="two metrics"):
            program.prints(json.dumps(record))
    else:
        has_number = any(value is not None for _, value in expected)
        assert program.prints(json.dumps(record)) == ([dict(expected)] if has_number else [])


def test_a_named_counter_takes_the_place_of_step(tmp_path: Path) -> None:
    program = Program(tmp_path, json="stdout", step="train/batch")
    assert program.prints(
        '{"train": {"batch": 100}, "step": 7, "loss": 1}', '{"step": 8, "loss": 0.5}'
    ) == [
        {"step": 100.0, "logged/step": 7.0, "loss": 1.0},
        {"logged/step": 8.0, "loss": 0.5},
    ]
    assert program.said == ["`step` is stored as `logged/step`, since it is not the counter"]


# CSV

FIELDS = st.one_of(
    st.floats(allow_nan=False),
    st.none(),
    st.sampled_from(["", "True", 'say "yes"', "two\nlines", "a,b", "é", "1,234"]),
)


def csv_text(rows: Sequence[Sequence[Any]], line_end: str = "\r\n") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end).writerows(rows)
    return text.getvalue().encode()


def numbers_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Epoch]:
    """What the epochs of rows are, by Python's own values."""
    epochs = []
    for row in rows:
        epoch = {
            name: None if value in ("", None) else value
            for name, value in zip(names, row, strict=True)
            if value in ("", None) or isinstance(value, float)
        }
        if any(value is not None for value in epoch.values()):
            epochs.append(epoch)
    return epochs


@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS, FIELDS), max_size=8),
    line_end=st.sampled_from(["\n", "\r\n"]),
    is_cut_off=st.booleans(),
    data=st.data(),
)
def test_a_csv_file_that_grows_byte_by_byte_or_at_once_has_the_same_epochs(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[Any, ...]],
    line_end: str,
    is_cut_off: bool,
    data: st.DataObject,
) -> None:
    names = ("step", "loss", "note")
    text = csv_text([names, *rows], line_end)
    if is_cut_off:
        text = text.removesuffix(line_end.encode())
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6).map(sorted))
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    program = Program(path.parent, csv="log.csv")
    for begin, end in pairwise([0, *cuts, len(text)]):
        with path.open("ab") as file:
            file.write(text[begin:end])
        program.poll()
    program.end()
    assert program.epochs == numbers_of(names, rows)


@given(
    parts=st.lists(st.dictionaries(st.sampled_from("abcde"), st.floats(0, 9), min_size=1)),
    seed=st.randoms(use_true_random=False),
)
def test_a_csv_file_whose_header_grows_repeats_and_loses_no_row(
    tmp_path_factory: pytest.TempPathFactory, parts: list[dict[str, float]], seed: Any
) -> None:
    """As Lightning writes: the whole file anew for a new column, which may be seen half-way."""
    path = tmp_path_factory.mktemp("csv") / "metrics.csv"
    program = Program(path.parent, csv="metrics.csv")
    names: list[str] = []
    for number, part in enumerate(parts):
        is_new = not set(part) <= set(names)
        if is_new:
            names = sorted({*names, *part})
            text = csv_text([names, *([row.get(name) for name in names] for row in parts[:number])])
            half = seed.randint(0, len(text))
            path.write_bytes(text[:half])
            program.poll()
            path.write_bytes(text)
        with path.open("ab") as file:
            file.write(csv_text([[part.get(name) for name in names]]))
        if is_new or seed.random() < 0.5:
            program.poll()
    program.end()
    assert [
        {name: value for name, value in epoch.items() if value is not None}
        for epoch in program.epochs
    ] == parts


def test_lightnings_csv_logger_is_read_as_it_logs(tmp_path: Path) -> None:
    loggers = pytest.importorskip("lightning.pytorch.loggers", reason="lightning is not installed")
    logger = loggers.CSVLogger(tmp_path, name="", version="", flush_logs_every_n_steps=1)
    program = Program(tmp_path, csv="metrics.csv")
    logged = []
    for epoch in range(3):
        for step in range(2):
            logger.log_metrics({"epoch": epoch, "train_loss": 1 / (1 + step)}, step)
            logged.append({"epoch": epoch, "step": step, "train_loss": 1 / (1 + step)})
            program.poll()
        logger.log_metrics({"epoch": epoch, f"val_{epoch}": 0.5}, 2)
        logged.append({"epoch": epoch, "step": 2, f"val_{epoch}": 0.5})
    logger.finalize("success")
    program.end()
    assert [
        {name: value for name, value in epoch.items() if value is not None}
        for epoch in program.epochs
    ] == logged


def test_rows_of_an_earlier_attempt_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,0.5\n")
    program = Program(tmp_path, csv=str(path))
    assert program.poll() == []
    with path.open("a") as file:
        file.write("step,loss\n2,0.25\n3,0.1\n")  # a header again, as some write at each start
    assert program.poll() == [{"step": 2.0, "loss": 0.25}, {"step": 3.0, "loss": 0.1}]
    path.write_text("loss,step,time\n0.50,1,\n0.25,2,\n0.1,3,\n0.05,4,9\n")
    assert program.end() == [{"loss": 0.05, "step": 4.0, "time": 9.0}]


@pytest.mark.parametrize("rest", ["2,0.2", '2,"0.2', "2,0.25"])
def test_a_row_at_which_an_earlier_attempt_was_killed_spoils_no_other(
    tmp_path: Path, rest: str
) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,0.5\n" + rest)
    program = Program(tmp_path, csv="log.csv")
    with path.open("a") as file:
        file.write("2,0.25\n3,0.1\n")
    assert program.end() == [{"step": 2.0, "loss": 0.25}, {"step": 3.0, "loss": 0.1}]


def test_a_csv_file_that_is_begun_anew_counts_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,0.5\n2,0.25\n")
    program = Program(tmp_path, csv="log.csv")
    path.write_text("step,loss\n1,0.75\n")
    assert program.poll() == [{"step": 1.0, "loss": 0.75}]
    path.write_text("loss\n0.125\n0.25\n0.5\n")
    assert program.end() == [{"loss": 0.125}, {"loss": 0.25}, {"loss": 0.5}]


def test_a_long_csv_file_that_differs_after_its_first_pages_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    first = "step,loss\n" + "".join(f"{step},1.5\n" for step in range(2000))
    path.write_text(first + "2000,0.5\n")
    program = Program(tmp_path, csv="log.csv")
    path.write_text(first + "2000,0.25\n2001,0.125\n")
    assert [epoch["step"] for epoch in program.poll()] == list(range(2002))
    with path.open("a") as file:
        file.write("2002,0.5\n")
    assert program.poll() == [{"step": 2002.0, "loss": 0.5}]


def test_a_csv_file_begun_anew_with_the_same_rows_is_known_by_staying_shorter(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.csv"
    rows = [f"{step},{1 / step}\n" for step in range(1, 6)]
    path.write_text("step,loss\n" + "".join(rows))
    program = Program(tmp_path, csv="log.csv")
    path.write_text("step,loss\n" + rows[0])
    assert program.poll() == []  # it may be half-way through writing all rows again
    with path.open("a") as file:
        file.write(rows[1])
    assert [epoch["step"] for epoch in program.poll()] == [1.0, 2.0]
    with path.open("a") as file:
        file.writelines(rows[2:])
    assert [epoch["step"] for epoch in program.end()] == [3.0, 4.0, 5.0]


@pytest.mark.parametrize("count", [1, 2])
def test_the_same_rows_written_again_are_those_of_this_attempt(tmp_path: Path, count: int) -> None:
    path = tmp_path / "log.csv"
    path.write_text("loss\n0.5\n0.25\n")
    os.utime(path, ns=(0, 0))
    program = Program(tmp_path, csv="log.csv")
    path.write_text("loss\n" + "0.5\n0.25\n"[: 4 if count == 1 else 9])
    assert program.end() == [{"loss": 0.5}, {"loss": 0.25}][:count]


def test_an_old_csv_file_that_the_program_leaves_alone_has_no_epochs(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("loss;time\n0.5;1")
    program = Program(tmp_path, csv="log.csv")
    assert program.poll() == program.end() == []
    assert "got no row with a number; its columns are `loss;time`" in program.source.nothing()


def test_a_csv_file_that_never_appears_is_named(tmp_path: Path) -> None:
    program = Program(tmp_path, csv="logs/metrics.csv")
    assert program.poll() == program.end() == []
    assert f"{tmp_path}/logs/metrics.csv, which does not exist" in program.source.nothing()


def test_names_in_a_csv_header_lose_their_padding_and_columns_without_one_are_left_out(
    tmp_path: Path,
) -> None:
    program = Program(tmp_path, csv="results.csv")
    (tmp_path / "results.csv").write_text("\ufeff,  epoch,  train/loss\n0, 1, 0.5\n\n1, 2, 0.25\n")
    assert program.end() == [
        {"epoch": 1.0, "train/loss": 0.5},
        {"epoch": 2.0, "train/loss": 0.25},
    ]
    assert program.said == ["values without a name are left out"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1,2\n1,2,3\n", "a row has 3 fields where its header has 2: `1,2,3`"),
        (b"PK\x03\x04\0\0\n", "bytes that are no text"),
        (b'a,b\n"1,2\n', "unexpected end of data"),
        (b"a,a\n1,2\n", "two metrics that are stored as `a`"),
    ],
)
def test_a_file_that_is_no_csv_is_an_error(tmp_path: Path, content: bytes, said: str) -> None:
    program = Program(tmp_path, csv="log.csv")
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(TrialError, match=re.escape(said)):
        program.end()
    again = Program(tmp_path, csv="log.csv")
    path.write_text("loss\n0.5\n")
    assert again.end() == [{"loss": 0.5}]


def test_a_csv_path_that_is_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=rf"{tmp_path}, which .* cannot be read \(Is a directory"):
        Program(tmp_path, csv=".")


# TensorBoard


@pytest.fixture(scope="session")
def tensorboard_x() -> Any:
    return pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")


def written(writer: Any, events: Sequence[tuple[int, str, float]]) -> None:
    for step, tag, value in events:
        writer.add_scalar(tag, value, step)
    writer.close()


@given(
    events=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["loss", "acc"]), st.integers(0, 9)),
        min_size=1,
    ),
    data=st.data(),
)
def test_an_event_file_that_grows_byte_by_byte_or_at_once_has_the_same_epochs(
    tensorboard_x: Any,
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[int, str, float]],
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("events")
    written(tensorboard_x.SummaryWriter(str(folder / "whole")), events)
    (whole,) = (folder / "whole").iterdir()
    content = whole.read_bytes()
    cuts = data.draw(st.lists(st.integers(0, len(content)), max_size=6).map(sorted))
    program = Program(folder, tensorboard="growing")
    (folder / "growing").mkdir()
    for begin, end in pairwise([0, *cuts, len(content)]):
        with (folder / "growing" / whole.name).open("ab") as file:
            file.write(content[begin:end])
        program.poll()
    program.end()
    expected: list[dict[str, float]] = []
    for step, tag, value in events:
        if not expected or expected[-1]["step"] != step:
            expected.append({"step": step})
        expected[-1][tag] = value
    assert program.epochs == expected


def test_files_of_one_step_are_one_epoch_and_subfolders_begin_its_names(
    tensorboard_x: Any, tmp_path: Path
) -> None:
    program = Program(tmp_path, tensorboard="logs")
    train = tensorboard_x.SummaryWriter(str(tmp_path / "logs"))
    train.add_histogram("weights", [1.0, 2.0, 3.0], 0)
    train.add_text("note", "half-way", 1)
    written(train, [(step, "loss", step) for step in range(3)])
    test = tensorboard_x.SummaryWriter(str(tmp_path / "logs/test/digits"))
    written(test, [(step, "loss", 10 * step) for step in range(3)])
    assert [epoch["step"] for epoch in program.poll()] == [0, 1]
    assert [epoch["step"] for epoch in program.end()] == [2]
    assert program.epochs == [
        {"step": step, "loss": step, "test/digits/loss": 10 * step} for step in range(3)
    ]


@given(turns=st.lists(st.sampled_from(["train", "validation", "poll"])))
def test_files_that_are_flushed_apart_have_the_same_epochs(
    tensorboard_x: Any, tmp_path_factory: pytest.TempPathFactory, turns: list[str]
) -> None:
    """As TensorFlow writes, at most ten steps apart, and both files are there from the start."""
    folder = tmp_path_factory.mktemp("events")
    program = Program(folder, tensorboard=".")
    files, contents = {}, {}
    for run in ("train", "validation"):
        written(
            tensorboard_x.SummaryWriter(str(folder / run)),
            [(step, "loss", step) for step in range(len(turns))],
        )
        (files[run],) = (folder / run).iterdir()
        contents[run] = records(files[run].read_bytes())
        files[run].write_bytes(contents[run][0])
    shown = dict.fromkeys(files, 0)
    for turn in turns:
        if turn == "poll":
            program.poll()
        elif shown[turn] - min(shown.values()) < 10:
            shown[turn] += 1
            with files[turn].open("ab") as file:
                file.write(contents[turn][shown[turn]])
    program.end()
    assert program.epochs == [
        {"step": step} | {f"{run}/loss": step for run in files if step < shown[run]}
        for step in range(max(shown.values()))
    ]


def records(content: bytes) -> list[bytes]:
    """Cut an event file into its records: a version, and then the events."""
    found = []
    while content:
        end = 16 + struct.unpack_from("<Q", content)[0]
        found.append(content[:end])
        content = content[end:]
    return found


def test_a_file_that_stays_behind_is_not_waited_for_forever(
    tensorboard_x: Any, tmp_path: Path
) -> None:
    program = Program(tmp_path, tensorboard=".")
    written(tensorboard_x.SummaryWriter(str(tmp_path / "first")), [(0, "loss", 1.0)])
    train = tensorboard_x.SummaryWriter(str(tmp_path))
    written(train, [(step, "loss", step) for step in range(30)])
    assert [epoch["step"] for epoch in program.poll()] == list(range(20))
    assert [epoch["step"] for epoch in program.end()] == list(range(20, 30))


def test_events_of_an_earlier_attempt_are_passed_over(tensorboard_x: Any, tmp_path: Path) -> None:
    written(tensorboard_x.SummaryWriter(str(tmp_path), filename_suffix=".1"), [(1, "loss", 1.0)])
    program = Program(tmp_path, tensorboard=str(tmp_path))
    assert "no file with `tfevents` in its name came there" in program.source.nothing()
    notes = tensorboard_x.SummaryWriter(str(tmp_path), filename_suffix=".2")
    notes.add_text("note", "half-way", 2)
    notes.close()
    assert program.poll() == program.end() == []
    assert "and the 1 that came have none" in program.source.nothing()
    written(tensorboard_x.SummaryWriter(str(tmp_path), filename_suffix=".3"), [(2, "loss", 0.5)])
    assert program.end() == [{"step": 2, "loss": 0.5}]


def test_a_scalar_may_be_the_counter(tensorboard_x: Any, tmp_path: Path) -> None:
    program = Program(tmp_path, tensorboard=".", step="epoch")
    events = [(100, "loss", 0.5), (100, "epoch", 1.0), (200, "loss", 0.25), (200, "step", 7.0)]
    written(tensorboard_x.SummaryWriter(str(tmp_path)), events)
    assert program.end() == [{"loss": 0.5, "step": 1.0}, {"loss": 0.25, "logged/step": 7.0}]


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": 1, "float_val": [0.5]},
        {"dtype": 1, "tensor_content": struct.pack("<f", 0.5)},
        {"dtype": 2, "double_val": [0.5]},
        {"dtype": 2, "tensor_content": struct.pack("<d", 0.5)},
        {"dtype": 19, "half_val": [0x3800]},
        {"dtype": 19, "tensor_content": struct.pack("<e", 0.5)},
    ],
)
def test_scalars_of_tensorflow_2_are_read(
    tensorboard_x: Any, tmp_path: Path, fields: dict[str, Any]
) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.proto.tensor_pb2 import TensorProto
    from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto

    row = TensorShapeProto(dim=[TensorShapeProto.Dim(size=2)])
    values = [
        Summary.Value(tag="epoch_loss", tensor=TensorProto(**fields)),
        Summary.Value(tag="row", tensor=TensorProto(**fields, tensor_shape=row)),
        Summary.Value(tag="text", tensor=TensorProto(dtype=7, string_val=[b"0.5"])),
        Summary.Value(tag="zero", tensor=TensorProto(dtype=fields["dtype"])),
    ]
    records = tensorboard_x.RecordWriter(str(tmp_path / "events.out.tfevents.1.host.v2"))
    program = Program(tmp_path, tensorboard=".")
    records.write(Event(step=3, summary=Summary(value=values)).SerializeToString())
    records.close()
    assert program.end() == [{"step": 3, "epoch_loss": 0.5, "zero": 0.0}]


def test_torchs_own_writer_is_read(tmp_path: Path) -> None:
    pytest.importorskip(
        "tensorboard", reason="tensorboard, which torch writes by, is not installed"
    )
    from torch.utils.tensorboard import SummaryWriter

    program = Program(tmp_path, tensorboard=".")
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", 0.5, 1)
        writer.add_scalar("new", 0.25, 1, new_style=True)
        writer.add_scalars("both", {"a": 1.0, "b": 2.0}, 1)
    assert program.end() == [
        {"step": 1, "loss": 0.5, "new": 0.25, "both_a/both": 1.0, "both_b/both": 2.0}
    ]


@pytest.mark.parametrize("at", [0, 8, 30, -1])
def test_a_broken_event_file_is_an_error(tensorboard_x: Any, tmp_path: Path, at: int) -> None:
    written(tensorboard_x.SummaryWriter(str(tmp_path / "whole")), [(1, "loss", 0.5)])
    (whole,) = (tmp_path / "whole").iterdir()
    content = bytearray(whole.read_bytes())
    content[at] ^= 1
    program = Program(tmp_path, tensorboard="broken")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / whole.name).write_bytes(content)
    with pytest.raises(TrialError, match="is no event file of TensorBoard, or is broken at byte"):
        program.end()
