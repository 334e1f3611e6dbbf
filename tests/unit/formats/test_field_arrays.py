"""The range check on arrays agrees with the comparison of Python integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.field import Q, R
from prover.formats import field_arrays
from prover.formats.field_arrays import first_not_below
from prover.limbs import to_limbs


def near(modulus: int) -> st.SearchStrategy[int]:
    """Numbers that share limbs with the modulus, where a limb-wise comparison goes wrong first."""
    shift = st.builds(lambda sign, bits: sign * (1 << bits), st.sampled_from([-1, 1]), st.integers(0, 253))
    close = st.builds(lambda a, b: modulus + a + b, shift, shift | st.just(0))
    return (close | st.integers(0, 2**256 - 1) | st.just(modulus)).filter(lambda value: 0 <= value < 2**256)


@pytest.mark.parametrize("modulus", [Q, R])
@given(data=st.data())
def test_the_first_number_outside_the_field_is_found(modulus, data):
    values = data.draw(st.lists(near(modulus), max_size=8))
    expected = next((index for index, value in enumerate(values) if value >= modulus), None)
    assert first_not_below(to_limbs(values), modulus) == expected


def test_the_place_is_right_beyond_the_first_chunk(monkeypatch):
    monkeypatch.setattr(field_arrays, "_CHUNK", 3)
    values = np.zeros((10, 4), dtype=np.uint64)
    assert first_not_below(values, R) is None
    values[7] = to_limbs([R])[0]
    assert first_not_below(values, R) == 7
    values[4] = to_limbs([R + 1])[0]
    assert first_not_below(values.reshape(5, 8), R) == 4
