"""The stage: servers, contracts, processes and people, all started here and gone when the block ends."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from eth_account import Account as EvmAccount
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import TransactionNotFound

from bench.index.postgresql import private_postgresql
from chain.deploy import deploy_token, deploy_with_keys
from chain.pool import Pool
from chain.relayer.client import RelayerClient
from chain.rpc import connect
from chain.token import Token
from contracts import artifact
from gelap.servers import _free_port, private_anvil, private_redis
from gelap.settings import Settings
from protocol.keys import new_mnemonic
from protocol.sealing import ClusterPrivateKey, fingerprint
from prover.keys import Manifest, ensure_keys
from prover.statements import registry
from tests.e2e.world.endpoint import Endpoint
from tests.e2e.world.model import Effect, Entry, Model
from tests.e2e.world.people import Deployment, Person
from tests.e2e.world.processes import Service, environment, stop_all

ANVIL_MNEMONIC = "test test test test test test test test test test test junk"
NAMES = ("alice", "bob", "carol")
TOKENS = 3
UNIT = 10**6
MINTED = 10**6 * UNIT
# Tokens with 6 decimals at 3,000 to the ether.
PRICE = "3000000000"
WAIT_SECONDS = 90.0


@dataclass
class World:
    """`node` is the chain's own endpoint, `endpoint` the one that can die; `direct` reads the pool at `node`.

    `treasury` is the wallet that the relayer takes private fees into.
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
    database: str
    model: Model = field(default_factory=Model)
    log: list[str] = field(default_factory=list)
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
        contract = self.w3.eth.contract(abi=artifact("GelapShieldedAccount")["abi"])
        function, arguments = contract.decode_function_input(
            self.w3.eth.get_transaction(HexBytes(transaction))["input"]
        )
        spend = arguments.get("spend", {})
        effect = Effect(
            transaction,
            block,
            tuple(entries),
            moved,
            tuple(spend["commitments"]) if spend else (arguments["preCommitment"],),
            len(spend.get("nullifiers", ())),
            int(function.fn_name == "withdraw"),
        )
        self.model.settle(effect)

    def flush(self) -> None:
        """Let time pass until the sequencers have moved everything that waits into the tree."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self.direct.pending_count():
            self.pass_time(120)
            patience = time.monotonic() + 10
            while self.direct.pending_count() and time.monotonic() < patience:
                assert time.monotonic() < deadline, "the sequencers do not insert what waits"
                time.sleep(0.03)

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
        assert self.indexer_url is not None
        response = requests.get(self.indexer_url + path, params=query, timeout=20)
        assert response.status_code == 200, response.text
        return response.json()

    def wait_for_indexer(self) -> None:
        """Until it has read the newest block, whose hash it must know; at once while it does not run."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self.indexer_url is not None:
            head = self.w3.eth.get_block("latest")
            tip = self.indexer("/v1/status")["tip"]
            if tip and (tip["number"], tip["hash"]) == (head["number"], head["hash"].to_0x_hex()):
                return
            self.look()
            assert time.monotonic() < deadline, f"the indexer is at {tip}, the chain at {head['number']}"
            time.sleep(0.05)

    def look(self) -> None:
        """Raise when a process ended that nobody asked to."""
        for service in self.services.values():
            service.check()

    @contextlib.contextmanager
    def telling(self, what: str) -> Iterator[Callable[[str], None]]:
        """Log what is done, and when it is done how it ended and how many seconds it took."""
        started = time.monotonic()
        self.log.append(what)
        words: list[str] = []
        yield words.append
        self.log[-1] += f": {'; '.join(words)} ({time.monotonic() - started:.1f} s)"

    def tails(self) -> str:
        """The last lines of every process's log."""
        return "\n".join(service.tail() for service in self.services.values())


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        manifest = _keys()
        redis_url = stack.enter_context(private_redis())
        logs = folder / "logs"
        logs.mkdir()
        cluster, gateway, pin = _cluster(manifest, redis_url, folder, logs)
        services = {service.name: service for service in cluster}
        stack.callback(_put_down, services)
        for service in cluster:
            service.start(wait=False)
        node = stack.enter_context(private_anvil())
        database = stack.enter_context(private_postgresql())
        w3 = connect(node)
        accounts = [_anvil_account(index) for index in range(7)]
        operator, payers, relayer, sequencers = accounts[0], accounts[1:4], accounts[4], accounts[5:7]
        pool, tokens = _deploy(w3, operator, manifest)
        where = Deployment(w3.eth.chain_id, pool.address, pool.deployed_at, gateway, pin)
        endpoint = Endpoint(node)
        people = [
            Person(name, folder / name, new_mnemonic(), payer, Endpoint(node), where)
            for name, payer in zip(NAMES, payers, strict=True)
        ]
        # Carol turns to another endpoint when the first one is dead.
        people[2].endpoint, people[2].others = endpoint, (node,)
        treasury = Person("treasury", folder / "treasury", new_mnemonic(), relayer, Endpoint(node), where)
        port = _free_port()
        made = World(
            folder=folder,
            node=node,
            w3=w3,
            direct=pool,
            tokens=tokens,
            endpoint=endpoint,
            people=people,
            treasury=treasury,
            relayer_account=relayer,
            services=services,
            where=where,
            relayer_url=f"http://127.0.0.1:{port}",
            database=database,
        )
        # Bob reads the pool's events from the indexer, as long as it runs.
        people[1].indexer, people[1].caught_up = (lambda: made.indexer_url), made.wait_for_indexer
        for service in [
            _indexer(made, logs),
            _relayer(made, relayer, port, logs),
            *(_sequencer(made, number, account, logs) for number, account in enumerate(sequencers, 1)),
        ]:
            services[service.name] = service
        _fund(made)
        _start(made)
        try:
            yield made
        finally:
            for person in made.everybody:
                person.close()
        stop_all(list(services.values()))


