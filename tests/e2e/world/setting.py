"""A world: the chain, the processes and the people of one run, what they should own, and the log of what was done."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import TransactionNotFound

from chain.events import CommitmentQueued
from chain.pool import Pool
from chain.relayer.client import RelayerClient
from chain.token import Token
from contracts import artifact
from tests.e2e.world.endpoint import Endpoint
from tests.e2e.world.model import Effect, Entry, Model
from tests.e2e.world.people import Deployment, Person
from tests.e2e.world.processes import Service

UNIT = 10**6
WAIT_SECONDS = 300.0
# A tree update is proved within seconds; where it is not, waiting helps more than letting more time pass on the chain.
UPDATE_SECONDS = 60.0


@dataclass
class World:
    """`node` is the chain's own endpoint, `endpoint` the one that can die; `direct` reads the pool at `node`.

    `treasury` is the wallet that the relayer takes private fees into. `disturbed` names the faults that strike while
    people act now. Operations of different people may use it at the same time.
    """

    folder: Path
    node: str
    w3: Web3
    direct: Pool
    tokens: list[Token]
    endpoint: Endpoint
    people: list[Person]
    treasury: Person
    relayer_account: LocalAccount
    services: dict[str, Service]
    where: Deployment
    relayer_url: str
    model: Model = field(default_factory=Model)
    log: list[str] = field(default_factory=list)
    disturbed: frozenset[str] = frozenset()
    _logging: threading.Lock = field(default_factory=threading.Lock)
    _flushing: threading.Lock = field(default_factory=threading.Lock)

    # The chain

    def request(self, method: str, *parameters: Any) -> Any:
        """One of anvil's own methods."""
        answer = self.w3.provider.make_request(method, list(parameters))  # type: ignore[arg-type]
        assert "error" not in answer, answer
        return answer["result"]

    def pass_time(self, seconds: int) -> None:
        self.request("evm_increaseTime", seconds)
        self.request("evm_mine")

    def block_of(self, transaction: str) -> str | None:
        """The hash of the block that holds it now; it must have succeeded there."""
        try:
            receipt = self.w3.eth.get_transaction_receipt(HexBytes(transaction))
        except TransactionNotFound:
            return None
        assert receipt["status"] == 1, f"{transaction} was mined and refused"
        return receipt["blockHash"].to_0x_hex()

    def settled(self, transaction: str, entries: list[Entry], moved: dict[tuple[str, str], int]) -> None:
        """Write a mined transaction into the model; what it put on chain is counted in its own call data."""
        block = self.block_of(transaction)
        assert block is not None, f"{transaction} is in no block"
        function, arguments = self.call(transaction)
        spend = arguments.get("spend", {})
        effect = Effect(
            transaction,
            block,
            tuple(entries),
            moved,
            tuple(spend["commitments"]) if spend else (arguments["preCommitment"],),
            len(spend.get("nullifiers", ())),
            int(function == "withdraw"),
        )
        self.model.settle(effect)

    def call(self, transaction: str) -> tuple[str, dict[str, Any]]:
        """The function of the pool that a transaction calls, and its arguments by name."""
        contract = self.w3.eth.contract(abi=artifact("GelapShieldedAccount")["abi"])
        data = self.w3.eth.get_transaction(HexBytes(transaction))["input"]
        function, arguments = contract.decode_function_input(data)
        return function.fn_name, arguments

    def transaction_with(self, outputs: tuple[int, ...]) -> str | None:
        """The transaction that queued exactly these commitments, None where no block holds one."""
        queued = (event for event in self.direct.events() if isinstance(event, CommitmentQueued))
        transactions = {event.commitment: event.origin.transaction_hash for event in queued}
        found = {transactions.get(output) for output in outputs}
        assert len(found) == 1, f"{outputs} are in several transactions: {found}"
        return found.pop()

    def flush(self) -> None:
        """Let time pass until the sequencers have moved everything that waits by now into the tree."""
        block = self.w3.eth.block_number
        goal = self._inserted(block) + self.direct.pending_count(block)
        deadline = time.monotonic() + WAIT_SECONDS
        sequencers = [service for name, service in self.services.items() if name.startswith("sequencer")]
        with self._flushing:
            while self._inserted() < goal:
                self.pass_time(120)
                patience = time.monotonic() + UPDATE_SECONDS
                while self._inserted() < goal and time.monotonic() < patience:
                    assert any(sequencer.child for sequencer in sequencers), "no sequencer runs"
                    assert time.monotonic() < deadline, "the sequencers do not insert what waits"
                    time.sleep(0.03)

    def _inserted(self, block: int | str = "latest") -> int:
        """How many commitments are in the tree."""
        pool = self.w3.eth.contract(address=self.direct.address, abi=artifact("GelapShieldedAccount")["abi"])
        return int(pool.functions.firstPending().call(block_identifier=block))  # type: ignore[arg-type]

    @property
    def everybody(self) -> list[Person]:
        """Everyone who owns notes."""
        return [*self.people, self.treasury]

    # The processes

    def relayer(self) -> RelayerClient:
        return RelayerClient(self.relayer_url)

    def given_to_relayer(self) -> dict[str, str]:
        """The relayer's own id of each payment that it sent, by the hash of every transaction it sent it in."""
        sent = (line for line in self.services["relayer"].events() if line["event"] in ("sent", "replaced"))
        return {line["transaction"]: line["id"] for line in sent}

    @property
    def indexer_url(self) -> str | None:
        """None while it does not serve."""
        service = self.services["indexer"]
        return f"http://127.0.0.1:{service.ready['port']}" if service.child and service.ready else None

    def indexer(self, path: str, **query: str) -> Any:
        url = self.indexer_url
        assert url is not None, "the indexer does not run"
        return _answer(url + path, query)

    def wait_for_indexer(self) -> None:
        """Until it has read the block that is the newest now; at once while it does not run."""
        deadline = time.monotonic() + WAIT_SECONDS
        head = self.w3.eth.block_number
        while (url := self.indexer_url) is not None:
            try:
                tip = _answer(url + "/v1/status", {})["tip"]
            except requests.RequestException:
                assert url != self.indexer_url, "the indexer does not answer"
                continue
            if tip and tip["number"] >= head and self.direct.block_hash(tip["number"]) == tip["hash"]:
                return
            self.look()
            assert time.monotonic() < deadline, f"the indexer is at {tip}, the chain at {head}"
            time.sleep(0.05)

    def look(self) -> None:
        """Raise when a process ended that nobody asked to."""
        for service in self.services.values():
            service.check()

    @contextlib.contextmanager
    def telling(self, what: str) -> Iterator[Callable[[str], None]]:
        """Log what is done, and when it is done how it ended and how many seconds it took."""
        started = time.monotonic()
        with self._logging:
            line = len(self.log)
            self.log.append(what)
        words: list[str] = []
        yield words.append
        self.log[line] += f": {'; '.join(words)} ({time.monotonic() - started:.1f} s)"

    def tails(self) -> str:
        """The last lines of every process's log."""
        return "\n".join(service.tail() for service in self.services.values())


def _answer(url: str, query: dict[str, str]) -> Any:
    response = requests.get(url, params=query, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()
