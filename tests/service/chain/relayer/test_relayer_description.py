"""A relayer's description of its interface, and the document for its operators, are true."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import requests

from chain.relayer import metrics
from chain.relayer.app import ENDPOINTS, MAX_BODY_BYTES, relayer_app
from chain.relayer.quote import KINDS
from chain.relayer.refusals import REFUSALS
from chain.relayer.service import Relayer
from chain.relayer.wire import QuoteModel, SpendModel, SubmitModel
from tests.service.chain.relaying import RECEIVER, paid_on_chain, served

ROOT = Path(__file__).parents[4]
DOCUMENT = (ROOT / "docs" / "relayer.md").read_text()


@pytest.fixture
def described(relayer: Relayer) -> dict:
    with served(relayer) as url:
        return requests.get(f"{url}/openapi.json", timeout=30).json()


def test_the_description_has_every_route_and_every_refusal(relayer, described) -> None:
    routes = {(route.path, *route.methods - {"HEAD"}) for route in relayer_app(relayer).routes}
    probes = {(path, "GET") for path in ("/openapi.json", "/livez", "/readyz")}
    paths = {(path, method.upper()) for path, methods in described["paths"].items() for method in methods}
    assert paths | probes == routes
    assert described["components"]["schemas"]["ProblemModel"]["properties"]["code"]["enum"] == list(REFUSALS)
    named = {code for each in ENDPOINTS for code in each.operation.refusals} | {"too-often", "internal"}
    assert named == set(REFUSALS)


def test_every_refusal_that_the_code_makes_is_described() -> None:
    made = set()
    for path in (ROOT / "chain" / "relayer").glob("*.py"):
        if path.name != "client.py":
            made |= set(re.findall(r'RelayerError\((?:[^()]|\([^()]*\))*?"([a-z-]+)"\s*,?\s*\)', path.read_text()))
    assert {"busy", "underpaid", "unfunded", "node", "malformed"} <= made <= set(REFUSALS)


def test_answers_are_as_described(relayer, described, token) -> None:
    def fits(answer: requests.Response, path: str, method: str = "get") -> None:
        answers = described["paths"][path][method]["responses"]
        content = answers[str(answer.status_code)]["content"]
        (media,) = content
        assert answer.headers["Content-Type"].split(";")[0] == media
        schema = {**content[media]["schema"], "components": described["components"]}
        jsonschema.validate(answer.json(), schema, cls=jsonschema.Draft202012Validator)

    with served(relayer) as url:
        fits(requests.get(f"{url}/v1/terms", timeout=30), "/v1/terms")
        for kind in (*KINDS, "nonsense"):
            answer = requests.get(f"{url}/v1/quote", {"token": token.address, "kind": kind}, timeout=30)
            fits(answer, "/v1/quote")
            if kind == "withdraw":
                quote = QuoteModel.model_validate(answer.json()).signed()
        fits(requests.get(f"{url}/v1/quote", {"token": RECEIVER, "kind": "withdraw"}, timeout=30), "/v1/quote")
        spend = paid_on_chain(relayer.pool, quote)
        body = SubmitModel(quote=QuoteModel.of(quote), spend=SpendModel.of(spend)).model_dump()
        schema = {"$ref": "#/components/schemas/SubmitModel", "components": described["components"]}
        jsonschema.validate(body, schema, cls=jsonschema.Draft202012Validator)
        for each in (b"", b" " * (MAX_BODY_BYTES + 1), json.dumps(body).encode()):
            answer = requests.post(f"{url}/v1/submissions", data=each, timeout=30)
            fits(answer, "/v1/submissions", "post")
        assert answer.status_code == 200
        for name in (answer.json()["id"], "0" * 64):
            fits(requests.get(f"{url}/v1/submissions/{name}", timeout=30), "/v1/submissions/{id}")


def test_what_is_unknown_is_told_in_the_same_form(relayer) -> None:
    with served(relayer) as url:
        answer = requests.get(f"{url}/v1/nothing", timeout=30)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
        assert requests.post(f"{url}/v1/terms", timeout=30).status_code == 405


def test_an_error_of_the_relayers_own_shows_neither_its_message_nor_the_payment(relayer, token, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("SECRET")

    monkeypatch.setattr(relayer, "quote", broken)
    with served(relayer) as url:
        answer = requests.get(f"{url}/v1/quote", {"token": token.address, "kind": "withdraw"}, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert "SECRET" not in answer.text


def test_the_document_tells_of_every_refusal_and_option() -> None:
    for code, refusal in REFUSALS.items():
        assert re.search(rf"\| .*`{code}`.* \| .*{refusal.status}.* \|", DOCUMENT), code
    for kind in KINDS:
        assert f"`{kind}`" in DOCUMENT
    command = (ROOT / "gelap" / "relayer_cli.py").read_text()
    for option in re.findall(r"^    (\w+): Annotated\[", command, re.MULTILINE):
        if option != "log_level":
            assert f"--{option.replace('_', '-')}" in DOCUMENT, option
    for name in metrics.REGISTRY._names_to_collectors:
        if name.startswith("gelap_") and not name.endswith(("_created", "_bucket", "_sum", "_count")):
            assert name.removesuffix("_total") in DOCUMENT, name
