"""Colours of the page in its light and dark theme, by the name of the CSS variable that carries them.

The eight series colours start from the Okabe-Ito set and were moved by search until each pair stays apart under full
protanopia, deuteranopia and tritanopia and each keeps a contrast of 3 to its ground; `tests/report/test_palette.py` checks both.
"""

from __future__ import annotations

SERIES = tuple(f"series-{index}" for index in range(8))
OTHER = "other"

_LIGHT_SERIES = ("#0847B9", "#C6890A", "#00A97F", "#994A83", "#7B8CD8", "#790516", "#907839", "#3C1E3C")
_DARK_SERIES = ("#4B7AE2", "#FFC404", "#37D592", "#E256A4", "#A2D0FF", "#DC412C", "#F5EB82", "#E8FFF3")

LIGHT: dict[str, str] = {
    "ground": "#F7F7F4",
    "card": "#FFFFFF",
    "ink": "#1B1D22",
    "soft": "#565B66",
    "line": "#E2E3DF",
    "accent": "#0847B9",
    "warn": "#8A3A00",
    "warn-ground": "#FFF0E0",
    "good": "#0B6B4F",
    "good-ground": "#E5F5EE",
    "calm-ground": "#EEEFEC",
    OTHER: "#8A8F99",
} | dict(zip(SERIES, _LIGHT_SERIES, strict=True))

DARK: dict[str, str] = {
    "ground": "#111317",
    "card": "#191C22",
    "ink": "#ECEDEF",
    "soft": "#A9AFBA",
    "line": "#2F343D",
    "accent": "#8FB3FF",
    "warn": "#FFC48A",
    "warn-ground": "#3A2814",
    "good": "#7FE0B6",
    "good-ground": "#15332A",
    "calm-ground": "#262A32",
    OTHER: "#7C828D",
} | dict(zip(SERIES, _DARK_SERIES, strict=True))
