"""`gelap circuit`: its output, its files and its errors."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from prover.circuit.cli import app
from prover.formats.r1cs import read_r1cs
from prover.formats.sym import read_sym
from prover.statements import registry

runner = CliRunner()


def test_list_names_every_circuit() -> None:
    entries = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    assert [entry["name"] for entry in entries] == registry.names()
    table = runner.invoke(app, ["list"])
    assert table.exit_code == 0
    assert all(name in table.stdout for name in registry.names())


@pytest.mark.parametrize("name", ["spend", "insert_64"])
def test_info_describes_a_circuit(name: str) -> None:
    circuit = registry.build(name)
    entry = json.loads(runner.invoke(app, ["info", name, "--json"]).stdout)
    assert entry["constraints"] == circuit.n_constraints
    assert entry["coefficients"] == {side: getattr(circuit.r1cs, side).nnz for side in "abc"}
    assert entry["wires"] == circuit.r1cs.n_wires
    assert entry["domain"] == 32768
    assert entry["public_inputs"] + entry["private_inputs"] == len(circuit.signal_names())
    text = runner.invoke(app, ["info", name]).stdout
    assert f"{circuit.n_constraints:,}" in text
    assert all(signal.name in text for signal in circuit.signals)


def test_export_writes_files_that_read_back(tmp_path: Path) -> None:
    r1cs_path, sym_path = tmp_path / "insert.r1cs", tmp_path / "insert.sym"
    result = runner.invoke(app, ["export", "insert", "--r1cs", str(r1cs_path), "--sym", str(sym_path)])
    assert result.exit_code == 0, result.stderr
    ours, read = registry.build("insert").r1cs, read_r1cs(r1cs_path)
    assert (read.n_wires, read.n_public, read.n_private_inputs) == (ours.n_wires, 5, ours.n_private_inputs)
    for side in "abc":
        mine, theirs = getattr(ours, side), getattr(read, side)
        assert np.array_equal(mine.row_ptr, theirs.row_ptr)
        assert np.array_equal(mine.col, theirs.col)
        assert np.array_equal(mine.value, theirs.value)
    symbols = read_sym(sym_path)
    assert [symbol.name for symbol in symbols[:2]] == ["main.oldRoot", "main.newRoot"]
    by_label = {symbol.label: symbol.wire for symbol in symbols}
    assert all(by_label[label] == wire for wire, label in enumerate(read.labels.tolist()) if wire)
    assert len(symbols) == read.n_labels - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "spend_9x9"], "choose one of: spend_2x2, insert_64"),
        (["export", "spend_9x9", "--r1cs", "x"], "choose one of"),
        (["export", "insert"], "name a file with --r1cs"),
        (["export", "insert", "--r1cs", "/nonexistent/folder/file"], "cannot be written"),
    ],
)
def test_mistakes_end_with_one_clear_line(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
