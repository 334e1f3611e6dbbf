"""Deploys the contracts: a test token, the verifier with its keys, and the pool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eth_abi import encode
from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from eth_utils import keccak
from eth_utils.abi import collapse_if_tuple
from web3 import Web3

from chain.errors import ChainError
from chain.pool import DEVELOPMENT_CHAIN
from chain.proving import INSERT_CIRCUIT, SPEND_CIRCUITS
from chain.reverts import RevertDecoder
from chain.rpc import rpc_errors
from chain.sender import Receipt, Sender
from contracts import artifact


@dataclass(frozen=True)
class Deployed:
    """A new contract's address and the transaction that made it."""

    address: ChecksumAddress
    receipt: Receipt


class SpendKey(NamedTuple):
    """One row of the pool's spend table: a spend with so many inputs and outputs is verified with this key."""

    inputs: int
    outputs: int
    vkey: bytes
    """The verification key's bytes, as given to `deploy_verifier`."""


class Deployment(NamedTuple):
    """A pool and the verifier it asks."""

    verifier: Deployed
    pool: Deployed


def program_vkey(vkey: bytes) -> bytes:
    """The name under which the verifier contract knows a verification key: keccak256 of its bytes."""
    return keccak(vkey)


def deploy_token(w3: Web3, account: LocalAccount, name: str = "Gelap Test Token", symbol: str = "GTT") -> Deployed:
    """An ERC-20 token whose coins anyone may mint: for development only."""
    return deploy_contract(w3, account, artifact("TestToken"), name, symbol)


def deploy_with_keys(
    w3: Web3, account: LocalAccount, vkeys: Mapping[str, bytes], *, published: bool = False
) -> Deployment:
    """A verifier and a pool for these verification keys: bytes in EVM order by the circuit's name.

    `published` says that the keys are those of a ceremony whose transcript anybody can check. Whoever made other keys
    can forge proofs and take everything, so that such keys are deployed to a development chain only.

    There must be that of `insert_64` and of at least one spend; the pool takes every spend that it has a key for, and
    keys of other circuits are left out. Raises ChainError.
    """
    with rpc_errors():
        chain_id = w3.eth.chain_id
    if chain_id != DEVELOPMENT_CHAIN and not published:
        raise ChainError(
            f"these keys are for development, and chain {chain_id} is not: whoever made them could take everything; "
            "deploy those of a ceremony that anybody can check"
        )
    spends = [SpendKey(*arity, vkeys[name]) for name, arity in SPEND_CIRCUITS.items() if name in vkeys]
    insert = vkeys.get(INSERT_CIRCUIT)
    if insert is None or not spends:
        raise ChainError(
            f"a pool needs the verification key of {INSERT_CIRCUIT} and of one of {', '.join(SPEND_CIRCUITS)}; "
            "make them with `gelap keys make`"
        )
    # The verifier looks its keys up one after the other, and the first spend is the most common one.
    verifier = deploy_verifier(w3, account, [spends[0].vkey, insert, *(key.vkey for key in spends[1:])])
    return Deployment(verifier, deploy_pool(w3, account, verifier.address, insert, spends))


def deploy_verifier(w3: Web3, account: LocalAccount, vkeys: Sequence[bytes]) -> Deployed:
    """One verifier for all `vkeys` (verification keys as bytes, EVM order)."""
    return deploy_contract(w3, account, artifact("Groth16Verifier"), list(vkeys))


def deploy_pool(
    w3: Web3, account: LocalAccount, verifier: str, insert_vkey: bytes, spend_keys: Sequence[SpendKey]
) -> Deployed:
    """The shielded pool: `insert_vkey` verifies tree updates, `spend_keys` the spends of each arity."""
    table = [(key.inputs, key.outputs, program_vkey(key.vkey)) for key in spend_keys]
    return deploy_contract(w3, account, artifact("GelapShieldedAccount"), verifier, program_vkey(insert_vkey), table)


def deploy_contract(w3: Web3, account: LocalAccount, contract: dict[str, Any], *arguments: Any) -> Deployed:
    """Deploy compiled `contract` (an object with `abi` and `bytecode`) with its constructor's arguments."""
    constructors = [entry for entry in contract["abi"] if entry["type"] == "constructor"]
    types = [collapse_if_tuple(item) for entry in constructors for item in entry["inputs"]]
    if len(types) != len(arguments):
        raise ChainError(f"the contract's constructor takes {len(types)} arguments, got {len(arguments)}")
    code = contract["bytecode"].removeprefix("0x") + encode(types, arguments).hex()
    receipt = Sender(w3, account, RevertDecoder([contract["abi"]])).send(None, "0x" + code)
    if receipt.contract_address is None:
        raise ChainError(f"transaction {receipt.tx_hash} deployed nothing")
    return Deployed(receipt.contract_address, receipt)
