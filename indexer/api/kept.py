"""Finished pages in this process's memory: what is asked for again is not read and written as JSON again.

A page is found by chain, pool, range and the hash of its last block, which each request reads from the database anew:
after a reorganisation it is looked for under another name, and the old one goes when its room is needed.
"""

import threading
from collections import OrderedDict

# 90 pages of a thousand leaves, with 700 kB each.
DEFAULT_BYTES = 64 << 20


class KeptPages:
    """At most `most_bytes` of bodies; those that were not asked for longest go first. For use by several threads."""

    def __init__(self, most_bytes: int = DEFAULT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of the bodies that are kept."""
        return self._bytes

    def get(self, key: str) -> bytes | None:
        with self._lock:
            body = self._bodies.get(key)
            if body is not None:
                self._bodies.move_to_end(key)
            return body

    def put(self, key: str, body: bytes) -> None:
        with self._lock:
            self._bytes += len(body) - len(self._bodies.pop(key, b""))
            self._bodies[key] = body
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._bodies.popitem(last=False)[1])
