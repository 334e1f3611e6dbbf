// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { PoolTest } from "./utils/PoolTest.sol";

/// @title What each call may cost as a transaction: its base cost, its calldata and cold storage included.
/// @dev `isolate` runs every call of a test as a transaction of its own.
/// forge-config: default.isolate = true
contract GasTest is PoolTest {
    function test_ADepositTakesAtMost150000Gas() external {
        fill(1);
        deposit(5);
        _assertGasAtMost(150_000, "deposit");
    }

    function test_ATransferTakesAtMost400000Gas() external {
        fill(1);
        GelapShieldedAccount.Spend memory spend = prove(transfer());
        pool.transact(spend);
        _assertGasAtMost(400_000, "transact");
    }

    function test_ATransferWithAFeeTakesAtMost450000Gas() external {
        deposit(100);
        GelapShieldedAccount.Spend memory spend = prove(transferWithFee(1));
        pool.transact(spend);
        _assertGasAtMost(450_000, "transact with a fee");
    }

    /// @dev A receiver that never held the token costs 17,100 more, for its first balance.
    function test_AWithdrawalTakesAtMost425000Gas() external {
        deposit(100);
        token.mint(BOB, 1);
        GelapShieldedAccount.Spend memory spend = prove(withdrawal(50, 0));
        pool.withdraw(spend);
        _assertGasAtMost(425_000, "withdraw");
    }

    function test_AFullInsertTakesAtMost10000GasALeaf() external {
        fill(64);
        insert(64);
        _assertGasAtMost(64 * 10_000, "insert");
    }

    function _assertGasAtMost(uint256 limit, string memory what) private view {
        assertAtMost(vm.lastCallGas().gasTotalUsed, limit, what);
    }
}
