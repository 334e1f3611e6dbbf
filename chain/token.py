"""The parts of ERC-20 and EIP-2612 that a deposit needs."""

from typing import Any, NamedTuple

from eth_abi import encode
from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress, Hash32
from eth_utils import keccak, to_checksum_address
from web3 import Web3

from chain.reverts import RevertDecoder
from chain.sender import Receipt, Sender
from contracts import artifact

PERMIT_TYPE = keccak(text="Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")


class PermitSignature(NamedTuple):
    """An EIP-2612 signature, valid until `deadline` (seconds since 1970)."""

    deadline: int
    v: int
    r: bytes
    s: bytes


class Token:
    """An ERC-20 token seen from one account. Amounts are in the token's smallest unit."""

    def __init__(self, w3: Web3, address: str, account: LocalAccount | None = None) -> None:
        self.address: ChecksumAddress = to_checksum_address(address)
        abi = artifact("TestToken")["abi"]
        self._contract = w3.eth.contract(address=self.address, abi=abi)
        self._sender = Sender(w3, account, RevertDecoder([abi]))

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

        RevertedError when the token has no EIP-2612 permits.
        """
        signer = self._sender.account
        separator = self._call("DOMAIN_SEPARATOR")
        nonce = self._word("nonces", signer.address)
        message = encode(
            ["bytes32", "address", "address", "uint256", "uint256", "uint256"],
            [PERMIT_TYPE, signer.address, to_checksum_address(spender), amount, nonce, deadline],
        )
        digest = Hash32(keccak(b"\x19\x01" + separator + keccak(message)))
        signed = signer.unsafe_sign_hash(digest)
        return PermitSignature(deadline, signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big"))

    def _call(self, function: str, *arguments: Any) -> bytes:
        return bytes(self._sender.call(self.address, self._contract.encode_abi(function, args=list(arguments))))

    def _word(self, function: str, *arguments: Any) -> int:
        return int.from_bytes(self._call(function, *arguments), "big")

    def _send(self, function: str, *arguments: Any) -> Receipt:
        return self._sender.send(self.address, self._contract.encode_abi(function, args=list(arguments)))
