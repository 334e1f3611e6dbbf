"""Puts a world together: servers, keys, contracts, processes and people, all gone when the block ends."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from eth_account import Account as EvmAccount
from eth_account.signers.local import LocalAccount
from web3 import Web3

from bench.index.postgresql import private_postgresql
from chain.deploy import deploy_token, deploy_with_keys
from chain.pool import Pool
from chain.rpc import connect
from chain.token import Token
from gelap.children import end_with_parent
from gelap.servers import private_anvil, private_redis
from gelap.settings import Settings
from protocol.keys import new_mnemonic
from protocol.sealing import ClusterPrivateKey, fingerprint
from prover.keys import Manifest, read_manifest
from tests.e2e.world.endpoint import Endpoint
from tests.e2e.world.people import Deployment, Person, everyone
from tests.e2e.world.ports import reserved_port
from tests.e2e.world.processes import Service, environment, gelap, stop_all
from tests.e2e.world.setting import UNIT, World

ANVIL_MNEMONIC = "test test test test test test test test test test test junk"
NAMES = ("alice", "bob", "carol")
TOKENS = 3
MINTED = 10**6 * UNIT
# Tokens with 6 decimals at 3,000 to the ether.
PRICE = "3000000000"
START_SECONDS = 600.0


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """Everything runs when it is yielded; what takes long to start does so side by side."""
    with contextlib.ExitStack() as stack:
        keys = stack.enter_context(_keys_being_made())
        redis_url = stack.enter_context(private_redis())
        node = stack.enter_context(private_anvil())
        database = stack.enter_context(private_postgresql())
        w3 = connect(node)
        accounts = [_anvil_account(index) for index in range(7)]
        operator, payers, relayer, sequencers = accounts[0], accounts[1:4], accounts[4], accounts[5:7]
        people = []
        for name, payer in zip((*NAMES, "treasury"), (*payers, relayer), strict=True):
            endpoint = stack.enter_context(contextlib.closing(Endpoint(node)))
            people.append(Person(name, folder / name, new_mnemonic(), payer, endpoint))
        with _wallets_being_made(people):
            tokens = _tokens(w3, operator)
            manifest = _finished(keys)
        logs = folder / "logs"
        logs.mkdir()
        gateway, port = (stack.enter_context(reserved_port()) for _ in range(2))
        cluster, pin = _cluster(manifest, redis_url, gateway, folder, logs)
        services = {service.name: service for service in cluster}
        for person in people:
            stack.callback(person.leave)
        stack.callback(_put_down, services)
        for service in cluster:
            service.start(wait=False)
        deployed = deploy_with_keys(w3, operator, manifest.vkeys()).pool
        pool = Pool(w3, deployed.address, operator, deployed.receipt.block_number)
        where = Deployment(w3.eth.chain_id, pool.address, pool.deployed_at, f"127.0.0.1:{gateway}", pin)
        for person in people:
            person.where = where
        made = World(
            folder=folder,
            node=node,
            w3=w3,
            direct=pool,
            tokens=tokens,
            endpoint=stack.enter_context(contextlib.closing(Endpoint(node))),
            people=people[:-1],
            treasury=people[-1],
            relayer_account=relayer,
            services=services,
            where=where,
            relayer_url=f"http://127.0.0.1:{port}",
        )
        # Bob reads the pool's events from the indexer, as long as it serves. Carol turns to another endpoint when the
        # first one is dead.
        people[1].indexer, people[1].caught_up = (lambda: made.indexer_url), made.wait_for_indexer
        people[2].endpoint, people[2].others = made.endpoint, (node,)
        for service in [
            _indexer(made, database, logs),
            _relayer(made, port, logs),
            *(_sequencer(made, number, account, logs) for number, account in enumerate(sequencers, 1)),
        ]:
            services[service.name] = service
        _fund(made)
        _start(made)
        yield made
        everyone(made.everybody, Person.close)
        stop_all(list(services.values()))


@contextlib.contextmanager
def _keys_being_made() -> Iterator["subprocess.Popen[str]"]:
    """Development keys of all circuits, in a folder of their own: `gelap demo` serves whatever is in the usual one."""
    command = gelap("keys", "make", "--all", "--dir", str(_key_folder()))
    process = subprocess.Popen(
        command,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=end_with_parent,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _finished(keys: "subprocess.Popen[str]") -> Manifest:
    told, _ = keys.communicate(timeout=START_SECONDS)
    assert keys.returncode == 0, told
    return read_manifest(_key_folder())


def _key_folder() -> Path:
    return Settings().cache_dir / "keys-of-all-circuits"


@contextlib.contextmanager
def _wallets_being_made(people: Sequence[Person]) -> Iterator[None]:
    """`gelap wallet import` for everybody; made when the block ends."""
    for person in people:
        person.prepare_commands()
    with _together(people, [("import", "--mnemonic-file", str(person.folder / "words")) for person in people]):
        yield


@contextlib.contextmanager
def _together(people: Sequence[Person], commands: Sequence[tuple[str, ...]]) -> Iterator[None]:
    """One command each, all at once; they have ended in order when the block has."""
    started = [person.start(*command) for person, command in zip(people, commands, strict=True)]
    try:
        yield
        for process in started:
            out, errors = process.communicate(timeout=START_SECONDS)
            assert process.returncode == 0, out + errors
    finally:
        for process in started:
            process.kill()
            process.wait()


def _put_down(services: dict[str, Service]) -> None:
    for service in services.values():
        service.put_down()


def _anvil_account(index: int) -> LocalAccount:
    EvmAccount.enable_unaudited_hdwallet_features()
    return EvmAccount.from_mnemonic(ANVIL_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")


def _cluster(manifest: Manifest, redis_url: str, port: int, folder: Path, logs: Path) -> tuple[list[Service], str]:
    """A gateway on this port and two workers, and the fingerprint of the workers' key."""
    key = ClusterPrivateKey.generate()
    key_file = folder / "cluster-key.pem"
    with open(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(key.to_pem())
    settings = environment(
        GELAP_REDIS_URL=redis_url,
        GELAP_GATEWAY_ADDRESS=f"127.0.0.1:{port}",
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
    return services, fingerprint(key.public_key).hex()


def _tokens(w3: Web3, operator: LocalAccount) -> list[Token]:
    names = [(f"Token {number}", f"T{number}") for number in range(1, TOKENS + 1)]
    return [Token(w3, deploy_token(w3, operator, *name).address, operator) for name in names]


def _fund(made: World) -> None:
    for token in made.tokens:
        for person in made.people:
            token.mint(person.payer.address, MINTED)
            made.model.minted[person.payer.address, token.address] = MINTED


def _indexer(made: World, database: str, logs: Path) -> Service:
    settings = environment(
        GELAP_DATABASE_URL=database,
        GELAP_RPC_URL=f"{made.endpoint.url} {made.node}",
        GELAP_POOL=made.where.pool,
        GELAP_POOL_BLOCK=str(made.where.deployed_at),
        GELAP_CONFIRMATIONS="0",
        GELAP_POLL_SECONDS="0.2",
        GELAP_INDEXER_ADDRESS="127.0.0.1:0",
        GELAP_INDEXER_RATE="0",
    )
    return Service("indexer", ("indexer", "run"), settings, logs, "indexer ready")


def _relayer(made: World, port: int, logs: Path) -> Service:
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
        GELAP_EVM_KEY_FILE=_key_file(made, "relayer", made.relayer_account),
    )
    # Blocks are replaced here more often than elsewhere, and time passes on the chain in leaps.
    pace = ("--stuck-after", "3", "--quote-life", "600", "--final-after", "1000")
    return Service("relayer", ("relayer", *pace), settings, logs, "relayer ready")


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
    pace = ("--patience", "0", "--poll", "0.2", "--jitter", "0.3", "--stuck-after", "5")
    return Service(name, ("sequencer", *pace), settings, logs, "sequencer ready")


def _key_file(made: World, name: str, account: LocalAccount) -> str:
    path = made.folder / f"{name.replace(' ', '-')}.key"
    path.touch(mode=0o600)
    path.write_text(account.key.hex())
    return str(path)


def _start(made: World) -> None:
    """Start what is not running, and have every wallet know its pool."""
    treasury = made.treasury
    treasury.command("export-viewing-key", "--out", str(treasury.folder / "viewing-key"))
    for service in made.services.values():
        if service.child is None:
            service.start(wait=False)
    with _together(made.people, [("sync", *person.here) for person in made.people]):
        pass
    for service in made.services.values():
        service.wait()
