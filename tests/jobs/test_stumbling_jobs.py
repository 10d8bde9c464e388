"""Jobs on stores that stumble: what fails for good is reported, and the rest is done."""

import csv
import io
import random
import re
import tarfile

import pytest

from trace_edges.jobs import EdgesTask, Job, annotate, make_sink, open_source
from trace_edges.jobs.remote import read_bytes

from .conftest import FakeModel
from .stumbling import (
    PASSING,
    ClientError,
    HttpError,
    NoCredentialsError,
    ServerDisconnectedError,
    plan,
)


def job(tmp_path, to="folder", dest="stumbling://to", **options):
    task = EdgesTask()
    sink = make_sink(dest, to, task, part=2)
    source = open_source("stumbling://from")
    return Job(source, task, sink, FakeModel(), dest, workers=0, state=tmp_path, **options)


def test_the_first_of_every_kind_of_call_may_fail(store, monkeypatch, tmp_path):
    for to in ("folder", "tar", "parquet"):
        seen = set()

        def once(name, path, seen=seen):
            call = name, re.sub(r"\.[0-9a-f]{16}\.part-", "", path)
            if call not in seen:
                seen.add(call)
                raise ClientError(503, "SlowDown")

        plan(monkeypatch, store, once)
        status = annotate(job(tmp_path / to, to, f"stumbling://{to}"))
        assert (status.open, status.done, status.failed) == (0, 3, 0)
        assert len(seen) > 6
    plan(monkeypatch, store, lambda name, path: None)
    names = sorted(one.removeprefix("/folder/") for one in store.store if "/folder/" in one)
    pairs = [f"{number}.{end}" for number in range(3) for end in ("edges.png", "json")]
    assert names == [*pairs, "report.csv"]
    with tarfile.open(fileobj=io.BytesIO(read_bytes("stumbling://tar/part-000000.tar"))) as tar:
        assert len(tar.getnames()) == 4
    assert not any(".annotate" in one for one in store.store)


def test_calls_that_fail_at_random_change_no_byte(store, monkeypatch, tmp_path):
    annotate(job(tmp_path / "calm", "tar", "stumbling://calm"))
    dice = random.Random(5)

    def sometimes(name, path):
        if dice.random() < 0.1:
            raise dice.choice(PASSING)

    plan(monkeypatch, store, sometimes)
    status = annotate(job(tmp_path / "rough", "tar", "stumbling://rough"))
    assert status.failed == 0
    plan(monkeypatch, store, lambda name, path: None)
    for name in ("part-000000.tar", "part-000001.tar", "report.csv"):
        assert read_bytes(f"stumbling://rough/{name}") == read_bytes(f"stumbling://calm/{name}")


def failures(folder):
    with io.StringIO(read_bytes(f"{folder}/report.csv").decode()) as file:
        return {row["key"]: row["reason"] for row in csv.DictReader(file)}


def test_one_image_and_one_result_that_fail_for_good_are_reported_and_the_rest_is_done(
    store, monkeypatch, tmp_path
):
    def two(name, path):
        if (name, path) == ("cat_file", "/from/0.png") or path.endswith("part-2.json"):
            raise HttpError(503)

    plan(monkeypatch, store, two)
    status = annotate(job(tmp_path))
    assert (status.open, status.done, status.failed) == (0, 1, 2)
    found = failures("stumbling://to")
    assert "0.png: cannot be read (stumbling:" in found["0"]
    assert "asked 4 times" in found["0"]
    assert "2.png: its results cannot be written (stumbling:" in found["2"]
    assert status.reasons == tuple(found.values())
    plan(monkeypatch, store, lambda name, path: None)
    assert annotate(job(tmp_path, retry=True)).done == 3
    assert failures("stumbling://to") == {}


@pytest.mark.parametrize("side", ["from", "to"])
def test_a_store_that_is_gone_stops_the_job_and_no_image_is_lost(
    store, monkeypatch, tmp_path, side
):
    kept = []

    def gone(name, path):
        kept.extend([path] if name == "pipe_file" and path.endswith("0.json") else [])
        if path.startswith(f"/{side}") and len(kept) > 1:
            raise ServerDisconnectedError("Server disconnected")
        kept.extend([path] if kept else [])

    plan(monkeypatch, store, gone)
    with pytest.raises(OSError, match=r"the store of the \w+ does not answer \(stumbling:"):
        annotate(job(tmp_path))
    plan(monkeypatch, store, lambda name, path: None)
    status = annotate(job(tmp_path))
    assert (status.open, status.done, status.failed) == (0, 3, 0)


def test_a_part_that_cannot_be_written_waits_and_the_rest_goes_on(store, monkeypatch, tmp_path):
    def one_part(name, path):
        writes = name == "put_file" or path.endswith("part-000000.tar")
        if writes and "000000" in str(path) + str(store.calls[-1]) and store.count < 4:
            store.count += 1
            raise HttpError(503)

    monkeypatch.setattr(store, "count", 0, raising=False)
    plan(monkeypatch, store, one_part)
    status = annotate(job(tmp_path, "tar"))
    assert (status.done, status.failed) == (3, 0)
    for part, names in enumerate((4, 2)):
        content = read_bytes(f"stumbling://to/part-00000{part}.tar")
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            assert len(tar.getnames()) == names


def test_what_is_missing_is_named_before_the_model_is_loaded(store, monkeypatch, tmp_path):
    class FakeUnwanted(FakeModel):
        def load(self):
            raise AssertionError("the model was loaded")

    def credentials(name, path):
        if path.startswith("/to"):
            raise NoCredentialsError("Unable to locate credentials")

    plan(monkeypatch, store, credentials)
    task = EdgesTask()
    sink = make_sink("stumbling://to", "folder", task)
    source = open_source("stumbling://from")
    begun = Job(source, task, sink, FakeUnwanted(), "stumbling://to", state=tmp_path, workers=0)
    with pytest.raises(OSError, match=r"stumbling://to.*credentials"):
        annotate(begun)
    with pytest.raises(ValueError, match="there is no such file or folder"):
        annotate(Job(open_source("stumbling://nothing"), task, sink, FakeUnwanted(),
                     "stumbling://to", state=tmp_path, workers=0))  # fmt: skip
