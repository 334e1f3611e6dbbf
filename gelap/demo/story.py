"""The demo's story: deposit 100, pay 40 privately, withdraw 15, on real servers, contracts and proofs."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account as EvmAccount
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.types import RPCEndpoint

from chain.deploy import deploy_token, deploy_with_keys
from chain.pool import Pool
from chain.proving import INSERT_CIRCUIT, SPEND_CIRCUIT
from chain.rpc import connect
from chain.sequencer import Outcome, Round, insert_pending
from chain.state import PoolState
from chain.token import Token
from gelap.cluster import Cluster, private_cluster
from gelap.demo.report import Check, Report, Step, View
from gelap.servers import private_anvil, private_redis
from proto.client import ProofResult
from protocol.keys import new_mnemonic
from prover.formats.proof import Proof, write_proof, write_public
from prover.keys import Manifest, ensure_keys, known_circuits
from prover.progress import on_terminal
from prover.statements import registry
from wallet.proving import RemoteProver
from wallet.wallet import Settled, Wallet

UNIT = 10**18
DEPOSIT, PAYMENT, WITHDRAWAL = 100, 40, 15

# The first accounts of anvil's well-known development mnemonic; anvil funds them on its private chain.
_ANVIL_MNEMONIC = "test test test test test test test test test test test junk"

Say = Callable[[str], None]


class DemoError(Exception):
    """The story could not go on; the message says why."""


@dataclass(frozen=True)
class Options:
    """`key_directory` keeps the development keys between runs; `save` gets the payment's proof as snarkjs's files."""

    key_directory: Path
    log_directory: Path | None = None
    save: Path | None = None


def run(options: Options, report: Report, say: Say) -> None:
    """Play the whole story and fill `report`; raises what went wrong, with every process stopped."""
    started = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            Story(stack, options, report, say).play()
    finally:
        report.seconds = time.monotonic() - started


class Story:
    """One run. Everything it starts is stopped by `stack`, in reverse order."""

    def __init__(self, stack: contextlib.ExitStack, options: Options, report: Report, say: Say) -> None:
        self._stack = stack
        self._options = options
        self._report = report
        self._say = say
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gelap-demo-")))

    def play(self) -> None:
        manifest = self._make_keys()
        w3, cluster = self._start_servers(manifest)
        accounts = [_anvil_account(index) for index in range(3)]
        operator, alice_payer, bob_payer = accounts
        pool_address, token = self._deploy(w3, operator, manifest, alice_payer)
        self._await(cluster)

        # Every party has an API key of its own, so the cache serves nobody a proof that another one asked for.
        client, bob_client, operator_client = (self._stack.enter_context(cluster.client()) for _ in range(3))
        alice = self._wallet("wallet 1", Pool(w3, pool_address, alice_payer), RemoteProver(client))
        bob = self._wallet("wallet 2", Pool(w3, pool_address, bob_payer), RemoteProver(bob_client))
        observer = Pool(w3, pool_address, operator)
        sequencer = Sequencer(w3, observer, RemoteProver(operator_client))

        with self._step(f"wallet 1 deposits {DEPOSIT}") as step:
            step.gas = alice.deposit(token.address, DEPOSIT * UNIT).gas_used
        self._insert(sequencer, "the deposit's leaf enters the tree")
        with self._step(f"wallet 1 pays wallet 2 {PAYMENT} privately") as step:
            settled = alice.send(bob.new_address("from wallet 1"), token.address, PAYMENT * UNIT, text="thank you")
            step.settled(settled)
        self._save(settled, manifest)
        with self._step("the same statement again") as step:
            step.proof(client.prove(SPEND_CIRCUIT, settled.spend.public_inputs, settled.spend.inputs))
            step.detail = "answered from the proof cache"
            if not step.cached:
                raise DemoError(
                    "a second request for the same statement was proved again instead of taken from the cache"
                )
        self._insert(sequencer, "the payment's two outputs enter the tree")
        with self._step("wallet 2 finds its note by scanning memos") as step:
            bob.sync()
            found = bob.balance(token.address).spendable
            step.detail = (
                f"{_whole(found)} tokens, memo: {bob.history()[-1].text}" if bob.history() else "nothing found"
            )
        receiver = EvmAccount.create().address
        with self._step(f"wallet 2 withdraws {WITHDRAWAL} to a fresh address") as step:
            step.settled(bob.withdraw(receiver, token.address, WITHDRAWAL * UNIT))
        self._insert(sequencer, "the withdrawal's change enters the tree")
        with self._step("a worker verifies the payment's proof") as step:
            valid = client.verify(SPEND_CIRCUIT, settled.spend.public_inputs, settled.proof.proof)
        self._compare(observer, token, receiver, alice, bob, valid)

    def _make_keys(self) -> Manifest:
        with self._step("development proving keys") as step, on_terminal("development keys") as progress:
            # Keys of further circuits that are there are served and deployed too, and must fit.
            names = dict.fromkeys([*registry.BASIC, *known_circuits(self._options.key_directory)])
            manifest = ensure_keys(self._options.key_directory, list(names), progress)
            step.detail = "locally made powers of tau: for development only"
        return manifest

    def _start_servers(self, manifest: Manifest) -> tuple[Web3, Cluster]:
        with self._step("Redis, anvil, gateway and worker start") as step:
            redis_url = self._stack.enter_context(private_redis())
            rpc_url = self._stack.enter_context(private_anvil())
            logs = self._options.log_directory or self._folder
            logs.mkdir(parents=True, exist_ok=True)
            cluster = self._stack.enter_context(private_cluster(redis_url, manifest.directory, self._folder, logs))
            step.detail = f"gateway on {cluster.address}"
            return connect(rpc_url), cluster

    def _deploy(self, w3: Web3, operator: LocalAccount, manifest: Manifest, payer: LocalAccount) -> tuple[str, Token]:
        with self._step("token, verifier and pool are deployed") as step:
            token = deploy_token(w3, operator)
            verifier, pool = deploy_with_keys(w3, operator, manifest.vkeys())
            Token(w3, token.address, operator).mint(payer.address, DEPOSIT * UNIT)
            step.gas = sum(deployed.receipt.gas_used for deployed in (token, verifier, pool))
        self._report.contracts = {"token": token.address, "verifier": verifier.address, "pool": pool.address}
        return pool.address, Token(w3, token.address)

    def _await(self, cluster: Cluster) -> None:
        with self._step("the worker is ready to prove") as step:
            cluster.wait_until_ready([SPEND_CIRCUIT, INSERT_CIRCUIT])
            step.detail = "keys loaded, kernels compiled"

    def _wallet(self, name: str, pool: Pool, prover: RemoteProver) -> Wallet:
        path = self._folder / f"{name.replace(' ', '-')}.db"
        return self._stack.enter_context(Wallet.open(path, new_mnemonic(), pool=pool, prover=prover))

    def _insert(self, sequencer: "Sequencer", name: str) -> None:
        with self._step(name) as step:
            done = sequencer.insert()
            assert done.receipt is not None  # an inserted batch has a receipt
            step.gas = done.receipt.gas_used
            step.proof(done.proof)
            step.detail = f"{done.count} leaf" if done.count == 1 else f"{done.count} leaves"

    def _save(self, settled: Settled, manifest: Manifest) -> None:
        folder = self._options.save
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        write_proof(folder / "proof.json", Proof.from_bytes(settled.proof.proof))
        write_public(folder / "public.json", settled.spend.public_inputs)
        (folder / "verification_key.json").write_bytes((manifest.directory / f"{SPEND_CIRCUIT}.vkey.json").read_bytes())

    def _compare(self, pool: Pool, token: Token, receiver: str, alice: Wallet, bob: Wallet, valid: bool) -> None:
        """Look at the same facts from the contract, from each wallet and from a tree rebuilt from the events alone."""
        with self._step("everyone's view is compared"):
            rebuilt = PoolState(pool).sync()
            for wallet in (alice, bob):
                wallet.sync()
            root = pool.merkle_root()
            in_pool, paid_out = token.balance_of(pool.address), token.balance_of(receiver)
            first, second = alice.balance(token.address), bob.balance(token.address)
        self._report.views = [
            View("anyone", "tokens in the pool", _whole(in_pool)),
            View("anyone", "tokens at the fresh address", _whole(paid_out)),
            View("wallet 1", "its own spendable balance", _whole(first.spendable)),
            View("wallet 2", "its own spendable balance", _whole(second.spendable)),
        ]
        self._report.checks = [
            Check("the pool holds what was not withdrawn", (DEPOSIT - WITHDRAWAL) * UNIT, in_pool),
            Check("the fresh address got the withdrawal", WITHDRAWAL * UNIT, paid_out),
            Check("wallet 1 can spend what it did not pay", (DEPOSIT - PAYMENT) * UNIT, first.spendable),
            Check(
                "wallet 2 can spend the payment less the withdrawal", (PAYMENT - WITHDRAWAL) * UNIT, second.spendable
            ),
            Check("the wallets' balances add up to the pool's", in_pool, first.total + second.total),
            Check("a tree rebuilt from events has the contract's root", root, rebuilt.root),
            Check("wallet 1's tree has the contract's root", root, alice.root),
            Check("wallet 2's tree has the contract's root", root, bob.root),
            Check("nothing waits in the queue", 0, pool.pending_count()),
            Check("a worker finds the payment's proof valid", True, valid),
        ]

    @contextlib.contextmanager
    def _step(self, name: str) -> Iterator["_Step"]:
        self._say(name)
        step = _Step()
        started = time.monotonic()
        yield step
        seconds = round(time.monotonic() - started, 3)
        self._report.steps.append(Step(name, seconds, step.gas, step.proof_seconds, step.cached, step.detail))


class _Step:
    """What a step learns about itself while it runs."""

    def __init__(self) -> None:
        self.gas: int | None = None
        self.proof_seconds: float | None = None
        self.cached = False
        self.detail = ""

    def settled(self, settled: Settled) -> None:
        self.gas = settled.receipt.gas_used
        self.proof(settled.proof)

    def proof(self, proof: Any) -> None:
        assert isinstance(proof, ProofResult)  # the demo proves on the cluster only
        self.cached = proof.cached
        if not proof.cached:
            self.proof_seconds = sum(proof.seconds.get(phase, 0.0) for phase in ("witness", "prove", "verify"))


class Sequencer:
    """Inserts what is pending. On a private chain nobody else moves the clock, so it does where a batch must wait."""

    def __init__(self, w3: Web3, pool: Pool, prover: RemoteProver) -> None:
        self._w3 = w3
        self._pool = pool
        self._prover = prover
        self._state = PoolState(pool)

    def insert(self) -> Round:
        done = insert_pending(self._pool, self._state, self._prover)
        if done.outcome is Outcome.TOO_EARLY:
            self._pass_time(done.wait_seconds)
            done = insert_pending(self._pool, self._state, self._prover)
        if done.outcome is not Outcome.INSERTED:
            raise DemoError(f"the queue was not inserted into the tree: {done.outcome.value}")
        return done

    def _pass_time(self, seconds: int) -> None:
        for method, parameters in (("evm_increaseTime", [seconds]), ("evm_mine", [])):
            self._w3.provider.make_request(RPCEndpoint(method), parameters)


def _anvil_account(index: int) -> LocalAccount:
    EvmAccount.enable_unaudited_hdwallet_features()
    return EvmAccount.from_mnemonic(_ANVIL_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")


def _whole(amount: int) -> int:
    return amount // UNIT
