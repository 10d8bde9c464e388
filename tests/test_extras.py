"""Libraries that may be missing."""

import tomllib
from pathlib import Path

import pytest

from trace_edges.extras import LEFT_OUT, MissingExtraError, require

ROOT = Path(__file__).parents[1]


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


def test_the_small_installation_is_all_but_what_it_leaves_out_and_the_runtime():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    left_out = {package.replace("-", "_") for package in LEFT_OUT.values()}
    kept = {
        line for line in project["dependencies"]
        if line.split(">=")[0].replace("-", "_") not in left_out
    }  # fmt: skip
    assert len(kept) == len(project["dependencies"]) - len(LEFT_OUT)
    runtime = {line for line in project["optional-dependencies"]["onnx"] if "runtime" in line}
    listed = (ROOT / "requirements-runtime.txt").read_text(encoding="utf-8").splitlines()
    assert {line for line in listed if not line.startswith("#")} == kept | runtime
