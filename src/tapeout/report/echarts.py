"""Apache ECharts, taken from an installed distribution that carries it and checked by hash; that package is never imported."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from tapeout.errors import TapeoutError

DISTRIBUTION = "excel-chart-echarts"
FILE = "xlsx2echarts/static/echarts.min.js"
VERSION = "5.6.0"
SHA256 = "bf4a223524e40b77c304bec67e1222cf551f14880cf42c69dc046558e11c07b1"


class EchartsError(TapeoutError):
    """The chart library is missing, or is not the file that was reviewed."""


def echarts_path() -> Path:
    """Where the installed distribution keeps the library; raises EchartsError where it is not installed."""
    try:
        return Path(str(metadata.distribution(DISTRIBUTION).locate_file(FILE)))
    except metadata.PackageNotFoundError as error:
        raise EchartsError(f"{DISTRIBUTION} is not installed, so no page can be made; run make setup") from error


def echarts_source(path: Path | None = None) -> str:
    """The text of ECharts 5.6.0, minified; raises EchartsError where the file is unreadable or its SHA-256 differs."""
    found = path or echarts_path()
    try:
        content = found.read_bytes()
    except OSError as error:
        raise EchartsError(f"cannot read the chart library {found}: {error.strerror}; run make setup") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise EchartsError(
            f"the chart library {found} is not ECharts {VERSION} as reviewed: SHA-256 {digest}, allowed {SHA256}; "
            f"reinstall {DISTRIBUTION} by make setup"
        )
    return content.decode("utf-8")
