"""Libraries that may be missing."""

import pytest

from trace_edges.extras import MissingExtraError, require


def test_what_is_installed_is_imported():
    assert require("json.decoder", "eval").JSONDecoder


def test_what_is_not_installed_gives_the_command_that_installs_it():
    with pytest.raises(MissingExtraError, match=r'pip install "trace-edges\[eval\]"'):
        require("no_such_library.part", "eval")
    with pytest.raises(MissingExtraError, match=r"^no-such is not installed"):
        require("no_such_library", "eval", "no-such")


def test_a_library_that_lacks_one_of_its_own_is_another_error(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import nowhere_to_be_found", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        require("half_there", "eval")
