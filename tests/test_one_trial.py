"""Which trial a user means, and what `orch status` and `orch logs` tell of it and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.commands import orch
from support.documented import schema
from support.simulation import Simulation

from orchestrator.errors import TimeUpError
from orchestrator.results import Results
from orchestrator.running import heartbeat
from orchestrator.running.heartbeat import Heartbeat
from orchestrator.spec import load
from orchestrator.store import Store


def learn(params: Mapping[str, Any], trial: Any) -> Any:
    trial.log(f"x is {params['x']}")
    if params["x"] == 2 and params["lr"] == 0.2:
        raise ValueError("too fast")
    yield {"score": params["x"] + params["lr"] / 10 + params["seed"] / 100}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    claim = {"name": "more", "compare": {"x": [2, 1]}, "metric": "score", "expect": "greater"}
    keys = {"search": {"lr": [0.1, 0.2]}, "fixed": {}, "confirm": 2, "retries": 0}
    sim = Simulation(tmp_path, monkeypatch, claims=[claim], **keys)
    sim.run(train=learn, keep_going=True)
    (tmp_path / "toy.yaml").write_text(json.dumps(sim.keys))
    return tmp_path


def trial_of(folder: Path, text: str) -> dict[str, Any]:
    shown = orch(folder, "status", "toy.yaml", text, "--json")
    assert shown.exit_code == 0, shown.stderr
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def test_a_trial_is_named_by_its_values_or_the_start_of_its_id(folder: Path) -> None:
    found = trial_of(folder, "x=1, lr=0.2,seed=1")
    assert (found["params"], found["seed"]) == ({"x": 1, "lr": 0.2}, 1)
    assert found["metrics"]["score"] == 1 + 0.02 + 0.01
    assert (found["status"], found["role"]) == ("completed", "selects, of the selected config")
    assert trial_of(folder, "x=1.0,lr=2e-1,seed=1") == found
    assert trial_of(folder, found["trial_id"][:9]) == found
    rows = Results(load(folder / "toy.yaml"), Store(str(folder / "results/toy"))).trials
    row = rows[rows["trial_id"] == found["trial_id"]].iloc[0]
    assert {name: row[name] for name in ("host", "attempts", "metrics_digest")} == {
        name: found[name] for name in ("host", "attempts", "metrics_digest")
    }


def test_what_it_is_for_and_how_it_ended_is_told(folder: Path) -> None:
    confirmed = trial_of(folder, "x=1,lr=0.2,seed=1001")
    assert confirmed["role"] == "confirms, of the selected config"
    failed = trial_of(folder, "x=2,lr=0.2,seed=0")
    assert (failed["status"], failed["role"]) == ("failed", "selects")
    assert failed["error"] == "ValueError: too fast"
    never = trial_of(folder, "x=1,lr=0.1,seed=1000")
    assert (never["status"], never["metrics"], never["code_digest"]) == ("missing", {}, None)
    shown = orch(folder, "status", "toy.yaml", "x=2,lr=0.2,seed=0").stdout
    assert "error: ValueError: too fast" in shown
    assert f"log: {failed['log']}" in shown


def test_the_log_of_a_trial_is_found_by_its_values(folder: Path) -> None:
    assert "x is 1" in orch(folder, "logs", "toy.yaml", "x=1,lr=0.1,seed=0").stdout


STRINGS = ["null", None, "a, b=1", "x: y", "[1]", [1, 2], ["a, b=1", 1], "#c", "", " sp", "a'b"]


def test_a_trial_is_found_by_what_is_printed_as_its_name_and_by_values_in_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"factors": {"x": STRINGS}, "fixed": {}, "seeds": [0]}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    (tmp_path / "toy.yaml").write_text(json.dumps(sim.keys))
    sim.run(train=lambda *_: iter([{"score": 1}]))
    for value in STRINGS:
        found = trial_of(tmp_path, f"x={json.dumps(value)}, seed=0")
        assert found["params"] == {"x": value}
        shown = orch(tmp_path, "status", "toy.yaml", found["trial_id"]).stdout
        assert trial_of(tmp_path, shown.splitlines()[0]) == found


def test_a_value_may_be_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"search": {"lr": [[0.1, 1], [0.1, 2]]}, "fixed": {}, "seeds": [0]}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    (tmp_path / "toy.yaml").write_text(json.dumps(sim.keys))
    sim.run(train=lambda params, _: iter([{"score": params["lr"][1]}]))
    assert trial_of(tmp_path, "x=1,lr=[0.1, 2], seed=0")["metrics"]["score"] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x=1,seed=0", "2 trials of toy have x=1,seed=0: "),
        ("", "expected a trial: the start of its id, or values such as order=swap,seed=0"),
        ("nowhere", "toy has no trial nowhere"),
        ("x=3", "toy has no trial x=3: `x`: unknown value `3` (known: 1, 2)"),
        ("x=1,lr=0.19,seed=0", "`lr`: unknown value `0.19`; did you mean `0.2`? (known: 0.1, 0.2)"),
        ("=1", "trial =1: expected values such as order=swap,seed=0"),
        ("y=3", "unknown factor or search param `y` (known: x, lr, seed)"),
        ("x=[", "trial x=[: not valid YAML"),
    ],
)
def test_a_name_that_fits_no_trial_or_several_is_refused(
    folder: Path, text: str, said: str
) -> None:
    for command in ("status", "logs"):
        shown = orch(folder, command, "toy.yaml", text)
        assert shown.exit_code == 2
        assert said in shown.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("status", ["status", "toy.yaml"]),
        ("trial", ["status", "toy.yaml", "x=1,lr=0.2,seed=0"]),
        ("trial", ["status", "toy.yaml", "x=2,lr=0.2,seed=0"]),
        ("trial", ["status", "toy.yaml", "x=1,lr=0.1,seed=1000"]),
        ("log", ["logs", "toy.yaml", "x=1,lr=0.2,seed=0"]),
        ("claims", ["claims", "toy.yaml"]),
    ],
)
def test_what_programs_get_is_what_the_documentation_says(
    folder: Path, name: str, words: list[str]
) -> None:
    shown = orch(folder, *words, "--json").stdout
    found = json.loads(shown, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    rules = schema(name)
    jsonschema.validate(found, rules)
    assert list(found) == list(rules["properties"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found | {"further": 1}, rules)


def test_a_trial_that_has_not_ended_is_told_by_its_checkpoint_and_the_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, factors={"x": [1]}, seeds=[0], fixed={})
    (tmp_path / "toy.yaml").write_text(json.dumps(sim.keys))

    def train(_params: Mapping[str, Any], trial: Any) -> Any:
        for epoch in range(1, 9):
            trial.save(b"state")
            yield {"score": epoch}

    with pytest.raises(TimeUpError):
        sim.run(train=train, hours=6 / 3600)
    left = trial_of(tmp_path, "seed=0")
    assert (left["status"], left["metrics"], left["epoch"]) == ("unfinished", {"score": 6.0}, None)
    with heartbeat.beating(sim.store, lambda: Heartbeat({left["trial_id"]: 5})):
        runs = trial_of(tmp_path, "seed=0")
    assert (runs["status"], runs["epoch"], runs["epochs_run"]) == ("running", 6, 6)
    for trial in (left, runs):
        jsonschema.validate(trial, schema("trial"))
        assert list(trial) == list(schema("trial")["properties"])


def test_what_programs_get_of_a_sweep(folder: Path) -> None:
    found = json.loads(orch(folder, "status", "toy.yaml", "--json").stdout)
    assert (found["trials"], found["done"]) == (8 + 2 * 2, 10)
    assert {trial["error"] for trial in found["failed"]} == {"ValueError: too fast"}
    first, second = found["cells"]
    assert (first["factors"], first["confirmed"]) == ({"x": 1}, {"done": 2, "of": 2})
    assert second["seeds"] == {"done": 0, "of": 2}
