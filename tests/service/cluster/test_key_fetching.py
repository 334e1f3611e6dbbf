"""Proving keys over the network: whole, checked, resumed, and never half in place."""

import functools
import hashlib
import http.server
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from gateway.apikeys import KeyRegister
from gateway.tenants import Scope
from gelap.key_fetch import KeyFetchError, Source, fetch_keys
from prover.formats.verification_key import VerificationKey, read_verification_key, write_verification_key
from tests.service.cluster_processes import PATIENCE
from worker.jobs import connect
from worker.manifest import read_manifest

SIZE = 3_000_000
PART = 65536


def silent(*_):
    pass


def make_keys(folder, names=("square", "other"), seed=1):
    """A key folder as `gelap keys make` leaves it; what a proving key holds does not matter here."""
    folder.mkdir()
    entries = []
    for number, name in enumerate(names, seed):
        content = random.Random(number).randbytes(SIZE)
        (folder / f"{name}.zkey").write_bytes(content)
        g2 = ((number, 2), (3, 4))
        key = VerificationKey(alpha1=(number, 2), beta2=g2, gamma2=g2, delta2=g2, ic=((1, 2), (3, 4)))
        write_verification_key(folder / f"{name}.vkey.json", key)
        entries.append(
            {
                "name": name,
                "zkey": f"{name}.zkey",
                "zkey_sha256": hashlib.sha256(content).hexdigest(),
                "verification_key": f"{name}.vkey.json",
                "verification_key_digest": key.digest().hex(),
                "r1cs_sha256": "0" * 64,
                "public_inputs": 1,
                "development": True,
            }
        )
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "circuits": entries}))
    return folder


@pytest.fixture
def keys(tmp_path):
    return make_keys(tmp_path / "theirs")


def same_files(ours, theirs):
    entries = read_manifest(ours)
    for name, entry in entries.items():
        assert entry.zkey.read_bytes() == (theirs / f"{name}.zkey").read_bytes()
        assert read_verification_key(entry.verification_key).digest() == entry.verification_key_digest
    assert not list(ours.glob("*.part")) + list(ours.glob(".*.part"))
    return sorted(entries)


class Files(http.server.SimpleHTTPRequestHandler):
    """A file server with ranges, whose connections break after `breaks_after` bytes of a file, `breaks` times."""

    def do_GET(self):
        server = self.server
        path = Path(server.folder) / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start = 0
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted))
        if wanted and server.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        part = content[start:]
        if path.suffix == ".zkey" and server.breaks > 0:
            server.breaks -= 1
            part = part[: server.breaks_after]
            self.close_connection = True
        self.wfile.write(part)

    def log_message(self, *_):
        pass


@pytest.fixture
def files(keys):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        server.folder, server.asked, server.ranges, server.breaks, server.breaks_after = keys, [], True, 0, 1_000_000
        server.url = f"http://127.0.0.1:{server.server_address[1]}/manifest.json"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def fetch(files, tmp_path):
    """Fetch from the file server into `ours`."""
    return functools.partial(fetch_keys, Source(files.url), tmp_path / "ours", [], None, silent)


