"""The pool's own account of its state, which the events must lead to."""

from Crypto.Hash import keccak

from chain.errors import MismatchError, RpcError
from indexer.rpc import Endpoint
from indexer.state import PoolHistory


def _selector(signature: str) -> str:
    return "0x" + keccak.new(digest_bits=256, data=signature.encode()).hexdigest()[:8]


MERKLE_ROOT = _selector("merkleRoot()")
NEXT_LEAF_INDEX = _selector("nextLeafIndex()")
PENDING_COUNT = _selector("pendingCount()")


def require_code(endpoint: Endpoint, address: str) -> None:
    """Raises MismatchError when there is no contract at `address` (0x and lower case)."""
    if endpoint.call("eth_getCode", address, "latest") in ("0x", "", None):
        raise MismatchError(f"there is no contract at {address}, says {endpoint.name}: correct GELAP_POOL")


def check_contract(endpoint: Endpoint, address: str, block: int, history: PoolHistory) -> None:
    """Compare with the contract's state at `block`; raises MismatchError on any difference, RpcError for no answer."""
    for name, selector, ours in (
        ("Merkle root", MERKLE_ROOT, int.from_bytes(history.root, "big")),
        ("next leaf index", NEXT_LEAF_INDEX, history.next_leaf_index),
        ("number of pending commitments", PENDING_COUNT, history.pending_count),
    ):
        result = endpoint.call("eth_call", {"to": address, "data": selector}, hex(block))
        if not isinstance(result, str) or len(result) != 66:
            raise RpcError(f"{endpoint.name} does not say the pool's {name} at block {block}")
        theirs = endpoint.read_number(result, "eth_call")
        if ours != theirs:
            raise MismatchError(
                f"at block {block} the contract's {name} is {theirs}, says {endpoint.name}, "
                f"but its events lead to {ours}"
            )
