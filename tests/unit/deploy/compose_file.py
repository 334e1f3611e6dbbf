"""deploy/compose.yaml with its variables filled in, as Docker Compose does it."""

import re

import yaml

from tests.unit.deploy.charts import ROOT

TEXT = (ROOT / "deploy" / "compose.yaml").read_text()
PASSWORDS = {"REDIS_PASSWORD": "a-password", "POSTGRES_PASSWORD": "b-password"}


def interpolated(text, environment):
    """`text` with `${NAME:-default}` and `${NAME:?message}` replaced. AssertionError for what is missing."""

    def value(match):
        name, operator, rest = re.fullmatch(r"(\w+)(?:(:[-?])(.*))?", match[1]).groups()
        if environment.get(name):
            return environment[name]
        assert operator == ":-", f"{name} has no default: {rest}"
        return rest

    return re.sub(r"\$\{([^}]*)\}", value, text).replace("$$", "$")


def filled_in(**environment):
    """The file as a document, its extension fields left out."""
    document = yaml.safe_load(interpolated(TEXT, PASSWORDS | environment))
    return {name: value for name, value in document.items() if not name.startswith("x-")}
