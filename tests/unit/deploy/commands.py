"""What the real `gelap` command says of a command line and of environment variables."""

import importlib
import inspect
import re
import typing
from dataclasses import dataclass
from unittest import mock

import typer

from gelap.cli import MOUNTS, LazyCommand
from gelap.settings import Settings
from worker.limits import Limits

# Read by Settings and by the limits of gateways and workers, and not given to a command as its option.
SETTINGS_VARIABLES = {f"GELAP_{name.upper()}" for name in Settings.model_fields}
LIMIT_VARIABLES = {f"GELAP_LIMIT_{name.upper()}" for name in Limits.model_fields}
# Which device a worker proves on is asked where devices are chosen.
DEVICE_VARIABLES = {"GELAP_DEVICE", "GELAP_DEVICE_FALLBACK"}


@dataclass(frozen=True)
class Option:
    """An option as the function's signature declares it."""

    name: str
    kind: type
    least: float | None
    variable: str | None
    default: object


def function_of(command):
    """The function behind `relayer` or `indexer run`."""
    first, _, second = command.partition(" ")
    target = getattr(importlib.import_module(MOUNTS[first].module), MOUNTS[first].attribute)
    if not isinstance(target, typer.Typer):
        return target
    (found,) = [each.callback for each in target.registered_commands if (each.name or each.callback.__name__) == second]
    return found


def options_of(command):
    """Its options by their names without `--`; of flags the first form."""
    function = function_of(command)
    hints = typing.get_type_hints(function, include_extras=True)
    found = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = hints[parameter.name]
        for info in getattr(hint, "__metadata__", ()):
            if isinstance(info, typer.models.OptionInfo):
                given = [name for name in info.param_decls or () if name.startswith("--")]
                name = (given or [f"--{parameter.name.replace('_', '-')}"])[0].partition("/")[0].removeprefix("--")
                found[name] = Option(name, hint.__origin__, info.min, info.envvar, parameter.default)
    return found


def variables_of(command):
    """The environment variables that it reads."""
    own = {option.variable for option in options_of(command).values() if option.variable}
    return (
        own | SETTINGS_VARIABLES | (LIMIT_VARIABLES | DEVICE_VARIABLES if command in ("gateway", "worker") else set())
    )


def is_of_a_chain(variable):
    """Whether it holds one chain's endpoints for `gelap indexer run`: its end is the chain's name."""
    return re.fullmatch(r"GELAP_RPC_URL_[A-Z][A-Z0-9_]{0,31}", variable) is not None


def split(words):
    """The command of a command line, such as `indexer run`, and the rest of its words."""
    target = getattr(importlib.import_module(MOUNTS[words[0]].module), MOUNTS[words[0]].attribute)
    size = 2 if isinstance(target, typer.Typer) else 1
    return " ".join(words[:size]), list(words[size:])


def parsed(words, environment):
    """What its options are by this command line and these variables. Raises what the command would end with."""
    command, rest = split(words)
    first, _, second = command.partition(" ")
    loaded = LazyCommand(first, MOUNTS[first]).load()
    with mock.patch.dict("os.environ", environment):
        return (loaded.commands[second] if second else loaded).make_context(command, rest).params
