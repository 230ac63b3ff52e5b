"""The sweep file that a store keeps, and which edits of it a run accepts."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import SpecError, StoreError, SweepChangedError
from orchestrator.labels import label, quoted
from orchestrator.spec import Sweep, load_text
from orchestrator.spec.values import Value, canonical
from orchestrator.store.store import Store
from orchestrator.store.stores import Stores


def stored_sweep(store: Store) -> Sweep:
    """Read the sweep as it last ran in a store.

    Raises:
        StoreError: there is no store, or its copy of the sweep file is damaged.
    """
    text = store.files.read("sweep.yaml")
    if text is None:
        raise StoreError(_not_a_store(store))
    try:
        name = store.files.shown("sweep.yaml")
        return load_text(text.decode(), name, strict=False)
    except (SpecError, UnicodeDecodeError) as error:
        raise StoreError(f"the store's copy of its sweep file is damaged: {error}") from None


def _not_a_store(store: Store) -> str:
    """Say that a folder is not a store, and which stores are in it."""
    message = (
        f"{store.files} is not a store: it has no sweep.yaml; expected the folder of one sweep, "
        "such as results/NAME"
    )
    stores = Stores(store.files.location)
    inside = [name for name in stores.files.folders() if stores.store_of(name).exists]
    return f"{message} (it holds the stores {quoted(inside)})" if inside else message


def require_same(sweep: Sweep, store: Store) -> Sweep:
    """Refuse a sweep that differs from the stored one in what runs, params or fixed values.

    Returns:
        The stored sweep.

    Raises:
        SweepChangedError: the sweeps differ; it lists the differences.
        StoreError: as `stored_sweep`.
    """
    stored = stored_sweep(store)
    differences = [*_differences(sweep, stored), *_taken(sweep, stored, store)]
    if differences:
        raise SweepChangedError(
            f"{store.files} holds a sweep `{sweep.name}` that differs:\n  "
            + "\n  ".join(differences)
            + "\ngive this one another `name`, or change it back"
        )
    return stored


def _change(before: str | None, now: str | None) -> str:
    if before is None or now is None:
        return "is gone" if now is None else "is new"
    return f"was {before}, is {now}"


def _differences(new: Sweep, old: Sweep) -> Iterator[str]:
    runs = [{"trainable": s.runs} if isinstance(s.runs, str) else s.runs for s in (old, new)]
    for key in ("trainable", "command", "metrics"):
        before, now = (label(each[key]) if key in each else None for each in runs)
        if before != now:
            yield f"`{key}` {_change(before, now)}"
    if set(new.diverged_on) != set(old.diverged_on):
        before, now = label(sorted(old.diverged_on)), label(sorted(new.diverged_on))
        yield f"`diverged_on` was {before}, is {now}"
    yield from _added(new, old)
    old_params, new_params = _params(old), _params(new)
    for name, (section, values) in old_params.items():
        if name not in new_params:
            yield f"`{section}.{name}` is gone"
            continue
        to, after = new_params[name]
        is_kept = not {*map(canonical, values)}.isdisjoint(map(canonical, after))
        if "fixed" in {section, to} and not is_kept:
            was = canonical(values[0] if section == "fixed" else values)
            became = canonical(after[0] if to == "fixed" else after)
            yield f"`{section}.{name}` {_change(was, became)}"
    for name, (section, _) in new_params.items():
        if name not in old_params and name not in new.added:
            hint = f"`added: {{{name}: VALUE}}` says which value trials had before"
            yield f"`{section}.{name}` is new; {hint}"


def _taken(new: Sweep, old: Sweep, store: Store) -> Iterator[str]:
    old_params = _params(old)
    added = {n: section for n, (section, _) in _params(new).items() if n not in old_params}
    layout = store.layout() if added else None
    for name, section in added.items():
        if layout and name in layout.metrics:
            yield f"`{section}.{name}` is new, and finished trials have a metric of that name"


def _params(sweep: Sweep) -> dict[str, tuple[str, tuple[Value, ...]]]:
    """List the section and the values of each param."""
    sections = {"factors": sweep.factors, "search": sweep.search}
    axes = {n: (s, values) for s, params in sections.items() for n, values in params.items()}
    return {**axes, **{name: ("fixed", (value,)) for name, value in sweep.fixed.items()}}


def _added(new: Sweep, old: Sweep) -> Iterator[str]:
    """List added values that trials were taken for, and that are others now."""
    for name in new.added.keys() - old.added.keys():
        if name in _params(old):
            yield f"`added.{name}` is new, and trials have had `{name}` before"
    for name, value in old.added.items():
        if name not in new.added or canonical(new.added[name]) != canonical(value):
            became = canonical(new.added[name]) if name in new.added else None
            yield f"`added.{name}` {_change(canonical(value), became)}"
