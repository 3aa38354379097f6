"""Tables in the terminal, by Rich."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from tapeout.report.tables import Table


def to_rich(table: Table) -> RichTable:
    """The table for a Rich console: text cells are taken literally, so brackets in a name are not markup."""
    grid = RichTable(title=Text(table.title, style="bold"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    if table.note:
        grid.caption, grid.caption_justify = Text(table.note, style="dim"), "left"
    for column in table.columns:
        grid.add_column(Text(column.heading), justify="right" if column.numeric else "left", overflow="fold")
    for cells in table.cells():
        grid.add_row(*(Text(cell) for cell in cells))
    return grid
