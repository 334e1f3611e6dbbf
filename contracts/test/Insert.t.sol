// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { Groth16Check } from "../src/Groth16Check.sol";
import { PoolTest } from "./utils/PoolTest.sol";
import { SimulatedProver } from "./utils/SimulatedProver.sol";
import { Words } from "./utils/Words.sol";

/// @title How queued commitments become leaves.
contract InsertTest is PoolTest {
    using SimulatedProver for SimulatedProver.Trapdoor;
    using Words for bytes;

    function test_AFullBatchIsInsertedAtOnce() external {
        fill(65);
        uint256 newRoot = fresh();
        bytes memory proof = insertProof(newRoot, 64);
        vm.expectEmit(true, true, true, true, address(pool));
        emit GelapShieldedAccount.AccountUpdated(newRoot, 0, 64);
        vm.prank(BOB);
        pool.insert(newRoot, 64, proof);
        assertEq(pool.merkleRoot(), newRoot, "root");
        assertTrue(pool.knownRoot(newRoot), "the root is known");
        assertEq(pool.nextLeafIndex(), 64, "next leaf index");
        assertEq(pool.pendingCount(), 1, "pending");
        assertEq(pool.firstPending(), 64, "first pending position");
    }

    /// @dev A short batch leaves the rest of its subtree empty: positions go on, leaf indices skip to the next subtree.
    function test_AShortBatchUsesUpItsSubtree() external {
        fill(3);
        waitUntilDue();
        insert(3);
        assertEq(pool.nextLeafIndex(), 64, "next leaf index");
        assertEq(pool.firstPending(), 3, "first pending position");
        fill(1);
        waitUntilDue();
        uint256 newRoot = fresh();
        bytes memory proof = insertProof(newRoot, 1);
        vm.expectEmit(true, true, true, true, address(pool));
        emit GelapShieldedAccount.AccountUpdated(newRoot, 64, 1);
        pool.insert(newRoot, 1, proof);
    }

    function testFuzz_TheStatementIsAboutTheQueuedLeaves(uint256 count) external {
        count = bound(count, 1, 64);
        fill(count);
        waitUntilDue();
        insert(count);
        assertEq(pool.pendingCount(), 0, "pending");
    }

    /// @dev Leaves of the prover's choice: one more than the queue holds, one changed, two swapped, one left out.
    function test_RefusesAProofAboutOtherLeaves() external {
        fill(3);
        waitUntilDue();
        uint256 newRoot = fresh();
        uint256[] memory leaves = new uint256[](64);
        for (uint256 i; i < 3; ++i) {
            leaves[i] = pool.queuedCommitment(i);
        }
        for (uint256 change; change < 4; ++change) {
            uint256[] memory other = new uint256[](64);
            for (uint256 i; i < 3; ++i) {
                other[i] = leaves[i];
            }
            if (change == 0) other[3] = fresh();
            if (change == 1) other[1] = fresh();
            if (change == 2) (other[0], other[1]) = (other[1], other[0]);
            if (change == 3) other[2] = 0;
            // The prover's own leaves, once with the pool's challenge and once with the challenge that they would give.
            for (uint256 i; i < 2; ++i) {
                uint256 challenge = _challenge(pool.merkleRoot(), newRoot, 0, i == 0 ? leaves : other);
                bytes memory values = abi.encode(pool.merkleRoot(), newRoot, 0, challenge, _evaluate(other, challenge));
                _expectRefused(newRoot, 3, insertTrapdoor.prove(values));
            }
        }
        pool.insert(newRoot, 3, insertProof(newRoot, 3));
    }

    /// @dev Everything in the statement is the pool's own: another value of any public input is another statement.
    function test_RefusesAProofOfOtherPublicInputs() external {
        fill(2);
        waitUntilDue();
        uint256 newRoot = fresh();
        bytes memory values = insertValues(newRoot, 2);
        for (uint256 i; i < 5; ++i) {
            bytes memory changed = values.replaced(i, addmod(values.wordAt(i), 1, R));
            _expectRefused(newRoot, 2, insertTrapdoor.prove(changed));
        }
        _expectRefused(fresh(), 2, insertTrapdoor.prove(values));
    }

    /// @dev attacks.md 2: a root has one name.
    function testFuzz_RefusesANewRootOutsideTheField(uint256 root) external {
        fill(1);
        waitUntilDue();
        root = bound(root, R, type(uint256).max);
        bytes memory proof = insertProof(root, 1);
        vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.NotInField.selector, root));
        pool.insert(root, 1, proof);
    }

    /// @dev attacks.md 26: the second of two proofs for the same batch is about a tree that is no more.
    function test_ABatchIsInsertedOnce() external {
        fill(128);
        uint256 newRoot = fresh();
        bytes memory proof = insertProof(newRoot, 64);
        pool.insert(newRoot, 64, proof);
        _expectRefused(newRoot, 64, proof);
    }

    function test_AnInsertProofIsNoSpendProof() external {
        fill(1);
        waitUntilDue();
        GelapShieldedAccount.Spend memory spend = transfer();
        spend.proof = insertProof(fresh(), 1);
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
        pool.transact(spend);
    }

    /// @dev The challenge must depend on the new root. Without it, a prover knows the challenge before choosing leaves
    /// and changes two of them so that the polynomial keeps its value: the broken variant accepts leaves that were
    /// never queued. With it, the chosen leaves give another root, so another challenge, and the values part.
    function testFuzz_AChallengeWithoutTheNewRootCouldBeFooled(uint256 loot, uint256 seed) external {
        vm.assume(loot % R != 0);
        fill(2);
        uint256[] memory queued = new uint256[](64);
        uint256[] memory chosen = new uint256[](64);
        for (uint256 i; i < 2; ++i) {
            queued[i] = pool.queuedCommitment(i);
            chosen[i] = queued[i];
        }
        uint256 oldRoot = pool.merkleRoot();
        uint256 broken = uint256(keccak256(abi.encodePacked(oldRoot, uint256(0), queued))) % R;
        chosen[0] = addmod(queued[0], mulmod(loot, broken, R), R);
        chosen[1] = addmod(queued[1], R - loot % R, R);
        assertTrue(chosen[1] != queued[1], "other leaves");
        assertEq(_evaluate(chosen, broken), _evaluate(queued, broken), "the broken variant sees no difference");
        // Any function of the chosen leaves stands in for their root.
        uint256 newRoot = uint256(keccak256(abi.encode(chosen, seed))) % R;
        uint256 challenge = _challenge(oldRoot, newRoot, 0, queued);
        assertTrue(_evaluate(chosen, challenge) != _evaluate(queued, challenge), "ours does");
        waitUntilDue();
        bytes memory values = abi.encode(oldRoot, newRoot, 0, challenge, _evaluate(chosen, challenge));
        _expectRefused(newRoot, 2, insertTrapdoor.prove(values));
    }

    function _expectRefused(uint256 newRoot, uint256 count, bytes memory proof) private {
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
        pool.insert(newRoot, count, proof);
    }

    function _challenge(uint256 oldRoot, uint256 newRoot, uint256 startIndex, uint256[] memory leaves)
        private
        pure
        returns (uint256)
    {
        return uint256(keccak256(abi.encodePacked(oldRoot, newRoot, startIndex, leaves))) % R;
    }

    function _evaluate(uint256[] memory leaves, uint256 challenge) private pure returns (uint256 sum) {
        uint256 power = 1;
        for (uint256 i; i < leaves.length; ++i) {
            sum = addmod(sum, mulmod(leaves[i], power, R), R);
            power = mulmod(power, challenge, R);
        }
    }
}
