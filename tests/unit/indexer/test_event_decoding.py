"""The indexer's quick decoder agrees with the typed one of `chain.events`, and refuses what is no pool's event."""

from typing import Any

import pytest
from hexbytes import HexBytes

from bench.index.chain import POOL, SyntheticChain, Transaction
from chain import events as rich
from chain.errors import MismatchError
from indexer import events

ADDRESS = "0x" + POOL.hex()


@pytest.fixture(scope="module")
def logs() -> list[dict[str, Any]]:
    chain = SyntheticChain()
    chain.add([Transaction(0, 1), Transaction(2, 2, withdrawal=True), Transaction(inserts=3)])
    return chain.blocks[1].logs


def as_web3_gives_it(log: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: int(log[name], 16) for name in ("blockNumber", "logIndex")}
    words = {name: HexBytes(log[name]) for name in ("data", "blockHash", "transactionHash")}
    return log | numbers | words | {"topics": [HexBytes(topic) for topic in log["topics"]]}


def plain(event: rich.PoolEvent) -> events.Event:
    origin = event.origin
    place = (origin.block_number, origin.log_index, bytes.fromhex(origin.transaction_hash[2:]))
    if isinstance(event, rich.CommitmentQueued):
        return events.Queued(*place, event.position, event.commitment.to_bytes(32, "big"), event.memo)
    if isinstance(event, rich.NullifierUsed):
        return events.Nullified(*place, event.nullifier.to_bytes(32, "big"))
    if isinstance(event, rich.AccountUpdated):
        return events.Inserted(*place, event.root.to_bytes(32, "big"), event.start_index, event.count)
    return events.Withdrawn(*place, bytes.fromhex(event.receiver[2:]), bytes.fromhex(event.token[2:]), event.amount)


def test_topics_are_those_of_the_typed_client() -> None:
    assert ["0x" + bytes(topic).hex() for topic in rich.TOPICS] == events.TOPICS


def test_both_decoders_read_the_same_from_every_kind_of_event(logs: list[dict[str, Any]]) -> None:
    read = [events.parse_log(log, ADDRESS) for log in logs]
    assert {type(event) for event in read} == {events.Queued, events.Nullified, events.Withdrawn, events.Inserted}
    assert read == [plain(rich.parse_log(as_web3_gives_it(log), 0)) for log in logs]


@pytest.mark.parametrize(
    "change",
    [
        {"address": "0x" + "11" * 20},
        {"removed": True},
        {"topics": []},
        {"topics": ["0x" + "00" * 32]},
        {"data": "0x"},
        {"data": "0xzz"},
        {"data": None},
        {"blockNumber": None},
        {"transactionHash": "0x12"},
    ],
)
def test_a_log_that_is_no_event_of_this_pool_is_refused(logs: list[dict[str, Any]], change: dict[str, Any]) -> None:
    for log in logs:
        if change == {"data": "0x"} and log["topics"][0] == events.NULLIFIED:
            continue  # a nullifier's event has no data
        with pytest.raises(MismatchError, match="none of a Gelap pool's"):
            events.parse_log(log | change, ADDRESS)


@pytest.mark.parametrize("word", ["00" * 32, "ff" * 32])
def test_a_commitment_outside_of_the_field_is_refused(logs: list[dict[str, Any]], word: str) -> None:
    queued = next(log for log in logs if log["topics"][0] == events.QUEUED)
    with pytest.raises(MismatchError):
        events.parse_log(queued | {"data": "0x" + word + queued["data"][66:]}, ADDRESS)


def test_a_memo_of_another_length_is_refused(logs: list[dict[str, Any]]) -> None:
    queued = next(log for log in logs if log["topics"][0] == events.QUEUED)
    with pytest.raises(MismatchError):
        events.parse_log(queued | {"data": queued["data"] + "00" * 32}, ADDRESS)
