// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { ISP1Verifier } from "../src/ISP1Verifier.sol";
import { AcceptingVerifier, AnsweringVerifier, FalseVerifier } from "./hostile/Verifiers.sol";
import { PoolTest } from "./utils/PoolTest.sol";

/// @title What a pool cannot be built on.
contract ConstructorTest is PoolTest {
    function test_APoolShowsWhatItWasBuiltWith() external view {
        assertEq(address(pool.verifier()), address(verifier), "verifier");
        assertTrue(pool.insertKey() == keccak256(insertTrapdoor.key), "insert key");
        assertTrue(pool.spendKey(2, 2) == keccak256(spendTrapdoor.key), "spend key");
        assertTrue(pool.spendKey(2, 3) == keccak256(threeOutputsTrapdoor.key), "spend key of three outputs");
        assertTrue(pool.spendKey(8, 2) == keccak256(eightInputsTrapdoor.key), "spend key of eight inputs");
        assertTrue(pool.spendKey(3, 2) == 0 && pool.spendKey(2, 8) == 0 && pool.spendKey(0, 0) == 0, "no other arity");
        assertEq(pool.nextLeafIndex(), 0, "next leaf index");
        assertEq(pool.pendingCount(), 0, "pending");
    }

    function test_RefusesAVerifierWithoutCode() external {
        _expectRefused(ISP1Verifier(BOB), bytes32(uint256(1)), spendKeys(), _unusableVerifier());
    }

    /// @dev attacks.md 14 and the like: a verifier that does not revert accepts everything.
    function test_RefusesAVerifierThatReturnsFalseInsteadOfReverting() external {
        ISP1Verifier false_ = ISP1Verifier(address(new FalseVerifier()));
        _expectRefused(false_, bytes32(uint256(1)), spendKeys(), _unusableVerifier());
        ISP1Verifier accepting = new AcceptingVerifier();
        _expectRefused(accepting, bytes32(uint256(1)), spendKeys(), _unusableVerifier());
    }

    /// @dev One that only reverts on what is no proof at all is found out by its answer.
    function test_AnAnswerOfTheVerifierIsNeverTakenForYes() external {
        ISP1Verifier answering = ISP1Verifier(address(new AnsweringVerifier()));
        pool = new GelapShieldedAccount(answering, keccak256(insertTrapdoor.key), spendKeys());
        vm.prank(ALICE);
        token.approve(address(pool), type(uint256).max);
        deposit(100);
        GelapShieldedAccount.Spend memory spend = prove(withdrawal(10, 0));
        vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.VerifierAnswered.selector));
        pool.withdraw(spend);
        waitUntilDue();
        bytes memory proof = insertProof(1, 1);
        vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.VerifierAnswered.selector));
        pool.insert(1, 1, proof);
    }

    function test_RefusesMissingAndRepeatedKeys() external {
        bytes memory reason = abi.encodeWithSelector(GelapShieldedAccount.UnusableKey.selector);
        _expectRefused(verifier, bytes32(0), spendKeys(), reason);
        _expectRefused(verifier, bytes32(uint256(1)), new GelapShieldedAccount.SpendKey[](0), reason);
        GelapShieldedAccount.SpendKey[] memory keys = new GelapShieldedAccount.SpendKey[](2);
        (keys[0], keys[1]) = (spendKeys()[0], spendKeys()[0]);
        _expectRefused(verifier, bytes32(uint256(1)), keys, reason);
        keys[1] = GelapShieldedAccount.SpendKey(2, 3, bytes32(0));
        _expectRefused(verifier, bytes32(uint256(1)), keys, reason);
        keys[1] = GelapShieldedAccount.SpendKey(0, 3, keys[0].programVKey);
        _expectRefused(verifier, bytes32(uint256(1)), keys, reason);
        keys[1] = GelapShieldedAccount.SpendKey(3, 0, keys[0].programVKey);
        _expectRefused(verifier, bytes32(uint256(1)), keys, reason);
        keys[1] = GelapShieldedAccount.SpendKey(2, 2, bytes32(uint256(2)));
        _expectRefused(verifier, bytes32(uint256(1)), keys, reason);
    }

    /// @dev What is a nullifier to one statement would be a commitment to the other, and the note not be marked.
    function test_RefusesOneKeyForTwoStatements() external {
        bytes memory reason = abi.encodeWithSelector(GelapShieldedAccount.UnusableKey.selector);
        GelapShieldedAccount.SpendKey[] memory keys = new GelapShieldedAccount.SpendKey[](2);
        keys[0] = spendKeys()[0];
        bytes32 insertKey = keccak256(insertTrapdoor.key);
        uint256[2][2] memory arities = [[uint256(1), 3], [uint256(3), 1]];
        for (uint256 i; i < arities.length; ++i) {
            keys[1] = GelapShieldedAccount.SpendKey(arities[i][0], arities[i][1], keys[0].programVKey);
            _expectRefused(verifier, insertKey, keys, reason);
        }
        _expectRefused(verifier, keys[0].programVKey, spendKeys(), reason);
        keys[1] = GelapShieldedAccount.SpendKey(1, 3, bytes32(uint256(2)));
        pool = new GelapShieldedAccount(verifier, insertKey, keys);
        assertEq(uint256(pool.spendKey(1, 3)), 2, "another key for another number of notes");
    }

    function _expectRefused(
        ISP1Verifier verifier_,
        bytes32 insertKey,
        GelapShieldedAccount.SpendKey[] memory keys,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        new GelapShieldedAccount(verifier_, insertKey, keys);
    }

    function _unusableVerifier() private pure returns (bytes memory) {
        return abi.encodeWithSelector(GelapShieldedAccount.UnusableVerifier.selector);
    }
}
