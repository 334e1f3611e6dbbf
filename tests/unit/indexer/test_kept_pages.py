"""Pages in memory: the room they may take, and who goes first."""

from indexer.api.kept import KeptPages


def test_the_pages_that_were_not_asked_for_longest_make_room() -> None:
    kept = KeptPages(30)
    for key in "abc":
        kept.put(key, key.encode() * 10)
    assert kept.get("a") == b"a" * 10
    kept.put("d", b"d" * 10)
    assert [kept.get(key) is not None for key in "abcd"] == [True, False, True, True]
    assert kept.size == 30


def test_a_page_that_is_put_again_counts_once_and_one_that_is_too_large_is_not_kept() -> None:
    kept = KeptPages(30)
    for _ in range(3):
        kept.put("a", b"a" * 20)
    assert kept.size == 20
    kept.put("b", b"b" * 31)
    assert (kept.size, kept.get("b")) == (0, None)
