"""TLS on both listeners: served, demanded of clients, renewed without a restart, and never left out by mistake."""

import datetime
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import sys

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.tls import is_loopback
from proto import errors
from proto.client import ProverClient
from proto.rest_client import RestProverClient
from tests.service.cluster_processes import PATIENCE


class Authority:
    """A CA of the test's own."""

    def __init__(self, folder, name):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.sign(self.name, self.key, authority=True)
        self.file = folder / f"{name}.ca.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, subject, key, *, authority=False):
        now = datetime.datetime.now(datetime.UTC)
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, name):
        """Write `name`.pem and `name`.key; returns both paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "ours")


def credentials(ca, certificate=None, key=None):
    return grpc.ssl_channel_credentials(
        ca.file.read_bytes(), key and key.read_bytes(), certificate and certificate.read_bytes()
    )


def rest_url(cluster):
    return f"https://{cluster.listening('http_port')}"


def serial_of(address):
    """The serial number of the certificate that a listener shows now."""
    host, port = address.split(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=PATIENCE) as plain,
        context.wrap_socket(plain) as connection,
    ):
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True)).serial_number


def test_both_listeners_speak_tls_and_nothing_else(cluster, authority, tmp_path):
    certificate, key = authority.issue("server")
    cluster.gateway("--tls-cert", certificate, "--tls-key", key)
    cluster.worker()
    statement = [49], {"square": 49, "root": 7}
    with ProverClient(cluster.address, "alice", credentials=credentials(authority)) as client:
        assert client.prove("square", *statement).proof
    with RestProverClient(rest_url(cluster), "alice", ca_file=str(authority.file)) as client:
        assert client.prove("square", *statement).cached
        job = client.submit("square", [64], {"square": 64, "root": 8})
        assert list(client.watch(job.id))[-1].proof
    stranger = Authority(tmp_path, "stranger")
    with (
        RestProverClient(rest_url(cluster), "alice", ca_file=str(stranger.file)) as client,
        pytest.raises(errors.UnreachableError, match="TLS"),
    ):
        client.circuits()
    with (
        ProverClient(cluster.address, "alice", credentials=credentials(stranger)) as client,
        pytest.raises(errors.UnreachableError),
    ):
        client.circuits()
    with ProverClient(cluster.address, "alice") as client, pytest.raises(errors.UnreachableError):
        client.circuits()
    with RestProverClient(cluster.url, "alice") as client, pytest.raises(errors.UnreachableError):
        client.circuits()


def test_clients_without_a_certificate_of_the_named_authority_are_not_let_in(cluster, authority, tmp_path):
    certificate, key = authority.issue("server")
    clients = Authority(tmp_path, "clients")
    mine, my_key = clients.issue("mine")
    cluster.gateway("--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", clients.file)
    with ProverClient(cluster.address, "alice", credentials=credentials(authority, mine, my_key)) as client:
        assert len(client.circuits()) == 2
    with RestProverClient(
        rest_url(cluster), "alice", ca_file=str(authority.file), certificate=(str(mine), str(my_key))
    ) as client:
        assert len(client.circuits()) == 2
    other, other_key = authority.issue("other")
    for pair in ((None, None), (other, other_key)):
        with (
            ProverClient(cluster.address, "alice", credentials=credentials(authority, *pair)) as client,
            pytest.raises(errors.UnreachableError),
        ):
            client.circuits()
        files = (str(pair[0]), str(pair[1])) if pair[0] else None
        with (
            RestProverClient(rest_url(cluster), "alice", ca_file=str(authority.file), certificate=files) as client,
            pytest.raises(errors.UnreachableError),
        ):
            client.circuits()


def test_new_files_are_taken_up_without_a_restart_and_wrong_ones_are_not(cluster, authority):
    certificate, key = authority.issue("server")
    gateway = cluster.gateway("--tls-cert", certificate, "--tls-key", key)
    rest, rpc = cluster.listening("http_port"), cluster.address
    first = serial_of(rest)
    assert serial_of(rpc) == first
    with ProverClient(rpc, "alice", credentials=credentials(authority)) as connected:
        connected.circuits()
        _, other_key = authority.issue("other")
        shutil.copy(other_key, key)
        gateway.wait_for("the new TLS files cannot be used")
        assert serial_of(rest) == serial_of(rpc) == first
        new_certificate, new_key = authority.issue("renewed")
        os.replace(new_certificate, certificate)
        os.replace(new_key, key)
        gateway.wait_for("TLS files read again")
        renewed = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
        assert renewed != first
        assert serial_of(rest) == renewed
        assert serial_of(rpc) == renewed
        connected.circuits()  # what was connected before stays so
    with ProverClient(rpc, "alice", credentials=credentials(authority)) as client:
        client.circuits()


def test_a_connection_that_never_speaks_stops_nobody_else(cluster, authority):
    certificate, key = authority.issue("server")
    cluster.gateway("--tls-cert", certificate, "--tls-key", key)
    silent = []
    for what in ("http_port", "port"):
        host, port = cluster.listening(what).split(":")
        silent += [socket.create_connection((host, int(port))) for _ in range(20)]
    with RestProverClient(rest_url(cluster), "alice", ca_file=str(authority.file)) as client:
        client.circuits()
    with ProverClient(cluster.address, "alice", credentials=credentials(authority)) as client:
        client.circuits()
    for connection in silent:
        connection.close()


def gateway_command(cluster, *options):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
    return subprocess.run(
        [sys.executable, "-m", "gelap.cli", "gateway", "--key-dir", str(cluster.key_dir), *map(str, options)],
        env=clean | {"GELAP_REDIS_URL": cluster.redis_url},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


SETUPS = {
    "gRPC for others in plain text": (["--address", "0.0.0.0:0"], "gRPC would listen on 0.0.0.0:0 without TLS"),
    "REST for others in plain text": (
        ["--address", "127.0.0.1:0", "--http-address", "0.0.0.0:0"], "REST would listen on 0.0.0.0:0 without TLS",
    ),
    "a certificate without a key": (["--tls-cert", "x.pem"], "both a certificate and its key"),
    "a client CA without a certificate": (["--tls-client-ca", "x.pem"], "both a certificate and its key"),
    "no such file": (["--tls-cert", "x.pem", "--tls-key", "x.key"], "No such file"),
    "an address that is none": (
        ["--address", "127.0.0.1:0", "--http-address", "nowhere", "--plaintext"], "no address to listen on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("setup", SETUPS)
def test_a_setup_that_cannot_be_meant_ends_with_one_line(setup, cluster):
    options, says = SETUPS[setup]
    result = gateway_command(cluster, *options)
    assert result.returncode == 2
    error = result.stderr.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert says in error
    assert "Traceback" not in result.stderr


def test_a_key_of_another_certificate_ends_the_start(cluster, authority):
    certificate, _ = authority.issue("server")
    _, other = authority.issue("other")
    result = gateway_command(cluster, "--tls-cert", certificate, "--tls-key", other)
    assert result.returncode == 2
    assert "are not a certificate in PEM and its private key" in result.stderr


def test_plain_text_for_others_is_served_when_it_is_asked_for(cluster):
    gateway = cluster.gateway("--address", "0.0.0.0:0", "--plaintext")
    gateway.wait_for("gateway ready")
    with cluster.client() as client:
        assert len(client.circuits()) == 2


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/run/gelap.sock", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("localhost.example:1", False),
        (":1", False),
    ],
)
def test_loopback_is_what_only_this_machine_can_reach(address, own):
    assert is_loopback(address) is own
