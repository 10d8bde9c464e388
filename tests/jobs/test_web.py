"""Images behind a web server that misbehaves: a line for each, within bounds, and the rest done."""

import csv
import gzip
import io
import json
import tarfile
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from trace_edges.errors import InputError
from trace_edges.jobs import EdgesTask, Job, annotate, make_sink, open_source, remote, stores
from trace_edges.jobs.stores import StoreError

from .conftest import FakeModel, png

pytest.importorskip("aiohttp")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def tar():
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as file:
        for number in range(3):
            member = tarfile.TarInfo(f"{number}.png")
            member.size = len(png(number))
            file.addfile(member, io.BytesIO(png(number)))
    return content.getvalue()


def parquet():
    content = io.BytesIO()
    table = pa.table({"key": ["0", "1", "2"], "image": [png(number) for number in range(3)]})
    pq.write_table(table, content, row_group_size=2)
    return content.getvalue()


_FOR_EVER = 1 << 20  # times 64 KiB: no test sends as much
BAD = {
    "missing": "there is no such file",
    "forbidden": "the store allows no access",
    "error": "500",
    "cut": "payload",
    "page": "is a web page",
    "loop": "redirect",
    "silent": "",
    "drip": "",
    "endless": "is longer than",
    "bomb": "is longer than",
    "empty": "is empty",
}


CONTAINERS = {"tar": tar(), "parquet": parquet()}


class Handler(BaseHTTPRequestHandler):
    """Answers by the name of what is asked for."""

    protocol_version = "HTTP/1.1"
    stop = threading.Event()

    def log_message(self, *values):
        """Says nothing."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        name, _, suffix = self.path.strip("/").partition(".")
        with suppress(OSError):  # who asked has gone
            if suffix in CONTAINERS:
                self._container(name, suffix)
            else:
                getattr(self, f"_{name}", self._image)()

    def _container(self, name, suffix):
        """`whole` ignores `Range`, as many servers do; all others give the part asked for."""
        content = CONTAINERS[suffix]
        if name in ("missing", "error"):
            self._send(b"none", 404 if name == "missing" else 500)
        elif name in ("moved", "loop"):
            self._send(status=302, Location=f"/{'good' if name == 'moved' else name}.{suffix}")
        elif name == "page":
            self._page()
        elif name == "empty":
            self._empty()
        elif name == "cut":
            self._send(content[: len(content) // 2], length=len(content))
            self.close_connection = True
        elif name == "whole" or "Range" not in self.headers:
            self._send(content)
        else:
            first, _, last = self.headers["Range"].partition("=")[2].partition("-")
            part = content[int(first) : int(last) + 1]
            place = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
            self._send(part, 206, Content_Range=place)

    def _send(self, content=b"", status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _image(self):
        self._send(png(1))

    def _moved(self):
        self._send(status=302, Location="/good.png")

    def _missing(self):
        self._send(b"none", 404)

    def _forbidden(self):
        self._send(b"none", 403)

    def _error(self):
        self._send(b"none", 500)

    def _cut(self):
        self._send(png(1)[:50], length=len(png(1)))
        self.close_connection = True

    def _page(self):
        self._send(b"<!DOCTYPE html><html>Log in first</html>", Content_Type="image/png")

    def _loop(self):
        self._send(status=302, Location="/loop.png")

    def _silent(self):
        self.stop.wait()

    def _drip(self):
        self._send(length=1000)
        while not self.stop.wait(0.05):
            self.wfile.write(b".")
            self.wfile.flush()

    def _endless(self):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for _ in range(_FOR_EVER):
            self.wfile.write(bytes(1 << 16))

    def _bomb(self):
        self._send(gzip.compress(bytes(1 << 24)), Content_Encoding="gzip")

    def _empty(self):
        self._send()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(stores, "PAUSE", 0)
    monkeypatch.setattr(stores, "SILENCE", 0.5)
    monkeypatch.setattr(stores, "LONGEST_ANSWER", 1.5)
    monkeypatch.setattr(remote, "LARGEST", 1 << 22)
    monkeypatch.setattr(fsspec.config, "conf", {})
    Handler.stop = threading.Event()
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.daemon_threads = True
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_address[1]}"
    Handler.stop.set()
    found.shutdown()
    found.server_close()


def test_every_answer_that_is_no_image_is_a_line_and_the_rest_is_done(server, tmp_path):
    names = ["good", *BAD, "moved", "last"]
    listed = [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate(names, 1)]
    (tmp_path / "a.json").write_text(json.dumps({"images": listed}), encoding="utf-8")
    source = open_source(str(tmp_path / "a.json"), images=server)
    dest = str(tmp_path / "out")
    task = EdgesTask()
    status = annotate(
        Job(source, task, make_sink(dest, "folder", task), FakeModel(), dest, workers=0)
    )
    assert (status.open, status.done, status.failed) == (0, 3, len(BAD))
    with io.StringIO((tmp_path / "out/report.csv").read_text(encoding="utf-8")) as file:
        reasons = {row["key"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons.keys() == BAD.keys()
    for name, words in BAD.items():
        assert words.lower() in reasons[name].lower(), reasons[name]
        assert f"{name}.png" in reasons[name]
        assert len(reasons[name].splitlines()) == 1
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        f"{name}.edges.png" for name in ("good", "moved", "last")
    }


def annotated(url, out, **options):
    """How a job over a container went, and the reasons in its report."""
    task = EdgesTask()
    source = open_source(url, **options)
    job = Job(source, task, make_sink(str(out), "folder", task), FakeModel(), str(out), workers=0)
    status = annotate(job)
    with io.StringIO((out / "report.csv").read_text(encoding="utf-8")) as file:
        return status, [row["reason"] for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", ["good", "whole", "moved"])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_containers_are_read_from_servers_with_and_without_parts(server, tmp_path, name, suffix):
    options = {"key_column": "key"} if suffix == "parquet" else {}
    url = f"{server}/{name}.{suffix}"
    status, reasons = annotated(url, tmp_path / "out", **options)
    assert (status.done, status.failed, reasons) == (3, 0, [])
    read = [entry.place.read() for entry in open_source(url, **options).entries()]
    assert read == [png(0), png(1), png(2)]


BROKEN = {
    "missing": "there is no .{} there", "error": "500", "loop": "TooManyRedirects",
    "page": "is a damaged", "cut": "payload", "empty": "is empty, or its server",
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_containers_that_do_not_come_are_named_in_one_line(server, tmp_path, name, suffix):
    url = f"{server}/{name}.{suffix}"
    try:
        status, reasons = annotated(url, tmp_path / "out")
        assert (status.done, status.failed) == (0, 1)
    except (InputError, StoreError) as error:  # before work begins
        reasons = [str(error)]
    (reason,) = reasons
    assert url in reason
    assert BROKEN[name].format(suffix) in reason
    assert len(reason.splitlines()) == 1
