// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { RealProofTest } from "./utils/RealProofTest.sol";

/// @title Spends of two and eight notes to two and three in one pool, with proofs of the real circuits, from
/// contracts/tools/make_arities.py.
contract RealAritiesTest is RealProofTest {
    function setUp() external {
        string[] memory spends = new string[](3);
        uint256[2][] memory arities = new uint256[2][](3);
        (spends[0], arities[0]) = ("spend_2x2", [uint256(2), 2]);
        (spends[1], arities[1]) = ("spend_2x3", [uint256(2), 3]);
        (spends[2], arities[2]) = ("spend_8x2", [uint256(8), 2]);
        createPool("arities.json", spends, arities);
    }

    function test_NotesAreConsolidatedPaidOnAndWithdrawn() external {
        _consolidateAndPay();
        assertEq(token.balanceOf(address(pool)), 80, "nothing has left the pool");
        pool.transact(spendOf(".payOn"));
        GelapShieldedAccount.Spend memory withdraw = spendOf(".withdraw");
        pool.withdraw(withdraw);
        assertEq(token.balanceOf(withdraw.receiver), 13, "receiver");
        assertEq(token.balanceOf(withdraw.relayer), 2, "relayer");
        assertEq(token.balanceOf(address(pool)), 65, "what is left: Alice's 39 and 1, Bob's 25");
        assertEq(pool.pendingCount(), 4, "pending");
        assertEq(pool.nextLeafIndex(), 3 * 64, "next leaf index");
    }

    function test_RealProofsSpendOnce() external {
        _consolidateAndPay();
        string[2] memory parts = [".consolidate", ".transact"];
        for (uint256 i; i < parts.length; ++i) {
            GelapShieldedAccount.Spend memory spend = spendOf(parts[i]);
            vm.expectRevert(
                abi.encodeWithSelector(GelapShieldedAccount.NullifierAlreadyUsed.selector, spend.nullifiers[0])
            );
            pool.transact(spend);
        }
    }

    /// @dev A real proof of 2 to 2 notes through arrays of 2 and 3, with a third output of one's own, and the reverse.
    function test_RefusesARealProofThroughArraysOfAnotherLength() external {
        _consolidateAndPay();
        GelapShieldedAccount.Spend memory two = spendOf(".payOn");
        GelapShieldedAccount.Spend memory three = spendOf(".transact");
        GelapShieldedAccount.Spend memory stretched = spendOf(".transact");
        (stretched.proof, stretched.nullifiers, stretched.root) = (two.proof, two.nullifiers, two.root);
        for (uint256 j; j < 2; ++j) {
            (stretched.commitments[j], stretched.memos[j]) = (two.commitments[j], two.memos[j]);
        }
        expectInvalidProof();
        pool.transact(stretched);

        GelapShieldedAccount.Spend memory shortened = spendOf(".payOn");
        // Nullifiers that are not used yet, so that the proof is looked at.
        (shortened.proof, shortened.root) = (three.proof, three.root);
        for (uint256 j; j < 2; ++j) {
            (shortened.commitments[j], shortened.memos[j]) = (three.commitments[j], three.memos[j]);
        }
        expectInvalidProof();
        pool.transact(shortened);

        GelapShieldedAccount.Spend memory eight = spendOf(".withdraw");
        (eight.proof, eight.commitments, eight.memos) = (two.proof, two.commitments, two.memos);
        (eight.nullifiers[0], eight.nullifiers[1]) = (two.nullifiers[0], two.nullifiers[1]);
        expectInvalidProof();
        pool.withdraw(eight);
        pool.transact(two);
    }

    function test_RealProofsOfEightBindEveryNullifierAndTheTerms() external {
        _consolidateAndPay();
        for (uint256 i; i < 8; ++i) {
            GelapShieldedAccount.Spend memory spend = spendOf(".withdraw");
            spend.nullifiers[i] = uint256(keccak256(abi.encode(i))) >> 8;
            expectInvalidProof();
            pool.withdraw(spend);
        }
        for (uint256 field; field < 4; ++field) {
            GelapShieldedAccount.Spend memory spend = spendOf(".withdraw");
            if (field == 0) spend.receiver = ALICE;
            if (field == 1) spend.relayer = ALICE;
            if (field == 2) spend.fee = 1;
            if (field == 3) (spend.memos[0], spend.memos[1]) = (spend.memos[1], spend.memos[0]);
            expectInvalidProof();
            pool.withdraw(spend);
        }
        pool.withdraw(spendOf(".withdraw"));
    }

    function test_ARealProofOfThreeOutputsBindsAllOfThem() external {
        _depositAndConsolidate();
        for (uint256 j; j < 3; ++j) {
            GelapShieldedAccount.Spend memory spend = spendOf(".transact");
            spend.commitments[j] = uint256(keccak256(abi.encode(j))) >> 8;
            expectInvalidProof();
            pool.transact(spend);
            spend = spendOf(".transact");
            spend.memos[j] = spend.memos[(j + 1) % 3];
            expectInvalidProof();
            pool.transact(spend);
        }
        pool.transact(spendOf(".transact"));
    }

    function _depositAndConsolidate() private {
        for (uint256 i; i < 8; ++i) {
            deposit(string.concat(".deposits[", vm.toString(i), "]"), i);
        }
        insert(".firstInsert");
        pool.transact(spendOf(".consolidate"));
        insert(".secondInsert");
    }

    function _consolidateAndPay() private {
        _depositAndConsolidate();
        pool.transact(spendOf(".transact"));
        insert(".thirdInsert");
    }
}
