"""The commands of docs/operations.md, as they stand there, against a real gateway and worker.

What cannot be the same in a test is replaced: addresses, the keys and the worker of the tiny circuit, and the sample
for it. Where there is no curl, a stand-in that speaks through Python's HTTP client takes the same options.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from protocol.statements import decode_inputs
from prover.limbs import from_limbs
from prover.statements import registry
from prover.witness.cpu import solve
from tests.service.cluster_processes import PATIENCE

DOCUMENT = Path(__file__).parents[3] / "docs" / "operations.md"
ROOT = 31337


def blocks(language):
    text = DOCUMENT.read_text().partition("## First job")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def objects_in(text):
    """All JSON objects that a text holds, in order."""
    decoder, found, place = json.JSONDecoder(), [], text.find("{")
    while place >= 0:
        document, end = decoder.raw_decode(text, place)
        found.append(document)
        place = text.find("{", end)
    return found


@pytest.fixture
def programs(tmp_path):
    """A folder with `gelap` and, if need be, `curl`, to be first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    gelap = folder / "gelap"
    sample = tmp_path / "first-job"
    gelap.write_text(
        f"""#!/bin/sh
case "$1" in
  sample)
    mkdir -p "$2"
    echo '{{"square": "{ROOT**2}", "root": "{ROOT}"}}' > "$2/inputs.json"
    echo '["{ROOT**2}"]' > "$2/public.json"
    echo square;;
  *) exec {shlex.quote(sys.executable)} -m gelap.cli "$@";;
esac
"""
    )
    gelap.chmod(0o755)
    if shutil.which("curl") is None:
        curl = folder / "curl"
        curl.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {Path(__file__).parent / "curl.py"} "$@"\n')
        curl.chmod(0o755)
    assert not sample.exists()
    return folder


@pytest.fixture
def environment(cluster, programs):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
    return clean | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "GELAP_REDIS_URL": cluster.redis_url}


def shell(script, environment, folder):
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def as_in_the_test(block, cluster):
    """The block without what the fixtures have started, and with their addresses."""
    lines = [
        line
        for line in block.splitlines()
        if not re.match(r"gelap (keys make|worker|gateway)|export GELAP_REDIS", line)
    ]
    return "\n".join(lines).replace("http://127.0.0.1:8080", cluster.url).replace("127.0.0.1:50051", cluster.address)


def test_the_commands_of_the_document_lead_to_a_proof(cluster, environment, tmp_path):
    cluster.gateway(open_door=False)
    cluster.worker()
    commands = blocks("bash")
    assert len(commands) >= 5
    script = "\n".join(as_in_the_test(block, cluster) for block in commands)
    for needed in ("gelap apikey add", "gelap seal", "/v1/prove", "/v1/jobs/$job"):
        assert needed in script
    result = shell(script, environment, tmp_path)
    assert result.returncode == 0, result.stderr
    jobs = [document for document in objects_in(result.stdout) if "proof" in document]
    assert len(jobs) == 3, result.stdout
    assert len({job["id"] for job in jobs}) == 1, "the idempotency key gave the same job"
    assert all(job["state"] == "SUCCEEDED" and len(job["proof"]) == 512 for job in jobs)
    key_file = tmp_path / "api-key.header"
    assert oct(key_file.stat().st_mode & 0o777) == "0o600"
    secret = key_file.read_text().split()[-1]
    assert secret.startswith("gelap_")
    assert secret not in result.stdout + result.stderr + cluster.logs()


def described_by(channel):
    """The messages and methods of the service, learned from the gateway alone, as grpcurl learns them."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    question = reflection_pb2.ServerReflectionRequest(file_containing_symbol="gelap.v1.Prover")
    (answer,) = stub.ServerReflectionInfo(iter([question]), timeout=PATIENCE)
    pool = descriptor_pool.DescriptorPool()
    for serialized in answer.file_descriptor_response.file_descriptor_proto:
        pool.Add(descriptor_pb2.FileDescriptorProto.FromString(serialized))
    return pool.FindServiceByName("gelap.v1.Prover")


def test_a_tool_that_knows_the_service_by_reflection_only_gets_a_proof(cluster, environment, tmp_path):
    """What grpcurl does with the document's last block, without this project's stubs."""
    cluster.gateway(open_door=False)
    cluster.worker()
    (block,) = [block for block in blocks("sh") if "grpcurl" in block]
    assert "grpcurl -plaintext 127.0.0.1:50051 list gelap.v1.Prover" in block
    seal = next(line for line in block.splitlines() if line.startswith("gelap seal --grpc"))
    prepare = f"""
