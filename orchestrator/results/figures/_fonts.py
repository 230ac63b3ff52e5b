"""Finds installed fonts for text that matplotlib's own font cannot write, such as Chinese."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from matplotlib import font_manager

USUAL = "DejaVu Sans"
"""Matplotlib's own: Latin, Greek, Cyrillic and much besides."""
LAST_RESORT = "Last Resort High-Efficiency"
"""Its boxes for characters that no other font has."""


@cache
def families_for(text: str) -> list[str]:
    """Name font families that together have the characters of a text, as far as any has them."""
    lacking = {ord(c) for c in text if not c.isspace()} - _characters(font_manager.findfont(USUAL))
    return [USUAL, *_others(lacking)]


def _others(lacking: set[int]) -> Iterator[str]:
    fonts = sorted(font_manager.fontManager.ttflist, key=lambda font: (font.name, font.fname))
    for font in fonts:
        if not lacking:
            return
        if font.name != LAST_RESORT and (found := lacking & _characters(font.fname)):
            lacking = lacking - found
            yield font.name


def _characters(path: str) -> set[int]:
    return set(font_manager.get_font(path).get_charmap())
