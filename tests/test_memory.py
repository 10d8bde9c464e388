"""Memory that is taken within bounds, where the system knows them."""

import sys

import psutil
import pytest

from trace_edges import memory
from trace_edges.files import FileError, read_json

if not sys.platform.startswith("linux"):
    pytest.skip("the system has no such limits", allow_module_level=True)

import resource

from tests.corpus.reading import apart


def read_with_little_memory(path):
    memory.free = lambda: 50 << 20  # in a process of its own
    limit = resource.getrlimit(resource.RLIMIT_AS)
    try:
        with pytest.raises(FileError, match=r"a\.json is JSON of more than fits the memory: split"):
            read_json(path)
    finally:
        assert resource.getrlimit(resource.RLIMIT_AS) == limit
    assert read_json(path.with_name("b.json")) == [1]


def test_json_that_grows_in_memory_is_refused_within_bounds(tmp_path):
    """8 MB of text become four million lists of 56 bytes and more."""
    (tmp_path / "a.json").write_text(f"[{'[],' * (4 << 20)}[]]", encoding="utf-8")
    (tmp_path / "b.json").write_text("[1]", encoding="utf-8")
    assert apart(read_with_little_memory, tmp_path / "a.json") == (0, "")


def read_below_a_hard_limit(path):
    memory.free = lambda: 1 << 50  # as where another thread takes memory between two readings
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), used + (1 << 30)))
    assert read_json(path) == [1]


def test_a_limit_that_is_there_is_never_raised(tmp_path):
    (tmp_path / "a.json").write_text("[1]", encoding="utf-8")
    assert apart(read_below_a_hard_limit, tmp_path / "a.json") == (0, "")
