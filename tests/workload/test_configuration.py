"""Files that are not a `config.json`, and keys that do not hold what they should: one error each, naming the place."""

from pathlib import Path

import pytest

from tapeout.errors import UnsupportedModelError
from tapeout.workload.configuration import Configuration, read_configuration


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"{", r"c\.json:1:2: not valid JSON"),
        (b"[1]", "wrong type, given 'list'"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b'{"a": 1, "a": 2}', r"c\.json: a: the key is given twice"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "not valid JSON"),
        (b" " * 4_000_001, "too large"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    file = tmp_path / "c.json"
    file.write_bytes(content)
    with pytest.raises(UnsupportedModelError, match=what):
        read_configuration(file)


@pytest.mark.parametrize("name", ["missing.json", "a\0b.json", "x" * 5000 + ".json"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsupportedModelError, match="cannot read the file"):
        read_configuration(tmp_path / name)


def test_a_folder_is_read_by_the_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert read_configuration(tmp_path).whole("a") == 1


@pytest.mark.parametrize("given", [0, -1, 1.0, True, "1", [1], float("nan"), 2**41])
def test_what_is_no_whole_number_is_refused_with_what_is_allowed(given: object) -> None:
    config = Configuration(values={"layers": given}, file="c.json", path="text_config")
    with pytest.raises(UnsupportedModelError, match=r"c\.json: text_config\.layers: impossible value, given .* allowed: a whole number"):
        config.whole("layers", 3)


def test_null_counts_as_absent() -> None:
    config = Configuration(values={"a": None}, file="c.json")
    assert config.whole("a", 7) == 7
    assert config.flag("a", True)
    assert config.word("a", "x") == "x"
    assert config.wholes("a") == []
    with pytest.raises(UnsupportedModelError, match=r"c\.json: a: missing key"):
        config.whole("a")


def test_a_missing_key_suggests_one_that_is_there() -> None:
    with pytest.raises(UnsupportedModelError, match="did you mean hiden_size"):
        Configuration(values={"hiden_size": 1}, file="c.json").whole("hidden_size")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("full", "wrong type"),
        (["full"], "wrong length, given 1, allowed: one entry for each of the 2 layers"),
        (["full", "linear"], "unknown kind of layer, given 'linear', allowed: full, sliding"),
    ],
)
def test_a_list_by_layer_is_checked(given: object, what: str) -> None:
    with pytest.raises(UnsupportedModelError, match=what):
        Configuration(values={"kinds": given}, file="c.json").one_per_layer("kinds", 2, ("full", "sliding"))


def test_true_is_no_one() -> None:
    with pytest.raises(UnsupportedModelError, match="unknown kind of layer, given True"):
        Configuration(values={"kinds": [1, True]}, file="c.json").one_per_layer("kinds", 2, (0, 1))


@pytest.mark.parametrize("given", [1, "true"])
def test_what_is_no_truth_value_is_refused(given: object) -> None:
    with pytest.raises(UnsupportedModelError, match="allowed: true or false"):
        Configuration(values={"bias": given}, file="c.json").flag("bias", False)
