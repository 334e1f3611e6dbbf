"""The files a gateway or worker starts from: the manifest of circuits and the cluster's private key."""

import json

import pytest

from protocol.sealing import ClusterPrivateKey
from worker.cluster_key import load_cluster_key
from worker.errors import ConfigurationError
from worker.manifest import read_manifest

ENTRY = {
    "name": "spend_2x2",
    "zkey": "spend_2x2.zkey",
    "zkey_sha256": "ab" * 32,
    "verification_key": "spend_2x2.vkey.json",
    "verification_key_digest": "cd" * 32,
    "r1cs_sha256": "ef" * 32,
    "public_inputs": 8,
    "development": True,
}


def write(folder, document):
    (folder / "manifest.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return folder


def test_a_manifest_is_read(tmp_path):
    circuits = read_manifest(write(tmp_path, {"version": 1, "circuits": [ENTRY]}))
    entry = circuits["spend_2x2"]
    assert (entry.zkey, entry.zkey_sha256) == (tmp_path / "spend_2x2.zkey", b"\xab" * 32)
    assert (entry.verification_key_digest, entry.public_inputs, entry.development) == (b"\xcd" * 32, 8, True)


def test_a_missing_manifest_says_how_to_make_it(tmp_path):
    with pytest.raises(ConfigurationError, match="gelap keys make"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        "\x00",
        {},
        {"version": 2, "circuits": [ENTRY]},
        {"version": 1},
        {"version": 1, "circuits": []},
        {"version": 1, "circuits": [[]]},
        {"version": 1, "circuits": [{}]},
        *(
            {"version": 1, "circuits": [ENTRY | change]}
            for change in (
                {"zkey": "../spend_2x2.zkey"},
                {"zkey": "/etc/passwd"},
                {"zkey": None},
                {"zkey_sha256": "ab" * 31},
                {"verification_key_digest": 7},
                {"public_inputs": 0},
                {"public_inputs": "8"},
                {"public_inputs": True},
            )
        ),
    ],
)
def test_a_malformed_manifest_is_one_clear_error(tmp_path, document):
    with pytest.raises(ConfigurationError, match=r"manifest\.json"):
        read_manifest(write(tmp_path, document))


def test_a_key_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "new folder" / "cluster-key.pem"
    key, made = load_cluster_key(path)
    assert made
    assert path.stat().st_mode & 0o777 == 0o600
    again, made = load_cluster_key(path)
    assert not made
    assert again.public_key == key.public_key
    assert [file.name for file in path.parent.iterdir()] == ["cluster-key.pem"]


def test_a_key_in_the_form_that_openssl_writes_is_read(tmp_path):
    path = tmp_path / "key.pem"
    # As `openssl genpkey -algorithm x25519` does: PKCS #8 without attributes.
    path.write_text(
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n"
        "-----END PRIVATE KEY-----\n"
    )
    path.chmod(0o600)
    # The private key is Alice's of RFC 7748, section 6.1, and so is the public one.
    public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert load_cluster_key(path)[0].public_key.hex() == public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    path = tmp_path / "key.pem"
    path.write_text(ClusterPrivateKey.generate().to_pem())
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_cluster_key(path)


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_one_clear_error(tmp_path, content):
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="X25519"):
        load_cluster_key(path)


def test_a_key_that_cannot_be_read_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_cluster_key(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_cluster_key(tmp_path / "file" / "key.pem")
