"""Proving keys from a gateway or a file server: fetched so that an interruption costs nothing, checked, put in place.

What a file has to be is said by its SHA-256 in a manifest. The manifest comes from the server too, unless the caller
has one already: then nothing the server says is trusted.
"""

import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests

from prover.errors import FormatError
from prover.formats.files import atomic_write
from prover.formats.verification_key import read_verification_key
from worker.errors import ConfigurationError
from worker.manifest import FILE_NAME, VERSION, CircuitEntry, read_manifest

# Bytes at once, and at most what a broken connection costs.
_PART = 1 << 16
_TIMEOUT = (20.0, 60.0)
# How often in a row a connection may break without a byte in between.
_BREAKS = 4
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Progress = Callable[[str, int, int], None]


class KeyFetchError(Exception):
    """Keys could not be fetched; the message says what to do."""


@dataclass(frozen=True)
class Source:
    """Where keys are. `url` is a gateway's REST address, or that of a manifest.json with its files beside it."""

    url: str
    api_key: str | None = None
    proxy: str | None = None
    ca_file: str | None = None

    def open(self) -> "_Server":
        """Raises KeyFetchError."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise KeyFetchError(
                f"{self.url} is no URL of a gateway or of a {FILE_NAME}, such as https://prover.example"
            )
        session = requests.Session()
        session.trust_env = False
        session.verify = self.ca_file or True
        if self.proxy:
            session.proxies.update({"http": self.proxy, "https": self.proxy})
        if self.api_key:
            session.headers["Authorization"] = f"Bearer {self.api_key}"
        if parts.path.endswith(f"/{FILE_NAME}"):
            return _FileServer(session, self.url)
        return _Gateway(session, self.url.rstrip("/"))


def fetch_keys(
    source: Source, directory: Path, names: Sequence[str], pinned: Path | None, progress: Progress
) -> list[str]:
    """Fetch the keys of the named circuits (all for none) into `directory`; returns the names of those that are there.

    A file that is there already is not fetched again, and the manifest is written last: whoever reads it finds what it
    names. Keys of other circuits stay. `pinned` is a manifest of one's own to go by. Raises KeyFetchError.
    """
    server = source.open()
    entries = _entries(pinned.read_bytes() if pinned else server.manifest())
    chosen = list(names) or sorted(entries)
    for name in chosen:
        if name not in entries:
            raise KeyFetchError(f"there is no key of {name}; there are: {', '.join(sorted(entries))}")
    try:
        with _locked(directory):
            for name in chosen:
                _fetch_circuit(server, directory, entries[name], progress)
            _extend_manifest(directory, [entries[name] for name in chosen])
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        raise KeyFetchError(f"{error.filename or directory} cannot be written: {error.strerror}") from None
    except FormatError as error:
        raise KeyFetchError(str(error)) from None
    return chosen


class _Server(Protocol):
    def manifest(self) -> bytes: ...

    def verification_key(self, entry: "_Entry") -> bytes: ...

    def proving_key(self, entry: "_Entry", start: int) -> requests.Response: ...


@dataclass(frozen=True)
class _Entry:
    """A manifest's entry, checked, and as its server has it."""

    checked: CircuitEntry
    raw: Mapping[str, Any]


class _Requests:
    def __init__(self, session: requests.Session, url: str) -> None:
        self._session = session
        self._url = url

    def get(self, url: str, start: int = 0, stream: bool = False) -> requests.Response:
        """Raises KeyFetchError; `requests.RequestException` when the connection fails."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        # Identity: a compressed file would have other bytes at the same place.
        headers["Accept-Encoding"] = "identity"
        response = self._session.get(url, headers=headers, timeout=_TIMEOUT, stream=stream, allow_redirects=False)
        if response.status_code in (200, 206) or (start and response.status_code == 416):
            return response
        with response:
            try:
                reason = str(response.json()["detail"])
            except (ValueError, KeyError, TypeError):
                reason = f"HTTP status {response.status_code}"
        if response.status_code in (401, 403):
            reason += " (GELAP_API_KEY holds the key)"
        raise KeyFetchError(f"{url}: {reason}")

    def read(self, url: str) -> bytes:
        try:
            with self.get(url) as response:
                return response.content
        except requests.RequestException as error:
            raise _unreachable(url, error) from None


class _Gateway(_Requests):
    def manifest(self) -> bytes:
        return self.read(f"{self._url}/v1/manifest")

    def verification_key(self, entry: _Entry) -> bytes:
        answer = json.loads(self.read(f"{self._url}/v1/circuits/{entry.checked.name}"))
        return json.dumps(answer["verification_key"], indent=1).encode()

    def proving_key(self, entry: _Entry, start: int) -> requests.Response:
        return self.get(f"{self._url}/v1/keys/{entry.checked.zkey_sha256.hex()}", start, stream=True)


class _FileServer(_Requests):
    def manifest(self) -> bytes:
        return self.read(self._url)

    def verification_key(self, entry: _Entry) -> bytes:
        return self.read(self._beside(entry.checked.verification_key.name))

    def proving_key(self, entry: _Entry, start: int) -> requests.Response:
        return self.get(self._beside(entry.checked.zkey.name), start, stream=True)

    def _beside(self, name: str) -> str:
        return self._url.rpartition("/")[0] + "/" + name


def _entries(content: bytes) -> dict[str, _Entry]:
    """Read a manifest as strictly as the one in a key folder."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE_NAME).write_bytes(content)
        try:
            checked = read_manifest(Path(folder))
        except ConfigurationError as error:
            raise KeyFetchError(f"the manifest is none: {error}".replace(f"{folder}/", "")) from None
    raw = {item["name"]: item for item in json.loads(content)["circuits"]}
    for name in checked:
        if not _NAME.fullmatch(name):
            raise KeyFetchError(f"the manifest is none: {name[:64]!r} is no circuit's name")
    return {name: _Entry(entry, raw[name]) for name, entry in checked.items()}


