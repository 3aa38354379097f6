"""From a language model and a demand forecast to a plan: which chips to rent, buy, lease or tape out, and when.

From Python, `tapeout.plan(path)` gives the plan of a scenario and `tapeout.model(path)` its program; both are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_CALLS = ("model", "plan")


def __getattr__(name: str) -> Any:
    """The functions of `tapeout.api.calls`, by name, imported late so that `import tapeout` stays fast."""
    if name in _CALLS:
        return getattr(importlib.import_module("tapeout.api.calls"), name)
    raise AttributeError(f"module 'tapeout' has no attribute {name!r}")
