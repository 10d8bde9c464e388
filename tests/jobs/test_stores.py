"""Calls of stores that stumble: made again, and named in one line where they fail for good."""

import errno
import io
import socket
import threading
from contextlib import contextmanager

import fsspec
import numpy as np
import pytest

from trace_edges.extras import MissingExtraError
from trace_edges.jobs import stores
from trace_edges.jobs.remote import put_file, read_bytes, write_bytes
from trace_edges.jobs.stores import StoreError, StoreFile, kind_of

from .conftest import png
from .stumbling import PASSING, ClientError, HttpError, NoCredentialsError, plan

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
