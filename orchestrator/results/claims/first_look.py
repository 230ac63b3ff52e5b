"""What the claims of a sweep were when confirm seeds were first looked at, and what changed since.

A verdict at 5 % holds for claims, numbers of seeds and configs that were chosen before their
results were seen. The driver writes them down at the first look, and never anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import StoreError
from orchestrator.labels import seed_ranges
from orchestrator.spec.claim import Claim
from orchestrator.store import Store

if TYPE_CHECKING:  # it imports scipy.stats
    from orchestrator.results.claims.family import Member

FILE = "looks.json"


@dataclass(frozen=True)
class Looked:
    """One claim, as it was when it was looked at.

    Attributes:
        claim: its keys, but for its name.
        at_most: how many confirm seeds were to be looked at.
        seeds: how many have been seen since; 0 before its first look.
        selected: the config of each of its cells, by cell id.
        confirm: the seeds that have been seen; empty also where an earlier version wrote the file.
    """

    claim: Mapping[str, Any]
    at_most: int
    seeds: int
    selected: Mapping[str, str]
    confirm: tuple[int, ...] = ()


_CLAIMS = TypeAdapter(tuple[Looked, ...])


@dataclass(frozen=True)
class FirstLook:
    """The claims of a sweep at the first look; none before it."""

    claims: tuple[Looked, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.claims)

    @classmethod
    def read(cls, store: Store) -> FirstLook:
        """Read it from a store.

        Raises:
            StoreError: the file is damaged.
        """
        data = store.files.read(FILE)
        if data is None:
            return cls()
        try:
            return cls(_CLAIMS.validate_json(data))
        except ValidationError:
            name = store.files.shown(FILE)
            raise StoreError(
                f"{name} is damaged: it tells which claims were made before their results were "
                "seen; put back a copy, or delete it if that does not matter"
            ) from None

    @property
    def text(self) -> str:
        """The text of the file."""
        return json.dumps([asdict(looked) for looked in self.claims], indent=1) + "\n"

    @property
    def seen(self) -> int:
        """The largest number of seeds that a claim was looked at with."""
        return max((looked.seeds for looked in self.claims), default=0)

    def after(self, members: Sequence[Member]) -> FirstLook:
        """Return what is known after one more look: more seeds of what has not changed."""
        now = [_looked(member) for member in members]
        if not self:
            return FirstLook(tuple(now)) if any(looked.seeds for looked in now) else self
        by_claim = {_key(looked.claim): looked for looked in now}
        return FirstLook(tuple(_later(old, by_claim.get(_key(old.claim))) for old in self.claims))

    def changes(
        self, members: Sequence[Member], claims: Sequence[Claim]
    ) -> Iterator[tuple[str, ...]]:
        """Say for each claim what was changed after it was seen.

        Args:
            members: the claims, as they are judged.
            claims: the same as they stand in the file, where not all may say what matters.
        """
        now = [
            replace(_looked(member), claim=_keys_of(claim))
            for member, claim in zip(members, claims, strict=True)
        ]
        before = {_key(looked.claim): looked for looked in self.claims}
        keys = [sorted(_key(looked.claim) for looked in claims) for claims in (self.claims, now)]
        are_edited = keys[0] != keys[1]  # one that was made twice counts twice
        for looked, member in zip(now, members, strict=True):
            edited = f"claims edited after seed {self.seen} was seen"
            known = before.get(_key(looked.claim))
            told = _dropped if member.reduced.about.exploratory else _changes
            yield (
                *([edited] if are_edited and self.seen else ()),
                *(told(known, looked) if known and known.seeds else ()),
            )


def _looked(member: Member) -> Looked:
    reduced = member.reduced
    cells = {s.cell.cell_id: s.best.config.config_id for s in reduced.about.cells if s.best}
    seeds = min(len(reduced.seeds), reduced.looks.last)
    has_look = seeds >= reduced.looks.first and not reduced.about.exploratory
    return Looked(
        claim=_keys_of(reduced.claim),
        at_most=reduced.looks.last,
        seeds=seeds if has_look else 0,
        selected=cells if has_look else {},
        confirm=reduced.seeds[:seeds] if has_look else (),
    )


def _keys_of(claim: Claim) -> dict[str, Any]:
    return claim.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)


def _key(claim: Mapping[str, Any]) -> str:
    return json.dumps(claim, sort_keys=True)


def _later(old: Looked, now: Looked | None) -> Looked:
    if now is None or now.at_most != old.at_most or now.seeds <= old.seeds:
        return old
    is_same = now.selected == old.selected and set(old.confirm) <= set(now.confirm)
    return now if is_same or not old.seeds else old


def _dropped(old: Looked, _now: Looked) -> Iterator[str]:
    yield f"judged without `confirm` after {old.seeds} of its seeds had been seen"


def _changes(old: Looked, now: Looked) -> Iterator[str]:
    if now.at_most != old.at_most:
        which = "raised" if now.at_most > old.at_most else "lowered"
        seeds = f"{now.at_most} confirm seeds instead of {old.at_most}"
        yield f"N {which} after a look: {seeds}, of which {old.seeds} had been seen"
    if now.seeds and now.selected != old.selected:
        yield f"another config is selected than when seed {old.seeds} was seen"
    before, after = set(old.confirm), set(now.confirm)
    if after and not (before <= after or after <= before):
        seeds = f"{seed_ranges(after)} instead of {seed_ranges(before)}"
        yield f"other confirm seeds after a look: {seeds}"
