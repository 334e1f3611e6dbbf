"""Whether the other endpoints say of a block what the one said that was read: its hash, and the pool's state there.

An endpoint that does not answer says nothing, and one that is behind is compared at a block that it has.
"""

from collections.abc import Callable

from chain.endpoints import OtherChainError
from chain.errors import MismatchError, NodesDisagreeError, RpcError
from chain.stream.records import BlockId
from indexer.contract import check_contract
from indexer.rpc import Endpoint, Endpoints
from indexer.state import PoolHistory


def require_agreement(
    endpoints: Endpoints,
    read: Endpoint,
    address: str,
    tip: BlockId,
    history: PoolHistory,
    older: Callable[[int], BlockId | None],
) -> None:
    """Compare `tip` and the pool's state there, read from the endpoint `read`, with every other that is not resting.

    `older` gives the block to compare with an endpoint whose newest block is so far below. Raises NodesDisagreeError.
    """
    for other in endpoints.awake():
        if other is read:
            continue
        try:
            endpoints.check(other)
            head = other.number("eth_blockNumber")
            block = tip if head >= tip.number else older(head)
            theirs = None if block is None else other.block_hash(block.number)
            if block is None or theirs is None:
                continue
            if theirs != block.hash:
                raise _disagreement(
                    f"block {block.number} is 0x{block.hash.hex()} says {read.name}, and 0x{theirs.hex()} says "
                    f"{other.name}"
                )
            if block is tip:
                check_contract(other, address, tip.number, history)
        except OtherChainError as error:
            raise _disagreement(f"{error}, says {read.name}") from None
        except MismatchError as error:
            raise _disagreement(f"{error}, as {read.name} says too") from None
        except RpcError as error:
            endpoints.failed(other, error)


def _disagreement(what: str) -> NodesDisagreeError:
    return NodesDisagreeError(
        f"the endpoints disagree: {what}. One of them is false, or on another fork. Nothing newer is written until "
        "they agree: ask a third one, and leave the false one out of GELAP_RPC_URL"
    )
