"""The certificate of an audit, for people and for programs."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from typing import Any, Literal

from orchestrator.auditing.audit import Audit, Audited, Outcome
from orchestrator.auditing.elsewhere import Elsewhere, conditions, elsewhere
from orchestrator.auditing.sampling import LEVEL, fewest_caught
from orchestrator.labels import counted
from orchestrator.running.one_trial import named
from orchestrator.running.processor import processor_of

VERSION = 1
"""Of what `as_dict` returns: it grows if a key goes or changes its meaning."""

Verdict = Literal["clear", "accused", "neither"]
_TOLD = {
    Outcome.EQUAL: "equal to the bit",
    Outcome.DIFFERS: "not as published",
    Outcome.UNREPEATABLE: "not repeatable: two runs here differ too",
    Outcome.ELSEWHERE: "not equal, and need not be here",
    Outcome.RESUMED: "went on from a checkpoint, and so neither accuse nor clear",
    Outcome.FAILED: "do not run here",
}


@dataclass(frozen=True)
class Certificate:
    """What an audit found.

    Attributes:
        audit: what was run.
        audited: what each sampled trial came to.
    """

    audit: Audit
    audited: Sequence[Audited]

    def count(self, outcome: Outcome) -> int:
        """Count the trials that came to something."""
        return sum(each.outcome is outcome for each in self.audited)

    @property
    def compared(self) -> int:
        """How many show whether they were altered.

        Where one trial need not be equal and is not, an altered one would look the same: then none
        of those that need not be counts, equal or not.
        """
        return sum(
            each.outcome in {Outcome.EQUAL, Outcome.DIFFERS}
            and not (self.elsewhere and each.may_differ)
            for each in self.audited
        )

    @property
    def verdict(self) -> Verdict:
        """Accused if a trial is not as published, clear if all that ran are."""
        if self.count(Outcome.DIFFERS):
            return "accused"
        others = len(self.audited) - self.compared - self.count(Outcome.RESUMED)
        return "clear" if self.compared and not others else "neither"

    @property
    def judged(self) -> int:
        """Of how many of the publication's trials the sample tells: those that never went on."""
        return self.audit.population - self.audit.resumed

    @cached_property
    def caught_from(self) -> int | None:
        """How many altered trials such a sample would have caught with 95 % probability.

        Of those that did not go on from a checkpoint: about the others an audit says nothing. None
        if a sampled one could not be compared: altered ones could be among these.
        """
        if self.compared + self.count(Outcome.RESUMED) < len(self.audited):
            return None
        return fewest_caught(self.judged, self.compared)

    @cached_property
    def elsewhere(self) -> Elsewhere | None:
        """What the trials say that need not be equal, where some are not; else None."""
        return elsewhere(self.audit, self.audited)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, whose keys docs/json.md describes."""
        altered = self.caught_from
        caught = altered and {"altered": altered, "share": altered / self.judged}
        return {
            "version": VERSION,
            "sweep": self.audit.results.sweep.name,
            "publication": self.audit.digest,
            "verdict": self.verdict,
            "seed": self.audit.seed,
            "finished": self.audit.population,
            "resumed": self.audit.resumed,
            "sampled": len(self.audited),
            "compared": self.compared,
            "outcomes": {outcome.value: self.count(outcome) for outcome in Outcome},
            "caught": caught and {**caught, "probability": LEVEL},
            "elsewhere": self.elsewhere and self.elsewhere.as_dict(),
            "audited_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "processor": processor_of(0),
            "python": platform.python_version(),
            "orch-sweeps": version("orch-sweeps"),
            "trials": [_plain(each, self.elsewhere) for each in self.audited],
        }

    def lines(self) -> Iterator[str]:
        """Write it as lines of text."""
        audit = self.audit
        yield f"audit of {audit.results.sweep.name}, {audit.digest[:16]} by its rows and sources"
        yield (
            f"{counted(len(self.audited), 'trial')} of {audit.population:,} that finished, drawn "
            f"with the seed {audit.seed}"
        )
        yield from (
            f"{self.count(outcome):,} {text}"
            for outcome, text in _TOLD.items()
            if self.count(outcome)
        )
        for each in self.audited:
            if each.outcome not in {Outcome.EQUAL, Outcome.ELSEWHERE, Outcome.RESUMED}:
                yield f"{named(each.trial)}: {_reason(each)}"
        if failed := [each for each in self.audited if each.outcome is Outcome.FAILED]:
            file, trial_id = audit.folder / "sweep.yaml", failed[0].trial.trial_id
            yield f"to see where one fails: orch again {file} {trial_id} --stored"
        if self.elsewhere:
            yield from self.elsewhere.lines()
        elif equal_though := conditions(self.audited):
            yield f"equal, though not the same here: {'; '.join(equal_though)}"
        yield from self._meaning()

    def _meaning(self) -> Iterator[str]:
        if self.caught_from:
            share = self.caught_from / self.judged
            yield (
                f"if {counted(self.caught_from, 'trial')} or more of {self.judged:,} ({share:.1%}) "
                f"were altered, {counted(self.compared, 'compared trial')} would hold one with "
                "95 % probability"
            )
        if self.audit.resumed:
            yield (
                f"nothing is said of the {counted(self.audit.resumed, 'trial')} of "
                f"{self.audit.population:,} that went on from a checkpoint"
            )
        yield {
            "clear": "clear: what was compared is as published",
            "accused": "accused: numbers are not what the published sources compute here",
            "neither": "neither cleared nor accused",
        }[self.verdict]


def _reason(audited: Audited) -> str:
    if audited.comparison is None:
        return audited.reason
    where = f" in {', '.join(audited.comparison.differing)}" if audited.comparison.differing else ""
    return f"not equal from epoch {audited.comparison.differs_from} on{where}"


def _plain(audited: Audited, beside: Elsewhere | None) -> dict[str, Any]:
    trial, comparison = audited.trial, audited.comparison
    difference = beside.differences.get(trial.trial_id) if beside else None
    return {
        "trial_id": trial.trial_id,
        "params": {name: value for name, value in trial.values.items() if name != "seed"},
        "seed": trial.seed,
        "outcome": audited.outcome.value,
        "differs_from": comparison and comparison.differs_from,
        "differing": list(comparison.differing) if comparison else [],
        "conditions": list(comparison.conditions) if comparison else [],
        "went_on_after": comparison and comparison.went_on_after,
        "difference": difference if difference is not None and math.isfinite(difference) else None,
        "reason": audited.reason or None,
    }
