"""Where translations are kept, and which of them go."""

import os
import time
from pathlib import Path

from tapeout.serving.compiled import WRITTEN, forget_others, sources


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


def test_what_is_kept_depends_on_what_compiled_functions_may_use_and_on_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "law.py").write_text("from tapeout.serving.compiled import compiled\n\n\n@compiled\ndef law() -> int:\n    return 1\n")
    (tmp_path / "loop.py").write_text(
        "from tapeout.serving import numbers, state as at\nfrom tapeout.serving.law import (\n    law,\n)\n\n\n"
        "@compiled_apart\ndef loop() -> int:\n    return law()\n"
    )
    (tmp_path / "state.py").write_text("from tapeout.serving.deeper import ROWS\n")
    for name in ("numbers", "deeper", "compiled"):
        (tmp_path / f"{name}.py").write_text(f"# {name}\n")
    (tmp_path / "user.py").write_text("from tapeout.serving.loop import loop\n")
    found = sources(tmp_path)
    assert len(found) == 6
    assert not any("serving.loop" in text for text in found)
