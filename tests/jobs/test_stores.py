"""Stores that stumble: every call is made again, what fails for good is reported, the rest done."""

import csv
import errno
import io
import random
import re
import socket
import tarfile
import threading
from contextlib import contextmanager

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from trace_edges.extras import MissingExtraError
from trace_edges.jobs import EdgesTask, Job, annotate, make_sink, open_source, stores
from trace_edges.jobs.remote import put_file, read_bytes, write_bytes
from trace_edges.jobs.stores import StoreError, StoreFile, kind_of

from .conftest import FakeModel, png

CALLS = (
    "cat_file", "pipe_file", "put_file", "find", "ls", "info", "glob", "mv", "rm", "rm_file",
    "makedirs", "open",
)  # fmt: skip


class FakeStumblingFileSystem(MemoryFileSystem):
    """A store in memory that asks `plan` before every call from outside: it may raise."""

    protocol = "stumbling"
    cachable = False
    store: dict = {}  # noqa: RUF012  of the class, as in memory://
    pseudo_dirs = [""]  # noqa: RUF012
    plan = staticmethod(lambda name, path: None)
    calls: list = []  # noqa: RUF012
    depth = 0

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.removeprefix("stumbling://"))

    def unstrip_protocol(self, name):
        return f"stumbling://{name.lstrip('/')}"

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        if name not in CALLS:
            return found

        def call(*values, **options):
            kind = FakeStumblingFileSystem
            if kind.depth == 0:
                kind.calls.append((name, str(values[0])))
                kind.plan(name, str(values[0]))
            kind.depth += 1
            try:
                return found(*values, **options)
            finally:
                kind.depth -= 1

        return call


@pytest.fixture
def store(monkeypatch):
    """The fake store with three pictures; tests set its `plan`."""
    fsspec.register_implementation("stumbling", FakeStumblingFileSystem, clobber=True)
    monkeypatch.setattr(stores, "PAUSE", 0.001)
    kind = FakeStumblingFileSystem
    kind.store, kind.pseudo_dirs, kind.calls = {}, [""], []
    monkeypatch.setattr(kind, "plan", staticmethod(lambda name, path: None))
    for number in range(3):
        kind().pipe_file(f"/from/{number}.png", png(number))
    return kind


def plan(monkeypatch, store, function):
    monkeypatch.setattr(store, "plan", staticmethod(function))


def job(tmp_path, to="folder", dest="stumbling://to", **options):
    task = EdgesTask()
    sink = make_sink(dest, to, task, part=2)
    source = open_source("stumbling://from")
    return Job(source, task, sink, FakeModel(), dest, workers=0, state=tmp_path, **options)


class ClientError(Exception):
    """As botocore's: no OSError, and what was answered in a dict."""

    def __init__(self, status, code):
        super().__init__(f"An error occurred ({code})")
        self.response = {
            "Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status},
        }  # fmt: skip


class NoCredentialsError(Exception):
    """Called as botocore's."""


class ServerDisconnectedError(Exception):
    """As aiohttp's: no OSError."""


class HttpError(Exception):
    """As gcsfs's: its status in `code`."""

    def __init__(self, code):
        super().__init__(f"status {code}")
        self.code = code


