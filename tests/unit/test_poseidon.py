"""Poseidon agrees with circomlib at every width the protocol uses, and refuses what is not a field element."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import EncodingError
from protocol.field import R
from protocol.poseidon import MAX_INPUTS, hash_pairs, parameters, poseidon

elements = st.integers(0, R - 1)


@given(st.lists(elements, min_size=2, max_size=3, unique=True))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_inputs_matters(inputs):
    assert poseidon(inputs) != poseidon(inputs[::-1])
    assert 0 <= poseidon(inputs) < R


@given(st.lists(elements, min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_a_trailing_zero_is_another_input(inputs):
    assert poseidon(inputs) != poseidon([*inputs, 0])


@pytest.mark.parametrize(
    ("inputs", "digest"),
    [
        # iden3/go-iden3-crypto, poseidon/poseidon_test.go, commit 0491732.
        ([1], 18586133768512220936620570745912940619677854269274689475585506675881198879027),
        ([1, 2], 7853200120776062878684798364095072458815029376092732009249414926327459813530),
        ([1, 2, 0, 0, 0], 1018317224307729531995786483840663576608797660851238720571059489595066344487),
        ([3, 4, 0, 0, 0], 5811595552068139067952687508729883632420015185677766880877743348592482390548),
        ([1, 2, 0, 0, 0, 0], 15336558801450556532856248569924170992202208561737609669134139141992924267169),
        ([1, 2, 3, 4, 5, 6], 20400040500897583745843009878988256314335038853985262692600694741116813247201),
        # Lightprotocol/light-protocol, prover's formal verification, `poseidon₃_testVector`.
        ([1, 2, 3], 6542985608222806190361240322586112750744169038454362455181422643027100751666),
        # iden3/circomlibjs, test/poseidon.js, commit 0872b77.
        ([1, 2, 3, 4], 0x299C867DB6C1FDD79DCEFA40E4510B9837E60EBB1CE0663DBAA525DF65250465),
        # iden3/circomlib, test/poseidonjs.js.
        (list(range(1, 17)), 9989051620750914585850546081941653841776809718687451684622678807385399211877),
    ],
)
def test_known_answers_of_circomlib(inputs, digest):
    assert poseidon(inputs) == digest


def test_the_first_numbers_drawn_for_width_3_are_circomlibs():
    """iden3/circomlib, circuits/poseidon_constants.circom: the first C and the corners of M for t = 3."""
    params = parameters(2)
    assert params.round_constants[0][0] == 0x0EE9A592BA9A9518D05986D656F40C2114C4993C11BB29938D21D47304CD8E6E
    assert params.mds[0][0] == 7511745149465107256748700652201246547602992235352608707588321460060273774987
    assert params.mds[2][2] == 11597556804922396090267472882856054602429588299176362916247939723151043581408


@pytest.mark.parametrize("n_inputs", [1, 2, 3, 5, 8])
def test_parameters_have_the_shape_their_rounds_ask_for(n_inputs):
    params = parameters(n_inputs)
    width = n_inputs + 1
    assert len(params.round_constants) == params.full_rounds + params.partial_rounds
    assert {len(row) for row in (*params.round_constants, *params.mds)} == {width}
    assert len(params.mds) == width
    assert all(0 <= constant < R for constant in itertools.chain(*params.round_constants, *params.mds))


def test_every_minor_of_order_two_of_the_matrix_is_invertible():
    """The MDS property, for the square submatrices of order 1 and 2."""
    mds = parameters(3).mds
    assert all(entry for row in mds for entry in row)
    for top, bottom in itertools.combinations(mds, 2):
        for left, right in itertools.combinations(range(4), 2):
            assert (top[left] * bottom[right] - top[right] * bottom[left]) % R


@pytest.mark.parametrize("value", [R, R + 1, -1, 2**256])
def test_an_alias_of_a_field_element_is_refused(value):
    """Attack 2: were x and x + r to hash alike, one note would have two nullifiers."""
    with pytest.raises(EncodingError):
        poseidon([1, value])


@pytest.mark.parametrize("count", [0, MAX_INPUTS + 1])
def test_a_number_of_inputs_without_parameters_is_refused(count):
    with pytest.raises(EncodingError, match="1 to 16"):
        poseidon([1] * count)


def test_hashing_pairs_hashes_each_pair():
    assert hash_pairs([(1, 2), (2, 1)]) == [poseidon([1, 2]), poseidon([2, 1])]
    assert hash_pairs([]) == []
