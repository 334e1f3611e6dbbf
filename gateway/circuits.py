"""The circuits of the key folder, read again when its manifest changes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from gateway import metrics
from worker.errors import ConfigurationError, UnknownKeyFileError
from worker.manifest import FILE_NAME, CircuitEntry, read_manifest

log = structlog.get_logger("gelap.gateway")


class Circuits:
    """`current` is never changed in place: whoever took it has one state of the folder. Raises ConfigurationError."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._seen = self._signature()
        self.current, self.document = self._read()

    def reload_if_changed(self) -> bool:
        """Read the manifest again if its file is another; one that cannot be used leaves everything as it was."""
        signature = self._signature()
        if signature == self._seen:
            return False
        self._seen = signature
        try:
            self.current, self.document = self._read()
        except ConfigurationError as error:
            metrics.RELOADS.labels("manifest", "refused").inc()
            log.error("the new manifest cannot be used: going on with the old one", reason=str(error))
            return False
        metrics.RELOADS.labels("manifest", "used").inc()
        log.info("manifest read again", circuits=sorted(self.current))
        return True

    def proving_key(self, sha256: str) -> Path:
        """Return the file of a proving key that is here. Raises UnknownKeyFileError."""
        for entry in self.current.values():
            if entry.zkey_sha256.hex() == sha256 and entry.zkey.is_file():
                return entry.zkey
        raise UnknownKeyFileError

    def _read(self) -> tuple[Mapping[str, CircuitEntry], Mapping[str, Any]]:
        circuits = read_manifest(self._path.parent)
        document = json.loads(self._path.read_text("utf-8"))
        return circuits, document

    def _signature(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size
