"""Every test is the same at every run: examples follow from the test, not from chance, and no machine is too slow."""

import sys
from collections.abc import Callable

import pytest
from hypothesis import settings

from tapeout import cli
from tests.program import Ran

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Calls the program in this process."""

    def call(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["tapeout", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Ran(stopped.value.code if isinstance(stopped.value.code, int) else 1, captured.out, captured.err)

    return call
