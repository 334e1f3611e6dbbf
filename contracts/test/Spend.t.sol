// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { CommitmentQueue } from "../src/CommitmentQueue.sol";
import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { Groth16Check } from "../src/Groth16Check.sol";
import { TokenTransfers } from "../src/TokenTransfers.sol";
import { BentToken, FeeToken, AnsweringToken, RefusingToken, SilentToken } from "./hostile/Tokens.sol";
import { PoolTest } from "./utils/PoolTest.sol";
import { Words } from "./utils/Words.sol";

/// @title What `transact` and `withdraw` do, and what they refuse under an otherwise valid proof.
contract SpendTest is PoolTest {
    using Words for bytes;

    uint256 private constant Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583;

    function setUp() public override {
        super.setUp();
        deposit(1000);
    }

    function test_ATransferMarksNullifiersAndQueuesOutputs() external {
        GelapShieldedAccount.Spend memory spend = prove(transfer());
        for (uint256 i; i < 2; ++i) {
            vm.expectEmit(true, true, true, true, address(pool));
            emit GelapShieldedAccount.NullifierUsed(spend.nullifiers[i]);
        }
        for (uint256 i; i < 2; ++i) {
            vm.expectEmit(true, true, true, true, address(pool));
            emit CommitmentQueue.CommitmentQueued(1 + i, spend.commitments[i], spend.memos[i]);
        }
        pool.transact(spend);
        assertTrue(pool.nullifierUsed(spend.nullifiers[0]), "first nullifier");
        assertTrue(pool.nullifierUsed(spend.nullifiers[1]), "second nullifier");
        assertEq(pool.queuedCommitment(1), spend.commitments[0], "first output");
        assertEq(pool.queuedCommitment(2), spend.commitments[1], "second output");
        assertEq(token.balanceOf(address(pool)), 1000, "pool's balance");
    }

    function test_ATransferPaysItsFeeToTheRelayer() external {
        pool.transact(prove(transferWithFee(7)));
        assertEq(token.balanceOf(RELAYER), 7, "relayer");
        assertEq(token.balanceOf(address(pool)), 993, "pool's balance");
    }

    function testFuzz_AWithdrawalPaysReceiverAndRelayerExactly(uint256 amount, uint256 fee) external {
        amount = bound(amount, 1, 1000);
        fee = bound(fee, 0, amount - 1);
        GelapShieldedAccount.Spend memory spend = prove(withdrawal(amount, fee));
        vm.expectEmit(true, true, true, true, address(pool));
        emit GelapShieldedAccount.WithdrawExecuted(BOB, address(token), amount - fee);
        pool.withdraw(spend);
        assertEq(token.balanceOf(BOB), amount - fee, "receiver");
        assertEq(token.balanceOf(RELAYER), fee, "relayer");
        assertEq(token.balanceOf(address(pool)), 1000 - amount, "pool's balance");
    }

    /// @dev attacks.md 16: a proof under any past root stays good, whatever was inserted since.
    function test_OldRootsStayValid() external {
        GelapShieldedAccount.Spend memory spend = prove(transfer());
        for (uint256 i; i < 3; ++i) {
            waitUntilDue();
            uint256 root = insert(pool.pendingCount());
            assertTrue(pool.knownRoot(root) && pool.knownRoot(spend.root), "all roots are known");
            deposit(1);
        }
        pool.transact(spend);
    }

    function testFuzz_RefusesARootThatNeverWas(uint256 root) external {
        root %= R;
        vm.assume(root != pool.merkleRoot());
        GelapShieldedAccount.Spend memory spend = transfer();
        spend.root = root;
        _expectTransactRefused(prove(spend), abi.encodeWithSelector(GelapShieldedAccount.UnknownRoot.selector, root));
    }

    /// @dev attacks.md 6.
    function test_RefusesOneNullifierTwiceInASpend() external {
        GelapShieldedAccount.Spend memory spend = transfer();
        spend.nullifiers[1] = spend.nullifiers[0];
        _expectTransactRefused(prove(spend), _alreadyUsed(spend.nullifiers[0]));
    }

    function test_RefusesANullifierOfAnEarlierSpendInEitherPlace() external {
        GelapShieldedAccount.Spend memory first = prove(transfer());
        pool.transact(first);
        for (uint256 i; i < 2; ++i) {
            for (uint256 j; j < 2; ++j) {
                GelapShieldedAccount.Spend memory spend = transfer();
                spend.nullifiers[i] = first.nullifiers[j];
                _expectTransactRefused(prove(spend), _alreadyUsed(first.nullifiers[j]));
                spend = withdrawal(5, 1);
                spend.nullifiers[i] = first.nullifiers[j];
                _expectWithdrawRefused(prove(spend), _alreadyUsed(first.nullifiers[j]));
            }
        }
    }

    /// @dev attacks.md 13: negating A and B gives another valid proof of the same spend. Nullifiers identify it.
    function test_ARerandomisedProofIsNotASecondSpend() external {
        GelapShieldedAccount.Spend memory spend = prove(transfer());
        GelapShieldedAccount.Spend memory again = prove(spend);
        bytes memory proof = again.proof.replaced(1, Q - again.proof.wordAt(1));
        proof = proof.replaced(4, Q - proof.wordAt(4)).replaced(5, Q - proof.wordAt(5));
        verifier.verifyProof(keccak256(spendTrapdoor.key), publicValues(spend), proof);
        pool.transact(spend);
        again.proof = proof;
        _expectTransactRefused(again, _alreadyUsed(spend.nullifiers[0]));
    }

    /// @dev attacks.md 2: for a circuit x + k r is x. The proof is valid for the alias; the pool refuses the number.
    function test_RefusesEveryAliasOfEveryPublicInput() external {
        for (uint256 input; input < 7; ++input) {
            for (uint256 k = 1; k < 5; ++k) {
                GelapShieldedAccount.Spend memory spend = transfer();
                (spend.publicToken, spend.publicAmount, spend.fee, spend.relayer) = (5, 3, 3, RELAYER);
                uint256 alias_ = _addToInput(spend, input, k * R);
                prove(spend);
                _expectTransactRefused(
                    spend,
                    input == 5
                        ? abi.encodeWithSelector(GelapShieldedAccount.PublicTokenMismatch.selector, alias_)
                        : abi.encodeWithSelector(GelapShieldedAccount.NotInField.selector, alias_)
                );
            }
        }
    }

    /// @dev attacks.md 2: the alias of a spent note's nullifier is not another note.
    function test_RefusesTheAliasOfASpentNullifier() external {
        GelapShieldedAccount.Spend memory spend = prove(transfer());
        pool.transact(spend);
        spend.nullifiers[0] += R;
        spend.nullifiers[1] = fresh();
        _expectTransactRefused(
            prove(spend), abi.encodeWithSelector(GelapShieldedAccount.NotInField.selector, spend.nullifiers[0])
        );
    }

    /// @dev attacks.md 8: nobody puts an empty leaf into the tree as a note.
    function test_RefusesAnOutputCommitmentOfZeroInEitherPlace() external {
        for (uint256 i; i < 2; ++i) {
            GelapShieldedAccount.Spend memory spend = transfer();
            spend.commitments[i] = 0;
            _expectTransactRefused(prove(spend), abi.encodeWithSelector(CommitmentQueue.ZeroCommitment.selector));
        }
    }

    /// @dev attacks.md 9: every field that a relayer or an onlooker could gain from is bound by the proof.
    function test_RefusesAChangedFieldUnderAValidProof() external {
        for (uint256 field; field < 12; ++field) {
            GelapShieldedAccount.Spend memory spend = prove(withdrawal(100, 10));
            if (field == 0) spend.receiver = address(0xBAD);
            if (field == 1) spend.relayer = address(0xBAD);
            if (field == 2) spend.fee = 11;
            if (field == 3) spend.deadline += 1;
            if (field == 4) spend.memos[0] = memo(field);
            if (field == 5) spend.memos[1] = memo(field);
            if (field == 6) (spend.memos[0], spend.memos[1]) = (spend.memos[1], spend.memos[0]);
            if (field == 7) spend.publicAmount = 101;
            if (field == 8) spend.publicToken = uint160(address(new SilentToken()));
            if (field == 9) spend.commitments[1] = fresh();
            if (field == 10) spend.nullifiers[0] = fresh();
            if (field == 11) (spend.nullifiers[0], spend.nullifiers[1]) = (spend.nullifiers[1], spend.nullifiers[0]);
            _expectWithdrawRefused(spend, abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
        }
        pool.withdraw(prove(withdrawal(100, 10)));
    }

    /// @dev attacks.md 10.
    function test_RefusesTheProofOfAnotherChain() external {
        GelapShieldedAccount.Spend memory spend = prove(withdrawal(100, 10));
        uint256 home = block.chainid;
        vm.chainId(home + 1);
        _expectWithdrawRefused(spend, abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
        vm.chainId(home);
        pool.withdraw(spend);
    }

    /// @dev attacks.md 10.
    function test_RefusesTheProofOfAnotherPool() external {
        GelapShieldedAccount.Spend memory spend = prove(withdrawal(100, 10));
        GelapShieldedAccount first = pool;
        pool = new GelapShieldedAccount(verifier, keccak256(insertTrapdoor.key), spendKeys());
        token.mint(address(pool), 1000);
        _expectWithdrawRefused(spend, abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
        first.withdraw(spend);
    }

    /// @dev A proof is for one entry point: the receiver tells them apart, and it is bound.
    function test_RefusesAProofThroughTheOtherEntryPoint() external {
        GelapShieldedAccount.Spend memory spend = prove(withdrawal(100, 10));
        _expectTransactRefused(spend, abi.encodeWithSelector(GelapShieldedAccount.ReceiverGiven.selector, BOB));
        spend.receiver = address(0);
        _expectTransactRefused(
            spend, abi.encodeWithSelector(GelapShieldedAccount.PublicAmountMismatch.selector, 100, 10)
        );
        spend.fee = 100;
        _expectTransactRefused(spend, abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
        spend = prove(transferWithFee(10));
        _expectWithdrawRefused(spend, abi.encodeWithSelector(GelapShieldedAccount.ReceiverMissing.selector));
        spend.receiver = BOB;
        _expectWithdrawRefused(
            spend, abi.encodeWithSelector(GelapShieldedAccount.PublicAmountMismatch.selector, 10, 10)
        );
        spend.fee = 9;
        _expectWithdrawRefused(spend, abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
    }

    function test_RefusesASpendAfterItsDeadline() external {
        GelapShieldedAccount.Spend memory spend = prove(transfer());
        vm.warp(spend.deadline + 1);
        _expectTransactRefused(spend, abi.encodeWithSelector(GelapShieldedAccount.Expired.selector, spend.deadline));
        vm.warp(spend.deadline);
        pool.transact(spend);
    }

    function test_RefusesAFeeThatNobodyGets() external {
        GelapShieldedAccount.Spend memory spend = transferWithFee(1);
        spend.relayer = address(0);
        _expectTransactRefused(prove(spend), abi.encodeWithSelector(GelapShieldedAccount.RelayerMissing.selector));
        spend = withdrawal(10, 1);
        spend.relayer = address(0);
        _expectWithdrawRefused(prove(spend), abi.encodeWithSelector(GelapShieldedAccount.RelayerMissing.selector));
    }

    function test_AWithdrawalWithoutFeeNeedsNoRelayer() external {
        GelapShieldedAccount.Spend memory spend = withdrawal(10, 0);
        spend.relayer = address(0);
        pool.withdraw(prove(spend));
        assertEq(token.balanceOf(BOB), 10, "receiver");
    }

    /// @dev attacks.md 9 and 24: nobody's money goes to address 0 or to whoever sends the transaction.
    function test_AWithdrawalNeedsAReceiverAndMoreThanItsFee() external {
        GelapShieldedAccount.Spend memory spend = withdrawal(10, 1);
        spend.receiver = address(0);
        _expectWithdrawRefused(prove(spend), abi.encodeWithSelector(GelapShieldedAccount.ReceiverMissing.selector));
        for (uint256 fee = 10; fee < 12; ++fee) {
            spend = prove(withdrawal(10, fee));
            _expectWithdrawRefused(
                spend, abi.encodeWithSelector(GelapShieldedAccount.PublicAmountMismatch.selector, 10, fee)
            );
        }
        spend = prove(withdrawal(0, 0));
        _expectWithdrawRefused(spend, abi.encodeWithSelector(GelapShieldedAccount.PublicAmountMismatch.selector, 0, 0));
    }

    function test_ATransferMakesNothingPublicButTheFee() external {
        GelapShieldedAccount.Spend memory spend = transferWithFee(5);
        spend.publicAmount = 6;
        _expectTransactRefused(
            prove(spend), abi.encodeWithSelector(GelapShieldedAccount.PublicAmountMismatch.selector, 6, 5)
        );
        spend.publicAmount = 4;
        _expectTransactRefused(
            prove(spend), abi.encodeWithSelector(GelapShieldedAccount.PublicAmountMismatch.selector, 4, 5)
        );
    }

    /// @dev The sums would say that tokens left, and they would still be there.
    function test_ThePoolPaysNothingToItself() external {
        bytes memory reason = abi.encodeWithSelector(GelapShieldedAccount.PoolIsPayee.selector);
        GelapShieldedAccount.Spend memory spend = withdrawal(10, 1);
        spend.receiver = address(pool);
        _expectWithdrawRefused(prove(spend), reason);
        spend = withdrawal(10, 1);
        spend.relayer = address(pool);
        _expectWithdrawRefused(prove(spend), reason);
        spend = transferWithFee(1);
        spend.relayer = address(pool);
        _expectTransactRefused(prove(spend), reason);
    }

    function test_RefusesAPublicTokenThatDoesNotGoWithTheAmount() external {
        uint256[2] memory tokens = [uint256(0), uint256(1) << 160];
        for (uint256 i; i < tokens.length; ++i) {
            GelapShieldedAccount.Spend memory spend = withdrawal(10, 1);
            spend.publicToken = tokens[i];
            _expectWithdrawRefused(
                prove(spend), abi.encodeWithSelector(GelapShieldedAccount.PublicTokenMismatch.selector, tokens[i])
            );
        }
        GelapShieldedAccount.Spend memory private_ = transfer();
        private_.publicToken = uint160(address(token));
        _expectTransactRefused(
            prove(private_),
            abi.encodeWithSelector(GelapShieldedAccount.PublicTokenMismatch.selector, uint160(address(token)))
        );
    }

    function test_RefusesANumberOfNotesItHasNoKeyFor() external {
        for (uint256 inputs; inputs < 4; ++inputs) {
            for (uint256 outputs; outputs < 4; ++outputs) {
                if (inputs == 2 && outputs >= 2) continue;
                GelapShieldedAccount.Spend memory spend = prove(transfer());
                spend.nullifiers = new uint256[](inputs);
                spend.commitments = new uint256[](outputs);
                _expectTransactRefused(
                    spend, abi.encodeWithSelector(GelapShieldedAccount.UnknownArity.selector, inputs, outputs)
                );
            }
        }
    }

    /// @dev attacks.md 18: as many memos as outputs, each of the fixed size.
    function test_RefusesMissingSurplusAndOddMemos() external {
        for (uint256 count; count < 4; ++count) {
            if (count == 2) continue;
            GelapShieldedAccount.Spend memory spend = transfer();
            spend.memos = new bytes[](count);
            for (uint256 i; i < count; ++i) {
                spend.memos[i] = memo(i);
            }
            _expectTransactRefused(
                prove(spend), abi.encodeWithSelector(GelapShieldedAccount.MemoCount.selector, count, 2)
            );
        }
        GelapShieldedAccount.Spend memory shifted = transfer();
        // The same bytes in all, cut at another place.
        shifted.memos[0] = new bytes(223);
        shifted.memos[1] = new bytes(225);
        _expectTransactRefused(prove(shifted), abi.encodeWithSelector(GelapShieldedAccount.MemoLength.selector, 223));
    }

    /// @dev attacks.md 11: a fee on top of a payment would come out of everybody's notes.
    function test_RefusesToPayATokenThatTakesMoreFromThePool() external {
        address fee = address(new FeeToken(true));
        BentToken(fee).mint(address(pool), 100);
        GelapShieldedAccount.Spend memory spend = withdrawal(10, 0);
        spend.publicToken = uint160(fee);
        _expectWithdrawRefused(
            prove(spend), abi.encodeWithSelector(TokenTransfers.BalanceMismatch.selector, fee, 90, 89)
        );
    }

    function test_RefusesToPayATokenThatReturnsFalse() external {
        for (uint256 moves; moves < 2; ++moves) {
            address bent = address(new AnsweringToken(0, moves == 1));
            BentToken(bent).mint(address(pool), 100);
            GelapShieldedAccount.Spend memory spend = withdrawal(10, 0);
            spend.publicToken = uint160(bent);
            _expectWithdrawRefused(prove(spend), abi.encodeWithSelector(TokenTransfers.TransferFailed.selector, bent));
            assertFalse(pool.nullifierUsed(spend.nullifiers[0]), "a failed spend spends nothing");
        }
    }

    function test_PassesOnWhyATokenRefusesToPay() external {
        for (uint256 speaks; speaks < 2; ++speaks) {
            address refusing = address(new RefusingToken(speaks == 1));
            GelapShieldedAccount.Spend memory spend = withdrawal(10, 0);
            spend.publicToken = uint160(refusing);
            _expectWithdrawRefused(
                prove(spend),
                speaks == 1
                    ? abi.encodeWithSelector(RefusingToken.Frozen.selector)
                    : abi.encodeWithSelector(TokenTransfers.TransferFailed.selector, refusing)
            );
            assertFalse(pool.nullifierUsed(spend.nullifiers[0]), "a failed spend spends nothing");
        }
    }

    function test_RefusesToPayATokenThatMovesNothing() external {
        address bent = address(new AnsweringToken(1, false));
        BentToken(bent).mint(address(pool), 100);
        GelapShieldedAccount.Spend memory spend = withdrawal(10, 0);
        spend.publicToken = uint160(bent);
        _expectWithdrawRefused(
            prove(spend), abi.encodeWithSelector(TokenTransfers.BalanceMismatch.selector, bent, 90, 100)
        );
    }

    function test_RefusesToPayATokenWithoutCode() external {
        GelapShieldedAccount.Spend memory spend = withdrawal(10, 0);
        spend.publicToken = uint160(BOB);
        _expectWithdrawRefused(prove(spend), abi.encodeWithSelector(TokenTransfers.TokenWithoutCode.selector, BOB));
    }

    function test_PaysATokenThatReturnsNothing() external {
        address silent = address(new SilentToken());
        BentToken(silent).mint(address(pool), 100);
        GelapShieldedAccount.Spend memory spend = withdrawal(10, 4);
        spend.publicToken = uint160(silent);
        pool.withdraw(prove(spend));
        assertEq(BentToken(silent).balanceOf(BOB), 6, "receiver");
        assertEq(BentToken(silent).balanceOf(RELAYER), 4, "relayer");
    }

    function _expectTransactRefused(GelapShieldedAccount.Spend memory spend, bytes memory reason) private {
        vm.expectRevert(reason);
        pool.transact(spend);
    }

    function _expectWithdrawRefused(GelapShieldedAccount.Spend memory spend, bytes memory reason) private {
        vm.expectRevert(reason);
        pool.withdraw(spend);
    }

    function _alreadyUsed(uint256 nullifier) private pure returns (bytes memory) {
        return abi.encodeWithSelector(GelapShieldedAccount.NullifierAlreadyUsed.selector, nullifier);
    }

    /// @dev The public inputs 0 to 6; the bound hash is computed by the pool and cannot be given.
    function _addToInput(GelapShieldedAccount.Spend memory spend, uint256 input, uint256 addend)
        private
        pure
        returns (uint256)
    {
        if (input == 0) return spend.root = addend + spend.root % (R / 4);
        if (input < 3) return spend.nullifiers[input - 1] = addend + spend.nullifiers[input - 1] % (R / 4);
        if (input < 5) return spend.commitments[input - 3] = addend + spend.commitments[input - 3] % (R / 4);
        if (input == 5) return spend.publicToken += addend;
        spend.fee += addend;
        return spend.publicAmount += addend;
    }
}
