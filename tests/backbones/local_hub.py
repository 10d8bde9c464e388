"""A hub on this machine: folders as repositories, by the protocol that `huggingface_hub` speaks."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class LocalHub:
    """What it serves, and what was asked of it.

    Attributes:
        repositories: by id and commit: the folder.
        branches: by id: commits by name of a branch.
        fetched: paths of files whose content went out.
        cut: paths of files that break off in the middle.
        gated: ids of repositories whose files are refused.
    """

    repositories: dict[str, dict[str, Path]] = field(default_factory=dict)
    branches: dict[str, Mapping[str, str]] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    address: str = ""

    def add(self, repository: str, folder: Path, commit: str, branch: str = "main") -> None:
        """Serve a folder as a repository, at a commit on a branch."""
        self.repositories.setdefault(repository, {})[commit] = folder
        self.branches[repository] = {**self.branches.get(repository, {}), branch: commit}


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    """A hub that runs within."""
    hub = LocalHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def _answer(self, *, with_content: bool) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"]:  # OWNER/NAME/{revision,tree}/REVISION
            self._tell_of("/".join(parts[2:4]), parts[4], parts[5])
        elif "resolve" not in parts:
            self._refuse(404, "")
        else:  # OWNER/NAME/resolve/REVISION/PATH
            self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]), with_content)

    def _folder(self, repository: str, revision: str) -> tuple[Path, str] | None:
        commits = self.hub.repositories.get(repository)
        if commits is None:
            return self._refuse(401, "RepoNotFound")
        commit = self.hub.branches[repository].get(revision, revision)
        if commit not in commits:
            return self._refuse(404, "RevisionNotFound")
        return commits[commit], commit

    def _tell_of(self, repository: str, what: str, revision: str) -> None:
        if (found := self._folder(repository, revision)) is None:
            return
        folder, commit = found
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        names = [path.relative_to(folder).as_posix() for path in files]
        answer: object = {"id": repository, "sha": commit,
                          "siblings": [{"rfilename": name} for name in names]}  # fmt: skip
        if what == "tree":
            answer = [{"type": "file", "path": name, "size": path.stat().st_size, "oid": commit}
                      for name, path in zip(names, files, strict=True)]  # fmt: skip
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _file(self, repository: str, revision: str, name: str, with_content: bool) -> None:
        if (found := self._folder(repository, revision)) is None:
            return
        folder, commit = found
        if repository in self.hub.gated:
            self._refuse(403, "GatedRepo")
            return
        if not (folder / name).is_file():
            self._refuse(404, "EntryNotFound")
            return
        data = (folder / name).read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit}
        if not with_content:
            self._send(200, b"", headers | {"Content-Length": str(len(data))})
            return
        self.hub.fetched.append(name)
        if name in self.hub.cut:
            self.close_connection = True
            self._send(200, data[: len(data) // 2], headers | {"Content-Length": str(len(data))})
        else:
            self._send(200, data, headers)

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
