"""Stores behind fsspec (s3://, gs://, https://, a network disk): asked again where they stumble,
and their many kinds of errors made one.

Each request is tried up to `ATTEMPTS` times, with pauses that double. What will not pass by itself
(there is no such object, no right to it, no credentials) is not tried again. Then a store's error
is an `OSError` of one line that names the path, whichever library it came from.
"""

from __future__ import annotations

import errno
import io
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from stat import S_ISDIR, S_ISREG
from typing import Any, TypeAlias, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from trace_edges.extras import MissingExtraError
from trace_edges.files import InputError

ATTEMPTS = 4  # of each request
PAUSE = 0.5  # s before the second, twice as much before the third, ...
SILENCE = 30.0  # s that an http server may say nothing, where fsspec is not configured otherwise
LONGEST_ANSWER = 600.0  # s that one answer of it may take

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "http": "annotate",
           "https": "annotate"}  # fmt: skip
_PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY)  # of disks
_OUR_MISTAKES = (ValueError, TypeError, LookupError, AttributeError, NotImplementedError)
_ALL_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_PASSING_STATUS = (408, 425, 429)
_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "ProfileNotFound",
    "UnauthorizedSSOTokenError",
    "SSOTokenLoadError",
    "DefaultCredentialsError",
    "RefreshError",
)  # fmt: skip  codes of S3, and classes of botocore and google.auth
_LONGEST = 200  # characters of a reason
# What stores say of an object that changes with it, in the words of the libraries.
_STAMPS = ("ETag", "etag", "md5Hash", "generation", "Content-MD5", "Digest", "LastModified",
           "Last-Modified", "last_modified", "mtime", "modified", "updated", "created")  # fmt: skip

FileSystem: TypeAlias = fsspec.AbstractFileSystem
Answer = TypeVar("Answer")


class StoreError(OSError):
    """A store that did not do what it was asked, after all tries: one line that names the path."""


def is_web(url: str) -> bool:
    """Whether a web server answers for it."""
    return url.startswith(("http://", "https://"))


def filesystem(url: str) -> tuple[FileSystem, str]:
    """What a path or URL lies on, and the path there.

    Raises:
        InputError: nothing is known of this kind of URL.
        MissingExtraError: its library is not installed.
        StoreError: it cannot be had: for want of credentials, for instance.
    """
    protocol = url.split("://")[0] if "://" in url else "file"
    if protocol in ("http", "https"):
        _bound_silence(protocol)
    try:
        return ask(url, fsspec.core.url_to_fs, url)
    except ImportError as error:
        if protocol not in _EXTRAS:
            raise MissingExtraError(f"{url}: {error}") from error
        message = f'{url}: {error}; pip install "trace-edges[{_EXTRAS[protocol]}]"'
        raise MissingExtraError(message) from error
    except ValueError as error:
        raise InputError(f"{url}: {error}; give a path, s3://, gs://, or what fsspec knows") from (
            error
        )


def ask(url: str, function: Callable[..., Answer], *values: Any, **options: Any) -> Answer:
    """Calls a function of a store, again where it stumbles.

    Args:
        url: what is asked for, as messages name it.
        function: of the store; to call it twice must come to the same as once.
        values, options: its arguments.

    Raises:
        FileNotFoundError, PermissionError: the store said so.
        StoreError: any other error of a store that is elsewhere.
        OSError: as it came, of a disk of this machine.
    """
    for attempt in count(1):
        try:
            return function(*values, **options)
        except (MemoryError, ImportError, StoreError):
            raise
        except Exception as error:
            # A kind of URL that nobody knows is no error of a store.
            unknown = function is fsspec.core.url_to_fs and isinstance(error, ValueError)
            if attempt < ATTEMPTS and _may_pass(error):
                time.sleep(PAUSE * 2 ** (attempt - 1) * random.uniform(0.75, 1.25))
            elif "://" not in url or url.startswith("file://") or unknown:
                raise
            else:
                raise _plain(url, error, attempt) from error
    raise AssertionError("the loop has no end")


def kind_of(url: str) -> str | None:
    """What lies at a path or URL: "file", "directory", "other" (a pipe, a device), or None.

    Raises:
        OSError: it cannot be told.
    """  # fsspec's own `exists` takes a dead store for an empty one
    system, path = filesystem(url)
    try:
        if not isinstance(system, LocalFileSystem):
            return str(ask(url, system.info, path)["type"])
        mode = ask(url, os.stat, path).st_mode  # of what a link leads to
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno != errno.ELOOP:  # links that lead to each other lead nowhere
            raise
        return None
    return "file" if S_ISREG(mode) else "directory" if S_ISDIR(mode) else "other"


