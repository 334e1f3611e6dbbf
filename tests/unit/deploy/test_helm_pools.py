"""The indexer, the relayer and the sequencers of the Helm chart."""

import copy
import json
import re
import subprocess

import pytest
import yaml

from chain.relayer.prices import Prices
from indexer.config import read_config
from tests.unit.deploy.charts import (
    INDEXER,
    POOL,
    RELAYER,
    ROOT,
    SEQUENCER,
    SETTINGS,
    TOKEN,
    WITHOUT_CLUSTER,
    SchemaError,
    component_of,
    containers,
    environment,
    named,
    of_kind,
    pods,
    rendered,
)

pytestmark = pytest.mark.slow
CLUSTER = {"gateway", "worker", "redis"}


def pod_of(objects, ending):
    return named(objects, "Deployment", ending)["spec"]["template"]["spec"]


def policy_of(objects, ending):
    return named(objects, "NetworkPolicy", ending)["spec"]


def test_nothing_of_a_pool_is_there_until_it_is_asked_for(charts):
    assert {component_of(pod) for pod in pods(charts["claim"])} == CLUSTER
    assert not {component_of(pod) for pod in pods(charts["pools alone"])} & CLUSTER
    assert {component_of(pod) for pod in pods(charts["another prover"])} == {"sequencer"}


def test_exactly_one_follower_writes_and_the_api_has_only_the_readers_url(charts):
    for settings in ("everything", "pools alone"):
        follower = named(charts[settings], "Deployment", "-indexer")["spec"]
        assert (follower["replicas"], follower["strategy"]) == (1, {"type": "Recreate"})
        api = named(charts[settings], "Deployment", "-indexer-api")["spec"]
        assert api["replicas"] == {"everything": 3, "pools alone": 2}[settings]
        for deployment, key in ((follower, "url"), (api, "read-url")):
            for container in containers(deployment["template"]):
                (url,) = [each for each in container["env"] if each["name"] == "GELAP_DATABASE_URL"]
                assert url["valueFrom"]["secretKeyRef"] == {"name": "indexer-database", "key": key}
        assert "GELAP_RPC_URL" not in json.dumps(api), "a process that strangers ask needs no node's URL"
        assert follower["template"]["spec"]["containers"][0]["args"][-1] == "--no-api"
        assert api["template"]["spec"]["containers"][0]["args"][-1] == "--no-follow"


def test_the_follower_reads_the_chains_of_the_values_and_their_endpoints(charts, tmp_path):
    config = named(charts["everything"], "ConfigMap", "-indexer")["data"]
    container = pod_of(charts["everything"], "-indexer")["containers"][0]
    (where,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "config"]
    ((name, text),) = config.items()
    assert environment(container)["GELAP_INDEXER_CONFIG"] == f"{where}/{name}"
    path = tmp_path / name
    path.write_text(text)
    urls = {
        each["name"]: f"https://{each['valueFrom']['secretKeyRef']['key']}.example"
        for each in container["env"]
        if each["name"].startswith("GELAP_RPC_URL_")
    }
    chains = {chain.name: chain for chain in read_config(path, urls).chains}
    assert set(chains) == {"base", "my-chain"}
    base = chains["base"]
    assert base.pool == bytes.fromhex(POOL[2:])
    assert (base.chain_id, base.first_block, base.confirmations, base.rpc_timeout) == (8453, 19_000_000, 6, 2.5)
    assert {name: chain.rpc_urls for name, chain in chains.items()} == {
        "base": ("https://base.example",),
        "my-chain": ("https://my-chain.example",),
    }