def _fetch_circuit(server: _Server, directory: Path, entry: _Entry, progress: Progress) -> None:
    name = entry.checked.name
    wanted = entry.checked.zkey_sha256.hex()
    target = directory / f"{name}.zkey"
    if not _has(target, wanted, progress):
        _fetch_proving_key(server, entry, directory / f".{wanted}.part", progress)
        os.replace(directory / f".{wanted}.part", target)
    verification_key = directory / f"{name}.vkey.json"
    if _is_key(verification_key, entry.checked.verification_key_digest):
        return
    try:
        content = server.verification_key(entry)
    except (ValueError, KeyError, TypeError):
        raise KeyFetchError(f"the server's verification key of {name} is none") from None
    with tempfile.TemporaryDirectory() as folder:
        fetched = Path(folder) / "vkey.json"
        fetched.write_bytes(content)
        if not _is_key(fetched, entry.checked.verification_key_digest):
            raise KeyFetchError(f"the server's verification key of {name} is not the one that the manifest names")
    with atomic_write(verification_key) as stream:
        stream.write(content)


def _fetch_proving_key(server: _Server, entry: _Entry, part: Path, progress: Progress) -> None:
    """Complete `part`. What an earlier try has left of it is kept, unless the whole turns out to be wrong."""
    name, wanted = entry.checked.name, entry.checked.zkey_sha256.hex()
    breaks = 0
    told = -1
    with open(part, "ab+") as file:
        digest = _digest_so_far(file)
        while True:
            start = file.tell()
            try:
                with server.proving_key(entry, start) as response:
                    if response.status_code == 416:
                        break  # there is no more than what is here
                    if start and response.status_code != 206:
                        # A server without ranges begins again.
                        file.truncate(0)
                        digest = hashlib.sha256()
                        start = 0
                    total = start + int(response.headers.get("Content-Length") or 0)
                    for piece in response.iter_content(_PART):
                        file.write(piece)
                        digest.update(piece)
                        breaks = 0
                        told = _tell(progress, name, file.tell(), total, told)
                    if not total or file.tell() >= total:
                        break
            except requests.RequestException as error:
                breaks += 1
                if breaks > _BREAKS:
                    file.flush()
                    raise _unreachable(f"the key of {name}", error) from None
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != wanted:
        part.unlink()
        raise KeyFetchError(
            f"what the server has as the proving key of {name} has the SHA-256 {digest.hexdigest()}, not {wanted}: "
            "ask the cluster's operator; nothing was kept"
        )


def _tell(progress: Progress, name: str, done: int, total: int, told: int) -> int:
    """Report at every twentieth, so that what is no terminal gets few lines; `told` is the one reported last."""
    twentieth = 20 * done // total if total else 0
    if twentieth != told:
        progress(f"fetching {name}", done >> 20, total >> 20)
    return twentieth


def _digest_so_far(file: Any) -> Any:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(_PART):
        digest.update(piece)
    return digest


def _has(path: Path, wanted: str, progress: Progress) -> bool:
    if not path.is_file():
        return False
    progress(f"checking {path.name}", 0, 1)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == wanted


def _is_key(path: Path, digest: bytes) -> bool:
    try:
        return read_verification_key(path).digest() == digest
    except FormatError:
        return False


def _extend_manifest(directory: Path, entries: Sequence[_Entry]) -> None:
    path = directory / FILE_NAME
    kept: dict[str, Any] = {}
    if path.exists():
        try:
            read_manifest(directory)
        except ConfigurationError as error:
            raise KeyFetchError(f"{error}; or choose another folder") from None
        kept = {item["name"]: item for item in json.loads(path.read_text("utf-8"))["circuits"]}
    for entry in entries:
        name = entry.checked.name
        kept[name] = {**entry.raw, "zkey": f"{name}.zkey", "verification_key": f"{name}.vkey.json"}
    with atomic_write(path) as stream:
        stream.write((json.dumps({"version": VERSION, "circuits": list(kept.values())}, indent=2) + "\n").encode())


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the folder's lock, the one that `gelap keys make` holds too."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unreachable(what: str, error: Exception) -> KeyFetchError:
    return KeyFetchError(
        f"{what} cannot be fetched ({type(error).__name__}): is the server up? Run the same again: it goes on where it "
        "was"
    )
