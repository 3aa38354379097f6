import numpy as np
import pytest

from tapeout.design.store import store_in
from tapeout.errors import InputError


def test_what_is_kept_is_held_bit_for_bit(tmp_path):
    store = store_in(tmp_path, "a question", "1")
    kept = {"a": np.array([0.1, np.inf, -0.0]), "b": np.array([1, 2])}
    store.keep("stage", 3, kept)
    held = store_in(tmp_path, "a question", "1").held("stage", 3)
    assert held is not None
    assert all(held[name].tobytes() == kept[name].tobytes() and held[name].dtype == kept[name].dtype for name in kept)
    assert store.held("stage", 4) is None
    store.clear()
    assert list(tmp_path.iterdir()) == []


def test_another_question_or_version_has_another_store(tmp_path):
    folders = {store_in(tmp_path, asked, version).folder for asked, version in (("a", "1"), ("b", "1"), ("a", "2"))}
    assert len(folders) == 3


def test_a_torn_file_is_done_again(tmp_path):
    store = store_in(tmp_path, "a question", "1")
    store.keep("stage", 0, {"a": np.arange(1000)})
    path = next(store.folder.iterdir())
    path.write_bytes(path.read_bytes()[:100])
    assert store.held("stage", 0) is None


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot keep the results"):
        store_in(tmp_path / "file", "a", "1").keep("stage", 0, {"a": np.zeros(1)})
