"""Files of cases: every row with its line, and an error that names it."""

from pathlib import Path

import pytest

from tapeout.errors import InputError
from tapeout.performance.case_table import read_case_table


def test_rows_know_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes('\ufeff case ,note\r\n1,"two\nlines"\r\n\r\n2\r\n'.encode())
    table = read_case_table(path)
    assert table.columns == ("case", "note")
    assert table.rows == ({"case": "1", "note": "two\nlines"}, {"case": "2", "note": ""})
    assert table.lines == (3, 5)
    assert str(table.place(1, "note")) == f"{path}:5: note"
    assert str(table.place_of_header()) == f"{path}:1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n1,2,3\n", r"cases\.csv:3: more cells than columns, given 3, allowed: 2"),
        (b'a,b\n1,"2"3\n', r"cases\.csv:2: not valid CSV"),
        (b"a,\xff\n", r"not UTF-8 text, given 'byte 2'"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "cases.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_case_table(tmp_path / "cases.csv")
    with pytest.raises(InputError, match=r"none\.csv: cannot read the cases"):
        read_case_table(tmp_path / "none.csv")
