"""How this package's commands end: one line on stderr and an exit code, never a traceback."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from prover.errors import InvalidProofError, ProverError, UnsatisfiedError

FAILED, MALFORMED = 1, 2


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn errors into exit codes: 1 for a result that is wrong, 2 for input that cannot be used."""
    try:
        yield
    except (UnsatisfiedError, InvalidProofError) as error:
        fail(str(error), FAILED)
    except ProverError as error:
        fail(str(error), MALFORMED)
    except OSError as error:
        fail(f"{error.filename or 'a file'}: {error.strerror}", MALFORMED)
    except MemoryError:
        fail("not enough memory; close other programs or use a larger machine", FAILED)


@contextmanager
def collection_paused() -> Iterator[None]:
    """Do not look for garbage inside the block, for commands that import much, work for a second and end.

    Imports make hundreds of thousands of objects that stay; searching them takes a tenth of such a command's time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def fail(message: str, code: int) -> None:
    """Print `error: message` on stderr and end the command with `code`."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)
