// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { CommitmentQueue } from "../src/CommitmentQueue.sol";
import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { Groth16Check } from "../src/Groth16Check.sol";
import { Groth16Verifier } from "../src/Groth16Verifier.sol";
import { PoolTest } from "./utils/PoolTest.sol";
import { SimulatedProver } from "./utils/SimulatedProver.sol";

/// @title Spends of several numbers of notes in one pool: each under its own key, and nothing lost between them.
contract AritiesTest is PoolTest {
    using SimulatedProver for SimulatedProver.Trapdoor;

    uint256[2][3] private _arities = [[uint256(2), 2], [uint256(2), 3], [uint256(8), 2]];

    function setUp() public override {
        super.setUp();
        deposit(1000);
    }

    function test_EverySpendMarksAllItsNullifiersAndQueuesAllItsOutputs() external {
        uint256 position = 1;
        for (uint256 k; k < _arities.length; ++k) {
            GelapShieldedAccount.Spend memory spend = prove(transfer(_arities[k][0], _arities[k][1]));
            for (uint256 i; i < spend.nullifiers.length; ++i) {
                vm.expectEmit(true, true, true, true, address(pool));
                emit GelapShieldedAccount.NullifierUsed(spend.nullifiers[i]);
            }
            for (uint256 j; j < spend.commitments.length; ++j) {
                vm.expectEmit(true, true, true, true, address(pool));
                emit CommitmentQueue.CommitmentQueued(position + j, spend.commitments[j], spend.memos[j]);
            }
            pool.transact(spend);
            for (uint256 i; i < spend.nullifiers.length; ++i) {
                assertTrue(pool.nullifierUsed(spend.nullifiers[i]), "nullifier");
            }
            for (uint256 j; j < spend.commitments.length; ++j) {
                assertEq(pool.queuedCommitment(position++), spend.commitments[j], "output");
            }
        }
        assertEq(pool.pendingCount(), position, "pending");
    }

    function test_EverySpendPaysReceiverAndRelayerExactly() external {
        for (uint256 k; k < _arities.length; ++k) {
            pool.withdraw(prove(withdrawal(_arities[k][0], _arities[k][1], 100, 3)));
            assertEq(token.balanceOf(BOB), 97 * (k + 1), "receiver");
            assertEq(token.balanceOf(RELAYER), 3 * (k + 1), "relayer");
        }
        assertEq(token.balanceOf(address(pool)), 1000 - 300, "pool's balance");
    }

    /// @dev attacks.md 6: wherever the second one stands.
    function test_RefusesANullifierTwiceAmongEight() external {
        for (uint256 i; i < 8; ++i) {
            for (uint256 j; j < i; ++j) {
                GelapShieldedAccount.Spend memory spend = transfer(8, 2);
                spend.nullifiers[i] = spend.nullifiers[j];
                _expectTransactRefused(prove(spend), _alreadyUsed(spend.nullifiers[i]));
                assertFalse(pool.nullifierUsed(spend.nullifiers[j]), "a failed spend spends nothing");
            }
        }
    }

    /// @dev A note spent among two is spent among eight, in every place, and the other way round.
    function test_RefusesANullifierThatASpendOfAnotherArityUsed() external {
        GelapShieldedAccount.Spend memory two = prove(transfer(2, 3));
        pool.transact(two);
        GelapShieldedAccount.Spend memory eight;
        for (uint256 i; i < 8; ++i) {
            eight = transfer(8, 2);
            eight.nullifiers[i] = two.nullifiers[i % 2];
            _expectTransactRefused(prove(eight), _alreadyUsed(two.nullifiers[i % 2]));
        }
        eight = prove(transfer(8, 2));
        pool.transact(eight);
        for (uint256 i; i < 8; ++i) {
            GelapShieldedAccount.Spend memory spend = transfer(2, 2 + i % 2);
            spend.nullifiers[i % 2] = eight.nullifiers[i];
            _expectTransactRefused(prove(spend), _alreadyUsed(eight.nullifiers[i]));
        }
    }

    /// @dev The key follows from the arrays' lengths: a valid proof of another shape proves nothing here.
    function test_RefusesAProofOfAnotherArity() external {
        for (uint256 k; k < _arities.length; ++k) {
            for (uint256 other; other < _arities.length; ++other) {
                if (other == k) continue;
                GelapShieldedAccount.Spend memory spend = transfer(_arities[other][0], _arities[other][1]);
                bytes memory proof = prove(spend).proof;
                _resize(spend, _arities[k][0], _arities[k][1]);
                spend.proof = proof;
                _expectTransactRefused(spend, abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
                pool.transact(prove(spend));
            }
        }
    }

    /// @dev Two to three and three to two notes have equally many public inputs. Each proof here is valid for exactly
    /// these public inputs, but under the other shape's key: were it taken, a commitment would pass for a nullifier.
    function test_RefusesTheSamePublicInputsUnderTheOtherShapesKey() external {
        SimulatedProver.Trapdoor memory threeInputs = SimulatedProver.load(vm, "spend3x2");
        bytes[] memory vkeys = new bytes[](3);
        (vkeys[0], vkeys[1], vkeys[2]) = (insertTrapdoor.key, threeOutputsTrapdoor.key, threeInputs.key);
        GelapShieldedAccount.SpendKey[] memory keys = new GelapShieldedAccount.SpendKey[](2);
        keys[0] = GelapShieldedAccount.SpendKey(2, 3, threeOutputsTrapdoor.programVKey());
        keys[1] = GelapShieldedAccount.SpendKey(3, 2, threeInputs.programVKey());
        pool = new GelapShieldedAccount(new Groth16Verifier(vkeys), insertTrapdoor.programVKey(), keys);
        bytes memory reason = abi.encodeWithSelector(Groth16Check.InvalidProof.selector);

        GelapShieldedAccount.Spend memory spend = transfer(2, 3);
        spend.proof = threeInputs.prove(publicValues(spend));
        _expectTransactRefused(spend, reason);
        spend.proof = threeOutputsTrapdoor.prove(publicValues(spend));
        pool.transact(spend);

        spend = transfer(3, 2);
        spend.proof = threeOutputsTrapdoor.prove(publicValues(spend));
        _expectTransactRefused(spend, reason);
        spend.proof = threeInputs.prove(publicValues(spend));
        pool.transact(spend);
    }

    function test_RefusesNumbersOfNotesItHasNoKeyForAndNamesThem() external {
        uint256[2][6] memory unknown =
            [[uint256(3), 2], [uint256(8), 3], [uint256(2), 8], [uint256(7), 2], [uint256(9), 2], [uint256(2), 4]];
        for (uint256 k; k < unknown.length; ++k) {
            GelapShieldedAccount.Spend memory spend = transfer(unknown[k][0], unknown[k][1]);
            spend.proof = new bytes(256);
            bytes memory reason =
                abi.encodeWithSelector(GelapShieldedAccount.UnknownArity.selector, unknown[k][0], unknown[k][1]);
            _expectTransactRefused(spend, reason);
            (spend.receiver, spend.publicToken, spend.publicAmount) = (BOB, uint160(address(token)), 1);
            vm.expectRevert(reason);
            pool.withdraw(spend);
        }
    }

    /// @dev attacks.md 18: as many memos as outputs, of the fixed size, each bound by the proof.
    function test_ThreeOutputsNeedTheirThreeMemos() external {
        for (uint256 count; count < 5; ++count) {
            if (count == 3) continue;
            GelapShieldedAccount.Spend memory spend = transfer(2, 3);
            spend.memos = new bytes[](count);
            for (uint256 i; i < count; ++i) {
                spend.memos[i] = memo(i);
            }
            _expectTransactRefused(
                prove(spend), abi.encodeWithSelector(GelapShieldedAccount.MemoCount.selector, count, 3)
            );
        }
        for (uint256 place; place < 3; ++place) {
            GelapShieldedAccount.Spend memory spend = transfer(2, 3);
            spend.memos[place] = new bytes(225);
            _expectTransactRefused(prove(spend), abi.encodeWithSelector(GelapShieldedAccount.MemoLength.selector, 225));
            spend = prove(transfer(2, 3));
            spend.memos[place] = memo(place);
            _expectTransactRefused(spend, abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
            spend = prove(transfer(2, 3));
            (spend.memos[place], spend.memos[(place + 1) % 3]) = (spend.memos[(place + 1) % 3], spend.memos[place]);
            _expectTransactRefused(spend, abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
        }
    }

    /// @dev attacks.md 2 and 8, wherever the number stands.
    function test_RefusesAliasesAndZeroesInEveryPlace() external {
        for (uint256 k = 1; k < _arities.length; ++k) {
            for (uint256 i; i < _arities[k][0]; ++i) {
                GelapShieldedAccount.Spend memory spend = transfer(_arities[k][0], _arities[k][1]);
                spend.nullifiers[i] += R;
                _expectTransactRefused(prove(spend), _notInField(spend.nullifiers[i]));
            }
            for (uint256 j; j < _arities[k][1]; ++j) {
                GelapShieldedAccount.Spend memory spend = transfer(_arities[k][0], _arities[k][1]);
                spend.commitments[j] += R;
                _expectTransactRefused(prove(spend), _notInField(spend.commitments[j]));
                spend.commitments[j] = 0;
                _expectTransactRefused(prove(spend), abi.encodeWithSelector(CommitmentQueue.ZeroCommitment.selector));
            }
        }
    }

    /// @dev attacks.md 9, for each value that only the larger spends have.
    function test_RefusesAnyOtherNullifierOrCommitmentUnderAValidProof() external {
        for (uint256 k = 1; k < _arities.length; ++k) {
            for (uint256 i; i < _arities[k][0] + _arities[k][1]; ++i) {
                GelapShieldedAccount.Spend memory spend = prove(transfer(_arities[k][0], _arities[k][1]));
                if (i < _arities[k][0]) spend.nullifiers[i] = fresh();
                else spend.commitments[i - _arities[k][0]] = fresh();
                _expectTransactRefused(spend, abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
            }
        }
    }

    /// @dev The same values in arrays of other lengths; what is missing is filled up, what is left over dropped.
    function _resize(GelapShieldedAccount.Spend memory spend, uint256 inputs, uint256 outputs) private {
        GelapShieldedAccount.Spend memory other = transfer(inputs, outputs);
        for (uint256 i; i < inputs && i < spend.nullifiers.length; ++i) {
            other.nullifiers[i] = spend.nullifiers[i];
        }
        for (uint256 j; j < outputs && j < spend.commitments.length; ++j) {
            (other.commitments[j], other.memos[j]) = (spend.commitments[j], spend.memos[j]);
        }
        (spend.nullifiers, spend.commitments, spend.memos) = (other.nullifiers, other.commitments, other.memos);
    }

    function _expectTransactRefused(GelapShieldedAccount.Spend memory spend, bytes memory reason) private {
        vm.expectRevert(reason);
        pool.transact(spend);
    }

    function _alreadyUsed(uint256 nullifier) private pure returns (bytes memory) {
        return abi.encodeWithSelector(GelapShieldedAccount.NullifierAlreadyUsed.selector, nullifier);
    }

    function _notInField(uint256 value) private pure returns (bytes memory) {
        return abi.encodeWithSelector(GelapShieldedAccount.NotInField.selector, value);
    }
}
