"""The sweep file that a store keeps, and what may be edited under the same name."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import SpecError, StoreError, SweepChangedError
from orchestrator.labels import quoted
from orchestrator.spec import Sweep, load_text
from orchestrator.spec.values import canonical
from orchestrator.store.store import Store
from orchestrator.store.stores import Stores


def stored_sweep(store: Store) -> Sweep:
    """Read the sweep as it was last run into a store.

    Raises:
        StoreError: there is no store, or its copy of the file cannot be read.
    """
    text = store.files.read("sweep.yaml")
    if text is None:
        raise StoreError(_no_store(store))
    try:
        return load_text(text.decode(), store.files.shown("sweep.yaml"))
    except (SpecError, UnicodeDecodeError) as error:
        raise StoreError(f"the store's copy of its sweep file is damaged: {error}") from None


def _no_store(store: Store) -> str:
    """Say what is not there, and whether it is in the folders below."""
    message = (
        f"{store.files} is no store: there is no sweep.yaml in it; expected the folder of one "
        "sweep, such as results/NAME"
    )
    stores = Stores(store.files.location)
    below = [name for name in stores.files.folders() if stores.store_of(name).exists]
    return f"{message} (it holds the stores {quoted(below)})" if below else message


def require_same(sweep: Sweep, store: Store) -> Sweep:
    """Refuse a sweep that differs from the stored one in what identifies it.

    Returns:
        The stored one.

    Raises:
        SweepChangedError: it says what differs.
    """
    before = stored_sweep(store)
    differences = list(_differences(sweep, before))
    if differences:
        raise SweepChangedError(
            f"{store.files} holds a sweep `{sweep.name}` that differs:\n  "
            + "\n  ".join(differences)
            + "\ngive this one another `name`, or change it back"
        )
    return before


def _differences(new: Sweep, old: Sweep) -> Iterator[str]:
    if new.trainable != old.trainable:
        yield f"`trainable` was {old.trainable}, is {new.trainable}"
    for section in ("factors", "search", "fixed"):
        before, now = getattr(old, section), getattr(new, section)
        for name in [*before, *(name for name in now if name not in before)]:
            if name not in now:
                yield f"`{section}.{name}` is gone"
            elif name not in before:
                yield f"`{section}.{name}` is new"
            elif section == "fixed" and canonical(before[name]) != canonical(now[name]):
                yield f"`fixed.{name}` was {canonical(before[name])}, is {canonical(now[name])}"
