// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { CommitmentQueue } from "../src/CommitmentQueue.sol";
import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { PoseidonT4 } from "../src/PoseidonT4.sol";
import { TestToken } from "../src/TestToken.sol";
import { TokenTransfers } from "../src/TokenTransfers.sol";
import { AnsweringToken, BentToken, FeeToken, SilentToken } from "./hostile/Tokens.sol";
import { PoolTest } from "./utils/PoolTest.sol";

/// @title What a deposit takes and what it promises for it.
contract DepositTest is PoolTest {
    uint256 private constant CAROL_KEY = 0xCA401;

    PoseidonT4 private _poseidon;
    address private _carol;

    function setUp() public override {
        super.setUp();
        _poseidon = new PoseidonT4();
        _carol = vm.addr(CAROL_KEY);
        token.mint(_carol, 1000);
    }

    /// @dev attacks.md 1: the commitment follows from the token and the amount received; no caller can hand in another.
    function testFuzz_ADepositQueuesTheCommitmentToWhatWasPaid(uint256 amount, uint256 preCommitment) external {
        amount = bound(amount, 1, type(uint128).max);
        preCommitment %= R;
        token.mint(ALICE, amount);
        uint256 before = token.balanceOf(ALICE);
        uint256 commitment = _poseidon.hash(preCommitment, uint160(address(token)), amount);
        vm.expectEmit(true, true, true, true, address(pool));
        emit CommitmentQueue.CommitmentQueued(0, commitment, memo(1));
        vm.prank(ALICE);
        pool.deposit(address(token), amount, preCommitment, memo(1));
        assertEq(pool.queuedCommitment(0), commitment, "commitment");
        assertEq(pool.pendingCount(), 1, "pending");
        assertEq(token.balanceOf(address(pool)), amount, "pool's balance");
        assertEq(token.balanceOf(ALICE), before - amount, "depositor's balance");
    }

    /// @dev attacks.md 5: equal commitments are two notes, told apart by their leaf index.
    function test_EqualDepositsAreQueuedTwice() external {
        vm.startPrank(ALICE);
        pool.deposit(address(token), 5, 6, memo(1));
        pool.deposit(address(token), 5, 6, memo(2));
        vm.stopPrank();
        assertEq(pool.pendingCount(), 2, "pending");
        assertEq(pool.queuedCommitment(0), pool.queuedCommitment(1), "same commitment");
    }

    /// @dev attacks.md 4: amounts have 128 bits, in the circuit and here.
    function test_RefusesAmountsOutsideTheirRange() external {
        uint256[3] memory amounts = [uint256(0), uint256(1) << 128, type(uint256).max];
        for (uint256 i; i < amounts.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.AmountOutOfRange.selector, amounts[i]));
            vm.prank(ALICE);
            pool.deposit(address(token), amounts[i], 1, memo(1));
        }
        token.mint(ALICE, type(uint128).max);
        deposit(type(uint128).max);
    }

    function testFuzz_RefusesAPreCommitmentOutsideTheField(uint256 preCommitment) external {
        preCommitment = bound(preCommitment, R, type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.NotInField.selector, preCommitment));
        vm.prank(ALICE);
        pool.deposit(address(token), 1, preCommitment, memo(1));
    }

    /// @dev attacks.md 18.
    function test_RefusesAMemoOfAnotherLength() external {
        bytes[3] memory memos = [bytes(""), new bytes(223), new bytes(225)];
        for (uint256 i; i < memos.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.MemoLength.selector, memos[i].length));
            vm.prank(ALICE);
            pool.deposit(address(token), 1, 1, memos[i]);
        }
    }

    function test_RefusesATokenWithoutCode() external {
        vm.expectRevert(abi.encodeWithSelector(TokenTransfers.TokenWithoutCode.selector, BOB));
        vm.prank(ALICE);
        pool.deposit(BOB, 1, 1, memo(1));
    }

    /// @dev Only the caller pays: Alice's allowance is of no use to Bob.
    function test_NobodyDepositsAnothersTokens() external {
        vm.expectRevert(abi.encodeWithSelector(TestToken.InsufficientAllowance.selector, address(pool), 0, 1));
        vm.prank(BOB);
        pool.deposit(address(token), 1, 1, memo(1));
    }

    /// @dev attacks.md 11: less arrives than the note would say.
    function test_RefusesATokenThatTakesItsFeeFromTheReceiver() external {
        address fee = address(new FeeToken(false));
        BentToken(fee).mint(ALICE, 100);
        vm.expectRevert(abi.encodeWithSelector(TokenTransfers.BalanceMismatch.selector, fee, 10, 9));
        vm.prank(ALICE);
        pool.deposit(fee, 10, 1, memo(1));
    }

    /// @dev The depositor pays more than the amount, but the pool gets it exactly; leaving would cost the pool more.
    function test_AcceptsATokenWhoseFeeTheDepositorPaysOnTop() external {
        address fee = address(new FeeToken(true));
        BentToken(fee).mint(ALICE, 100);
        vm.prank(ALICE);
        pool.deposit(fee, 10, 1, memo(1));
        assertEq(BentToken(fee).balanceOf(address(pool)), 10, "pool's balance");
    }

    function test_RefusesATokenThatReturnsFalseWhetherItMovesOrNot() external {
        for (uint256 moves; moves < 2; ++moves) {
            address bent = address(new AnsweringToken(0, moves == 1));
            BentToken(bent).mint(ALICE, 100);
            vm.expectRevert(abi.encodeWithSelector(TokenTransfers.TransferFailed.selector, bent));
            vm.prank(ALICE);
            pool.deposit(bent, 10, 1, memo(1));
        }
    }

    function test_RefusesATokenThatAnswersSomethingElseThanTrue() external {
        address bent = address(new AnsweringToken(2, true));
        BentToken(bent).mint(ALICE, 100);
        vm.expectRevert(abi.encodeWithSelector(TokenTransfers.TransferFailed.selector, bent));
        vm.prank(ALICE);
        pool.deposit(bent, 10, 1, memo(1));
    }

    function test_RefusesATokenThatSaysTrueAndMovesNothing() external {
        address bent = address(new AnsweringToken(1, false));
        BentToken(bent).mint(ALICE, 100);
        vm.expectRevert(abi.encodeWithSelector(TokenTransfers.BalanceMismatch.selector, bent, 10, 0));
        vm.prank(ALICE);
        pool.deposit(bent, 10, 1, memo(1));
    }

    function test_AcceptsATokenThatReturnsNothing() external {
        address silent = address(new SilentToken());
        BentToken(silent).mint(ALICE, 100);
        vm.prank(ALICE);
        pool.deposit(silent, 10, 1, memo(1));
        assertEq(BentToken(silent).balanceOf(address(pool)), 10, "pool's balance");
    }

    function test_APermitReplacesTheAllowance() external {
        (uint8 v, bytes32 r, bytes32 s) = _permit(70);
        vm.prank(_carol);
        pool.depositWithPermit(address(token), 70, 1, memo(1), block.timestamp, v, r, s);
        assertEq(token.balanceOf(address(pool)), 70, "pool's balance");
        assertEq(token.allowance(_carol, address(pool)), 0, "allowance left");
    }

    /// @dev A permit is public in the mempool: whoever uses it first does the depositor no harm.
    function test_APermitThatSomebodyUsedFirstStillDeposits() external {
        (uint8 v, bytes32 r, bytes32 s) = _permit(70);
        vm.prank(BOB);
        token.permit(_carol, address(pool), 70, block.timestamp, v, r, s);
        vm.prank(_carol);
        pool.depositWithPermit(address(token), 70, 1, memo(1), block.timestamp, v, r, s);
        assertEq(token.balanceOf(address(pool)), 70, "pool's balance");
    }

    /// @dev Carol's permit buys Bob no note, neither by itself nor after Carol's allowance stands.
    function test_NobodyDepositsWithAnothersPermit() external {
        (uint8 v, bytes32 r, bytes32 s) = _permit(70);
        vm.expectRevert(abi.encodeWithSelector(TestToken.InsufficientAllowance.selector, address(pool), 0, 70));
        vm.prank(BOB);
        pool.depositWithPermit(address(token), 70, 1, memo(1), block.timestamp, v, r, s);
        token.permit(_carol, address(pool), 70, block.timestamp, v, r, s);
        vm.expectRevert(abi.encodeWithSelector(TestToken.InsufficientAllowance.selector, address(pool), 0, 70));
        vm.prank(BOB);
        pool.depositWithPermit(address(token), 70, 1, memo(1), block.timestamp, v, r, s);
        assertEq(token.balanceOf(_carol), 1000, "Carol's balance");
    }

    function test_AnExpiredPermitWithoutAllowanceDepositsNothing() external {
        (uint8 v, bytes32 r, bytes32 s) = _permit(70);
        uint256 deadline = block.timestamp;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(TestToken.InsufficientAllowance.selector, address(pool), 0, 70));
        vm.prank(_carol);
        pool.depositWithPermit(address(token), 70, 1, memo(1), deadline, v, r, s);
    }

    function test_ATokenWithoutPermitsIsDepositedByAllowance() external {
        address silent = address(new SilentToken());
        BentToken(silent).mint(ALICE, 100);
        vm.prank(ALICE);
        pool.depositWithPermit(silent, 10, 1, memo(1), block.timestamp, 27, bytes32(0), bytes32(0));
        assertEq(pool.pendingCount(), 1, "pending");
    }

    function test_APermitForATokenWithoutCodeIsRefused() external {
        vm.expectRevert(abi.encodeWithSelector(TokenTransfers.TokenWithoutCode.selector, BOB));
        vm.prank(ALICE);
        pool.depositWithPermit(BOB, 1, 1, memo(1), block.timestamp, 27, bytes32(0), bytes32(0));
    }

    function _permit(uint256 amount) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 permitType =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 permitHash =
            keccak256(abi.encode(permitType, _carol, address(pool), amount, token.nonces(_carol), block.timestamp));
        return vm.sign(CAROL_KEY, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), permitHash)));
    }
}
