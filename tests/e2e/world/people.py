"""The wallets' owners: each has one wallet folder, used by the library and by `gelap wallet` in turn, and a thread."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from eth_account.signers.local import LocalAccount

from chain.errors import SourceError
from chain.events import EventPage
from chain.pool import Pool
from chain.rpc import connect
from chain.stream.source import IndexerSource
from proto.client import ProverClient
from protocol.keys import Account
from tests.e2e.world.endpoint import Endpoint
from tests.e2e.world.processes import environment, gelap
from wallet.exit_codes import ending_of
from wallet.proving import RemoteProver
from wallet.sources import NodeSource
from wallet.wallet import Wallet

PASSPHRASE = "three wallets and a long afternoon"
COMMAND_SECONDS = 300.0
PROOF_SECONDS = 300.0

T = TypeVar("T")


@dataclass(frozen=True)
class Deployment:
    """Where the pool and the cluster are."""

    chain_id: int
    pool: str
    deployed_at: int
    gateway: str
    fingerprint: str


class TurningSource:
    """The indexer, and the node once the indexer does not answer: what a person does who is told so."""

    def __init__(self, indexer: IndexerSource, pool: Pool) -> None:
        self._indexer = indexer
        self._node = NodeSource(pool)

    def pages(self, after: tuple[int, str] | None = None) -> Iterator[EventPage]:
        try:
            for page in self._indexer.pages(after):
                after = (page.last_block, page.last_hash)
                yield page
        except SourceError:
            yield from self._node.pages(after)


@dataclass
class Person:
    """Whatever reads or moves this person's money runs in the thread of `begin` and `do`, one thing after another.

    `where` is there once the pool is. `endpoint` is the node as this person reaches it, `others` the URLs to turn to
    when it is dead.

    `indexer` gives the URL of the indexer to read events from, None for the node; `caught_up` waits until that indexer
    has read everything. `issued` are all addresses, `unused` those that nobody paid to yet.
    """

    name: str
    folder: Path
    mnemonic: str
    payer: LocalAccount
    endpoint: Endpoint
    where: Deployment | None = None
    others: tuple[str, ...] = ()
    indexer: Callable[[], str | None] = lambda: None
    caught_up: Callable[[], None] = lambda: None
    issued: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    _wallet: Wallet | None = None
    _client: ProverClient | None = None
    _read_from: str | None = None
    _source: IndexerSource | None = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def begin(self, work: Callable[..., T], *arguments: Any) -> "Future[T]":
        """Have it done while others do something else."""
        return self._thread.submit(work, *arguments)

    def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Have it done, and wait. Not for use within what this person does already."""
        return self.begin(work, *arguments).result()

    def leave(self) -> None:
        """End the thread, with all that is open."""
        self._thread.submit(self.close)
        self._thread.shutdown()

    @property
    def account(self) -> Account:
        return Account.from_mnemonic(self.mnemonic)

    @property
    def rpc_urls(self) -> str:
        return " ".join((self.endpoint.url, *self.others))

    @property
    def wallet(self) -> Wallet:
        """The wallet's file, opened by the library; again when the indexer came or went."""
        indexer = self.indexer()
        if self._wallet is not None and self._read_from != indexer:
            self.close()
        if self._wallet is None:
            where = self.where
            assert where is not None
            pool = Pool(connect(self.rpc_urls), where.pool, self.payer, where.deployed_at)
            self._client = ProverClient(where.gateway, f"key-of-{self.name}", where.fingerprint)
            self._read_from = indexer
            self._source = None if indexer is None else IndexerSource(indexer, where.chain_id, where.pool)
            path = self.folder / "wallet" / f"{where.chain_id}-{where.pool.lower()}.db"
            self._wallet = Wallet.open(
                path,
                self.mnemonic,
                pool=pool,
                prover=RemoteProver(self._client, PROOF_SECONDS),
                source=None if self._source is None else TurningSource(self._source, pool),
            )
        return self._wallet

    def sync(self) -> int:
        """Read everything that is on the chain now."""
        self.caught_up()
        return self.wallet.sync()

    def close(self) -> None:
        """Forget what is in memory, as a process that ends does."""
        if self._wallet is not None:
            self._wallet.close()
            self._wallet = None
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._source is not None:
            self._source.close()
            self._source = None

    # `gelap wallet` as a process

    def prepare_commands(self) -> None:
        """Write the files with secrets that its commands are given."""
        self.folder.mkdir()
        for name, secret in (("passphrase", PASSPHRASE), ("words", self.mnemonic), ("evm", self.payer.key.hex())):
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(secret + "\n")

    @property
    def settings(self) -> Mapping[str, str]:
        settings = {}
        if (indexer := self.indexer()) is not None:
            settings["GELAP_INDEXER"] = indexer
        if self.where is not None:
            settings["GELAP_PROVER"] = f"grpc://{self.where.gateway}"
            settings["GELAP_PROVER_FINGERPRINT"] = self.where.fingerprint
        return environment(
            **settings,
            GELAP_WALLET=str(self.folder / "wallet"),
            GELAP_PASSPHRASE_FILE=str(self.folder / "passphrase"),
            GELAP_EVM_KEY_FILE=str(self.folder / "evm"),
            GELAP_RPC_URL=self.rpc_urls,
            GELAP_API_KEY=f"key-of-{self.name}",
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """A `gelap wallet` command, running; the library's wallet is closed first."""
        self.close()
        self.caught_up()
        return subprocess.Popen(
            gelap("wallet", *arguments, "--json"),
            env=self.settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        """Run a `gelap wallet` command: its exit code, its JSON document, and both with all it said in words."""
        process = self.start(*arguments)
        try:
            out, errors = process.communicate(timeout=COMMAND_SECONDS)
        finally:
            process.kill()
            process.wait()
        shown = f"gelap wallet {' '.join(arguments)} of {self.name} ended with {process.returncode}: {out}{errors}"
        document: dict[str, Any] = json.loads(out) if out else {}
        assert document.get("ok") == (process.returncode == 0), shown
        return process.returncode, document, shown

    def command(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a `gelap wallet` command, which must end with this exit code; its JSON document.

        Once more, from the node, when the indexer went while it ran: it says so before anything is signed.
        """
        indexer = self.indexer()
        ended, document, shown = self.ended(*arguments)
        if ended == ending_of(SourceError("")).code != code and self.indexer() != indexer:
            ended, document, shown = self.ended(*arguments)
        assert ended == code, shown
        return document

    @property
    def here(self) -> list[str]:
        """The options that say which pool, needed once for each folder."""
        assert self.where is not None
        return ["--chain", "local", "--pool", self.where.pool, "--deployed-at", str(self.where.deployed_at)]

    # Addresses

    def new_address(self) -> str:
        return self.issued_address(self.wallet.new_address("e2e"))

    def issued_address(self, address: str) -> str:
        assert address not in self.issued, f"{self.name} issued {address} twice"
        self.issued.append(address)
        self.unused.append(address)
        return address

    def address_for_a_payer(self) -> str:
        """The oldest unused address, or a fresh one: unused ones must not pile up beyond the scanner's gap."""
        return self.unused.pop(0) if self.unused else self._fresh()

    def _fresh(self) -> str:
        address = self.new_address()
        self.unused.remove(address)
        return address


def everyone(people: Sequence[Person], work: Callable[[Person], T]) -> list[T]:
    """All do it at the same time; returns or raises when everybody is done."""
    begun = [person.begin(work, person) for person in people]
    wait(begun)
    return [each.result() for each in begun]
