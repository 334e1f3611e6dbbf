"""Whether several nodes tell one story: what the wallet and the indexer are about to believe, compared among them.

One node stands for the contract, so a lie that fits in itself cannot be told from the truth without another one. Each
node is asked the same: for blocks of everybody, and for the pool's state there. A node that is behind is no error: it
is compared at a block that it has, and what is newer is the other's word until it has come so far.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from chain.endpoints import Endpoint
from chain.errors import ChainError, MismatchError, NodesDisagreeError, UnavailableError
from chain.pool import Pool
from chain.rpc import endpoint_count, on_each_endpoint, prefer

# A block that is replaced between two nodes' answers looks like a difference, once.
_LOOKS = 3


@dataclass(frozen=True)
class Look:
    """What a node says of one block: its hash (0x hex; None when it has no such block), and the pool's state there.

    `state` is the tree's root, the next leaf's index and how many commitments wait; None where the node keeps no state
    as old as that.
    """

    hash: str | None
    state: tuple[int, int, int] | None


def look(pool: Pool, block: int) -> Look:
    """Ask for a block; UnavailableError when the node does not answer."""
    found = pool.block_hash(block)
    if found is None:
        return Look(None, None)
    try:
        return Look(found, (pool.merkle_root(block), pool.next_leaf_index(block), pool.pending_count(block)))
    except UnavailableError:
        raise
    except ChainError:
        return Look(found, None)


def meet(pool: Pool, confirmations: int) -> bool:
    """Compare all nodes that answer, each with the one that is furthest ahead, which is asked first from then on.

    They must be on one chain, with one hash and one state of the pool at the newest block, less `confirmations`, that
    both have; with a single one there is nothing to compare. Returns whether every node answered. Raises
    NodesDisagreeError.
    """
    if endpoint_count(pool.w3) < 2:
        return True
    for endpoint, chain_id in on_each_endpoint(pool.w3, lambda: int(pool.w3.eth.chain_id)):
        if chain_id != pool.chain_id:
            raise _disagreement(f"{endpoint.name} is on chain {chain_id}, the others on chain {pool.chain_id}")
    heads = on_each_endpoint(pool.w3, pool.block_number)
    if len(heads) > 1:
        leader, _ = max(heads, key=lambda each: each[1])
        prefer(pool.w3, leader)
        for block in {max(head - confirmations, 0) for endpoint, head in heads if endpoint is not leader}:
            require_agreement(pool, block)
    return len(heads) == endpoint_count(pool.w3)


def require_agreement(pool: Pool, block: int, expected: Look | None = None) -> None:
    """Compare what the nodes say of `block`; those that have no such block say nothing.

    Raises NodesDisagreeError when they differ, and MismatchError when they agree on something else than `expected`:
    blocks were replaced since that was read.
    """
    if endpoint_count(pool.w3) < 2:
        return
    difference: str | None = None
    for _ in range(_LOOKS):
        looks = [(node, found) for node, found in on_each_endpoint(pool.w3, lambda: look(pool, block)) if found.hash]
        difference = _difference(block, looks)
        if difference is None:
            break
    else:
        raise _disagreement(str(difference))
    if expected is not None and any(_differ(found, expected) for _, found in looks):
        raise MismatchError(f"the nodes have another block {block} by now")


def _difference(block: int, looks: Sequence[tuple[Endpoint, Look]]) -> str | None:
    for (one, first), (other, second) in itertools.combinations(looks, 2):
        if first.hash != second.hash:
            return f"block {block} is {first.hash} says {one.name}, and {second.hash} says {other.name}"
        if _differ(first, second):
            return f"the pool's state at block {block} is one for {one.name}, and another for {other.name}"
    return None


def _differ(one: Look, other: Look) -> bool:
    return one.hash != other.hash or (None not in (one.state, other.state) and one.state != other.state)


def _disagreement(what: str) -> NodesDisagreeError:
    return NodesDisagreeError(
        f"the nodes disagree: {what}. One of them is false, or on another fork. Nothing was taken over: try again in "
        "a minute; if it stays so, ask a node that has nothing to do with these, and leave the false one out of "
        "--rpc-url (GELAP_RPC_URL)"
    )
