"""Device memory: what may be used, and that nothing is begun that does not fit."""

import pytest

from prover.devices.budget import VARIABLE, MemoryBudget, allowed_bytes, readable
from prover.errors import DeviceOutOfMemory, DeviceUnavailable

GIB = 1 << 30


@pytest.mark.parametrize(
    ("wish", "allowed"),
    [
        ("", 9 * GIB),
        ("4GiB", 4 * GIB),
        ("4G", 4 * GIB),
        ("4 gb", 4 * GIB),
        ("512MiB", GIB // 2),
        ("64k", 65536),
        ("12345", 12345),
        ("12345b", 12345),
        ("25%", 5 * GIB),
        ("100%", 10 * GIB),
        ("1TiB", 10 * GIB),
    ],
)
def test_the_budget_is_what_was_asked_for_and_never_more_than_is_free(wish, allowed):
    assert allowed_bytes(10 * GIB, 20 * GIB, wish) == allowed


def test_the_environment_sets_the_budget(monkeypatch):
    monkeypatch.setenv(VARIABLE, "3GiB")
    assert allowed_bytes(10 * GIB, 20 * GIB) == 3 * GIB
    monkeypatch.delenv(VARIABLE)
    assert allowed_bytes(10 * GIB, 20 * GIB) == 9 * GIB


@pytest.mark.parametrize("wish", ["much", "-1", "4XiB", "101%", "1.5GiB", "%", "GiB"])
def test_a_budget_that_is_no_number_is_one_clear_error(wish):
    with pytest.raises(DeviceUnavailable, match=VARIABLE):
        allowed_bytes(GIB, GIB, wish)


def test_reservations_add_up_and_are_given_back():
    budget = MemoryBudget(100)
    budget.reserve("a key", 60)
    budget.reserve("a batch", 30)
    assert (budget.used, budget.free) == (90, 10)
    assert budget.reserved() == {"a key": 60, "a batch": 30}
    budget.release("a key")
    budget.release("nobody")
    assert budget.free == 70


def test_what_does_not_fit_is_refused_with_the_numbers_and_nothing_changes():
    budget = MemoryBudget(8 << 20)
    budget.reserve("a key", 6 << 20)
    with pytest.raises(DeviceOutOfMemory, match=r"a batch needs 4\.0 MiB .* 2\.0 MiB of 8\.0 MiB"):
        budget.reserve("a batch", 4 << 20)
    assert budget.reserved() == {"a key": 6 << 20}


def test_a_second_reservation_replaces_the_first():
    budget = MemoryBudget(100)
    budget.reserve("a batch", 80)
    budget.reserve("a batch", 100)
    budget.reserve("a batch", 10)
    assert budget.free == 90


@pytest.mark.parametrize(("count", "text"), [(10, "10 bytes"), (1536, "1.5 KiB"), (3 * GIB, "3.0 GiB")])
def test_sizes_are_readable(count, text):
    assert readable(count) == text
