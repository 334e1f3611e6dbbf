"""A typed client of a relayer, for wallets.

    with RelayerClient("https://relayer.example", proxy="socks5h://127.0.0.1:9050") as client:
        quote = client.quote(pool, token, "withdraw")        # then build and prove with quote.quote.fee and .relayer;
                                                             # of kind transact-note, with a note of .fee to .payee
        submission = client.wait(client.submit(quote, spend).id)

The relayer is not trusted: what it says about itself is compared with the pool that the caller reads, quotes are
checked for their signature, and a payment is settled when the chain says so.
"""

import time
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel
from urllib3.exceptions import HTTPError

from chain.errors import RelayerError
from chain.http import TooLongError, host_of, open_session, parse_json, read_body
from chain.pool import Pool, Spend
from chain.relayer.quote import Kind, SignedQuote, two_digits
from chain.relayer.wire import QuoteModel, SpendModel, SubmissionModel, SubmitModel, TermsModel, parse

_MOST_BYTES = 64 << 10

M = TypeVar("M", bound=BaseModel)


class RelayerClient:
    """Every method raises RelayerError; its `code` is the relayer's, or `unreachable`, or `lying` for an answer that
    cannot be true. With a proxy nothing is taken from the environment and nothing goes around it.
    """

    def __init__(
        self, url: str, *, proxy: str | None = None, ca_file: str | None = None, timeout: float = 60.0
    ) -> None:
        """`ca_file` holds the certificates (PEM) to trust in place of the public ones."""
        name = host_of(url)
        if name is None:
            raise RelayerError("a relayer is named by an http or https URL", "unreachable")
        self.name = name
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._session = open_session(url, proxy, ca_file)
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def terms(self) -> TermsModel:
        return self._ask(TermsModel, "GET", "/v1/terms")

    def quote(self, pool: Pool, token: str, kind: Kind) -> SignedQuote:
        """A quote for this pool and token, signed by the relayer it names, not over, and of two digits."""
        signed = self._ask(QuoteModel, "GET", "/v1/quote", params={"token": token, "kind": kind}).signed()
        quote = signed.quote
        if (quote.chain_id, quote.pool, quote.token.lower(), quote.kind) != (
            pool.chain_id,
            pool.address,
            token.lower(),
            kind,
        ):
            raise RelayerError("the relayer quotes for another pool, token or chain", "lying")
        if (quote.payee != "") != (kind == "transact-note"):
            raise RelayerError("the relayer's quote does not say where its fee goes", "lying")
        if quote.fee != two_digits(quote.fee):
            # Found on the chain, a fee that nobody else was quoted tells whose payment it is.
            raise RelayerError("the relayer's fee is no amount of two digits: it could mark the payment", "lying")
        signed.require_valid(pool.now())
        return signed

    def submit(self, signed: SignedQuote, spend: Spend) -> SubmissionModel:
        """Hand a proved payment over; asking again is harmless."""
        body = SubmitModel(quote=QuoteModel.of(signed), spend=SpendModel.of(spend))
        return self._ask(SubmissionModel, "POST", "/v1/submissions", data=body.model_dump_json())

    def status(self, submission_id: str) -> SubmissionModel:
        return self._ask(SubmissionModel, "GET", f"/v1/submissions/{submission_id}")

    def wait(self, submission_id: str, timeout: float = 300.0, poll: float = 2.0) -> SubmissionModel:
        """The submission when it is no longer pending; RelayerError (`pending`) when it still is after `timeout` s."""
        deadline = time.monotonic() + timeout
        while (found := self.status(submission_id)).state == "pending":
            if time.monotonic() > deadline:
                raise RelayerError("the payment is still under way: look again, or broadcast it yourself", "pending")
            time.sleep(poll)
        return found

    def _ask(self, model: type[M], method: str, path: str, **options: Any) -> M:
        try:
            with self._session.request(
                method, self._url + path, timeout=self._timeout, allow_redirects=False, stream=True, **options
            ) as response:
                content = read_body(response, _MOST_BYTES, self._timeout)
        except TooLongError:
            raise RelayerError("the relayer's answer is too long", "lying") from None
        except (OSError, ValueError, HTTPError) as error:
            raise RelayerError(
                f"the relayer does not answer ({type(error).__name__}): try another one, or broadcast yourself",
                "unreachable",
            ) from None
        if response.status_code != 200:
            raise _refusal(response.status_code, content)
        try:
            answer = parse(model, content)
        except RelayerError as error:
            raise RelayerError(f"the relayer's answer cannot be read: {error}", "lying") from None
        assert isinstance(answer, model)
        return answer


def _refusal(status: int, content: bytes) -> RelayerError:
    try:
        problem = parse_json(content)
        return RelayerError(str(problem["detail"])[:500], str(problem["code"])[:20])
    except (ValueError, KeyError, TypeError):
        return RelayerError(f"the relayer answers with status {status}: try another one", "unreachable")
