"""Write the fixture `payment.json`: a payment from deposit to withdrawal, with proofs of the real circuits.

    python -m contracts.tools.make_payment

Alice deposits 100, pays Bob 40 with 1 for the relayer, and Bob withdraws 15 with 2 for the relayer; two batches go into
the tree between. The keys are development keys (a local ceremony and setup), the proofs are random, so every run writes
another fixture; the Foundry tests ask only that they verify. Needs the proving engine, and about a minute.
"""

import json
from typing import Any

from contracts.tools.make_fixtures import FIXTURES
from contracts.tools.scenario import INSERT, TOKEN, Scenario
from protocol.note import Note, random_blinding

BOBS_ETHEREUM_ADDRESS = 0xB0B
SPEND = "spend_2x2"


def fixture() -> dict[str, Any]:
    scenario = Scenario([SPEND, INSERT])
    alice, bob, _ = scenario.accounts
    deposit = scenario.own_note(alice, 100)
    first_insert = scenario.insert([deposit.commitment])
    for_bob = bob.address(0)
    paid = Note(TOKEN, 40, for_bob.owner, random_blinding())
    change = scenario.own_output(alice, 59)
    transact = scenario.spend(
        SPEND,
        alice,
        [scenario.spent_own(alice, deposit, 0)],
        [change, (paid, for_bob)],
        public_amount=1,
        fee=1,
    )
    second_insert = scenario.insert([change[0].commitment, paid.commitment])
    withdraw = scenario.spend(
        SPEND,
        bob,
        [scenario.spent(paid, bob.nullifying_key_for_address(0), 65)],
        [scenario.own_output(bob, 25), scenario.own_output(bob, 0)],
        receiver=BOBS_ETHEREUM_ADDRESS,
        public_amount=15,
        fee=2,
    )
    return {
        **scenario.contracts(),
        "deposit": scenario.deposit(alice, deposit),
        "firstInsert": first_insert,
        "transact": transact,
        "secondInsert": second_insert,
        "withdraw": withdraw,
    }


def main() -> None:
    (FIXTURES / "payment.json").write_text(json.dumps(fixture(), indent=2) + "\n")


if __name__ == "__main__":
    main()
