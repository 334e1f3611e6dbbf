"""How this package's commands end: one line on stderr and an exit code, never a traceback."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

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


class QuickCommand(TyperCommand):
    """A command that must start fast: its required options are paths, its others strings whose default is None.

    Typer converts values with pydantic, whose import takes a seventh of the time of a proof. Here the parser's strings
    are taken as they are; whatever else was given, `--help` or a mistake, is left to Typer.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            given, rest, _ = self.make_parser(ctx).parse_args(args=list(args))
        except Exception:
            return super().parse_args(ctx, args)
        values: dict[str, Any] = {}
        for option in self.params:
            text = given.pop(option.name, None)
            if option.required:
                values[str(option.name)] = Path(text) if text else None
            else:
                values[str(option.name)] = text or option.resolve_envvar_value(ctx)
        if rest or given or not all(values[str(option.name)] for option in self.params if option.required):
            return super().parse_args(ctx, args)
        ctx.params.update(values)
        return []


def starts_fast(function: Callable[..., None]) -> Callable[..., None]:
    """Mark the function of a command that is to be a QuickCommand."""
    vars(function)["command_class"] = QuickCommand
    return function
