"""Many memos are tried in several processes, with the same result as one by one."""

import os

import pytest

from protocol.keys import Account
from protocol.memo import MEMO_BYTES, encrypt
from wallet import trial
from wallet.scanner import open_memos
from wallet.spend import to_oneself
from wallet.trial import TrialProcesses

CHUNK = 20
TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3


@pytest.fixture(scope="module")
def memos() -> list[tuple[bytes, int]]:
    """Somebody's memos, garbage of every length, and three of ours, two of them where chunks meet."""
    made = [(os.urandom(MEMO_BYTES), number) for number in range(2 * CHUNK + 10)]
    made[5] = (b"short", 5)
    made[6] = (os.urandom(MEMO_BYTES), 2**256)
    account = Account.from_seed(bytes(64))
    for place in (0, CHUNK - 1, CHUNK):
        output = to_oneself(account, TOKEN, place + 1)
        made[place] = (encrypt(output.note, output.address), output.note.commitment)
    return made


def test_processes_open_what_one_thread_opens_each_in_its_place(
    memos: list[tuple[bytes, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_CHUNK", CHUNK)
    mine, other = (Account.from_seed(bytes(64), number).viewing_key for number in (0, 1))
    with TrialProcesses(processes=2, few=10) as processes:
        found = processes(mine, memos)
        assert found == open_memos(mine, memos)
        assert {place for place, opened in enumerate(found) if opened} == {0, CHUNK - 1, CHUNK}
        assert not any(processes(other, memos)), "another key is tried with that key"


def test_few_memos_start_no_process(memos: list[tuple[bytes, int]]) -> None:
    with TrialProcesses(processes=2) as processes:
        assert processes(Account.from_seed(bytes(64)).viewing_key, memos[:2])[0]
        assert processes._pool is None
