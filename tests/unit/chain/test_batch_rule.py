"""Which batch a sequencer may insert now, against the rule of the contract's queue written down a second time."""

from hypothesis import given
from hypothesis import strategies as st

from chain.sequencer import allowed_batch


@given(st.integers(64, 1000), st.integers(0, 10**10))
def test_a_full_batch_is_allowed_at_any_time(pending: int, now: int) -> None:
    assert allowed_batch(pending, now, now) == (64, 0)


def test_nothing_pending_is_nothing_to_do() -> None:
    assert allowed_batch(0, None, 1000) == (0, 0)


@given(st.integers(1, 63), st.integers(0, 10**10), st.integers(0, 300))
def test_a_short_batch_waits_for_the_previous_epoch_to_begin_after_its_oldest_leaf(
    pending: int, oldest: int, age: int
) -> None:
    now = oldest + age
    previous_epoch_begins = (now // 60 - 1) * 60
    count, wait = allowed_batch(pending, oldest, now)
    if oldest < previous_epoch_begins:
        assert (count, wait) == (pending, 0)
    else:
        assert count == 0
        assert 0 < wait <= 120
        assert allowed_batch(pending, oldest, now + wait) == (pending, 0)
        assert allowed_batch(pending, oldest, now + wait - 1)[0] == 0
