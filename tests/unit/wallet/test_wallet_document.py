"""docs/wallet.md names commands and options that there are, and every command."""

import re
from pathlib import Path

import pytest
import typer.main

from wallet.cli import app

PAGE = (Path(__file__).parents[3] / "docs" / "wallet.md").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def options(command: str) -> set[str]:
    return {name for parameter in COMMANDS[command].params for name in [*parameter.opts, *parameter.secondary_opts]}


def test_the_table_of_commands_is_complete() -> None:
    rows = re.findall(r"^\| (`[a-z`, -]+`) \|", PAGE.partition("| command | does |")[2].partition("\n\n")[0], re.M)
    named = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    assert named == set(COMMANDS)


@pytest.mark.parametrize(
    "line", [line for line in PAGE.splitlines() if re.match(r"\S*gelap wallet |[A-Z]+=\$\(gelap", line)]
)
def test_every_command_line_of_the_page_uses_options_that_there_are(line: str) -> None:
    command, rest = re.search(r"gelap wallet ([a-z-]+)(.*?)(#.*)?$", line).groups()[:2]  # type: ignore[union-attr]
    assert set(re.findall(r"--[a-z-]+", rest)) <= options(command)


def test_every_option_and_variable_that_the_text_names_is_one_of_the_wallets() -> None:
    text = re.sub(r"```.*?```", "", PAGE, flags=re.S)
    every = {name for command in COMMANDS for name in options(command)}
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= every
    variables = {
        variable
        for command in COMMANDS.values()
        for parameter in command.params
        for variable in ([parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar or [])
    }
    assert set(re.findall(r"`(GELAP_[A-Z_]+)`", text)) <= variables | {"GELAP_API_KEY"}
