import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tapeout.errors import InputError
from tapeout.scenario.document import LARGEST_FILE, dotted, parse_document, read_document
from tapeout.scenario.nodes import DEEPEST, LARGEST_TREE, Mark

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "f.yaml: the file is empty"),
        ("# only talk\n", "f.yaml: the file is empty"),
        ("- a\n- b\n", "f.yaml:1:1: the file is not a mapping"),
        ("just text", "f.yaml:1:1: the file is not a mapping"),
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: a key that is there twice, given 'a', allowed: each key once (it first stands in line 1)"),
        (
            "a:\n\tb: 1\n",
            "f.yaml:2:1: not valid YAML: found character '\\t' that cannot start any token; indent with spaces, not with tabs",
        ),
        ("a: [1, 2\n", "f.yaml:2:1: not valid YAML: expected ',' or ']'"),
        ("a: 'x\n", "not valid YAML: found unexpected end of stream"),
        ("a: b: c\n", "f.yaml:1:5: not valid YAML: mapping values are not allowed here"),
        ("a: @x\n", "f.yaml:1:4: not valid YAML: found character '@'"),
        ("a: !!python/object:os.system x\n", "f.yaml:1:4: a tag, given 'tag:yaml.org,2002:python/object:os.system'"),
        ("a: !x 1\n", "f.yaml:1:4: a tag, given '!x'"),
        ("a: &a [*a]\n", "f.yaml:1:8: an alias that contains itself, given 'a'"),
        ("a: *b\n", "f.yaml:1:4: an alias without an anchor before it, given 'b'"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n", "f.yaml:3:3: a merge key, given '<<'"),
        ("? [a]\n: 1\n", "f.yaml:1:3: a key that is not plain text"),
        ("%YAML 1.1\n---\na: 1\n", "f.yaml:2:1: a directive that is not understood"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document in the file"),
        ("a: \x07\n", "f.yaml:1:4: a character that YAML does not allow, given 'U+0007'"),
        ('a: "\\ud800"\n', "f.yaml:1:4: half of a character"),
        ("[" * 100_000, f"f.yaml:1:{DEEPEST + 2}: the file is nested too deeply"),
        (LAUGHS, "aliases expand to too many values"),
        ("a: [" + "1, " * LARGEST_TREE + "1]\n", "the file holds too many values"),
    ],
)
def test_what_a_plain_document_may_not_hold(text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_document(text, "f.yaml")
    assert expected in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_message_ends_with_the_line_and_a_caret() -> None:
    with pytest.raises(InputError) as caught:
        parse_document("a: 1\nfast: !now 2\n", "f.yaml")
    assert str(caught.value).splitlines()[1:] == ["    fast: !now 2", "          ^"]


def test_scalars_follow_the_core_schema_of_yaml_1_2() -> None:
    text = "[12, -3, 1e3, .5, true, yes, no, on, ~, null, 2023Q4, 2023-10-06, 0o17, 0x1F, 12:30, '12', \"true\", 3 TB/s]"
    expected = [12, -3, 1000.0, 0.5, True, "yes", "no", "on", None, None]
    expected += ["2023Q4", "2023-10-06", "0o17", "0x1F", "12:30", "12", "true", "3 TB/s"]
    found = parse_document(f"a: {text}", "f.yaml").data["a"]
    assert [(type(item), item) for item in found] == [(type(item), item) for item in expected]


def test_marks_lead_to_keys_and_values() -> None:
    document = parse_document("sites:\n  abilene:\n    pue: 1.2\n    list: [a, b]\n", "f.yaml")
    assert document.keys[("sites", "abilene", "pue")] == Mark(3, 5)
    assert document.values[("sites", "abilene", "pue")] == Mark(3, 10)
    assert document.values[("sites", "abilene", "list", 1)] == Mark(4, 15)
    missing = document.value_place(("sites", "abilene", "power"))
    assert (missing.line, missing.column, missing.path) == (2, 3, "sites.abilene.power")
    assert dotted(("a", 0, "b")) == "a[0].b"


def test_an_alias_stands_for_its_anchor() -> None:
    assert parse_document("a: &a {x: [1]}\nb: *a\n", "f.yaml").data == {"a": {"x": [1]}, "b": {"x": [1]}}


def _same(ours: object, theirs: object) -> bool:
    """Equal but for 10_000, which YAML 1.2 takes as text and ruamel as a number."""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and ours.keys() == theirs.keys() and all(_same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(_same, ours, theirs))
    return ours == theirs or (isinstance(theirs, int) and str(ours).replace("_", "") == str(theirs))


@pytest.mark.parametrize("name", ["openai-2023", "lab-2026", "startup"])
def test_shipped_files_mean_the_same_to_another_reader(scenarios: Path, name: str) -> None:
    path = scenarios / f"{name}.yaml"
    assert _same(read_document(path).data, YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")))


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=8)
LEAVES = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


@given(st.dictionaries(TEXTS, TREES, min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_json_is_yaml(tree: dict[str, object]) -> None:
    assert parse_document(json.dumps(tree, ensure_ascii=False), "f.yaml").data == tree


@given(st.text(st.sampled_from("ab:-[]{}&*!%|>'\"#,? \n\t<01.~\\"), max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_document_or_an_input_error(text: str) -> None:
    try:
        found = parse_document(text, "f.yaml").file
    except InputError as error:
        found = str(error)
    assert found.startswith("f.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"a: \x00\x01")
    (tmp_path / "latin.yaml").write_bytes("a: 1\nb: gr\u00fcn\n".encode("latin-1"))
    (tmp_path / "utf16.yaml").write_bytes("a: 1\n".encode("utf-16"))
    (tmp_path / "large.yaml").write_bytes(b"#" * (LARGEST_FILE + 1))
    for name, expected in {
        "missing.yaml": "missing.yaml: cannot read the file; no such file or directory",
        "": "cannot read the file; is a directory",
        "binary.yaml": "binary.yaml: not a text file",
        "latin.yaml": "latin.yaml:2: not UTF-8 text, given 'byte 0xFC'",
        "utf16.yaml": "utf16.yaml: not a text file",
        "large.yaml": f"the file is too large, allowed: at most {LARGEST_FILE} bytes",
    }.items():
        with pytest.raises(InputError) as caught:
            read_document(tmp_path / name)
        assert expected in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_document(tmp_path / "bom.yaml").data == {"a": 1, "b": 2}
