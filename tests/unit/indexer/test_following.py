"""What is in the database is what the chain says, whatever the chain and its endpoints do meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bench.index.chain import POOL, RefusalError, SyntheticChain, Transaction
from chain.errors import MismatchError
from chain.stream.records import BlockId, Event, Inserted, Nullified, Queued, Withdrawn
from indexer import schema
from indexer.database import migrate, read_engine, sqlite_url, write_engine
from indexer.errors import EndpointsError, HaltError, SettingsError, WriterError
from indexer.events import parse_log
from indexer.follower import Follower, Pace
from indexer.reader import Reader
from indexer.rpc import Endpoints
from indexer.store import Store
from protocol.merkle import MerkleTree
from prover.kernels.cpu.poseidon import hash_pairs
from tests.unit.indexer.conftest import InProcess

Follow = Callable[..., Follower]

PAYMENT, DEPOSIT = Transaction(2, 2), Transaction(0, 1)
WITHDRAWAL, INSERT = Transaction(2, 2, withdrawal=True), Transaction(inserts=64)


def what_the_chain_says(chain: SyntheticChain, head: int) -> list[Event]:
    """The naive model: all logs up to `head`, in order."""
    return [parse_log(log, "0x" + POOL.hex()) for block in chain.blocks[: head + 1] for log in block.logs]


def assert_indexed(database: str, chain: SyntheticChain, head: int | None = None) -> None:
    """Everything that can be read from the database is what the chain says up to `head`."""
    head = chain.head if head is None else head
    reader = Reader(read_engine(database), chain.chain_id)
    summary, expected = reader.summary(), what_the_chain_says(chain, head)
    block = chain.blocks[head]
    assert summary.tip == BlockId(head, bytes.fromhex(block.hash[2:]), block.timestamp)
    root = summary.root or MerkleTree().root.to_bytes(32, "big")
    assert int.from_bytes(root, "big") == block.root
    assert summary.counters.queued - summary.counters.inserted == block.pending
    assert 64 * summary.counters.batches == block.next_leaf_index
    frames = list(reader.frames(None, None))
    assert [event for frame in frames for event in frame.events] == expected
    for table, kind in (
        (schema.COMMITMENTS, Queued),
        (schema.NULLIFIERS, Nullified),
        (schema.WITHDRAWALS, Withdrawn),
        (schema.BATCHES, Inserted),
    ):
        places = [event[:3] for event in expected if isinstance(event, kind)]
        with reader._engine.connect() as connection:
            query = select(table.c.block_number, table.c.log_index, table.c.transaction_hash)
            assert [tuple(row) for row in connection.execute(query.order_by(list(table.primary_key)[1]))] == places
    leaves, used = reader.leaves(0, 1 << 20)
    batches = [batch for block in chain.blocks[: head + 1] for batch in block.batches]
    assert used == 64 * len(batches)
    assert [(leaf.leaf_index, int.from_bytes(leaf.row.commitment, "big")) for leaf in leaves] == [
        (64 * number + place, commitment)
        for number, batch in enumerate(batches)
        for place, commitment in enumerate(batch)
    ]


def test_a_pool_is_read_from_its_first_block_to_the_newest(
    chain: SyntheticChain, follow: Follow, database: str
) -> None:
    for _ in range(3):
        chain.add([DEPOSIT, PAYMENT])
        chain.add([WITHDRAWAL, INSERT, DEPOSIT])
        chain.add([])
    follow(InProcess(chain)).round()
    assert_indexed(database, chain)


def test_the_newest_blocks_stay_unread_until_they_are_confirmed(
    chain: SyntheticChain, follow: Follow, database: str
) -> None:
    for _ in range(6):
        chain.add([DEPOSIT])
    follower = follow(InProcess(chain), confirmations=4)
    follower.round()
    assert_indexed(database, chain, chain.head - 4)
    chain.add([INSERT])
    follower.round()
    assert_indexed(database, chain, chain.head - 4)


def test_windows_shrink_to_what_the_endpoint_allows(chain: SyntheticChain, follow: Follow, database: str) -> None:
    chain.max_blocks = 7
    for _ in range(40):
        chain.add([DEPOSIT])
    endpoint = InProcess(chain)
    follow(endpoint).round()
    assert_indexed(database, chain)
    # The first window halves to 7 or fewer, and then six windows or more of that size are read.
    assert endpoint.asked.count("eth_getLogs") < 20


def test_block_times_are_asked_for_where_logs_lack_them(follow: Follow, database: str) -> None:
    chain = SyntheticChain(block_times=False)
    chain.add([DEPOSIT])
    chain.add([DEPOSIT, INSERT])
    chain.add([])
    follow(InProcess(chain)).round()
    assert_indexed(database, chain)


@pytest.mark.parametrize("restarted", [False, True])
def test_replaced_blocks_are_replaced_in_the_database(
    chain: SyntheticChain, follow: Follow, database: str, restarted: bool
) -> None:
    for _ in range(6):
        chain.add([DEPOSIT, PAYMENT, INSERT])
    endpoint = InProcess(chain)
    follower = follow(endpoint)
    follower.round()
    chain.cut(2)
    for _ in range(7):
        chain.add([PAYMENT, WITHDRAWAL])
    if restarted:
        follower = follow(endpoint)
    follower.round()
    assert_indexed(database, chain)


def test_a_fork_below_everything_that_was_read_is_followed(
    chain: SyntheticChain, follow: Follow, database: str
) -> None:
    chain.add([])
    chain.add([DEPOSIT])
    follower = follow(InProcess(chain))
    follower.round()
    chain.cut(0)
    for _ in range(3):
        chain.add([PAYMENT, INSERT])
    follower.round()
    assert_indexed(database, chain)


def test_nothing_is_deleted_before_its_replacement_was_read(
    chain: SyntheticChain, follow: Follow, database: str
) -> None:
    """Attack row 20: the fork is known, but its logs cannot be read."""
    for _ in range(4):
        chain.add([DEPOSIT, INSERT])
    endpoint = InProcess(chain)
    follower = follow(endpoint)
    follower.round()
    before = list(Reader(read_engine(database), 31337).frames(None, None))
    chain.cut(2)
    for _ in range(3):
        chain.add([PAYMENT])

    def without_logs(method: str, params: Any) -> None:
        if method == "eth_getLogs":
            raise RefusalError("pruned")

    chain.broken = without_logs
    with pytest.raises(EndpointsError):
        follower.round()
    assert list(Reader(read_engine(database), 31337).frames(None, None)) == before
    chain.broken = lambda method, params: None
    follower.round()
    assert_indexed(database, chain)


def test_a_chain_that_became_shorter_is_waited_for(chain: SyntheticChain, follow: Follow, database: str) -> None:
    for _ in range(5):
        chain.add([DEPOSIT])
    follower = follow(InProcess(chain))
    follower.round()
    indexed = list(Reader(read_engine(database), 31337).frames(None, None))
    chain.cut(3)
    with pytest.raises(EndpointsError, match="is behind"):
        follower.round()
    assert list(Reader(read_engine(database), 31337).frames(None, None)) == indexed
    chain.add([])
    chain.add([PAYMENT])
    follower.round()
    assert_indexed(database, chain)


def test_an_endpoint_that_lags_is_passed_over(chain: SyntheticChain, follow: Follow, database: str) -> None:
    behind = SyntheticChain()
    for node in (chain, behind):
        for _ in range(3):
            node.add([DEPOSIT])
    good = InProcess(chain, "good")
    follow(good).round()
    chain.add([DEPOSIT])
    follow(good).round()
    chain.add([INSERT])
    follow(InProcess(behind, "behind"), good).round()
    assert_indexed(database, chain)


def test_another_endpoint_takes_over_from_one_that_dies(chain: SyntheticChain, follow: Follow, database: str) -> None:
    first, second = InProcess(chain, "first"), InProcess(chain, "second")
    follower = follow(first, second)
    chain.add([DEPOSIT])
    follower.round()
    assert "eth_getLogs" not in second.asked
    first.dead = True
    chain.add([DEPOSIT, INSERT])
    follower.round()
    assert_indexed(database, chain)
    second.dead = True
    with pytest.raises(EndpointsError, match=r"first\.invalid does not answer"):
        follower.round()


def test_an_endpoint_of_another_chain_is_not_used(chain: SyntheticChain, follow: Follow, database: str) -> None:
    other = SyntheticChain(chain_id=1, salt="other")
    chain.add([DEPOSIT])
    other.add([PAYMENT])
    follow(InProcess(other, "other"), InProcess(chain)).round()
    assert_indexed(database, chain)


def spoil(chain: SyntheticChain, fault: str) -> None:
    """Have the endpoint tell something false about block 2: [DEPOSIT, WITHDRAWAL, INSERT]."""
    logs = chain.blocks[2].logs
    *_, insert = logs
    if fault == "leaves the first commitment out":
        del logs[0]
    elif fault == "leaves the tree update out":
        logs.remove(insert)
    elif fault == "another commitment":
        logs[0]["data"] = logs[0]["data"][:60] + "000001" + logs[0]["data"][66:]
    elif fault == "another root":
        insert["data"] = f"0x{1:064x}" + insert["data"][66:]
    elif fault == "another start":
        insert["data"] = insert["data"][:66] + f"{128:064x}" + insert["data"][130:]
    elif fault == "another block's hash":
        insert["blockHash"] = "0x" + "77" * 32
    elif fault == "the same nullifier twice":
        logs[2]["topics"] = logs[1]["topics"]
    elif fault == "an old nullifier again":
        logs[1]["topics"] = chain.blocks[1].logs[0]["topics"]
    elif fault == "false state":
        chain.blocks[2].pending += 1


@pytest.mark.parametrize(
    "fault",
    [
        "leaves the first commitment out",
        "leaves the tree update out",
        "another commitment",
        "another root",
        "another start",
        "another block's hash",
        "the same nullifier twice",
        "an old nullifier again",
        "false state",
    ],
)
def test_false_events_halt_the_indexer_and_are_not_written(
    chain: SyntheticChain, follow: Follow, database: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.add([PAYMENT])
    follow(InProcess(chain)).round()
    chain.add([DEPOSIT, WITHDRAWAL, INSERT])
    spoil(chain, fault)
    monkeypatch.setattr("indexer.follower.LONGEST_PAUSE", 0.01)
    with pytest.raises(HaltError, match="halted, and wrote nothing of it"):
        follow(InProcess(chain)).run()
    assert_indexed(database, chain, 1)


def test_a_true_endpoint_is_believed_beside_a_false_one(chain: SyntheticChain, follow: Follow, database: str) -> None:
    false = SyntheticChain()
    for node in (chain, false):
        node.add([PAYMENT])
        node.add([DEPOSIT, WITHDRAWAL, INSERT])
    spoil(false, "another root")
    follow(InProcess(false, "false"), InProcess(chain)).round()
    assert_indexed(database, chain)


def shallow(database: str, chain: SyntheticChain, depth: int) -> tuple[Follower, InProcess]:
    """A follower that follows no reorganisation deeper than `depth`."""
    store, endpoint = Store(write_engine(database), 31337, POOL, 0), InProcess(chain)
    store.journal_depth = depth
    return Follower(store, Endpoints([endpoint], 31337), POOL, Pace(0)), endpoint


def test_a_chain_whose_old_blocks_differ_is_refused_without_asking_for_all_of_them(
    chain: SyntheticChain, follow: Follow, database: str
) -> None:
    for _ in range(30):
        chain.add([DEPOSIT])
    follow(InProcess(chain)).round()
    anew = SyntheticChain(salt="anew")
    for _ in range(31):
        anew.add([DEPOSIT])
    follower, endpoint = shallow(database, anew, 20)
    with pytest.raises(MismatchError, match="needs a new database"):
        follower.round()
    assert endpoint.asked.count("eth_getBlockByNumber") == 2
    assert_indexed(database, chain)


def test_a_reorganisation_as_deep_as_the_journal_is_followed(
    chain: SyntheticChain, follow: Follow, database: str
) -> None:
    for _ in range(30):
        chain.add([DEPOSIT])
    follow(InProcess(chain)).round()
    chain.cut(9)
    for _ in range(25):
        chain.add([PAYMENT])
    shallow(database, chain, 20)[0].round()
    assert_indexed(database, chain)


def test_blocks_without_events_are_forgotten_once_they_are_too_old_to_be_replaced(
    chain: SyntheticChain, database: str
) -> None:
    follower, _ = shallow(database, chain, 6)
    for number in range(30):
        chain.add([DEPOSIT] if number % 10 == 0 else [])
        follower.round()
    with write_engine(database).connect() as connection:
        kept = connection.scalars(select(schema.JOURNAL.c.number).order_by(schema.JOURNAL.c.number)).all()
    assert kept == [1, 11, 21, *range(24, 31)]
    assert_indexed(database, chain)


def test_an_address_without_a_contract_is_refused(chain: SyntheticChain, database: str) -> None:
    store = Store(write_engine(database), 31337, bytes(20), 0)
    follower = Follower(store, Endpoints([InProcess(chain)], 31337), bytes(20), Pace(0))
    with pytest.raises(MismatchError, match="correct GELAP_POOL"):
        follower.round()


def test_a_database_belongs_to_one_pool_of_a_chain(chain: SyntheticChain, follow: Follow, database: str) -> None:
    follow(InProcess(chain))
    with pytest.raises(SettingsError, match="holds the pool"):
        Store(write_engine(database), 31337, bytes(20), 0)


def test_two_writers_find_out_about_each_other(chain: SyntheticChain, follow: Follow, database: str) -> None:
    endpoint = InProcess(chain)
    chain.add([DEPOSIT])
    one, two = follow(endpoint), follow(endpoint)
    one.round()
    two.round()
    chain.add([DEPOSIT])
    one.round()
    with pytest.raises(WriterError):
        two.round()
    assert_indexed(database, chain)


KINDS = st.sampled_from([DEPOSIT, PAYMENT, WITHDRAWAL, INSERT, Transaction(inserts=1)])
BLOCKS = st.lists(st.lists(KINDS, max_size=4), min_size=1, max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), BLOCKS),
        st.tuples(st.just("replace"), st.integers(0, 8), BLOCKS),
        st.tuples(st.just("restart")),
        st.tuples(st.just("die")),
        st.tuples(st.just("window"), st.integers(1, 9)),
    ),
    max_size=9,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS, confirmations=st.integers(0, 3))
def test_any_story_of_forks_restarts_and_failures_ends_in_what_the_chain_says(
    steps: list[tuple[Any, ...]], confirmations: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    database = sqlite_url(tmp_path_factory.mktemp("story") / "indexer.sqlite")
    migrate(write_engine(database))
    chain = SyntheticChain(hash_pairs)
    nodes = [InProcess(chain, "one"), InProcess(chain, "two")]

    def new_follower() -> Follower:
        store = Store(write_engine(database), 31337, POOL, 0)
        return Follower(store, Endpoints(nodes, 31337), POOL, Pace(confirmations))

    follower = new_follower()
    for action, *details in steps:
        if action == "grow":
            for block in details[0]:
                chain.add(block)
        elif action == "replace":
            chain.cut(max(0, chain.head - details[0]))
            for block in details[1]:
                chain.add(block)
        elif action == "restart":
            follower = new_follower()
        elif action == "die":
            nodes[0].dead = not nodes[0].dead
        else:
            chain.max_blocks = details[0]
        try:
            follower.round()
        except EndpointsError:
            # A fork that is still shorter than what was indexed: what is there stays, and later rounds go on.
            assert Reader(read_engine(database), 31337).summary().tip.number > chain.head  # type: ignore[union-attr]
            continue
        wanted = chain.head - confirmations
        tip = Reader(read_engine(database), 31337).summary().tip
        if tip is not None and tip.number > wanted:
            # The chain became shorter. What is there stays until there is something to put in its place.
            if tip.number <= chain.head and "0x" + tip.hash.hex() == chain.blocks[tip.number].hash:
                assert_indexed(database, chain, tip.number)
        elif wanted >= 0:
            assert_indexed(database, chain, wanted)
    nodes[0].dead = False
    for _ in range(60):
        chain.add([])
    chain.add([DEPOSIT, INSERT])
    follower.round()
    assert_indexed(database, chain, chain.head - confirmations)
