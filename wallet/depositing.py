"""Pays tokens of an EVM account into the pool."""

from chain.pool import Pool
from chain.sender import Receipt
from wallet.errors import InsufficientFundsError, RequestError
from wallet.transactions import DepositCall

PERMIT_SECONDS = 20 * 60


def make_deposit(pool: Pool, call: DepositCall, *, permit: bool = False) -> Receipt:
    """Deposit from the pool client's account, which must hold the tokens.

    Approves exactly the amount first where the allowance is smaller, or, with `permit`, sends an EIP-2612 signature
    along.
    """
    coins = pool.token(call.token)
    if pool.account is None:
        raise RequestError("a deposit needs an EVM account that pays it: give the pool client one")
    held = coins.balance_of(pool.account.address)
    if held < call.amount:
        raise InsufficientFundsError(f"the EVM account holds {held} of this token, the deposit needs {call.amount}")
    if permit:
        signature = coins.sign_permit(pool.address, call.amount, pool.now() + PERMIT_SECONDS)
        return pool.deposit_with_permit(call.token, call.amount, call.pre_commitment, call.memo, signature)
    allowance = coins.allowance(pool.account.address, pool.address)
    if allowance < call.amount:
        if allowance:
            coins.approve(pool.address, 0)  # some tokens, USDT for one, refuse to change a standing allowance
        coins.approve(pool.address, call.amount)
    return pool.deposit(call.token, call.amount, call.pre_commitment, call.memo)
