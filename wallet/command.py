"""Makes a function of a session into a command: adds the options of its groups, and turns errors into exit codes."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import typer

from wallet.exit_codes import ENDINGS, KNOWN, Ending, ending_of
from wallet.options import OUTPUT, Group, Options
from wallet.output import Output
from wallet.session import Session

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Shielded tokens: receive, pay, withdraw.")

Result = dict[str, Any]
Body = Callable[..., Result]


def register(name: str, *groups: Group) -> Callable[[Body], Body]:
    """Add the command `name`: its function takes a Session, then its own parameters, and returns the JSON result."""
    shared = [parameter for group in (OUTPUT, *groups) for parameter in group]

    def decorate(body: Body) -> Body:
        own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]

        @functools.wraps(body)
        def run(**given: Any) -> None:
            values = {parameter.name: given.pop(parameter.name) for parameter in shared}
            values["folder"] = values["folder"].expanduser()
            _run(name, body, Options(**values), given)

        parameters = [*own, *shared]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        )
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del run.__wrapped__  # else its signature would be taken
        app.command(name)(run)
        return body

    return decorate


def _run(name: str, body: Body, options: Options, arguments: dict[str, Any]) -> None:
    output = Output(name, options.as_json, options.quiet)
    try:
        result = body(Session(options, output), **arguments)
    except KNOWN as error:
        _fail(output, error, ending_of(error))
    except KeyboardInterrupt as error:
        _fail(output, error, ENDINGS[-1])
    else:
        output.finish(result)


def _fail(output: Output, error: BaseException, ending: Ending) -> None:
    output.fail(error, ending)
    raise typer.Exit(ending.code) from None
