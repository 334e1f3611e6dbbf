"""The Helm chart as Kubernetes objects, for values that cover its branches.

Helm itself comes from no package registry: helm_render/ stands in for `helm template`, and jsonschema for its check of
values.schema.json.
"""

import copy
import json
import subprocess
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "helm" / "gelap"
RENDERER = Path(__file__).parent / "helm_render"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())

POOL = "0x" + "ab" * 20
TOKEN = "0x" + "cd" * 20
INDEXER = {
    "enabled": True,
    "database": {"existingSecret": "indexer-database"},
    "rpc": {"existingSecret": "indexer-nodes"},
    "chains": {"base": {"pool": POOL, "first_block": 19_000_000}},
}
RELAYER = {
    "enabled": True,
    "pool": POOL,
    "rpc": {"existingSecret": "nodes"},
    "account": {"existingSecret": "relayer-account"},
    "prices": {"tokens": {TOKEN: "3000000000"}},
}
SEQUENCER = {
    "enabled": True,
    "pool": POOL,
    "deployedAt": 19_000_000,
    "rpc": {"existingSecret": "nodes"},
    "accounts": {"first": {"existingSecret": "first-account"}},
    "prover": {"existingSecret": "prover-api-key"},
}
# Nothing of the proving cluster.
WITHOUT_CLUSTER = {
    "gateway": {"enabled": False},
    "redis": {"enabled": False},
    "workerPools": {"cpu": {"enabled": False}},
}

SETTINGS = {
    "claim": {"keys": {"existingClaim": "gelap-keys"}},
    "fetched keys": {"keys": {"url": "https://files.example/gelap/manifest.json"}},
    "everything": {
        "keys": {"existingClaim": "gelap-keys"},
        "imagePullSecrets": [{"name": "registry"}],
        "limits": {"LEASE": "8", "OLDEST": "300"},
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "networkPolicy": {
            "callers": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
            "indexerCallers": [{"ipBlock": {"cidr": "10.2.0.0/16"}}],
            "relayerCallers": [{"ipBlock": {"cidr": "10.3.0.0/16"}}],
            "nodes": {"ports": [8545, 443], "peers": [{"ipBlock": {"cidr": "10.4.0.0/16"}}]},
        },
        "gateway": {
            "env": [{"name": "GELAP_TENANT_RATE", "value": "10"}],
            "nodeSelector": {"pool": "front"},
            "tolerations": [{"key": "front", "operator": "Exists"}],
            "service": {"type": "LoadBalancer", "annotations": {"example.com/balancer": "internal"}},
        },
        "workerPools": {
            "cpu": {"autoscaling": {"enabled": True}, "nodeSelector": {"pool": "cpu"}},
            "gpu": {"enabled": True, "autoscaling": {"enabled": True}, "env": [{"name": "A", "value": "b"}]},
        },
        "redis": {"storageClass": "fast"},
        "indexer": {
            **INDEXER,
            "chains": {
                "base": {"pool": POOL, "first_block": 19_000_000, "confirmations": 6, "rpc_timeout_seconds": 2.5},
                "my-chain": {"pool": POOL, "first_block": 0, "chain_id": 1234},
            },
            "pageCache": {"existingSecret": "page-cache"},
            "env": [{"name": "GELAP_LOG_LEVEL", "value": "debug"}],
            "nodeSelector": {"disk": "fast"},
            "api": {
                "replicas": 3,
                "rate": 2.5,
                "trustedProxies": "10.0.0.0/8",
                "env": [{"name": "GELAP_CHAIN_ID", "value": "8453"}],
                "tolerations": [{"key": "front", "operator": "Exists"}],
            },
        },
        "relayer": {
            **RELAYER,
            "account": {"existingSecret": "relayer-account", "keyFile": "key.json", "passphraseFile": "passphrase"},
            "viewingKey": {"existingSecret": "relayer-viewing-key"},
            "journal": {"storageClass": "fast"},
            "trustedProxies": "10.0.0.0/8",
            "options": {"rate": 12.5, "margin": 40, "extra-wei": 20_000_000_000_000, "final-after": 500},
            "env": [{"name": "GELAP_LOG_LEVEL", "value": "debug"}],
            "nodeSelector": {"pool": "front"},
        },
        "sequencer": {
            **SEQUENCER,
            "accounts": {
                "first": {"existingSecret": "first-account"},
                "second": {
                    "existingSecret": "second-account",
                    "keyFile": "key.json",
                    "passphraseFile": "passphrase",
                },
            },
            "prover": {"existingSecret": "prover-api-key", "fingerprint": "ab" * 32, "caSecret": "prover-ca"},
            "options": {"patience": 90.5, "dearest-gwei": 300},
            "env": [{"name": "GELAP_LOG_LEVEL", "value": "debug"}],
            "tolerations": [{"key": "front", "operator": "Exists"}],
        },
    },
    "little": {
        "keys": {"existingClaim": "gelap-keys"},
        "redis": {"enabled": False},
        "gateway": {"tls": {"existingSecret": ""}},
        "networkPolicy": {"redisPeers": [{"ipBlock": {"cidr": "10.1.0.5/32"}}]},
    },
    "no policies": {"keys": {"existingClaim": "gelap-keys"}, "networkPolicy": {"enabled": False}},
    "pools alone": {
        **WITHOUT_CLUSTER,
        "keys": {"url": "https://files.example/gelap/manifest.json"},
        "podMonitor": {"enabled": True},
        "indexer": INDEXER,
        "relayer": {
            **RELAYER,
            "prices": {"existingConfigMap": "kept-true"},
            "journal": {"existingClaim": "relayer-journal"},
        },
        "sequencer": {**SEQUENCER, "prover": {"url": "local"}},
    },
    "another prover": {
        **WITHOUT_CLUSTER,
        "sequencer": {**SEQUENCER, "prover": {"url": "https://prover.example", "existingSecret": "prover-api-key"}},
    },
}


