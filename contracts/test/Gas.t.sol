// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { PoolTest } from "./utils/PoolTest.sol";

/// @title What each call costs as a transaction: its base cost, its calldata and cold storage included.
/// @notice Each cost has a bound, and a value in fixtures/gas.json that it may miss by 2 %. After a change of cost that
/// is meant, write the number that the failing test shows there.
/// @dev `isolate` runs every call of a test as a transaction of its own.
/// forge-config: default.isolate = true
contract GasTest is PoolTest {
    function test_ADepositTakesAtMost150000Gas() external {
        fill(1);
        deposit(5);
        _check("deposit", 150_000);
    }

    function test_ATransferTakesAtMost400000Gas() external {
        fill(1);
        _transact(transfer());
        _check("transact", 400_000);
    }

    /// @dev Above the transfer without a fee, a payout to a relayer that holds the token adds at most 35,000. The first
    /// tokens of a relayer cost 17,100 more, once.
    function test_ARelayersFeeAddsAtMost35000GasToATransfer() external {
        deposit(100);
        _transact(transfer());
        uint256 without = vm.lastCallGas().gasTotalUsed;
        _transact(transferWithFee(1));
        _check("transactWithFirstFee", 450_000);
        _transact(transferWithFee(1));
        _check("transactWithFee", without + 35_000);
    }

    /// @dev Pays a relayer with a note: no fee in public, and a third output.
    function test_ATransferToThreeOutputsTakesAtMost425000Gas() external {
        fill(1);
        _transact(transfer(2, 3));
        _check("transact2x3", 425_000);
    }

    function test_AConsolidationTakesAtMost100000GasANote() external {
        fill(1);
        _transact(transfer(8, 2));
        _check("transact8x2", 8 * 100_000);
    }

    function test_AWithdrawalOfEightNotesTakesAtMost100000GasANote() external {
        deposit(100);
        _withdraw(withdrawal(8, 2, 50, 0));
        _check("withdraw8x2", 8 * 100_000);
    }

    function test_AWithdrawalToAFreshAddressTakesAtMost425000Gas() external {
        deposit(100);
        _withdraw(withdrawal(50, 0));
        _check("withdraw", 425_000);
    }

    /// @dev Even where these are the relayer's first tokens.
    function test_ARelayersFeeAddsAtMost35000GasToAWithdrawal() external {
        deposit(100);
        _withdraw(withdrawal(50, 1));
        _check("withdrawWithFirstFee", 425_000 + 35_000);
    }

    function test_AFullInsertTakesAtMost10000GasALeaf() external {
        fill(64);
        insert(64);
        _check("insert", 64 * 10_000);
    }

    function _transact(GelapShieldedAccount.Spend memory spend) private {
        spend = prove(spend);
        pool.transact(spend);
    }

    function _withdraw(GelapShieldedAccount.Spend memory spend) private {
        spend = prove(spend);
        pool.withdraw(spend);
    }

    /// @dev Checks the cost of the last call.
    function _check(string memory what, uint256 limit) private view {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        assertAtMost(gas, limit, what);
        uint256 recorded = vm.parseJsonUint(vm.readFile("test/fixtures/gas.json"), string.concat(".", what));
        assertAtMost(gas * 100, recorded * 102, string.concat(what, " costs more than recorded, times 100"));
        assertAtMost(recorded * 98, gas * 100, string.concat(what, " costs less than recorded, times 100"));
    }
}
