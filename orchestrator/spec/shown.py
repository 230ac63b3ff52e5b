"""The tables and figures of a sweep file: their keys, types and defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.spec.part import Part
from orchestrator.spec.values import Name, ParamValue


class Published(Part):
    """Numbers from a paper, printed beside those of a table."""

    source: Annotated[str, Field(min_length=1)]
    """The publication, and where in it the numbers are."""
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of factors, of values of the table, and of other params, which are compared with those
    of the selected config."""
    rows: Annotated[tuple[tuple[ParamValue, ...], ...], Field(min_length=1)]
    """One value per column in each row; numbers in the table's unit, null where there is none."""


class Table(Part):
    """A table to print from the selected configs."""

    name: Name
    """Printed above the table; each table has its own."""
    rows: tuple[str, ...] = ()
    """Factors whose values label the rows; factors on neither side are added here."""
    columns: tuple[str, ...] = ()
    """Factors whose values label the columns."""
    values: tuple[str, ...] = ()
    """Metrics, or ``probe:NAME``; without any, the selection metric."""
    layers: str = "mean"
    """Of probes: ``mean`` or ``max`` over their layers, or the name of one."""
    percent: bool | None = None
    """Whether to print fractions as percent; by default, metrics named ``…accuracy``."""
    precision: Annotated[int, Field(ge=0, le=12)] | None = None
    """Decimals to print; by default two significant digits of the deviation, and without one 2 in
    percent and 4 otherwise, or more for small values."""
    best: Literal["max", "min"] | None = None
    """Which side is bold in each row, or in each column of a table without columns."""
    published: Published | None = None
    """Numbers from a paper, listed beside ours with the difference."""


class Figure(Part):
    """A figure of the selected configs; factors that vary among its cells make its series."""

    name: Name
    """Names the files; each figure has its own."""
    kind: Literal["curves", "layers", "relation", "bars", "histogram"]
    """``curves``: metrics by epoch. ``layers``: probes by layer. ``relation`` and ``bars``:
    values by ``x``. ``histogram``: a probe's values by bin, a panel per layer and channel."""
    values: Annotated[tuple[str, ...], Field(min_length=1)]
    """Metrics, or ``probe:NAME``; one row of panels each."""
    x: str | None = None
    """A factor; or, for ``relation``, a metric or ``probe:NAME``, which gives a point per seed."""
    panels: str | None = None
    """A factor; each of its values gets a panel."""
    where: dict[str, ParamValue] = {}
    """Factor values of the cells to show, each one value or a list of them."""
    layers: tuple[str, ...] = ()
    """The layers of a ``histogram``; by default all."""
    units: tuple[int, ...] = ()
    """The channels of a ``histogram``; by default all."""
    title: str = ""
    """The title above the figure; by default what is drawn, as in ``Skewness by layer``."""
    labels: dict[str, str] = {}
    """Text to print for an entry of ``values``, for ``x``, or for a factor's value."""