def test_keys_are_fetched_from_a_gateway_by_the_command(cluster, keys, client, redis_url, tmp_path):
    cluster.key_dir = keys
    cluster.gateway(open_door=False)
    register = KeyRegister(connect(redis_url))
    ours = tmp_path / "ours"

    def command(api_key, *arguments):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
        environment = clean | {"GELAP_KEYS_URL": cluster.url, "GELAP_API_KEY": api_key}
        return subprocess.run(
            [sys.executable, "-m", "gelap.cli", "keys", "fetch", "--dir", str(ours), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    refused = command("made-up")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "nobody knows this API key" in refused.stderr
    verifier = register.add("verifier", scopes=frozenset({Scope.VERIFY}))
    assert "not for `keys`" in command(verifier.key).stderr
    assert not ours.exists()

    acme = register.add("acme")
    fetched = command(acme.key, "square")
    assert fetched.returncode == 0, fetched.stderr
    assert same_files(ours, keys) == ["square"]
    assert "there are: other, square" in command(acme.key, "cube").stderr
    before = (ours / "square.zkey").stat().st_mtime_ns
    assert command(acme.key).returncode == 0
    assert same_files(ours, keys) == ["other", "square"]
    assert (ours / "square.zkey").stat().st_mtime_ns == before, "what is there is not fetched again"


def test_a_worker_fetches_its_keys_from_a_gateway(cluster, keys, tmp_path):
    cluster.key_dir = keys
    cluster.gateway()
    ours = tmp_path / "ours"
    variables = {"GELAP_KEYS_URL": cluster.url, "GELAP_KEY_DIR": str(ours), "GELAP_API_KEY": "worker"}
    fake = {"GELAP_DEVICE": "fake", "GELAP_ALLOW_FAKE": "1"}
    worker = cluster.start("-m", "gelap.cli", "worker", name="worker", **variables, **fake)
    worker.wait_for('"worker ready"')
    assert same_files(ours, keys) == ["other", "square"]
    nowhere = cluster.start(
        "-m", "gelap.cli", "worker", name="worker", **fake, **variables | {"GELAP_KEYS_URL": "http://127.0.0.1:9"}
    )
    assert nowhere.wait() == 2
    assert "error: http://127.0.0.1:9/v1/manifest cannot be fetched" in nowhere.log


def test_a_gateway_serves_ranges_of_a_key_by_its_digest(cluster, keys):
    cluster.key_dir = keys
    cluster.gateway()
    content = (keys / "square.zkey").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    url, headers = f"{cluster.url}/v1/keys/{digest}", {"Authorization": "Bearer alice"}
    whole = requests.get(url, headers=headers, timeout=PATIENCE)
    assert (whole.status_code, whole.content, whole.headers["ETag"]) == (200, content, f'"{digest}"')
    part = requests.get(url, headers=headers | {"Range": "bytes=1000000-"}, timeout=PATIENCE)
    assert (part.status_code, part.content) == (206, content[1_000_000:])
    beyond = requests.get(url, headers=headers | {"Range": f"bytes={SIZE}-"}, timeout=PATIENCE)
    assert beyond.status_code == 416
    unknown = requests.get(f"{cluster.url}/v1/keys/{'0' * 64}", headers=headers, timeout=PATIENCE)
    assert (unknown.status_code, unknown.json()["name"]) == (404, "unknown-proving-key")
    for path in ("..%2Fmanifest.json", "square.zkey", "%2e%2e/manifest.json"):
        assert requests.get(f"{cluster.url}/v1/keys/{path}", headers=headers, timeout=PATIENCE).status_code == 404


def test_keys_are_fetched_from_a_file_server_too(fetch, keys, tmp_path):
    assert fetch() == ["other", "square"]
    assert same_files(tmp_path / "ours", keys) == ["other", "square"]


def test_a_broken_connection_costs_what_was_on_its_way_only(fetch, files, keys, tmp_path):
    files.breaks = 2
    assert fetch() == ["other", "square"]
    same_files(tmp_path / "ours", keys)
    # 1,000,000 bytes came before each break: the rest is asked for from the last whole part on.
    other = [wanted for path, wanted in files.asked if path == "/other.zkey"]
    assert other == [None, f"bytes={15 * PART}-", f"bytes={30 * PART}-"]


def test_a_fetch_that_was_given_up_goes_on_where_it_was(fetch, files, keys, tmp_path):
    files.breaks, files.breaks_after = 1000, 0
    with pytest.raises(KeyFetchError, match="goes on where it was"):
        fetch()
    files.breaks, files.breaks_after = 1, 1_500_000
    part = tmp_path / "ours" / f".{hashlib.sha256((keys / 'other.zkey').read_bytes()).hexdigest()}.part"
    part.write_bytes((keys / "other.zkey").read_bytes()[:700_000])
    files.asked.clear()
    fetch()
    assert [wanted for path, wanted in files.asked if path == "/other.zkey"] == [
        "bytes=700000-",
        f"bytes={700_000 + 22 * PART}-",
    ]
    same_files(tmp_path / "ours", keys)


def test_a_server_without_ranges_begins_again(fetch, files, keys, tmp_path):
    files.ranges, files.breaks = False, 1
    fetch()
    same_files(tmp_path / "ours", keys)


def test_a_part_that_is_already_whole_is_taken(fetch, files, keys, tmp_path):
    content = (keys / "other.zkey").read_bytes()
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / f".{hashlib.sha256(content).hexdigest()}.part").write_bytes(content)
    fetch()
    same_files(tmp_path / "ours", keys)


def test_another_key_than_the_manifest_names_is_not_kept(fetch, keys, tmp_path):
    content = bytearray((keys / "square.zkey").read_bytes())
    content[SIZE // 2] ^= 1
    (keys / "square.zkey").write_bytes(content)
    with pytest.raises(KeyFetchError, match="ask the cluster's operator; nothing was kept"):
        fetch()
    ours = tmp_path / "ours"
    assert not (ours / "square.zkey").exists()
    assert not (ours / "manifest.json").exists()
    assert not list(ours.glob(".*.part"))


def test_a_part_from_somebody_else_is_found_out_and_thrown_away(fetch, keys, tmp_path):
    (tmp_path / "ours").mkdir()
    wanted = hashlib.sha256((keys / "other.zkey").read_bytes()).hexdigest()
    (tmp_path / "ours" / f".{wanted}.part").write_bytes(b"x" * 1000)
    with pytest.raises(KeyFetchError, match="SHA-256"):
        fetch()
    fetch()
    same_files(tmp_path / "ours", keys)


def test_another_verification_key_than_the_manifest_names_is_refused(fetch, keys):
    (keys / "square.vkey.json").write_bytes((keys / "other.vkey.json").read_bytes())
    with pytest.raises(KeyFetchError, match="verification key of square is not the one"):
        fetch()


def test_a_manifest_of_ones_own_is_gone_by(files, keys, tmp_path):
    """A server that offers other keys under its own manifest gets nowhere with them."""
    pinned = tmp_path / "pinned.json"
    pinned.write_bytes((keys / "manifest.json").read_bytes())
    evil = make_keys(tmp_path / "evil", seed=50)
    files.folder = evil
    with pytest.raises(KeyFetchError, match="SHA-256"):
        fetch_keys(Source(files.url), tmp_path / "ours", [], pinned, silent)
    files.folder = keys
    fetch_keys(Source(files.url), tmp_path / "ours", [], pinned, silent)
    same_files(tmp_path / "ours", keys)


def test_keys_of_other_circuits_stay(fetch, keys, tmp_path):
    mine = make_keys(tmp_path / "ours", names=("mine",), seed=9)
    fetch()
    assert sorted(read_manifest(mine)) == ["mine", "other", "square"]
    assert (mine / "mine.zkey").stat().st_size == SIZE


MANIFESTS = {
    "no JSON": b"{",
    "no circuit": b'{"version": 1, "circuits": []}',
    "another version": b'{"version": 9, "circuits": []}',
}


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_manifest_that_is_none_is_refused(manifest, fetch, keys):
    (keys / "manifest.json").write_bytes(MANIFESTS[manifest])
    with pytest.raises(KeyFetchError, match="the manifest is none"):
        fetch()


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "x" * 65, ".."])
def test_a_circuits_name_never_becomes_a_path(name, fetch, keys, tmp_path):
    document = json.loads((keys / "manifest.json").read_text())
    document["circuits"][0]["name"] = name
    (keys / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(KeyFetchError, match="the manifest is none"):
        fetch()
    assert not (tmp_path / "evil.zkey").exists()


@pytest.mark.parametrize("url", ["", "prover.example", "ftp://x/manifest.json", "http://127.0.0.1:9"])
def test_an_address_that_leads_nowhere_is_named(url, tmp_path):
    with pytest.raises(KeyFetchError) as caught:
        fetch_keys(Source(url), tmp_path / "ours", [], None, silent)
    assert url in str(caught.value)
