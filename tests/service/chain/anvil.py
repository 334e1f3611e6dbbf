"""What tests have anvil do, and how they wait for what it or a thread does: it mines a moment after it answered."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from web3 import Web3

# In wei; anvil's own at its start.
BASE_FEE = 10**9


def ask(w3: Web3, method: str, *parameters: object) -> object:
    """One of anvil's own requests."""
    answer = w3.provider.make_request(method, list(parameters))  # type: ignore[arg-type]
    assert "error" not in answer, answer
    return answer["result"]


@contextmanager
def no_mining(w3: Web3) -> Iterator[Callable[[], None]]:
    """No block is made but by the function that is yielded."""
    ask(w3, "evm_setAutomine", False)
    try:
        yield lambda: ask(w3, "evm_mine")
    finally:
        ask(w3, "evm_mine")
        ask(w3, "evm_setAutomine", True)


def make_idle(w3: Web3) -> None:
    """Nothing waits, every transaction is mined at once, and gas costs what it did at the start."""
    ask(w3, "evm_setAutomine", True)
    ask(w3, "evm_mine")
    ask(w3, "anvil_dropAllTransactions")
    ask(w3, "anvil_setNextBlockBaseFeePerGas", hex(BASE_FEE))
    ask(w3, "evm_mine")
    assert w3.eth.get_block("latest")["baseFeePerGas"] == BASE_FEE


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Return when the condition holds; fails after so many seconds, which no busy machine needs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def ended(thread: threading.Thread) -> None:
    """Return when the thread has ended; fails when it does not."""
    thread.join(60)
    assert not thread.is_alive()
