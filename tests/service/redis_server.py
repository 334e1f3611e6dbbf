"""A Redis of a test's own, which the test can stop, start again with its data, and fill."""

import random
import secrets
import socket
import subprocess
import time

import redis

from gelap.children import end_with_parent
from gelap.servers import _redis_program

_START_SECONDS = 60.0
# Below those that systems give to whoever asks for any: it has to be free again after a stop.
_PORTS = range(20_000, 32_000)


class RedisServer:
    """Keeps its data in an append-only file in `folder`, as an operator's should."""

    def __init__(self, folder):
        self.folder = folder
        self.password = secrets.token_urlsafe(16)
        self.port = None
        self.process = None

    @property
    def url(self):
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def client(self):
        return redis.Redis.from_url(self.url)

    def start(self):
        """The first time on any port that is free, then on the same one again."""
        deadline = time.monotonic() + _START_SECONDS
        chosen = self.port is not None
        while True:
            if not chosen:
                self.port = _free_port()
            self._spawn()
            while self.process.poll() is None:
                try:
                    self.client.ping()
                    return
                except redis.RedisError:
                    assert time.monotonic() < deadline, self.said
                    time.sleep(0.02)
            # Somebody else may have the port for the moment.
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    @property
    def said(self):
        return (self.folder / "redis.log").read_text()

    @property
    def append_only_file(self):
        """All of it, whichever way this version of Redis divides it."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.rglob("*.aof")))

    def _spawn(self):
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            f"dir {self.folder}",
            'save ""',
            "appendonly yes",
            "appendfsync everysec",
            "rdbcompression no",
            "maxmemory-policy noeviction",
        ]
        with open(self.folder / "redis.log", "ab") as log:
            self.process = subprocess.Popen(
                [_redis_program(), "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=end_with_parent,
            )
        self.process.stdin.write("\n".join(lines).encode())
        self.process.stdin.close()

    def stop(self):
        """As an operator or a power cut does: what was not written in the last second may be lost."""
        self.process.kill()
        self.process.wait()


def _free_port():
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