PASSING = [
    OSError(errno.EBUSY, "Please reduce your request rate"),
    TimeoutError(),
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    ServerDisconnectedError("Server disconnected"),
    ClientError(503, "SlowDown"),
    ClientError(429, "TooManyRequests"),
    HttpError(500),
    HttpError("502"),
]
LASTING = [
    (FileNotFoundError("x"), FileNotFoundError, "there is no such file, folder or bucket"),
    (PermissionError("Access Denied"), PermissionError, "allows no access"),
    (ClientError(404, "NoSuchKey"), FileNotFoundError, "there is no such file"),
    (ClientError(403, "AccessDenied"), PermissionError, "allows no access"),
    (HttpError(404), FileNotFoundError, "there is no such file"),
    (ClientError(400, "ExpiredToken"), StoreError, "credentials"),
    (NoCredentialsError("Unable to locate credentials"), StoreError, "credentials"),
    (ClientError(400, "InvalidRequest"), StoreError, "InvalidRequest"),
    (ValueError("no such region"), StoreError, "no such region"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_may_pass_is_tried_again_and_named_if_it_does_not(store, monkeypatch, error):
    stumbles = iter([error, error, error])

    def raise_thrice(name, path):
        for one in stumbles:
            raise one

    plan(monkeypatch, store, raise_thrice)
    assert read_bytes("stumbling://from/1.png") == png(1)

    def always(name, path):
        raise error

    plan(monkeypatch, store, always)
    store.calls.clear()
    with pytest.raises(StoreError, match=r"^stumbling://from/1\.png: .*asked 4 times$"):
        read_bytes("stumbling://from/1.png")
    assert len(store.calls) == stores.ATTEMPTS == 4


@pytest.mark.parametrize(("error", "kind", "words"), LASTING, ids=lambda one: str(one)[:30])
def test_what_will_not_pass_is_named_at_once(store, monkeypatch, error, kind, words):
    def always(name, path):
        raise error

    plan(monkeypatch, store, always)
    store.calls.clear()
    with pytest.raises(kind, match=words) as caught:
        read_bytes("stumbling://from/1.png")
    assert "stumbling://from/1.png" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(store.calls) == 1


def test_a_file_read_in_pieces_goes_on_where_it_stumbled(store, monkeypatch):
    file = StoreFile("stumbling://from/2.png")
    raw, broken = file._file.read, iter([OSError("gone for a moment")])

    def read(size):
        for error in broken:
            raise error
        return raw(size)

    monkeypatch.setattr(file._file, "read", read)
    with io.BufferedReader(file, 16) as buffered:
        assert buffered.read(10) + buffered.read() == png(2)


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


def test_a_library_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    def missing(url, **options):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=r'pip install "trace-edges\[s3\]"'):
        kind_of("s3://bucket/a")
    with pytest.raises(MissingExtraError, match=r'pip install "trace-edges\[annotate\]"'):
        kind_of("https://host/a")


def test_disks_of_this_machine_keep_their_own_errors(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError) as caught:
        read_bytes(str(tmp_path / "none"))
    assert caught.value.filename == str(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        write_bytes(str(tmp_path / "file" / "a"), b"x")


def test_a_network_disk_that_stumbles_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "PAUSE", 0)
    (tmp_path / "a").write_bytes(b"content")
    path, broken = str(tmp_path / "a"), iter([errno.ESTALE, errno.EIO])

    def once(*values, **options):
        for number in broken:
            raise OSError(number, "stale", path)
        return b"content"

    assert stores.ask(path, once) == b"content"


@contextmanager
def fake_server(answer):
    """Accepts connections on this machine; `answer` is sent at once, and then nothing more."""
    server = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            kept.append(connection)
            if answer:
                connection.recv(1000)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nbegun"], ids=["none", "half"]
)
def test_a_server_that_never_answers_is_left(monkeypatch, answer):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(stores, "PAUSE", 0)
    monkeypatch.setattr(stores, "SILENCE", 0.2)
    monkeypatch.setattr(fsspec.config, "conf", {})
    with fake_server(answer) as url, pytest.raises(StoreError, match=r"1\.png: .*asked 4 times"):
        read_bytes(f"{url}/1.png")


def test_a_refused_connection_is_no_missing_file(monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(stores, "PAUSE", 0)
    with fake_server(b"") as url:
        pass
    for function in (read_bytes, kind_of):
        with pytest.raises(StoreError, match=r"1\.png: .*asked 4 times"):
            function(f"{url}/1.png")


def test_a_finished_file_is_put_whole(store, tmp_path):
    (tmp_path / "part").write_bytes(np.arange(9, dtype=np.uint8).tobytes())
    put_file(tmp_path / "part", "stumbling://to/part-1.tar")
    assert [one for one in store.store if one.startswith("/to")] == ["/to/part-1.tar"]
