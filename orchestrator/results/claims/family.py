"""The claims of a file, judged as one family."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from orchestrator.results.claims.evidence import Measure, Reduced, reduced
from orchestrator.results.claims.parts import in_unit
from orchestrator.results.claims.sequential import UNDECIDED, Look, decide, path
from orchestrator.results.selection import CellSelection
from orchestrator.spec.claim import Claim
from orchestrator.spec.model import Sweep


@dataclass(frozen=True)
class Member:
    """A claim of a family.

    Attributes:
        reduced: the claim, as numbers per seed.
        outcome: `UNDECIDED`, `SUPPORTED`, `REFUTED` or `NEGLIGIBLE`.
        seeds: number of its seeds when it was decided; else of those that are in.
        share: the error at which it was decided, or is tested now, is alpha divided by this.
    """

    reduced: Reduced
    outcome: int
    seeds: int
    share: int

    @property
    def waits(self) -> bool:
        """Whether further seeds may decide it."""
        return self.outcome == UNDECIDED and self.reduced.waits

    def path(self, alpha: float, part: int, sharing: int) -> list[Look]:
        """List the looks at one of its parts, in the unit that the trainable yields.

        Args:
            alpha: the error of the part.
            part: its index.
            sharing: how many parts share the error, which they spend together.
        """
        claim = self.reduced.claim
        looks = path(self.reduced.evidence, alpha, part)
        ends = [[in_unit(claim, end) for end in (x.effect, x.low, x.high)] for x in looks]
        return [
            replace(look, effect=effect, low=low, high=high, spent=sharing * look.spent)
            for look, (effect, low, high) in zip(looks, ends, strict=True)
        ]


def family(
    claims: Sequence[Claim],
    sweep: Sweep,
    selections: Sequence[CellSelection],
    measure: Measure,
    diverged: Collection[str],
) -> list[Member]:
    """Judge claims as one family; arguments as of `reduced`."""
    if not claims:
        return []
    numbers = [reduced(claim, sweep, selections, measure, diverged) for claim in claims]
    found = decide([each.evidence for each in numbers])
    members = zip(numbers, found.outcomes[0], found.seeds[0], found.shares[0], strict=True)
    return [
        Member(each, int(outcome), int(at) or min(len(each.seeds), each.looks.last), int(share))
        for each, outcome, at, share in members
    ]
