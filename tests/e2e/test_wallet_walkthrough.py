"""What docs/wallet.md has a newcomer type, typed at a terminal: a private chain, real proofs, indexer, relayer."""

import contextlib
import json
import os
import pty
import re
import select
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gelap.servers import _anvil_program
from prover.keys import default_directory, ensure_keys
from tests.e2e.world.ports import reserved_port
from tests.e2e.world.processes import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

PAGE = (Path(__file__).parents[2] / "docs" / "wallet.md").read_text()
CHAPTERS = ("A chain to try it on", "Five minutes")
PASSPHRASE = "correct horse battery staple"
UNIT = 10**18
# It takes a minute on two quiet cores.
SECONDS = 1200.0
# What a person answers, by the end of what stands on the screen.
ANSWERS = ((re.compile(r"passphrase of the wallet(, again)?: $"), PASSPHRASE), (re.compile(r"\[y/N\] $"), "y"))


def typed(folder: Path, ports: Mapping[str, int]) -> str:
    """The page's commands as one script, with these ports in place of the page's, and what the test wants to know at
    the end.
    """
    script = ""
    for chapter in CHAPTERS:
        _, found, text = PAGE.partition(f"\n## {chapter}\n")
        assert found, chapter
        script += "\n".join(re.findall(r"^```sh\n(.*?)^```$", text.partition("\n## ")[0], re.M | re.S))
    for port, ours in ports.items():
        assert f"127.0.0.1:{port}" in script
        script = script.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ours}").replace(f"--port {port}", f"--port {ours}")
    stop = "kill %1 %2 %3\n"
    assert script.endswith(stop), "services are stopped last"
    # From the node first: the indexer may not have read the last block yet, and then what it has is no news.
    asked = "".join(
        f"{reading} gelap wallet {command} --json --passphrase-file passphrase > {command}.json\n"
        for reading, command in (("env -u GELAP_INDEXER", "history"), ("", "balance"), ("", "status"))
    )
    (folder / "passphrase").write_text(PASSPHRASE)
    return "set -eu\ntrap 'kill $(jobs -p) 2> /dev/null' EXIT\n" + script.removesuffix(stop) + asked


def at_a_terminal(script: Path, settings: dict[str, str]) -> tuple[int, str]:
    """Run a script at a terminal of its own and answer what it asks; its exit status, and what stood on the screen."""
    child, screen = pty.fork()
    if child == 0:
        os.chdir(script.parent)
        os.execvpe("bash", ["bash", str(script)], settings)
    shown, unanswered = "", ""
    deadline = time.monotonic() + SECONDS
    try:
        while time.monotonic() < deadline:
            if not select.select([screen], [], [], 1.0)[0]:
                continue
            try:
                piece = os.read(screen, 65536).decode(errors="replace")
            except OSError:  # the terminal is gone with the last process on it
                break
            if not piece:
                break
            shown += piece
            unanswered += piece
            for question, answer in ANSWERS:
                if question.search(unanswered):
                    os.write(screen, f"{answer}\n".encode())
                    unanswered = ""
        else:
            raise AssertionError(f"not done after {SECONDS:.0f} s:\n{shown}")
    finally:
        os.close(screen)  # hangs up on whatever still runs
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown


def test_a_newcomer_who_types_the_page_has_paid_and_withdrawn(tmp_path: Path) -> None:
    ensure_keys(default_directory(), ["spend_2x2", "insert_64"])  # as `gelap keys make` does, before the clock runs
    script = tmp_path / "walk.sh"
    with contextlib.ExitStack() as stack:
        ports = {port: stack.enter_context(reserved_port()) for port in ("8545", "8090", "8091")}
        script.write_text(typed(tmp_path, ports))
        status, shown = at_a_terminal(script, _settings(tmp_path))
    assert status == 0, shown
    history, balance, told = (
        json.loads((tmp_path / f"{name}.json").read_text())["result"] for name in ("history", "balance", "status")
    )
    moved = {entry["kind"]: (int(entry["amount"]), entry["text"]) for entry in history["history"]}
    assert moved["deposited"] == (100 * UNIT, "")
    assert moved["received"] == (40 * UNIT, "for lunch")
    assert moved["withdrawn"][0] == 20 * UNIT
    (withdrawn,) = (entry for entry in history["history"] if entry["kind"] == "withdrawn")
    fee = int(withdrawn["fee"])
    assert 0 < fee < 5 * UNIT
    (token,) = balance["tokens"].values()
    assert int(token["total"]) == 100 * UNIT - 20 * UNIT - fee
    assert told["payments"] == []
    assert told["relayer"]["takes_notes"] is False
    assert told["indexer"]["host"].startswith("127.0.0.1:")


def _settings(folder: Path) -> dict[str, str]:
    programs = [str(Path(sys.executable).parent), str(Path(_anvil_program()).parent), os.environ["PATH"]]
    return environment(PATH=":".join(programs), GELAP_WALLET=str(folder / "wallet"), TERM="dumb", COLUMNS="200")
