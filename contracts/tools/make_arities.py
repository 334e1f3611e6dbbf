"""Write the fixture `arities.json`: spends of several numbers of notes in one pool, with proofs of the real circuits.

    python -m contracts.tools.make_arities

Alice deposits eight notes of 10 and makes one of 80 of them (8 inputs, 2 outputs). From it she pays Bob 40, and the
relayer 1 with a note of its own (2 to 3), so that nothing is public. The relayer pays its note on to Alice (2 to 2),
and Bob withdraws 15 in the form of a consolidation with seven dummies (8 to 2), 2 of it for the relayer. As
`make_payment`, it uses development keys, and every run writes other proofs. Keys that are missing take a minute to
make.
"""

from typing import Any

from contracts.tools.scenario import INSERT, Scenario, write

PAYMENT, TO_THREE, OF_EIGHT = "spend_2x2", "spend_2x3", "spend_8x2"


def fixture() -> dict[str, Any]:
    scenario = Scenario([PAYMENT, INSERT, TO_THREE, OF_EIGHT])
    alice, bob, relayer = scenario.accounts

    deposits = [scenario.own_note(alice, 10) for _ in range(8)]
    first_insert = scenario.insert([note.commitment for note in deposits])
    whole, nothing = scenario.own_output(alice, 80), scenario.own_output(alice, 0)
    spent = [scenario.spent_own(alice, note, index) for index, note in enumerate(deposits)]
    consolidate = scenario.spend(OF_EIGHT, alice, spent, [whole, nothing])
    second_insert = scenario.insert([whole[0].commitment, nothing[0].commitment])

    paid, fee = scenario.payment(bob, 40), scenario.payment(relayer, 1)
    outputs = [paid, fee, scenario.own_output(alice, 39)]
    transact = scenario.spend(TO_THREE, alice, [scenario.spent_own(alice, whole[0], 64)], outputs)
    third_insert = scenario.insert([note.commitment for note, _ in outputs])

    pay_on = scenario.spend(
        PAYMENT,
        relayer,
        [scenario.spent_payment(relayer, fee[0], 129)],
        [scenario.payment(alice, 1), scenario.own_output(relayer, 0)],
    )
    withdraw = scenario.bobs_withdrawal(OF_EIGHT, bob, paid[0], 128)
    return {
        **scenario.contracts(),
        "deposits": [scenario.deposit(alice, note) for note in deposits],
        "firstInsert": first_insert,
        "consolidate": consolidate,
        "secondInsert": second_insert,
        "transact": transact,
        "thirdInsert": third_insert,
        "payOn": pay_on,
        "withdraw": withdraw,
    }


def main() -> None:
    write("arities.json", fixture())


if __name__ == "__main__":
    main()