def _put_down(services: dict[str, Service]) -> None:
    for service in services.values():
        service.put_down()


def _anvil_account(index: int) -> LocalAccount:
    EvmAccount.enable_unaudited_hdwallet_features()
    return EvmAccount.from_mnemonic(ANVIL_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")


def _cluster(manifest: Manifest, redis_url: str, folder: Path, logs: Path) -> tuple[list[Service], str, str]:
    """A gateway and two workers, the gateway's address, and the fingerprint of the workers' key."""
    key = ClusterPrivateKey.generate()
    key_file = folder / "cluster-key.pem"
    with open(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(key.to_pem())
    address = f"127.0.0.1:{_free_port()}"
    settings = environment(
        GELAP_REDIS_URL=redis_url,
        GELAP_GATEWAY_ADDRESS=address,
        GELAP_HTTP_ADDRESS="",
        GELAP_OPEN="1",
        GELAP_KEY_DIR=str(manifest.directory),
        GELAP_CLUSTER_KEY_FILE=str(key_file),
        GELAP_WORKER_DRAIN="5",
    )
    services = [
        Service("gateway", ("gateway",), settings, logs, "gateway ready"),
        Service("worker 1", ("worker",), settings, logs, "worker ready"),
        Service("worker 2", ("worker",), settings, logs, "worker ready"),
    ]
    return services, address, fingerprint(key.public_key).hex()


def _deploy(w3: Web3, operator: LocalAccount, manifest: Manifest) -> tuple[Pool, list[Token]]:
    pool = deploy_with_keys(w3, operator, manifest.vkeys()).pool
    tokens = [
        Token(w3, deploy_token(w3, operator, f"Token {number}", f"T{number}").address, operator)
        for number in range(1, TOKENS + 1)
    ]
    return Pool(w3, pool.address, operator, pool.receipt.block_number), tokens


def _fund(made: World) -> None:
    for token in made.tokens:
        for person in made.people:
            token.mint(person.payer.address, MINTED)
            made.model.minted[person.payer.address, token.address] = MINTED


def _indexer(made: World, logs: Path) -> Service:
    settings = environment(
        GELAP_DATABASE_URL=made.database,
        GELAP_RPC_URL=f"{made.endpoint.url} {made.node}",
        GELAP_POOL=made.where.pool,
        GELAP_POOL_BLOCK=str(made.where.deployed_at),
        GELAP_CONFIRMATIONS="0",
        GELAP_POLL_SECONDS="0.2",
        GELAP_INDEXER_ADDRESS="127.0.0.1:0",
        GELAP_INDEXER_RATE="0",
    )
    return Service("indexer", ("indexer", "run"), settings, logs, "indexer ready")


def _relayer(made: World, account: LocalAccount, port: int, logs: Path) -> Service:
    prices = made.folder / "prices.json"
    prices.write_text(json.dumps({token.address: PRICE for token in made.tokens}))
    settings = environment(
        GELAP_POOL=made.where.pool,
        GELAP_RPC_URL=made.node,
        GELAP_RELAYER_PRICES=str(prices),
        GELAP_RELAYER_JOURNAL=str(made.folder / "relayer.db"),
        GELAP_RELAYER_ADDRESS=f"127.0.0.1:{port}",
        GELAP_RELAYER_RATE="0",
        GELAP_RELAYER_VIEWING_KEY_FILE=str(made.treasury.folder / "viewing-key"),
        GELAP_EVM_KEY_FILE=_key_file(made, "relayer", account),
    )
    # Long enough for a block, and no longer: blocks are replaced here more often than elsewhere.
    return Service("relayer", ("relayer", "--stuck-after", "3"), settings, logs, "relayer ready")


def _sequencer(made: World, number: int, account: LocalAccount, logs: Path) -> Service:
    name = f"sequencer {number}"
    settings = environment(
        GELAP_POOL=made.where.pool,
        GELAP_DEPLOYED_AT=str(made.where.deployed_at),
        # The first one goes through the endpoint that dies.
        GELAP_RPC_URL=made.endpoint.url if number == 1 else made.node,
        GELAP_EVM_KEY_FILE=_key_file(made, name, account),
        GELAP_PROVER=f"grpc://{made.where.gateway}",
        GELAP_KEY_FINGERPRINT=made.where.fingerprint,
        GELAP_API_KEY=f"key-of-{name.replace(' ', '-')}",
    )
    pace = ("--patience", "0", "--poll", "0.2", "--jitter", "0.3")
    return Service(name, ("sequencer", *pace), settings, logs, "sequencer ready")


def _key_file(made: World, name: str, account: LocalAccount) -> str:
    path = made.folder / f"{name.replace(' ', '-')}.key"
    path.touch(mode=0o600)
    path.write_text(account.key.hex())
    return str(path)


def _start(made: World) -> None:
    """Start what is not running, all at once, and give everybody a wallet."""
    imports = []
    for person in made.everybody:
        person.prepare_commands()
        imports.append(person.start("import", "--mnemonic-file", str(person.folder / "words")))
    waiting = [service for service in made.services.values() if service.child is None]
    for service in waiting:
        if service.name != "relayer":
            service.start(wait=False)
    for process in imports:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, out + errors
    made.treasury.command("export-viewing-key", "--out", str(made.treasury.folder / "viewing-key"))
    made.services["relayer"].start(wait=False)
    synced = [person.start("sync", *person.here) for person in made.everybody]
    for process in synced:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, out + errors
    for service in made.services.values():
        service.wait()


def _keys() -> Manifest:
    """Development keys of all circuits, in a folder of their own: `gelap demo` serves whatever is in the usual one."""
    settings = Settings()
    basic = ensure_keys(settings.keys, registry.BASIC)
    folder = settings.cache_dir / "keys-of-all-circuits"
    if not (folder / "manifest.json").exists():
        shutil.copytree(basic.directory, folder, dirs_exist_ok=True)
    return ensure_keys(folder, registry.names())
