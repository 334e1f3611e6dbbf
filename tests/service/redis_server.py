"""A Redis of a test's own, which the test can stop, start again with its data, and fill."""

import secrets
import socket
import subprocess
import time

import redis

from gelap.children import end_with_parent
from gelap.servers import _redis_program


class RedisServer:
    """Keeps its data in an append-only file in `folder`, as an operator's should."""

    def __init__(self, folder):
        self.folder = folder
        self.password = secrets.token_urlsafe(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None

    @property
    def url(self):
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def client(self):
        return redis.Redis.from_url(self.url)

    def start(self):
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
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client.ping()
                return
            except redis.RedisError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def stop(self):
        """As an operator or a power cut does: what was not written in the last second may be lost."""
        self.process.kill()
        self.process.wait()
