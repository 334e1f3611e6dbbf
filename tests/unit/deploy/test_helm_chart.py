"""The Helm chart, rendered by Go's template engine, against Kubernetes's schemas; and the proving cluster in it."""

import copy
import json
import re
import subprocess

import kubernetes_validate
import pytest

from tests.unit.deploy.charts import (
    SETTINGS,
    component_of,
    containers,
    environment,
    named,
    of_kind,
    pods,
    rendered,
)

pytestmark = pytest.mark.slow

# Not Kubernetes's own, so their schemas are elsewhere.
FOREIGN = {"ScaledObject", "PodMonitor"}
# The oldest that Chart.yaml allows, of those whose schemas the package has, and the newest.
VERSIONS = ("1.27", kubernetes_validate.latest_version())
WITH_CLUSTER = [name for name, changes in SETTINGS.items() if changes.get("gateway", {}).get("enabled", True)]
# Whose environment variables hold passwords, keys or URLs with either.
SECRET_VARIABLES = (
    "GELAP_REDIS_URL",
    "REDISCLI_AUTH",
    "GELAP_DATABASE_URL",
    "GELAP_API_KEY",
    "GELAP_INDEXER_REDIS_URL",
)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one_by_kubernetes_schemas(charts, settings, version):
    for each in charts[settings]:
        if each["kind"] not in FOREIGN:
            kubernetes_validate.validate(each, version, strict=True)
        assert each["metadata"]["name"].startswith("test-gelap")
    names = [(each["kind"], each["metadata"]["name"]) for each in charts[settings]]
    assert len(set(names)) == len(names)


