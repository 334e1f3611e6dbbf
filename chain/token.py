"""The parts of ERC-20 and EIP-2612 that a deposit needs."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress, Hash32
from eth_utils import keccak, to_checksum_address
from web3 import Web3

from chain.errors import MismatchError, RevertedError
from chain.reverts import RevertDecoder
from chain.rpc import rpc_errors
from chain.sender import Receipt, Sender
from contracts import artifact

# Domains of EIP-712 as tokens have them: OpenZeppelin's, that of tokens without a version, and that of bridged tokens,
# whose salt is the chain id.
DOMAIN = keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
DOMAIN_WITHOUT_VERSION = keccak(text="EIP712Domain(string name,uint256 chainId,address verifyingContract)")
DOMAIN_WITH_SALT = keccak(text="EIP712Domain(string name,string version,address verifyingContract,bytes32 salt)")
PERMIT_TYPE = keccak(text="Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")


class PermitSignature(NamedTuple):
    """An EIP-2612 signature, valid until `deadline` (seconds since 1970)."""

    deadline: int
    v: int
    r: bytes
    s: bytes


class Token:
    """An ERC-20 token seen from one account. Amounts are in the token's smallest unit."""

    def __init__(
        self, w3: Web3, address: str, account: LocalAccount | None = None, chain_id: int | None = None
    ) -> None:
        """`chain_id` is that of the chain to sign for; asked of the node when None."""
        self.address: ChecksumAddress = to_checksum_address(address)
        abi = artifact("TestToken")["abi"]
        self._w3 = w3
        self._chain_id = chain_id
        self._contract = w3.eth.contract(address=self.address, abi=abi)
        self._sender = Sender(w3, account, RevertDecoder([abi]), chain_id=chain_id)

    def balance_of(self, owner: str) -> int:
        return self._word("balanceOf", to_checksum_address(owner))

    def allowance(self, owner: str, spender: str) -> int:
        return self._word("allowance", to_checksum_address(owner), to_checksum_address(spender))

    def approve(self, spender: str, amount: int) -> Receipt:
        return self._send("approve", to_checksum_address(spender), amount)

    def mint(self, receiver: str, amount: int) -> Receipt:
        """Make new coins; only the test token lets anyone do so."""
        return self._send("mint", to_checksum_address(receiver), amount)

    def transfer(self, receiver: str, amount: int) -> Receipt:
        return self._send("transfer", to_checksum_address(receiver), amount)

    def sign_permit(self, spender: str, amount: int, deadline: int) -> PermitSignature:
        """Let `spender` take `amount` from this account until `deadline`, by a signature instead of a transaction.

        RevertedError when the token has no EIP-2612 permits; MismatchError when its domain names another token or
        chain: what the node made up there would be signed for that one.
        """
        signer = self._sender.account
        separator = self._call("DOMAIN_SEPARATOR")
        if separator not in self._own_separators():
            raise MismatchError(
                "what the node says of this token's permits is not for this token on this chain: deposit without a "
                "permit, or use another node"
            )
        nonce = self._word("nonces", signer.address)
        message = encode(
            ["bytes32", "address", "address", "uint256", "uint256", "uint256"],
            [PERMIT_TYPE, signer.address, to_checksum_address(spender), amount, nonce, deadline],
        )
        digest = Hash32(keccak(b"\x19\x01" + separator + keccak(message)))
        signed = signer.unsafe_sign_hash(digest)
        return PermitSignature(deadline, signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big"))

    def _own_separators(self) -> Iterator[bytes]:
        """EIP-712 domains that a permit of this token on this chain can have: only name and version are the token's."""
        if self._chain_id is None:
            with rpc_errors():
                self._chain_id = self._w3.eth.chain_id
        name = self._text("name")
        place = encode(["uint256", "address"], [self._chain_id, self.address])
        yield keccak(DOMAIN_WITHOUT_VERSION + keccak(name) + place)
        # A generator: the version is asked for only where the common ones do not fit.
        for version in (b"1", b"2", None):
            hashed = keccak(name) + keccak(self._text("version") if version is None else version)
            yield keccak(DOMAIN + hashed + place)
            yield keccak(DOMAIN_WITH_SALT + hashed + place[32:] + place[:32])

    def _text(self, function: str) -> bytes:
        """What a function without arguments answers, as bytes of UTF-8; nothing where the token has none such."""
        try:
            answer = self._sender.call(self.address, "0x" + keccak(text=f"{function}()")[:4].hex())
            return bytes(decode(["bytes"], bytes(answer))[0])
        except (RevertedError, DecodingError):
            return b""

    def _call(self, function: str, *arguments: Any) -> bytes:
        return bytes(self._sender.call(self.address, self._contract.encode_abi(function, args=list(arguments))))

    def _word(self, function: str, *arguments: Any) -> int:
        return int.from_bytes(self._call(function, *arguments), "big")

    def _send(self, function: str, *arguments: Any) -> Receipt:
        return self._sender.send(self.address, self._contract.encode_abi(function, args=list(arguments)))
