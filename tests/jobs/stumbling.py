"""A store in memory whose calls fail as a test plans."""

import errno

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from trace_edges.jobs import stores

from .pictures import png

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
