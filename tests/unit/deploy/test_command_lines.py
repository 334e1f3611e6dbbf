"""Every command line, variable, port and probe of the chart and the compose file is one of the real programs."""

import json
import re

import pytest
import yaml

from chain.relayer.app import relayer_app
from chain.sequencer_metrics import REGISTRY
from gateway.probes import probe_routes
from gelap.cli import MOUNTS
from gelap.metrics_page import metrics_app
from indexer.api.app import api_app
from indexer.api.app import metrics_app as indexer_metrics_app
from indexer.api.served import Api
from tests.unit.deploy.charts import ROOT, SETTINGS, component_of, containers, environment, pods
from tests.unit.deploy.commands import is_of_a_chain, options_of, parsed, split, variables_of
from tests.unit.deploy.compose_file import filled_in

DEPLOY = ROOT / "deploy"
EXTRAS = {"gateway": "cluster", "worker": "cluster", "keys": "cluster"} | {
    "indexer": "indexer",
    "relayer": "relayer",
    "sequencer": "relayer",
}
# The variable that says where a process listens, by its port's name.
LISTENERS = {
    "gateway": {
        "grpc": "GELAP_GATEWAY_ADDRESS",
        "http": "GELAP_HTTP_ADDRESS",
        "metrics": "GELAP_GATEWAY_METRICS_ADDRESS",
    },
    "worker": {"metrics": "GELAP_WORKER_METRICS_ADDRESS"},
    "indexer run": {"http": "GELAP_INDEXER_ADDRESS", "metrics": "GELAP_INDEXER_METRICS_ADDRESS"},
    "relayer": {"http": "GELAP_RELAYER_ADDRESS", "metrics": "GELAP_RELAYER_METRICS_ADDRESS"},
    "sequencer": {"metrics": "GELAP_SEQUENCER_METRICS_ADDRESS"},
}


def paths_of(command, port):
    """The paths that a process answers on the port of this name."""
    if command == "worker":
        # prometheus_client's own server answers any path; this is the one that is meant.
        return {"/metrics"}
    routes = {
        ("gateway", "metrics"): lambda: [*probe_routes(None), *metrics_app(REGISTRY).routes],
        ("indexer run", "http"): lambda: api_app(Api({}, None)).routes,
        ("indexer run", "metrics"): lambda: indexer_metrics_app().routes,
        ("relayer", "http"): lambda: relayer_app(None).routes,
        ("relayer", "metrics"): lambda: metrics_app(REGISTRY).routes,
        ("sequencer", "metrics"): lambda: metrics_app(REGISTRY).routes,
    }
    return {route.path for route in routes[command, port]()}


def words_of(container):
    """What follows `gelap` in a container of the chart; None for one that runs something else."""
    if "args" in container:
        return container["args"]
    script = " ".join(container.get("command", []))
    found = re.search(r"\bgelap ([a-z -]+);", script)
    return found[1].split() if found else None


def check_parses(words, environment):
    """That the real command takes this line and these variables, and would read every one of them."""
    command, _ = split(words)
    values = {name: "a-secret" if value is None else str(value) for name, value in environment.items()}
    parsed(words, values)
    # An empty one counts as none.
    ours = {name for name, value in values.items() if name.startswith("GELAP_") and value}
    if command == "indexer run":
        ours = {name for name in ours if not is_of_a_chain(name)}
    if command == "indexer status":
        ours -= {"GELAP_LOG_LEVEL"}
    assert ours <= variables_of(command), command


def test_a_wrong_option_or_variable_would_be_noticed():
    chosen = {"GELAP_POOL": "0x", "GELAP_EVM_KEY_FILE": "key"}
    check_parses(["sequencer", "--patience=3"], chosen)
    for words, more in (
        (["sequencer", "--patiense=3"], {}),
        (["sequencer", "--patience=soon"], {}),
        (["sequencer"], {"GELAP_DEPLOYED_AT": "1.9e+07"}),
        (["sequencer"], {"GELAP_PROVERS": "local"}),
    ):
        with pytest.raises(Exception, match=r"(?i)no such option|valid|GELAP_PROVERS"):
            check_parses(words, chosen | more)
    with pytest.raises(Exception, match=r"(?i)missing"):
        check_parses(["sequencer"], {"GELAP_POOL": "0x"})


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_the_charts_command_lines_are_taken_by_the_commands(charts, settings):
    seen = set()
    for pod in pods(charts[settings]):
        for container in containers(pod):
            words = words_of(container)
            if words is not None:
                variables = {name: value for name, value in environment(container).items() if name != "A"}
                check_parses(words, variables)
                seen.add(component_of(pod))
    assert seen == {component_of(pod) for pod in pods(charts[settings])} - {"redis"}


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_the_charts_ports_and_probes_are_those_that_are_listened_on(charts, settings):
    for pod in pods(charts[settings]):
        if component_of(pod) == "redis":
            continue
        (container,) = pod["spec"]["containers"]
        command, _ = split(container["args"])
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        variables = environment(container)
        listening = {
            name: int(variables[variable].removeprefix("0.0.0.0:"))
            for name, variable in LISTENERS[command].items()
            if variable in variables
        }
        assert ports == listening
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = container[name]["httpGet"]
            assert asked["path"] in paths_of(command, asked["port"])


