"""The pool's events, decoded straight from the JSON of eth_getLogs; `chain.stream.records` says why not by web3."""

from collections.abc import Sequence
from typing import Any

from Crypto.Hash import keccak

from chain.errors import MismatchError
from chain.stream.records import Event, Inserted, Nullified, Queued, Withdrawn
from protocol.field import R
from protocol.merkle import BATCH
from protocol.note import MEMO_BYTES

_R = R.to_bytes(32, "big")
_ZERO = bytes(32)


def _topic(signature: str) -> str:
    return "0x" + keccak.new(digest_bits=256, data=signature.encode()).hexdigest()


QUEUED = _topic("CommitmentQueued(uint256,uint256,bytes)")
NULLIFIED = _topic("NullifierUsed(uint256)")
WITHDRAWN = _topic("WithdrawExecuted(address,address,uint256)")
INSERTED = _topic("AccountUpdated(uint256,uint256,uint256)")
TOPICS = [QUEUED, NULLIFIED, WITHDRAWN, INSERTED]

# The ABI's head of (uint256, bytes): the commitment, where the bytes begin, and their length.
_MEMO_HEAD = (64).to_bytes(32, "big") + MEMO_BYTES.to_bytes(32, "big")
_MEMO_START = 96


def parse_log(log: dict[str, Any], address: str) -> Event:
    """One entry of eth_getLogs as an event; `address` is the pool's, 0x and lower case.

    Raises MismatchError when it is no event of a Gelap pool at this address.
    """
    try:
        topics: Sequence[str] = log["topics"]
        data = bytes.fromhex(log["data"][2:])
        place = (int(log["blockNumber"], 16), int(log["logIndex"], 16), _word(log["transactionHash"]))
        kind = topics[0]
        if log.get("removed") or log["address"].lower() != address:
            raise ValueError("a removed log, or another contract's")
        if kind == QUEUED:
            commitment, head, memo = data[:32], data[32:_MEMO_START], data[_MEMO_START:]
            if head != _MEMO_HEAD or len(memo) != MEMO_BYTES or not _ZERO < commitment < _R:
                raise ValueError("no commitment with a memo")
            return Queued(*place, int(topics[1], 16), commitment, memo)
        if kind == NULLIFIED:
            nullifier = _word(topics[1])
            if nullifier >= _R:
                raise ValueError("no field element")
            return Nullified(*place, nullifier)
        if kind == WITHDRAWN:
            if len(data) != 32:
                raise ValueError("no amount")
            return Withdrawn(*place, _word(topics[1])[12:], _word(topics[2])[12:], int.from_bytes(data, "big"))
        if kind == INSERTED:
            root, start, size = data[:32], data[32:64], data[64:]
            if len(data) != 96 or root >= _R or not 1 <= int.from_bytes(size, "big") <= BATCH:
                raise ValueError("no tree update")
            return Inserted(*place, root, int.from_bytes(start, "big"), int.from_bytes(size, "big"))
        raise ValueError("no event of a pool")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        where = log.get("blockNumber") if isinstance(log, dict) else None
        raise MismatchError(
            f"a log in block {where} is none of a Gelap pool's: is GELAP_POOL the pool's address?"
        ) from error


def _word(text: str) -> bytes:
    word = bytes.fromhex(text[2:])
    if len(word) != 32:
        raise ValueError("a word has 32 bytes")
    return word