class SchemaError(Exception):
    """What Helm says of values that values.schema.json does not allow."""


def merged(values, changes):
    """`values` with `changes`, in place. What is no map, or an empty one, is replaced."""
    for name, value in changes.items():
        if isinstance(value, dict) and values.get(name):
            assert isinstance(values[name], dict), f"{name} is not in values.yaml"
            merged(values[name], value)
        else:
            values[name] = copy.deepcopy(value)
    return values


def rendered(renderer, changes):
    """Kubernetes objects for these changes of the values, and NOTES.txt. Raises SchemaError, CalledProcessError."""
    values = merged(copy.deepcopy(VALUES), changes)
    for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(values):
        raise SchemaError(f"{'.'.join(map(str, error.path))}: {error.message}")
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    request = {
        "templates": {path.name: path.read_text() for path in (CHART / "templates").iterdir()},
        "values": values,
        "release": {"Name": "test", "Namespace": "proving", "Service": "Helm"},
        "chart": {"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]},
    }
    done = subprocess.run([renderer], input=json.dumps(request), capture_output=True, text=True, check=True, timeout=60)
    texts = json.loads(done.stdout)
    assert texts["_helpers.tpl"].strip() == ""
    objects = [each for name, text in texts.items() if name.endswith(".yaml") for each in yaml.safe_load_all(text)]
    return [each for each in objects if each], texts["NOTES.txt"]


def of_kind(objects, *kinds):
    return [each for each in objects if each["kind"] in kinds]


def named(objects, kind, ending):
    (found,) = [each for each in of_kind(objects, kind) if each["metadata"]["name"].endswith(ending)]
    return found


def pods(objects):
    return [each["spec"]["template"] for each in of_kind(objects, "Deployment", "StatefulSet")]


def component_of(pod):
    return pod["metadata"]["labels"]["app.kubernetes.io/component"]


def containers(pod):
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def environment(container):
    """Variables by name; None for those that come from a Secret."""
    return {each["name"]: each.get("value") for each in container.get("env", [])}