def test_other_chains_start_the_indexers_processes_again(renderer, charts):
    changes = copy.deepcopy(SETTINGS["everything"])
    changes["indexer"]["chains"]["base"]["confirmations"] = 7
    objects, _ = rendered(renderer, changes)
    for ending in ("-indexer", "-indexer-api"):
        before, after = (
            named(each, "Deployment", ending)["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for each in (charts["everything"], objects)
        )
        assert before != after


def test_the_api_waits_for_the_follower_to_have_brought_the_tables_up_to_date(charts):
    (waiting,) = pod_of(charts["everything"], "-indexer-api")["initContainers"]
    assert "until gelap indexer status" in waiting["command"][-1]
    startup = pod_of(charts["everything"], "-indexer")["containers"][0]["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 60 * 60


def test_one_relayer_has_one_account_and_one_journal_that_stays(charts):
    for settings in ("everything", "pools alone"):
        relayer = named(charts[settings], "Deployment", "-relayer")["spec"]
        assert (relayer["replicas"], relayer["strategy"]) == (1, {"type": "Recreate"})
    pod = pod_of(charts["everything"], "-relayer")
    (claim,) = of_kind(charts["everything"], "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    (journal,) = [volume for volume in pod["volumes"] if volume["name"] == "journal"]
    assert journal["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    container = pod["containers"][0]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert environment(container)["GELAP_RELAYER_JOURNAL"].startswith(mounts["journal"]["mountPath"] + "/")
    assert "readOnly" not in mounts["journal"]
    assert of_kind(charts["pools alone"], "PersistentVolumeClaim") == []
    (given,) = [each for each in pod_of(charts["pools alone"], "-relayer")["volumes"] if each["name"] == "journal"]
    assert given["persistentVolumeClaim"]["claimName"] == "relayer-journal"


def test_the_relayers_prices_are_those_of_the_values(charts, tmp_path):
    pod = pod_of(charts["everything"], "-relayer")
    (volume,) = [each for each in pod["volumes"] if each["name"] == "prices"]
    config = named(charts["everything"], "ConfigMap", "-relayer")
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    ((name, text),) = config["data"].items()
    assert environment(pod["containers"][0])["GELAP_RELAYER_PRICES"].endswith(f"/{name}")
    path = tmp_path / name
    path.write_text(text)
    assert {token.lower(): price for token, price in Prices(path).rates().items()} == {TOKEN: 3_000_000_000}
    # A file that is mounted by itself would not change with its ConfigMap.
    assert all("subPath" not in mount for mount in pod["containers"][0]["volumeMounts"])
    (other,) = [each for each in pod_of(charts["pools alone"], "-relayer")["volumes"] if each["name"] == "prices"]
    assert other["configMap"]["name"] == "kept-true"


@pytest.mark.parametrize("settings", ["everything", "pools alone", "another prover"])
def test_keys_of_accounts_are_files_of_secrets_that_one_process_each_has(charts, settings):
    seen = []
    for pod in pods(charts[settings]):
        volumes = {each["name"]: each for each in pod["spec"].get("volumes", [])}
        for container in pod["spec"]["containers"]:
            files = {
                name: value
                for name, value in environment(container).items()
                if name in ("GELAP_EVM_KEY_FILE", "GELAP_EVM_PASSPHRASE_FILE", "GELAP_RELAYER_VIEWING_KEY_FILE")
            }
            mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
            for path in files.values():
                mount = mounts[path.rpartition("/")[0]]
                assert mount["readOnly"] is True
                assert volumes[mount["name"]]["secret"]["defaultMode"] == 0o440
            if files:
                seen.append(volumes["account"]["secret"]["secretName"])
    assert len(set(seen)) == len(seen) >= 1


def test_every_account_of_a_sequencer_is_a_process_of_its_own(charts):
    sequencers = [
        each for each in of_kind(charts["everything"], "Deployment") if "-sequencer-" in each["metadata"]["name"]
    ]
    assert [each["metadata"]["name"].rpartition("-")[2] for each in sequencers] == ["first", "second"]
    for each in sequencers:
        assert (each["spec"]["replicas"], each["spec"]["strategy"]) == (1, {"type": "Recreate"})
    first, second = (environment(each["spec"]["template"]["spec"]["containers"][0]) for each in sequencers)
    assert first["GELAP_DEPLOYED_AT"] == "19000000"
    assert first["GELAP_EVM_KEY_FILE"].endswith("/key")
    assert "GELAP_EVM_PASSPHRASE_FILE" not in first
    assert second["GELAP_EVM_KEY_FILE"].endswith("/key.json")
    assert second["GELAP_EVM_PASSPHRASE_FILE"].endswith("/passphrase")


def test_a_sequencer_proves_with_this_releases_gateways_or_where_it_is_told(charts, renderer):
    def variables(objects):
        return environment(pod_of(objects, "-sequencer-first")["containers"][0])

    service = named(charts["everything"], "Service", "-gateway")
    port = next(each["port"] for each in service["spec"]["ports"] if each["name"] == "grpc")
    own = variables(charts["everything"])
    assert own["GELAP_PROVER"] == f"grpcs://{service['metadata']['name']}:{port}"
    assert {"GELAP_API_KEY", "GELAP_KEY_FINGERPRINT", "GELAP_PROVER_CA"} <= set(own)
    local = variables(charts["pools alone"])
    assert local["GELAP_PROVER"] == "local"
    assert "GELAP_API_KEY" not in local
    pod = pod_of(charts["pools alone"], "-sequencer-first")
    assert [each["name"] for each in pod["initContainers"]] == ["fetch-keys"]
    assert local["GELAP_KEY_DIR"] in {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert variables(charts["another prover"])["GELAP_PROVER"] == "https://prover.example"
    plain = {"keys": {"existingClaim": "k"}, "gateway": {"tls": {"existingSecret": ""}}, "sequencer": SEQUENCER}
    assert variables(rendered(renderer, plain)[0])["GELAP_PROVER"] == f"grpc://{service['metadata']['name']}:{port}"


def test_each_reaches_and_is_reached_by_what_it_needs_to(charts):
    objects = charts["everything"]
    assert {port["port"] for rule in policy_of(objects, "-indexer")["egress"] for port in rule["ports"]} == {
        *(53, 5432, 8545, 443),
    }
    assert [rule["ports"] for rule in policy_of(objects, "-indexer")["ingress"]] == [[{"port": "metrics"}]]
    api = policy_of(objects, "-indexer-api")
    assert {port["port"] for rule in api["egress"] for port in rule["ports"]} == {53, 5432, 6379}
    assert api["ingress"][0]["from"] == [{"ipBlock": {"cidr": "10.2.0.0/16"}}]
    relayer = policy_of(objects, "-relayer")
    names, nodes = relayer["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert nodes == {
        "ports": [{"port": 8545}, {"port": 443}],
        "to": [{"ipBlock": {"cidr": "10.4.0.0/16"}}],
    }
    assert relayer["ingress"][0] == {"ports": [{"port": "http"}], "from": [{"ipBlock": {"cidr": "10.3.0.0/16"}}]}
    *_, to_prover = policy_of(objects, "-sequencer")["egress"]
    assert to_prover["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    (calls, _) = policy_of(objects, "-gateway")["ingress"]
    assert calls["from"][0] == {"ipBlock": {"cidr": "10.0.0.0/8"}}
    assert calls["from"][1]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "sequencer"
    *_, keys = policy_of(charts["pools alone"], "-sequencer")["egress"]
    assert keys == {"ports": [{"port": 443}]}
    *_, elsewhere = policy_of(charts["another prover"], "-sequencer")["egress"]
    assert elsewhere == {"ports": [{"port": 443}, {"port": 50051}]}
    parts = {component_of(pod) for pod in pods(charts["pools alone"])}
    policies = of_kind(charts["pools alone"], "NetworkPolicy")
    assert {each["metadata"]["name"].removeprefix("test-gelap-") for each in policies} == parts


def test_processes_get_the_time_to_end_that_they_take(charts):
    relayer = pod_of(charts["everything"], "-relayer")
    (drain,) = [arg for arg in relayer["containers"][0]["args"] if arg.startswith("--drain=")]
    # A call to a node may take 30 s.
    assert relayer["terminationGracePeriodSeconds"] >= float(drain.partition("=")[2]) + 30
    api = pod_of(charts["everything"], "-indexer-api")
    (container,) = api["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    probe = container["readinessProbe"]
    assert pause >= probe["periodSeconds"] * probe["failureThreshold"]
    assert api["terminationGracePeriodSeconds"] >= pause + 5 + 5


def without(changes, *path):
    changes = copy.deepcopy(changes)
    place = changes
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return changes


@pytest.mark.parametrize(
    ("part", "values", "path", "says"),
    [
        ("indexer", INDEXER, ("database",), "set indexer.database.existingSecret"),
        ("indexer", INDEXER, ("rpc",), "set indexer.rpc.existingSecret"),
        ("indexer", INDEXER, ("chains",), "set indexer.chains"),
        ("relayer", RELAYER, ("pool",), "set relayer.pool"),
        ("relayer", RELAYER, ("rpc",), "set relayer.rpc.existingSecret"),
        ("relayer", RELAYER, ("account",), "set relayer.account.existingSecret"),
        ("relayer", RELAYER, ("prices",), "set relayer.prices.tokens, or relayer.prices.existingConfigMap"),
        ("sequencer", SEQUENCER, ("pool",), "set sequencer.pool"),
        ("sequencer", SEQUENCER, ("rpc",), "set sequencer.rpc.existingSecret"),
        ("sequencer", SEQUENCER, ("accounts",), "set sequencer.accounts"),
        ("sequencer", SEQUENCER, ("prover",), "set sequencer.prover.existingSecret"),
    ],
)
def test_what_is_missing_is_said(renderer, part, values, path, says):
    changes = {"keys": {"existingClaim": "gelap-keys"}, part: without(values, *path)}
    with pytest.raises(subprocess.CalledProcessError) as failure:
        rendered(renderer, changes)
    assert says in failure.value.stderr


def test_a_sequencer_without_gateways_must_be_told_of_a_prover(renderer):
    with pytest.raises(subprocess.CalledProcessError) as failure:
        rendered(renderer, WITHOUT_CLUSTER | {"sequencer": SEQUENCER})
    assert "set sequencer.prover.url" in failure.value.stderr


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"relayer": {"optoins": {}}}, "relayer"),
        ({"relayer": {"options": {"margni": 3}}}, "relayer.options"),
        ({"relayer": {"options": {"margin": -1}}}, "relayer.options.margin"),
        ({"relayer": {"options": {"margin": "3"}}}, "relayer.options.margin"),
        ({"relayer": {"pool": "0x12"}}, "relayer.pool"),
        ({"relayer": {"prices": {"tokens": {TOKEN: 3000}}}}, f"relayer.prices.tokens.{TOKEN}"),
        ({"sequencer": {"prover": {"url": "prover.example"}}}, "sequencer.prover.url"),
        ({"sequencer": {"accounts": {"first": {}}}}, "sequencer.accounts.first"),
        ({"sequencer": {"accounts": {"A b": {"existingSecret": "s"}}}}, "sequencer.accounts"),
        ({"indexer": {"chains": {"other": {"pool": POOL, "first_block": 0}}}}, "indexer.chains.other"),
        ({"indexer": {"chains": {"base": {"pool": POOL}}}}, "indexer.chains.base"),
        ({"indexer": {"api": {"replicas": "2"}}}, "indexer.api.replicas"),
        ({"networkPolicy": {"nodes": {"ports": []}}}, "networkPolicy.nodes.ports"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_place(renderer, changes, place):
    with pytest.raises(SchemaError) as refusal:
        rendered(renderer, changes)
    assert str(refusal.value).startswith(f"{place}: ")


def test_the_notes_say_how_to_reach_each(renderer):
    _, notes = rendered(renderer, SETTINGS["everything"])
    for name in ("gateway", "indexer-api", "relayer"):
        assert f"test-gelap-{name}:" in notes
    _, notes = rendered(renderer, SETTINGS["another prover"])
    assert notes.strip() == ""


def test_the_values_of_the_document_make_what_it_says(renderer):
    text = (ROOT / "docs" / "operations.md").read_text()
    (values,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    objects, _ = rendered(renderer, yaml.safe_load(values))
    assert {component_of(pod) for pod in pods(objects)} == {"indexer", "indexer-api", "relayer", "sequencer"}
    secrets = set(re.findall(r"create secret generic (\S+)", text.partition("## Deploying the indexer")[2]))
    named_in_values = set(re.findall(r"existingSecret: ([a-z-]+)", values))
    assert named_in_values == secrets
