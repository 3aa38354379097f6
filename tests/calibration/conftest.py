"""Tables of measurements in a file, from rows that differ from a good one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tapeout.calibration.measurements import Measurement, read_measurements
from tapeout.performance.cases import COLUMNS

GOOD = dict(
    zip(
        (*COLUMNS, "ttft_ms", "tpot_ms", "output_tokens_per_s_per_chip"),
        ("a", "online", "nvidia-h100-sxm", "1", "meta-llama/Llama-3.1-8B", "fp8", "1024", "256", "1", "1", "", "", "16", "100", "10", ""),
        strict=True,
    )
)
OFFLINE = {"kind": "offline", "concurrency": "", "ttft_ms": "", "tpot_ms": "", "output_tokens_per_s_per_chip": "5000"}

Read = Callable[..., list[Measurement]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Measurements of rows that are `GOOD` with changes; rows are named by their number unless they name themselves."""

    def call(*changes: dict[str, str]) -> list[Measurement]:
        rows = [GOOD | {"case": str(number)} | change for number, change in enumerate(changes)]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        lines = [",".join(columns), *(",".join(row.get(name, "") for name in columns) for row in rows)]
        path = tmp_path / "measured.csv"
        path.write_text("\n".join(lines) + "\n")
        return read_measurements(path)

    return call
