"""The commitment tree: against a naive tree of the definition, across batches, and by the roots others published."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import TreeError
from protocol.field import R
from protocol.merkle import BATCH, BATCH_LEVELS, CAPACITY, DEPTH, ZEROS, MerkleTree, root_from_path
from protocol.poseidon import hash_pairs, poseidon


def cheap_hash(pairs):
    """A stand-in for Poseidon where only the shape of the tree is at stake."""
    return [hash(pair) % R for pair in pairs]


def naive_root(leaves):
    """Hash a whole list of leaves up to depth 32 by the definition."""
    nodes = list(leaves)
    for level in range(DEPTH):
        if len(nodes) % 2:
            nodes.append(ZEROS[level])
        nodes = [poseidon(nodes[i : i + 2]) for i in range(0, len(nodes), 2)]
    return nodes[0]


@pytest.fixture(scope="module")
def tree():
    tree = MerkleTree()
    tree.insert_batch(range(1, 65))
    tree.insert_batch([1001, 1002, 1003])
    tree.insert_batch([7] * BATCH)
    return tree


LEAVES = [*range(1, 65), 1001, 1002, 1003, *[0] * 61, *[7] * 64]


def test_the_root_is_that_of_the_definition(tree):
    assert tree.next_index == len(LEAVES)
    assert tree.root == naive_root(LEAVES)


@pytest.mark.parametrize("leaf_index", [0, 1, 63, 64, 66, 67, 127, 128, 191, 192, CAPACITY - 1])
def test_every_leaf_even_an_empty_one_opens_under_the_root(tree, leaf_index):
    expected = LEAVES[leaf_index] if leaf_index < len(LEAVES) else 0
    assert tree.leaf(leaf_index) == expected
    assert root_from_path(expected, leaf_index, tree.path(leaf_index)) == tree.root


def test_a_path_proves_its_own_index_and_leaf_only(tree):
    path = tree.path(65)
    assert root_from_path(1003, 65, path) != tree.root
    assert root_from_path(1002, 64, path) != tree.root
    assert root_from_path(1002, 65 + (1 << 20), path) != tree.root


def test_an_inner_node_is_no_leaf(tree):
    """Attack 7: paths have a fixed length, so the node above two leaves cannot be opened in their place."""
    node = poseidon([1, 2])
    assert root_from_path(node, 0, [*tree.path(0)[1:], ZEROS[DEPTH - 1]]) != tree.root
    with pytest.raises(TreeError, match="32 siblings"):
        root_from_path(node, 0, tree.path(0)[1:])


def test_an_insertion_says_what_the_statement_needs():
    tree = MerkleTree()
    tree.insert_batch([5] * 3)
    before = tree.root
    insertion = tree.insert_batch([6, 7])
    assert (insertion.start_index, insertion.old_root, insertion.new_root) == (64, before, tree.root)
    assert insertion.leaves == (6, 7, *[0] * 62)
    assert len(insertion.siblings) == DEPTH - BATCH_LEVELS

    def root_over(subtree):
        node = subtree
        for level, sibling in enumerate(insertion.siblings, BATCH_LEVELS):
            is_right = insertion.start_index >> level & 1
            node = poseidon([sibling, node] if is_right else [node, sibling])
        return node

    nodes = list(insertion.leaves)
    while len(nodes) > 1:
        nodes = hash_pairs(list(zip(nodes[::2], nodes[1::2], strict=True)))
    assert root_over(ZEROS[BATCH_LEVELS]) == insertion.old_root
    assert root_over(nodes[0]) == insertion.new_root


def test_planning_a_batch_changes_nothing():
    tree = MerkleTree()
    tree.insert_batch([1])
    root, next_index = tree.root, tree.next_index
    plan = tree.plan_batch([2, 3])
    assert (tree.root, tree.next_index, tree.leaf(64)) == (root, next_index, 0)
    assert tree.insert_batch([2, 3]) == plan


@given(st.lists(st.lists(st.integers(1, R - 1), min_size=1, max_size=BATCH), max_size=9))
@settings(max_examples=25, deadline=None)
def test_a_tree_rebuilt_from_its_batches_is_the_tree_that_grew(batches):
    grown = MerkleTree(cheap_hash)
    for batch in batches:
        grown.insert_batch(batch)
    rebuilt = MerkleTree.from_batches(batches, cheap_hash)
    assert (rebuilt.root, rebuilt.next_index) == (grown.root, grown.next_index)
    for leaf_index in range(0, 64 * (len(batches) + 1), 37):
        assert rebuilt.path(leaf_index) == grown.path(leaf_index)
        assert rebuilt.leaf(leaf_index) == grown.leaf(leaf_index)
    more = [1, 2, 3]
    assert rebuilt.insert_batch(more) == grown.insert_batch(more)


def test_rebuilding_hashes_level_by_level():
    calls = []

    def counting(pairs):
        calls.append(len(pairs))
        return cheap_hash(pairs)

    MerkleTree.from_batches([[1] * BATCH] * 16, counting)
    assert calls == [512, 256, 128, 64, 32, 16, 8, 4, 2, 1, *[1] * (DEPTH - 10)]


def test_the_empty_tree_has_the_published_roots():
    """Lightprotocol/light-protocol, program-libs/hasher/src/zero_bytes/poseidon.rs, levels 1 and 32."""
    assert ZEROS[1] == 0x2098F5FB9E239EAB3CEAC3F27B81E481DC3124D55FFED523A839EE8446B64864
    assert ZEROS[DEPTH] == 0x2F68A1C58E257E42A17A6C61DFF5551ED560B9922AB119D5AC8E184C9734EAD9
    assert MerkleTree().root == ZEROS[DEPTH]
    assert MerkleTree.from_batches([]).root == ZEROS[DEPTH]


@pytest.mark.parametrize("batch", [[], [1] * 65, [1, 0, 2], [R], [-1]])
def test_a_batch_with_the_wrong_size_or_an_empty_leaf_is_refused(batch):
    """Attack 8: an empty leaf inserted as if it were a commitment."""
    tree = MerkleTree(cheap_hash)
    with pytest.raises(TreeError):
        tree.insert_batch(batch)
    with pytest.raises(TreeError):
        MerkleTree.from_batches([batch], cheap_hash)
    assert tree.next_index == 0


@pytest.mark.parametrize("leaf_index", [-1, CAPACITY])
def test_an_index_beyond_the_tree_is_refused(tree, leaf_index):
    """Attack 3."""
    for operation in (tree.path, tree.leaf, lambda index: root_from_path(0, index, [0] * DEPTH)):
        with pytest.raises(TreeError, match=r"2\^32"):
            operation(leaf_index)


def test_a_full_tree_takes_no_more(monkeypatch):
    monkeypatch.setattr("protocol.merkle.CAPACITY", BATCH)
    tree = MerkleTree(cheap_hash)
    tree.insert_batch([1])
    with pytest.raises(TreeError, match="full"):
        tree.insert_batch([2])
    with pytest.raises(TreeError, match="full"):
        MerkleTree.from_batches([[1], [2]], cheap_hash)
