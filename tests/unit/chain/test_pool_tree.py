"""The tree rebuilt from events: every position finds its leaf, and anything that does not fit stops it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.errors import MismatchError
from chain.events import AccountUpdated, CommitmentQueued, NullifierUsed, Origin
from chain.tree import Batch, PoolTree
from protocol.field import R
from protocol.merkle import BATCH, ZEROS, MerkleTree, root_from_path

ORIGIN = Origin(1, "0x01", "0x02", 0, 0)


def fake_hash(pairs: list[tuple[int, int]]) -> list[int]:
    """A fast stand-in where the hash does not matter."""
    return [(3 * left + 5 * right + 7) % R for left, right in pairs]


def queued(tree: PoolTree, commitment: int) -> CommitmentQueued:
    return CommitmentQueued(tree.queued_count, commitment, b"", ORIGIN)


def updated(tree: PoolTree, count: int) -> AccountUpdated:
    plan = tree.plan(count)
    return AccountUpdated(plan.new_root, plan.start_index, count, ORIGIN)


def grown(batches: list[int], pending: int = 0, hash_pairs=fake_hash) -> PoolTree:
    """A tree after batches of these sizes, with so many commitments waiting."""
    tree = PoolTree(hash_pairs)
    for count in batches:
        for _ in range(count):
            tree.apply(queued(tree, 1000 + tree.queued_count))
        tree.apply(updated(tree, count))
    for _ in range(pending):
        tree.apply(queued(tree, 1000 + tree.queued_count))
    return tree


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, BATCH), max_size=4), st.integers(0, 3))
def test_each_position_finds_its_leaf_by_its_batch(batches: list[int], pending: int) -> None:
    tree = grown(batches, pending)
    position = 0
    for number, count in enumerate(batches):
        for offset in range(count):
            leaf_index = tree.leaf_index(position)
            assert leaf_index == number * BATCH + offset
            assert tree._tree.leaf(leaf_index) == tree.commitment(position)
            position += 1
    assert tree.inserted_count == position
    assert tree.pending == [1000 + position + i for i in range(pending)]
    assert all(tree.leaf_index(position + i) is None for i in range(pending))


def test_the_root_is_the_protocols() -> None:
    tree = grown([2, 1], pending=1, hash_pairs=None)
    expected = MerkleTree()
    expected.insert_batch([1000, 1001])
    expected.insert_batch([1002])
    assert (tree.root, tree.next_index) == (expected.root, 2 * BATCH)
    leaf_index = tree.leaf_index(2)
    assert leaf_index == BATCH
    assert root_from_path(1002, leaf_index, tree.path(leaf_index)) == expected.root


def test_an_unused_pool_has_the_empty_root() -> None:
    assert PoolTree().root == ZEROS[32]


def test_planning_changes_nothing() -> None:
    tree = grown([3], pending=2)
    before = (tree.root, tree.pending, tree.next_index)
    assert tree.plan(2).old_root == tree.root
    assert (tree.root, tree.pending, tree.next_index) == before


def test_events_about_other_things_are_ignored() -> None:
    tree = grown([1])
    root = tree.root
    assert tree.apply(NullifierUsed(7, ORIGIN)) is None
    assert tree.root == root


@pytest.mark.parametrize("position", [0, 2, 5])
def test_a_missing_or_repeated_commitment_halts(position: int) -> None:
    tree = grown([], pending=1)
    with pytest.raises(MismatchError, match="1 comes next"):
        tree.apply(CommitmentQueued(position, 7, b"", ORIGIN))


@pytest.mark.parametrize(
    "change", [{"root": 1}, {"start_index": 128}, {"start_index": 0}, {"count": 0}, {"count": 3}, {"count": 1}]
)
def test_an_update_that_does_not_follow_from_the_queue_halts(change: dict[str, int]) -> None:
    """Attack row 20: a node that hides or invents events is noticed at the next tree update."""
    tree = grown([4], pending=2)
    with pytest.raises(MismatchError):
        tree.apply(replace(updated(tree, 2), **change))


def test_a_commitment_swapped_by_the_node_is_noticed() -> None:
    honest, lied_to = grown([1], pending=1), grown([1])
    lied_to.apply(queued(lied_to, 99))
    with pytest.raises(MismatchError, match="nothing may be built on it"):
        lied_to.apply(updated(honest, 1))


@pytest.mark.parametrize("commitment", [0, R])
def test_a_leaf_the_contract_would_never_queue_halts(commitment: int) -> None:
    """Attack row 8: an empty leaf cannot be smuggled in as a commitment."""
    tree = PoolTree(fake_hash)
    tree.apply(queued(tree, commitment))
    with pytest.raises(MismatchError, match="cannot be followed"):
        tree.apply(AccountUpdated(1, 0, 1, ORIGIN))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, BATCH), max_size=3), st.integers(0, 2))
def test_stored_history_rebuilds_the_same_tree(sizes: list[int], pending: int) -> None:
    tree = grown(sizes, pending)
    commitments = [tree.commitment(i) for i in range(tree.queued_count)]
    batches = [Batch(sum(sizes[:i]), i * BATCH, count) for i, count in enumerate(sizes)]
    again = PoolTree.from_history(commitments, batches, tree.root if sizes else None, fake_hash)
    assert (again.root, again.pending, again.next_index) == (tree.root, tree.pending, tree.next_index)
    assert again.plan(1).new_root == tree.plan(1).new_root if pending else True
    with pytest.raises(MismatchError, match="stored root"):
        PoolTree.from_history(commitments, batches, tree.root ^ 1, fake_hash)


def test_damaged_stored_history_is_refused() -> None:
    with pytest.raises(MismatchError, match="damaged"):
        PoolTree.from_history([5], [Batch(0, 0, 1), Batch(1, 64, 1)], None, fake_hash)
