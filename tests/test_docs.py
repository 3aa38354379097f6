"""The documentation: every command is described, every command line in it is valid, every link leads somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from tapeout.cli import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINE = re.compile(r"^(?:    |\$ )(?:\.venv/bin/)?(tapeout .*)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://)([^)#]+)\)")


def test_every_command_is_documented() -> None:
    reference = (ROOT / "docs/reference/commands.md").read_text()
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert len(commands) >= 5
    missing = [name for name in commands if f"`tapeout {name}" not in reference]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_command_lines_are_valid(page: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for text in LINE.findall(page.read_text()):
        words = shlex.split(text)
        known = {option for parameter in commands[words[1]].params for option in parameter.opts}
        used = {word.split("=")[0] for word in words[2:] if word.startswith("-")}
        assert used <= known, f"{text}: {used - known}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert broken == []


def test_the_changelog_has_the_version() -> None:
    from tapeout import __version__

    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
