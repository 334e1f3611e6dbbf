"""Write the fixture `payment.json`: a payment from deposit to withdrawal, with proofs of the real circuits.

    python -m contracts.tools.make_payment

Alice deposits 100, pays Bob 40 with 1 for the relayer, and Bob withdraws 15 with 2 for the relayer; two batches go into
the tree between. The keys are development keys (a local ceremony and setup), the proofs are random, so every run writes
another fixture; the Foundry tests ask only that they verify. Needs the proving engine, and about a minute.
"""

from typing import Any

from contracts.tools.scenario import INSERT, Scenario, write

SPEND = "spend_2x2"


def fixture() -> dict[str, Any]:
    scenario = Scenario([SPEND, INSERT])
    alice, bob, _ = scenario.accounts
    deposit = scenario.own_note(alice, 100)
    first_insert = scenario.insert([deposit.commitment])
    paid = scenario.payment(bob, 40)
    change = scenario.own_output(alice, 59)
    transact = scenario.spend(
        SPEND,
        alice,
        [scenario.spent_own(alice, deposit, 0)],
        [change, paid],
        public_amount=1,
        fee=1,
    )
    second_insert = scenario.insert([change[0].commitment, paid[0].commitment])
    withdraw = scenario.bobs_withdrawal(SPEND, bob, paid[0], 65)
    return {
        **scenario.contracts(),
        "deposit": scenario.deposit(alice, deposit),
        "firstInsert": first_insert,
        "transact": transact,
        "secondInsert": second_insert,
        "withdraw": withdraw,
    }


def main() -> None:
    write("payment.json", fixture())


if __name__ == "__main__":
    main()
