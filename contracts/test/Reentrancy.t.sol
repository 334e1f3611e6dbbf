// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { ReentrantToken } from "./hostile/Tokens.sol";
import { PoolTest } from "./utils/PoolTest.sol";

/// @title A token that calls back finds every door of the pool closed (attacks.md 12).
contract ReentrancyTest is PoolTest {
    uint256 private constant DOORS = 5;

    ReentrantToken private _token;

    function setUp() public override {
        super.setUp();
        _token = new ReentrantToken();
        _token.mint(ALICE, 1000);
        _token.mint(address(_token), 1000);
        vm.prank(ALICE);
        _token.approve(address(pool), type(uint256).max);
        vm.prank(address(_token));
        _token.approve(address(pool), type(uint256).max);
        vm.prank(ALICE);
        pool.deposit(address(_token), 100, 1, memo(1));
    }

    /// @dev attacks.md 12.
    function test_NoDoorOpensDuringADeposit() external {
        for (uint256 door; door < DOORS; ++door) {
            _token.arm(address(pool), _call(door), false);
            vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.Reentered.selector));
            vm.prank(ALICE);
            pool.deposit(address(_token), 5, 2, memo(2));
        }
    }

    function test_NoDoorOpensDuringAWithdrawal() external {
        for (uint256 door; door < DOORS; ++door) {
            GelapShieldedAccount.Spend memory spend = _withdrawal();
            _token.arm(address(pool), _call(door), false);
            vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.Reentered.selector));
            pool.withdraw(spend);
        }
    }

    function test_NoDoorOpensDuringATransfersFee() external {
        for (uint256 door; door < DOORS; ++door) {
            GelapShieldedAccount.Spend memory spend = transferWithFee(5);
            spend.publicToken = uint160(address(_token));
            prove(spend);
            _token.arm(address(pool), _call(door), false);
            vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.Reentered.selector));
            pool.transact(spend);
        }
    }

    /// @dev A failing permit is ignored, so the refused call leaves no other trace than that nothing happened.
    function test_NoDoorOpensDuringAPermit() external {
        for (uint256 door; door < DOORS; ++door) {
            _token.arm(address(pool), _call(door), true);
            uint256 pending = pool.pendingCount();
            vm.prank(ALICE);
            pool.depositWithPermit(address(_token), 5, 2, memo(2), block.timestamp, 27, bytes32(0), bytes32(0));
            assertEq(pool.pendingCount(), pending + 1, "one commitment more");
        }
    }

    /// @dev Swallowing the refusal gains nothing: the outer call ends as it would have.
    function test_ASwallowedRefusalChangesNothing() external {
        for (uint256 door; door < DOORS; ++door) {
            GelapShieldedAccount.Spend memory spend = _withdrawal();
            _token.arm(address(pool), _call(door), true);
            uint256 refused = _token.callsRefused();
            uint256 pending = pool.pendingCount();
            uint256 balance = _token.balanceOf(address(pool));
            pool.withdraw(spend);
            assertEq(_token.callsRefused(), refused + 1, "refused calls");
            assertEq(pool.pendingCount(), pending + 2, "the outer spend's outputs");
            assertEq(_token.balanceOf(address(pool)), balance - 3, "pool's balance");
        }
    }

    /// @dev The same calls succeed on their own, so it is the guard that refuses them.
    function test_EveryDoorOpensOutside() external {
        for (uint256 door; door < DOORS; ++door) {
            bytes memory data = _call(door);
            vm.prank(address(_token));
            (bool ok,) = address(pool).call(data);
            assertTrue(ok, "the call is valid");
        }
    }

    function _withdrawal() private returns (GelapShieldedAccount.Spend memory spend) {
        spend = withdrawal(3, 0);
        spend.publicToken = uint160(address(_token));
        return prove(spend);
    }

    /// @dev A valid call of each state-changing function.
    function _call(uint256 door) private returns (bytes memory) {
        if (door == 0) return abi.encodeCall(pool.deposit, (address(_token), 1, 3, memo(3)));
        if (door == 1) {
            return abi.encodeCall(
                pool.depositWithPermit, (address(_token), 1, 3, memo(3), block.timestamp, 27, bytes32(0), bytes32(0))
            );
        }
        if (door == 2) return abi.encodeCall(pool.transact, (prove(transfer())));
        if (door == 3) return abi.encodeCall(pool.withdraw, (_withdrawal()));
        waitUntilDue();
        uint256 newRoot = fresh();
        uint256 count = pool.pendingCount();
        return abi.encodeCall(pool.insert, (newRoot, count, insertProof(newRoot, count)));
    }
}
