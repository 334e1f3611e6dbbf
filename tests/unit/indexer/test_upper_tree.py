"""Roots and paths in bulk are those of the readable tree, one batch after another."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.tree import UpperTree, lower_path, nodes_of, subtree_roots, words_of
from protocol.field import R
from protocol.merkle import BATCH_LEVELS, ZEROS, MerkleTree, root_from_path
from prover.kernels.cpu.poseidon import hash_pairs

SIZES = st.lists(st.integers(1, 64), min_size=1, max_size=12)


def batches_of(sizes: list[int], seed: int = 1) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(1, R) for _ in range(size)] for size in sizes]


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def subtrees_of(batches: list[list[int]]) -> np.ndarray:
    return subtree_roots([word(leaf) for batch in batches for leaf in batch], [len(batch) for batch in batches])


def test_an_empty_tree_has_the_contracts_first_root() -> None:
    assert UpperTree().root == word(ZEROS[32])


@settings(max_examples=25, deadline=None)
@given(SIZES, st.integers(0, 12))
def test_every_root_is_that_of_the_readable_tree_however_batches_are_grouped(sizes: list[int], split: int) -> None:
    batches, slow, bulk = batches_of(sizes), MerkleTree(hash_pairs), UpperTree()
    expected = [word(slow.insert_batch(batch).new_root) for batch in batches]
    subtrees = subtrees_of(batches)
    roots = [root for part in (subtrees[:split], subtrees[split:]) if len(part) for root in words_of(bulk.append(part))]
    assert roots == expected
    assert bulk.root == expected[-1]


@settings(max_examples=25, deadline=None)
@given(SIZES, st.data())
def test_a_tree_cut_back_and_grown_again_is_the_tree_that_was_never_longer(
    sizes: list[int], data: st.DataObject
) -> None:
    subtrees = subtrees_of(batches_of(sizes))
    kept = data.draw(st.integers(0, len(sizes)))
    tree, short = UpperTree(), UpperTree()
    tree.extend(subtrees)
    tree.truncate(kept)
    short.extend(subtrees[:kept])
    assert (len(tree), tree.root) == (kept, short.root)
    others = subtrees_of(batches_of([3, 64], seed=2))
    assert words_of(tree.append(others)) == words_of(short.append(others))


def test_a_path_leads_from_any_leaf_to_the_root() -> None:
    batches = batches_of([64, 1, 17, 2, 33])
    tree = UpperTree()
    tree.extend(subtrees_of(batches))
    for number, place in ((0, 0), (0, 63), (1, 0), (1, 5), (2, 16), (4, 32)):
        siblings = lower_path([word(leaf) for leaf in batches[number]], place) + tree.path(number)
        leaf = batches[number][place] if place < len(batches[number]) else 0
        path = [int.from_bytes(sibling, "big") for sibling in siblings]
        assert word(root_from_path(leaf, 64 * number + place, path)) == tree.root


def test_words_and_nodes_are_the_same_numbers() -> None:
    words = [word(value) for value in (0, 1, 2**64, R - 1)]
    assert words_of(nodes_of(words)) == words


def test_a_tree_refuses_to_be_cut_to_more_than_it_has() -> None:
    with pytest.raises(ValueError, match="the tree has 0 batches, not 1"):
        UpperTree().truncate(1)


def test_one_full_subtree_has_the_root_that_its_hashes_give() -> None:
    (batch,) = batches_of([64])
    nodes = batch
    for _ in range(BATCH_LEVELS):
        nodes = hash_pairs(list(zip(nodes[::2], nodes[1::2], strict=True)))
    assert words_of(subtrees_of([batch])) == [word(nodes[0])]