export GELAP_API_KEY=$(gelap apikey add first-tenant)
export GELAP_GATEWAY_URL={cluster.url}
circuit=$(gelap sample first-job)
{seal}
printf %s "$GELAP_API_KEY"
"""
    result = shell(prepare, environment, tmp_path)
    assert result.returncode == 0, result.stderr
    request = (tmp_path / "first-job" / "request.grpc.json").read_text()
    with grpc.insecure_channel(cluster.address) as channel:
        service = described_by(channel)
        method = service.methods_by_name["Prove"]
        messages = message_factory.GetMessageClass
        call = channel.unary_unary(
            f"/{service.full_name}/{method.name}",
            request_serializer=messages(method.input_type).SerializeToString,
            response_deserializer=messages(method.output_type).FromString,
        )
        job = call(
            json_format.Parse(request, messages(method.input_type)()),
            metadata=(("authorization", f"Bearer {result.stdout}"),),
            timeout=PATIENCE,
        )
    assert json_format.MessageToDict(job)["state"] == "SUCCEEDED"
    assert len(job.proof) == 256


def test_what_is_sealed_shows_nothing_of_the_inputs(cluster, environment, tmp_path):
    cluster.gateway(open_door=False)
    cluster.worker()
    prepare = f"""
export GELAP_API_KEY=$(gelap apikey add first-tenant) GELAP_GATEWAY_URL={cluster.url}
gelap seal $(gelap sample first-job) first-job/inputs.json first-job/public.json
"""
    request = json.loads(shell(prepare, environment, tmp_path).stdout)
    assert request["public_inputs"] == [f"0x{ROOT**2:064x}"]
    assert str(ROOT) not in json.dumps(request["sealed_inputs"])
    assert str(ROOT).encode().hex() not in json.dumps(request["sealed_inputs"])


MISTAKES = {
    "no key": ("unset GELAP_API_KEY; gelap seal square inputs.json public.json", "GELAP_API_KEY"),
    "public inputs that are none": ("gelap seal square inputs.json inputs.json", "a JSON array of decimal numbers"),
    "inputs that are none": ("gelap seal square public.json public.json", "error: "),
    "an unknown circuit": ("gelap seal cube inputs.json public.json", "it has: other, square"),
    "another cluster key": (f"gelap seal square inputs.json public.json --pin {'ab' * 32}", "not the pinned"),
}


def test_mistakes_with_sealing_are_one_line_each(cluster, tmp_path, programs):
    cluster.gateway()
    cluster.worker()
    (tmp_path / "inputs.json").write_text('{"square": "4", "root": "2"}')
    (tmp_path / "public.json").write_text('["4"]')
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "GELAP_API_KEY": "alice",
        "GELAP_GATEWAY_URL": cluster.url,
    }
    for mistake, (command, says) in MISTAKES.items():
        result = shell(command, environment, tmp_path)
        assert (result.returncode, result.stdout) == (2, ""), mistake
        assert says in result.stderr, mistake
        assert len(result.stderr.strip().splitlines()) == 1, mistake


def test_the_sample_is_a_statement_of_its_circuit(tmp_path):
    """The real one, which the stand-in above replaces."""
    result = subprocess.run(
        [sys.executable, "-m", "gelap.cli", "sample", str(tmp_path)], capture_output=True, text=True, check=True
    )
    circuit = registry.build(result.stdout.strip())
    inputs = decode_inputs((tmp_path / "inputs.json").read_bytes())
    witness = solve(circuit, inputs)
    public = [int(word) for word in json.loads((tmp_path / "public.json").read_text())]
    values = from_limbs(witness.reshape(-1, 4))
    assert values[1 : 1 + len(public)] == public
