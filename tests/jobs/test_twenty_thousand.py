"""Twenty thousand pictures with the model replaced: what only shows in the large."""

import csv
import io
import json
import os
import sqlite3
import tarfile
import time

import psutil
import pytest

from trace_edges.jobs import annotate, open_source
from trace_edges.jobs.manifest import Manifest

from .conftest import png

COUNT, BROKEN = 20_000, 200


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    pictures = [png(number, width=24, height=16) for number in range(60)]
    for shard in range(4):
        with tarfile.open(folder / f"{shard}.tar", "w") as tar:
            for number in range(COUNT // 4):
                broken = number % (COUNT // BROKEN) == 7
                content = b"broken" if broken else pictures[number % 60]
                member = tarfile.TarInfo(f"{number:06d}.png")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return folder


@pytest.mark.long
@pytest.mark.timeout(600)
def test_with_a_fake_model_manifest_report_restart_and_memory_hold(shards, tmp_path, make_job):
    this, seen = psutil.Process(os.getpid()), {}

    def watch(status):
        if status.now in (COUNT // 10, COUNT // 2, COUNT):
            seen[status.now] = this.memory_info().rss
        if status.now == COUNT // 2 and status.open == COUNT // 2:
            raise KeyboardInterrupt

    source = open_source(str(shards))
    options = {"to": "tar", "part": 2000, "batch_size": 4}
    with pytest.raises(KeyboardInterrupt):
        annotate(make_job(source, **options), watch)
    began, first = time.monotonic(), []

    def note(status):
        if status.now == 1 and not first:
            first.append(time.monotonic() - began)
        watch(status)

    status = annotate(make_job(source, **options), note)
    assert (status.open, status.done, status.failed) == (0, COUNT - BROKEN, BROKEN)
    assert first[0] < 20, "a restart must not go through what is done"
    growth = seen[COUNT // 2] / seen[COUNT // 10]
    assert growth < 1.05, f"memory grew by {growth - 1:.1%}"

    with (tmp_path / "out" / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["key"] for row in rows}) == BROKEN
    keys = set()
    for path in (tmp_path / "out").glob("part-*.tar"):
        with tarfile.open(path) as tar:
            keys |= {name.removesuffix(".json") for name in tar.getnames() if "json" in name}
    assert len(keys) == COUNT - BROKEN
    assert not keys & {row["key"] for row in rows}
    assert annotate(make_job(source, **options)).now == 0
    with Manifest(tmp_path / "out" / ".annotate" / "manifest.sqlite", settings_of(tmp_path)) as it:
        assert it.counts() == {"open": 0, "done": COUNT - BROKEN, "failed": BROKEN}


def settings_of(tmp_path):
    """As they stand in the manifest."""
    base = sqlite3.connect(tmp_path / "out" / ".annotate" / "manifest.sqlite")
    found = {name: json.loads(value) for name, value in base.execute("SELECT * FROM settings")}
    base.close()
    return found
