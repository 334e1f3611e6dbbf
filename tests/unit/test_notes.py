"""Notes: the three hashes of the specification, their ranges, and what keeps equal notes apart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import EncodingError
from protocol.field import R
from protocol.note import Note, pre_commitment, random_blinding
from protocol.poseidon import poseidon

elements = st.integers(0, R - 1)
notes = st.builds(Note, st.integers(0, 2**160 - 1), st.integers(0, 2**128 - 1), elements, elements)
NOTE = Note(token=0xA11CE, amount=10**18, owner=123456789, blinding=987654321)


@given(notes, elements, st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_hashes_are_those_of_the_specification(note, nullifying_key, leaf_index):
    assert note.pre_commitment == pre_commitment(note.owner, note.blinding) == poseidon([note.owner, note.blinding])
    assert note.commitment == poseidon([note.pre_commitment, note.token, note.amount])
    assert note.nullifier(nullifying_key, leaf_index) == poseidon([note.commitment, nullifying_key, leaf_index])


def test_two_equal_notes_have_two_nullifiers():
    """Attack 5 (faerie gold): equal commitments at two leaves must both be spendable."""
    twin = Note(NOTE.token, NOTE.amount, NOTE.owner, NOTE.blinding)
    assert twin == NOTE
    assert twin.commitment == NOTE.commitment
    assert twin.nullifier(1, 0) != NOTE.nullifier(1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"token": 2**160},
        {"token": -1},
        {"amount": 2**128},
        {"amount": -1},
        {"owner": R},
        {"owner": -1},
        {"blinding": R},
        {"blinding": -1},
    ],
)
def test_a_field_out_of_range_is_refused(change):
    """Attacks 2 and 4: aliases modulo r, and amounts that could wrap a sum."""
    fields = {"token": NOTE.token, "amount": NOTE.amount, "owner": NOTE.owner, "blinding": NOTE.blinding}
    with pytest.raises(EncodingError):
        Note(**(fields | change))


@pytest.mark.parametrize("leaf_index", [2**32, -1])
def test_a_leaf_index_beyond_the_tree_has_no_nullifier(leaf_index):
    """Attack 3: an index of more than 32 bits would give one leaf several nullifiers."""
    with pytest.raises(EncodingError):
        NOTE.nullifier(1, leaf_index)


def test_an_aliased_nullifying_key_is_refused():
    with pytest.raises(EncodingError):
        NOTE.nullifier(1 + R, 0)


def test_blindings_are_field_elements_and_do_not_repeat():
    blindings = {random_blinding() for _ in range(50)}
    assert len(blindings) == 50
    assert all(0 <= blinding < R for blinding in blindings)


def test_the_blinding_stays_out_of_repr():
    assert str(NOTE.blinding) not in repr(NOTE)
