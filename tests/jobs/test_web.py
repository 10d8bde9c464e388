"""Images behind a web server that misbehaves: a line for each, within bounds, and the rest done."""

import csv
import gzip
import io
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from trace_edges.jobs import EdgesTask, Job, annotate, make_sink, open_source, remote, stores

from .conftest import FakeModel, png

pytest.importorskip("aiohttp")

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


class Handler(BaseHTTPRequestHandler):
    """Answers by the name of what is asked for."""

    protocol_version = "HTTP/1.1"
    stop = threading.Event()

    def log_message(self, *values):
        """Says nothing."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        name = self.path.strip("/").removesuffix(".png")
        with suppress(OSError):  # who asked has gone
            getattr(self, f"_{name}", self._image)()

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
