"""Progress of long work: on stderr, so that stdout stays a command's result."""

from prover.progress import on_terminal, silent


def test_without_a_terminal_progress_is_plain_lines_on_stderr(capsys):
    with on_terminal("setup") as progress:
        progress("points in [G1]", 1, 8)
        progress("done", 8, 8)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["setup: points in [G1] (1/8)", "setup: done (8/8)"]


def test_silence_is_silent(capsys):
    silent("anything", 0, 1)
    assert capsys.readouterr() == ("", "")
