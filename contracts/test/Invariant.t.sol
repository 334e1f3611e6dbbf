// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { PoolTest } from "./utils/PoolTest.sol";

/// @dev Calls the pool in any order with valid requests of random sizes, and keeps the books.
contract Client is PoolTest {
    uint256 public paidIn;
    uint256 public paidOut;
    uint256 public queued;
    uint256 public inserted;
    uint256 public batches;
    uint256[] public spentNullifiers;
    uint256[] public roots;

    constructor() {
        setUp();
        roots.push(pool.merkleRoot());
    }

    /// @dev Once: forge calls it like any other function.
    function setUp() public override {
        if (address(pool) == address(0)) super.setUp();
    }

    function account() external view returns (GelapShieldedAccount) {
        return pool;
    }

    function balance() external view returns (uint256) {
        return token.balanceOf(address(pool));
    }

    function spentCount() external view returns (uint256) {
        return spentNullifiers.length;
    }

    function rootCount() external view returns (uint256) {
        return roots.length;
    }

    function payIn(uint128 amount) external {
        uint256 paid = bound(amount, 1, 1e18);
        deposit(paid);
        paidIn += paid;
        ++queued;
    }

    function payPrivately(uint128 fee, uint256 root) external {
        uint256 paid = bound(fee, 0, paidIn - paidOut);
        GelapShieldedAccount.Spend memory spend = paid == 0 ? transfer() : transferWithFee(paid);
        spend.root = roots[root % roots.length];
        pool.transact(prove(spend));
        paidOut += paid;
        _spent(spend);
    }

    function payOut(uint128 amount, uint128 fee, uint256 root) external {
        if (paidIn == paidOut) return;
        uint256 paid = bound(amount, 1, paidIn - paidOut);
        GelapShieldedAccount.Spend memory spend = withdrawal(paid, bound(fee, 0, paid - 1));
        spend.root = roots[root % roots.length];
        pool.withdraw(prove(spend));
        paidOut += paid;
        _spent(spend);
    }

    function payTwice(uint256 index) external {
        if (spentNullifiers.length == 0) return;
        GelapShieldedAccount.Spend memory spend = transfer();
        spend.nullifiers[1] = spentNullifiers[index % spentNullifiers.length];
        prove(spend);
        (bool ok,) = address(pool).call(abi.encodeCall(pool.transact, (spend)));
        assertFalse(ok, "a spent note is spent again");
    }

    function insertBatch(uint256 count) external {
        uint256 due = pool.dueCount();
        uint256 pending = pool.pendingCount();
        if (pending >= 64) count = 64;
        else if (due == 0) return;
        else count = bound(count, due, pending);
        roots.push(insert(count));
        inserted += count;
        ++batches;
    }

    function wait_(uint16 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 200);
    }

    function _spent(GelapShieldedAccount.Spend memory spend) private {
        queued += spend.commitments.length;
        for (uint256 i; i < spend.nullifiers.length; ++i) {
            spentNullifiers.push(spend.nullifiers[i]);
        }
    }
}

/// @title What holds after any sequence of calls.
contract InvariantTest is PoolTest {
    Client private _client;

    function setUp() public override {
        _client = new Client();
    }

    /// @dev Read by forge: only the client is called.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_client);
    }

    /// @dev One function, as forge plays a set of games for each.
    function invariant_TheBooksBalance() external view {
        GelapShieldedAccount account = _client.account();
        assertEq(_client.balance(), _client.paidIn() - _client.paidOut(), "the pool holds what is not paid out");
        assertEq(account.pendingCount(), _client.queued() - _client.inserted(), "pending");
        assertEq(account.firstPending(), _client.inserted(), "first pending");
        assertEq(account.nextLeafIndex(), 64 * _client.batches(), "next leaf index");
        for (uint256 i; i < _client.spentCount(); ++i) {
            assertTrue(account.nullifierUsed(_client.spentNullifiers(i)), "a spent note stays spent");
        }
        for (uint256 i; i < _client.rootCount(); ++i) {
            assertTrue(account.knownRoot(_client.roots(i)), "a root stays known");
        }
    }
}
