"""Several endpoints of one chain: what the indexer reads from one is compared with the others before it is written."""

from collections.abc import Callable

import pytest

from bench.index.chain import SyntheticChain, Transaction
from chain.errors import NodesDisagreeError
from indexer.errors import EndpointsError
from indexer.follower import Follower
from indexer.health import Health, Phase
from prover.kernels.cpu.poseidon import hash_pairs
from tests.unit.indexer.conftest import InProcess
from tests.unit.indexer.test_following import assert_indexed

Follow = Callable[..., Follower]
DEPOSIT, INSERT = Transaction(0, 1), Transaction(inserts=64)


def grown(chain: SyntheticChain, blocks: int = 3) -> SyntheticChain:
    for _ in range(blocks):
        chain.add([DEPOSIT, INSERT])
    return chain


@pytest.fixture
def fork() -> SyntheticChain:
    """Another history of the same length."""
    return grown(SyntheticChain(hash_pairs, salt="fork"))


def test_endpoints_with_different_blocks_stop_it_and_nothing_is_written_until_they_agree(
    chain: SyntheticChain, fork: SyntheticChain, follow: Follow, database: str
) -> None:
    one, other = InProcess(grown(chain), "one"), InProcess(chain, "other")
    follower = follow(one, other)
    follower.round()
    assert_indexed(database, chain)
    grown(chain, 2)
    grown(fork, 2)
    for liar in (one, other):
        liar.chain = fork
        # A replacement of what was indexed is read from the first and refused by the second, or the other way round.
        with pytest.raises(
            NodesDisagreeError, match=r"block 5 is 0x.* says one\.invalid, and 0x.* says other\.invalid"
        ):
            follower.round()
        assert_indexed(database, chain, 3)
        liar.chain = chain
    follower.round()
    assert_indexed(database, chain)


def test_a_false_state_of_the_second_endpoint_is_told(chain: SyntheticChain, follow: Follow, database: str) -> None:
    """The same hashes and another root: which of the two lies is not for the indexer to say."""
    grown(chain)
    twin = SyntheticChain(hash_pairs)
    twin.blocks = [*chain.blocks]
    false = InProcess(twin, "other")
    follower = follow(InProcess(chain, "one"), false)
    follower.round()
    chain.add([DEPOSIT])
    twin.add([])
    twin.blocks[-1].hash = chain.blocks[-1].hash
    with pytest.raises(NodesDisagreeError, match=r"says other\.invalid.* as one\.invalid says too"):
        follower.round()
    assert_indexed(database, chain, 3)


def test_an_endpoint_of_another_chain_is_told(chain: SyntheticChain, follow: Follow) -> None:
    foreign = InProcess(grown(SyntheticChain(hash_pairs, chain_id=1)), "other")
    with pytest.raises(NodesDisagreeError, match=r"other\.invalid serves chain 1, not 31337"):
        follow(InProcess(grown(chain), "one"), foreign).round()


def test_an_endpoint_that_is_behind_is_compared_at_a_block_that_it_has(
    chain: SyntheticChain, fork: SyntheticChain, follow: Follow, database: str
) -> None:
    behind = SyntheticChain(hash_pairs)
    behind.blocks = [*grown(chain).blocks]
    late = InProcess(behind, "late")
    follower = follow(InProcess(chain, "one"), late)
    follower.round()
    grown(chain, 4)
    follower.round()
    assert_indexed(database, chain)
    grown(chain, 1)
    late.chain = fork
    with pytest.raises(NodesDisagreeError, match="block 3 is"):
        follower.round()
    assert_indexed(database, chain, 7)


def test_an_endpoint_that_does_not_answer_says_nothing(chain: SyntheticChain, follow: Follow, database: str) -> None:
    dead = InProcess(chain, "dead")
    dead.dead = True
    follower = follow(InProcess(grown(chain), "one"), dead)
    for _ in range(2):
        follower.round()
        assert_indexed(database, chain)
        grown(chain, 1)


def test_it_goes_on_by_itself_when_endpoints_agree_again(
    chain: SyntheticChain, fork: SyntheticChain, follow: Follow, database: str
) -> None:
    """A disagreement is waited out, and does not halt the chain, however often it is found."""
    other = InProcess(fork, "other")
    follower = follow(InProcess(grown(chain), "one"), other)
    health = Health()
    follower._health = health
    waits = 0

    def waited(seconds: float) -> bool:
        nonlocal waits
        waits += 1
        if waits <= 6:
            known = health.of(follower.name)
            assert known is not None
            assert known.phase is Phase.WAITING
            assert "the endpoints disagree" in str(known.reason)
        other.chain = fork if waits < 6 else chain
        if waits == 7:
            follower.stop()
        return False

    follower._stopping.wait = waited  # type: ignore[method-assign,assignment]
    try:
        follower.run()
    except EndpointsError:  # pragma: no cover
        pytest.fail("a disagreement is no silence")
    assert_indexed(database, chain)
