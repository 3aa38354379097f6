"""Where translations are kept, and which of them go."""

import os
import time
from pathlib import Path

from tapeout.serving.compiled import WRITTEN, forget_others


def test_translations_of_other_sources_go_unless_they_may_still_be_written(tmp_path: Path) -> None:
    now = time.time()
    ages = {"0" * 16: 0.0, "1" * 16: 10 * WRITTEN, "2" * 16: 10 * WRITTEN, "3" * 16: WRITTEN / 2, "notes": 10 * WRITTEN}
    for name, age in ages.items():
        (tmp_path / name / "serving_1").mkdir(parents=True)
        (tmp_path / name / "serving_1" / "kernel.nbi").touch()
        for path in (tmp_path / name / "serving_1", tmp_path / name):
            os.utime(path, (now - age, now - age))
    forget_others(tmp_path, "1" * 16)
    # Ours stays at any age, and so does what is none of ours.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0" * 16, "1" * 16, "3" * 16, "notes"]


def test_no_folder_is_no_error(tmp_path: Path) -> None:
    forget_others(tmp_path / "absent", "1" * 16)