@pytest.mark.slow
def test_services_and_metrics_are_at_the_ports_of_the_defaults_and_of_prometheus(charts):
    defaults = {
        "test-gelap-gateway": {"grpc": 50051},
        "test-gelap-indexer-api": {"http": 8090},
        "test-gelap-relayer": {"http": int(options_of("relayer")["address"].default.rpartition(":")[2])},
    }
    assert "127.0.0.1:8090" in json.dumps([each.default for each in _settings_fields()])
    for service in (each for each in charts["everything"] if each["kind"] == "Service"):
        ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
        assert defaults.get(service["metadata"]["name"], {}).items() <= ports.items()
    monitored = {
        split(pod["spec"]["containers"][0]["args"])[0].split()[0]: port["containerPort"]
        for pod in pods(charts["everything"])
        for port in pod["spec"]["containers"][0]["ports"]
        if port["name"] == "metrics"
    }
    assert scraped() == monitored


def _settings_fields():
    from gelap.settings import Settings

    return [field for name, field in Settings.model_fields.items() if name.endswith("_address")]


def scraped():
    """The metrics port of each part in prometheus.yml."""
    found = {}
    for job in yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]:
        targets = [each for group in job.get("static_configs", []) for each in group["targets"]]
        targets += [f"{name}:{group['port']}" for group in job.get("dns_sd_configs", []) for name in group["names"]]
        ((service, port),) = [target.split(":") for target in targets]
        assert job["job_name"] == f"gelap-{service}"
        found[service] = int(port)
    return found


def ours(compose):
    """The compose file's services that run `gelap`, by name."""
    return {name: each for name, each in compose["services"].items() if each.get("command", [""])[0] in MOUNTS}


def test_the_compose_files_command_lines_are_taken_by_the_commands():
    chosen = {"GELAP_POOL": "0x" + "ab" * 20, "GELAP_RPC_URL": "http://node.example"}
    more = {
        "GELAP_KEYS_COMMAND": "fetch",
        "GELAP_KEYS_URL": "https://files.example/manifest.json",
        "GELAP_RELAYER_VIEWING_KEY_FILE": "/etc/gelap/relayer/viewing.key",
        "GELAP_API_KEY": "a-key",
        "GELAP_KEY_FINGERPRINT": "ab" * 32,
    }
    for variables in (chosen, chosen | more):
        services = ours(filled_in(**variables))
        assert set(services) == {"keys", "gateway", "worker", "gpu-worker", "indexer", "relayer", "sequencer"}
        for service in services.values():
            # Filled in as text, nothing is null; Compose makes it an empty text.
            texts = {name: value or "" for name, value in service.get("environment", {}).items()}
            check_parses(service["command"], texts)


def test_the_compose_files_ports_and_health_checks_are_those_that_are_listened_on():
    metrics = scraped()
    for service in ours(filled_in()).values():
        command, _ = split(service["command"])
        variables = service.get("environment", {})
        listening = {
            int(variables[variable].removeprefix("0.0.0.0:")): name
            for name, variable in LISTENERS.get(command, {}).items()
            if variable in variables
        }
        assert {int(each.rpartition(":")[2]) for each in service.get("ports", [])} <= set(listening)
        for port, name in listening.items():
            if name == "metrics":
                assert metrics[command.split()[0]] == port
        if "healthcheck" in service:
            ((port, path),) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)'", service["healthcheck"]["test"][-1])
            assert path in paths_of(command, listening[int(port)])


def test_only_this_machine_reaches_what_speaks_plain_http():
    for name, service in ours(filled_in()).items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:") or (name, port) in {
                ("gateway", "50051:50051"),
                ("gateway", "443:8443"),
            }


def test_images_are_built_with_the_extras_that_their_commands_need():
    for service in ours(filled_in()).values():
        extras = service["build"].get("args", {}).get("EXTRAS", "cluster").split(",")
        assert EXTRAS[service["command"][0]] in extras