def stamp_in(told: Mapping[str, Any]) -> str:
    """What changes when an object is written or replaced, of all that its store says of it; empty
    where that is at most its size.
    """
    stamps = [str(told[name]) for name in _STAMPS if told.get(name)]
    return " ".join([str(told.get("size")), *stamps]) if stamps else ""


def is_of_store(error: Exception) -> bool:
    """Whether it comes from a store or a disk, and not from whoever reads what it gave (Arrow)."""
    return isinstance(error, StoreError) or getattr(error, "filename", None) is not None


def concerns_all(error: OSError) -> bool:
    """Whether what stopped one write will stop every other: a full disk."""
    return error.errno in _ALL_FULL


class StoreFile(io.RawIOBase):
    """A file that is read in pieces, each asked for again where the store stumbles.

    Args:
        url: of the file.

    Raises:
        OSError: it is not there, or cannot be read.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._system, self._path = filesystem(url)
        self._file = ask(url, self._system.open, self._path, "rb")
        self._at = 0
        if is_web(url) and not self._file.size:
            raise StoreError(f"{url}: is empty, or its server does not say how long it is: "
                             "download it and give the file")  # fmt: skip

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            self._at = offset
        elif whence == os.SEEK_CUR:
            self._at += offset
        else:
            self._at = ask(self._url, self._file.seek, offset, whence)
        return self._at

    def readinto(self, buffer: Any) -> int:
        content = ask(self._url, self._read, len(buffer))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _read(self, length: int) -> bytes:
        if self._file.tell() != self._at:
            self._file.seek(self._at)
        return bytes(self._file.read(length))


def _bound_silence(protocol: str) -> None:
    """A server that never answers must not stop a job: aiohttp would wait for five minutes."""
    try:
        from aiohttp import ClientTimeout
    except ImportError:
        return  # fsspec says what is missing
    known = fsspec.config.conf.get(protocol, {}).get("client_kwargs", {})
    if "timeout" not in known:
        limits = ClientTimeout(total=LONGEST_ANSWER, sock_connect=SILENCE, sock_read=SILENCE)
        client = {**known, "timeout": limits}
        fsspec.config.conf.setdefault(protocol, {})["client_kwargs"] = client


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from: s3fs and http wrap what was answered."""
    while error is not None:
        yield error
        answered = hasattr(error.__context__, "response")  # s3fs does not name it as the cause
        error = error.__cause__ or (error.__context__ if answered else None)


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error tells of, where botocore, aiohttp, gcsfs, requests put it."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = ((error, "status"), (error, "code"), (response, "status_code"))
        values = (getattr(one, name, None) for one, name in found)
        status = next((value for value in values if value is not None), None)
    text = str(status)
    return int(text) if text.isdigit() else None


def _lacks_credentials(error: BaseException) -> bool:
    for one in _chain(error):
        response = getattr(one, "response", None)
        code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
        if code in _CREDENTIALS or type(one).__name__ in _CREDENTIALS:
            return True
    return False


def _answer(error: BaseException) -> int | None:
    """The status of what was answered; 404 and 403 for the exceptions that stand for them."""
    for one in reversed(list(_chain(error))):
        if (status := _status(one)) is not None:
            return status
        if isinstance(one, FileNotFoundError):
            return 404
        if isinstance(one, PermissionError):
            return 403
        if not isinstance(one, _OUR_MISTAKES):  # a connection that broke, whatever wraps it
            return None
    return None


def _may_pass(error: BaseException) -> bool:
    if _lacks_credentials(error):
        return False
    if (status := _answer(error)) is not None:
        return status in _PASSING_STATUS or status >= 500
    # As the system raises it, of a disk; the libraries of stores give other numbers, or none.
    if isinstance(error, OSError) and None not in (error.errno, error.filename):
        return error.errno in _PASSING
    return not isinstance(error, _OUR_MISTAKES)


def _plain(url: str, error: Exception, attempts: int) -> OSError:
    said: BaseException = error
    if str(error) == url:  # as fsspec wraps what was answered
        said = next((one for one in _chain(error) if _status(one) is not None), error)
    told = "" if getattr(said, "message", None) == "" else str(said)  # aiohttp's, of redirects
    reason = " ".join((told or type(said).__name__).split())[:_LONGEST]
    if _lacks_credentials(error):
        return StoreError(f"{url}: the store takes no credentials or not these ({reason}): set "
                          "them as its library reads them")  # fmt: skip
    match _answer(error):
        case 404:
            return FileNotFoundError(errno.ENOENT, "there is no such file, folder or bucket", url)
        case 401 | 403:
            return PermissionError(errno.EACCES, f"the store allows no access ({reason})", url)
    tries = f", asked {attempts} times" if attempts > 1 else ""
    return StoreError(f"{url}: {reason}{tries}")