def test_a_typing_error_in_an_object_would_be_noticed(charts):
    broken = copy.deepcopy(of_kind(charts["claim"], "Deployment")[0])
    broken["spec"]["template"]["spec"]["terminationGracePeriod"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_the_jobs_of_prometheus_are_those_that_the_alerts_name(charts):
    (monitor,) = of_kind(charts["everything"], "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (renamed,) = endpoint["relabelings"]
    names = {re.sub(f"^{renamed['regex']}$", r"gelap-\1", component_of(pod)) for pod in pods(charts["everything"])}
    assert renamed["replacement"] == "gelap-$1"
    assert names - {"gelap-redis"} == {
        "gelap-gateway",
        "gelap-worker",
        "gelap-indexer",
        "gelap-relayer",
        "gelap-sequencer",
    }


def test_without_keys_the_chart_says_what_is_missing(renderer):
    with pytest.raises(subprocess.CalledProcessError) as failure:
        rendered(renderer, {})
    assert "set keys.existingClaim or keys.url" in failure.value.stderr


@pytest.mark.parametrize("settings", SETTINGS)
def test_selectors_select_what_they_are_meant_for(charts, settings):
    objects = charts[settings]
    labels = [pod["metadata"]["labels"] for pod in pods(objects)]

    def selected(selector):
        def fits(pod):
            wanted = selector.get("matchLabels", {}).items() <= pod.items()
            return wanted and all(pod[each["key"]] in each["values"] for each in selector.get("matchExpressions", []))

        return [pod for pod in labels if fits(pod)]

    for each in of_kind(objects, "Deployment", "StatefulSet"):
        (only,) = selected(each["spec"]["selector"])
        assert only == each["spec"]["template"]["metadata"]["labels"]
    for each in of_kind(objects, "Service"):
        (only,) = selected({"matchLabels": each["spec"]["selector"]})
        assert only["app.kubernetes.io/component"] == each["metadata"]["name"].removeprefix("test-gelap-")
    for each in of_kind(objects, "PodDisruptionBudget"):
        assert len(selected(each["spec"]["selector"])) == 1
    for each in of_kind(objects, "NetworkPolicy"):
        assert selected(each["spec"]["podSelector"])
    for each in of_kind(objects, "PodMonitor"):
        monitored = {pod["app.kubernetes.io/component"] for pod in selected(each["spec"]["selector"])}
        assert monitored == {component_of(pod) for pod in pods(objects)} - {"redis"}


@pytest.mark.parametrize("settings", SETTINGS)
def test_secrets_are_named_and_never_written(charts, settings):
    objects = charts[settings]
    assert of_kind(objects, "Secret") == []
    for pod in pods(objects):
        for container in containers(pod):
            for each in container.get("env", []):
                if each["name"].startswith((*SECRET_VARIABLES, "GELAP_RPC_URL")):
                    assert set(each["valueFrom"]) == {"secretKeyRef"}
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_the_cluster_key_reaches_a_worker_as_a_file_that_only_it_can_read(charts):
    pod = named(charts["claim"], "Deployment", "-worker-cpu")["spec"]["template"]["spec"]
    (copies,) = [each for each in pod["initContainers"] if each["name"] == "cluster-key"]
    assert copies["command"][:3] == ["install", "-m", "600"]
    key_file = environment(pod["containers"][0])["GELAP_CLUSTER_KEY_FILE"]
    assert copies["command"][-1] == key_file
    (volume,) = [each for each in pod["volumes"] if each["name"] == "cluster-key"]
    assert volume["emptyDir"]["medium"] == "Memory"
    gateway = named(charts["claim"], "Deployment", "-gateway")
    assert "cluster-key" not in json.dumps(gateway)


@pytest.mark.parametrize("settings", SETTINGS)
def test_what_is_mounted_is_a_volume_of_the_pod_and_at_one_place(charts, settings):
    for pod in pods(charts[settings]):
        claims = {"data"} if component_of(pod) == "redis" else set()
        volumes = [volume["name"] for volume in pod["spec"].get("volumes", [])]
        assert len(set(volumes)) == len(volumes)
        mounted = set()
        for container in containers(pod):
            paths = [mount["mountPath"] for mount in container["volumeMounts"]]
            assert len(set(paths)) == len(paths)
            mounted |= {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == set(volumes) | claims
        assert all(container["resources"]["limits"]["memory"] for container in containers(pod))


@pytest.mark.parametrize("settings", WITH_CLUSTER)
def test_pods_get_the_time_to_drain_that_they_take(charts, settings):
    for pod in pods(charts[settings]):
        variables = environment(pod["spec"]["containers"][0])
        takes = float(variables.get("GELAP_WORKER_DRAIN") or 0)
        takes += float(variables.get("GELAP_DRAIN_NOTICE") or 0) + float(variables.get("GELAP_DRAIN_SECONDS") or 0)
        assert pod["spec"]["terminationGracePeriodSeconds"] >= takes + 5
    gateway = named(charts[settings], "Deployment", "-gateway")["spec"]
    notice = float(environment(gateway["template"]["spec"]["containers"][0])["GELAP_DRAIN_NOTICE"])
    probe = gateway["template"]["spec"]["containers"][0]["readinessProbe"]
    assert notice > probe["periodSeconds"] * probe["failureThreshold"], "balancers notice before calls are refused"
    assert gateway["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_gateways_speak_tls_unless_told_that_something_else_does(charts):
    secure = named(charts["claim"], "Deployment", "-gateway")["spec"]["template"]["spec"]["containers"][0]
    assert {"GELAP_TLS_CERT", "GELAP_TLS_KEY"} <= set(environment(secure))
    assert "GELAP_PLAINTEXT" not in environment(secure)
    plain = named(charts["little"], "Deployment", "-gateway")["spec"]["template"]["spec"]["containers"][0]
    assert environment(plain)["GELAP_PLAINTEXT"] == "1"
    assert "GELAP_TLS_CERT" not in environment(plain)


def test_a_gpu_worker_gets_a_gpu(charts):
    worker = named(charts["everything"], "Deployment", "-worker-gpu")["spec"]["template"]["spec"]
    (container,) = worker["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert environment(container)["GELAP_DEVICE"] == "cuda"
    assert worker["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert (
        container["image"]
        != named(charts["everything"], "Deployment", "-worker-cpu")["spec"]["template"]["spec"]["containers"][0][
            "image"
        ]
    )
    assert not [each for each in charts["claim"] if each["metadata"]["name"].endswith("-gpu")]


def test_pools_scale_on_device_seconds_in_the_queue(charts):
    scaled = of_kind(charts["everything"], "ScaledObject")
    assert {each["metadata"]["name"] for each in scaled} == {"test-gelap-worker-cpu", "test-gelap-worker-gpu"}
    for each in scaled:
        deployment = named(charts["everything"], "Deployment", each["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in deployment["spec"], "two would fight over the number"
        device, jobs = each["spec"]["triggers"]
        assert "gelap_queue_device_seconds" in device["metadata"]["query"]
        assert 'namespace="proving"' in device["metadata"]["query"]
        assert all(isinstance(value, str) for value in (*device["metadata"].values(), *jobs["metadata"].values()))
        assert each["spec"]["minReplicaCount"] <= each["spec"]["maxReplicaCount"]
    assert of_kind(charts["claim"], "ScaledObject") == []
    assert named(charts["claim"], "Deployment", "-worker-cpu")["spec"]["replicas"] == 2


def test_workers_and_redis_reach_nothing_else(charts):
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(charts["claim"], "NetworkPolicy")}
    worker, redis = policies["test-gelap-worker"], policies["test-gelap-redis"]
    assert all(policy["policyTypes"] == ["Ingress", "Egress"] for policy in policies.values())
    assert redis["egress"] == []
    (into_redis,) = redis["ingress"]
    assert into_redis["from"][0]["podSelector"]["matchExpressions"][0]["values"] == ["gateway", "worker"]
    names, to_redis = worker["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert to_redis["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "redis"
    assert [port["port"] for rule in worker["ingress"] for port in rule["ports"]] == ["metrics"]
    fetching = named(charts["fetched keys"], "NetworkPolicy", "-worker")["spec"]["egress"]
    assert {"ports": [{"port": 443}]} in fetching
    assert of_kind(charts["no policies"], "NetworkPolicy") == []


def test_redis_keeps_its_data_on_a_volume(charts):
    (redis,) = of_kind(charts["claim"], "StatefulSet")
    (claim,) = redis["spec"]["volumeClaimTemplates"]
    (container,) = redis["spec"]["template"]["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    (config,) = of_kind(charts["claim"], "ConfigMap")
    settings = dict(
        line.split(None, 1) for line in config["data"]["redis.conf"].splitlines() if not line.startswith("#")
    )
    assert mounts[claim["metadata"]["name"]] == settings["dir"]
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["appendonly"] == "yes"
    assert of_kind(charts["little"], "StatefulSet") == []


def test_the_notes_name_the_service(renderer):
    objects, notes = rendered(renderer, SETTINGS["claim"])
    service = named(objects, "Service", "-gateway")
    for port in service["spec"]["ports"]:
        assert f"{service['metadata']['name']}:{port['port']}" in notes
