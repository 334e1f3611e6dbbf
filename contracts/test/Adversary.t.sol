// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { TestToken } from "../src/TestToken.sol";
import { PoolTest } from "./utils/PoolTest.sol";
import { Words } from "./utils/Words.sol";

/// @dev A token whose issuer can freeze accounts and seize what they hold.
contract IssuersToken is TestToken {
    error Frozen(address account);

    mapping(address account => bool) public frozen;

    constructor() TestToken("Issuer's", "ISS") { }

    function freeze(address account, bool now_) external {
        frozen[account] = now_;
    }

    function seize(address account, uint256 amount) external {
        balanceOf[account] -= amount;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (frozen[msg.sender]) revert Frozen(msg.sender);
        if (frozen[to]) revert Frozen(to);
        return super.transfer(to, amount);
    }
}

/// @dev Says of every account that it holds what is convenient: its transfers always look exact.
contract FlatteringToken {
    uint256 private _held = 1 << 200;

    function balanceOf(address) external view returns (uint256) {
        return _held;
    }

    function transfer(address, uint256 amount) external returns (bool) {
        _held -= amount;
        return true;
    }

    function transferFrom(address, address, uint256 amount) external returns (bool) {
        _held += amount;
        return true;
    }
}

/// @dev Deposits while it is being made, twice in one transaction: it has no code yet when the pool calls it back.
contract Depositor {
    constructor(GelapShieldedAccount pool, TestToken token, bytes memory memo) {
        token.mint(address(this), 30);
        token.approve(address(pool), 30);
        pool.deposit(address(token), 10, 1, memo);
        pool.deposit(address(token), 20, 2, memo);
    }
}

/// @title What issuers, odd tokens, odd callers and odd numbers could try.
contract AdversaryTest is PoolTest {
    using Words for bytes;

    uint256 private constant RECEIVER_AT = 6;

    IssuersToken private _issued;

    function setUp() public override {
        super.setUp();
        deposit(1000);
        _issued = new IssuersToken();
        _issued.mint(ALICE, 1000);
        vm.startPrank(ALICE);
        _issued.approve(address(pool), 1000);
        pool.deposit(address(_issued), 1000, fresh(), memo(1));
        vm.stopPrank();
    }

    /// @dev attacks.md 24: a frozen receiver loses nothing. Its note is there, and another receiver can be named.
    function test_AFrozenReceiverStopsOnlyThisWithdrawal() external {
        _issued.freeze(BOB, true);
        GelapShieldedAccount.Spend memory spend = prove(_ofIssued(withdrawal(10, 1)));
        vm.expectRevert(abi.encodeWithSelector(IssuersToken.Frozen.selector, BOB));
        pool.withdraw(spend);
        assertFalse(pool.nullifierUsed(spend.nullifiers[0]), "the note is unspent");
        spend.receiver = ALICE;
        pool.withdraw(prove(spend));
        assertEq(_issued.balanceOf(ALICE), 9, "the other receiver");
    }

    /// @dev A relayer that its issuer has frozen can settle nothing in that token, and holds up nobody else.
    function test_AFrozenRelayerStopsOnlyItsOwnPayments() external {
        _issued.freeze(RELAYER, true);
        GelapShieldedAccount.Spend memory spend = _ofIssued(transferWithFee(1));
        prove(spend);
        vm.expectRevert(abi.encodeWithSelector(IssuersToken.Frozen.selector, RELAYER));
        pool.transact(spend);
        spend.relayer = BOB;
        pool.transact(prove(spend));
        assertEq(_issued.balanceOf(BOB), 1, "another relayer");
    }

    /// @dev Said openly: an issuer can freeze or seize the pool's tokens, everybody's. Other tokens go on, and so do
    /// transfers inside the pool.
    function test_AnIssuerStopsItsOwnTokenAndNoOther() external {
        _issued.freeze(address(pool), true);
        GelapShieldedAccount.Spend memory stuck = prove(_ofIssued(withdrawal(10, 1)));
        vm.expectRevert(abi.encodeWithSelector(IssuersToken.Frozen.selector, address(pool)));
        pool.withdraw(stuck);
        pool.withdraw(prove(withdrawal(10, 1)));
        pool.transact(prove(transfer()));
        _issued.freeze(address(pool), false);
        pool.withdraw(stuck);
        _issued.seize(address(pool), 985);
        GelapShieldedAccount.Spend memory late = prove(_ofIssued(withdrawal(10, 1)));
        vm.expectRevert();
        pool.withdraw(late);
        assertFalse(pool.nullifierUsed(late.nullifiers[0]), "who comes too late still has the note");
        assertEq(token.balanceOf(address(pool)), 990, "the other token's balance");
    }

    /// @dev A token that lies about balances gives its own holders notes of nothing, and reaches no other token.
    function test_ATokenThatLiesAboutBalancesReachesNoOther() external {
        address flattering = address(new FlatteringToken());
        vm.prank(BOB);
        pool.deposit(flattering, type(uint128).max, 1, memo(1));
        GelapShieldedAccount.Spend memory spend = withdrawal(type(uint128).max, 5);
        spend.publicToken = uint160(flattering);
        pool.withdraw(prove(spend));
        assertEq(token.balanceOf(address(pool)), 1000, "the other token's balance");
        assertEq(_issued.balanceOf(address(pool)), 1000, "and another's");
    }

    /// @dev attacks.md 4: no fee and no amount wraps around, whatever a proof says.
    function testFuzz_NoAmountBeyondTheBalanceLeaves(uint256 amount, uint256 fee) external {
        amount = bound(amount, 1001, R - 1);
        fee = bound(fee, 0, amount - 1);
        GelapShieldedAccount.Spend memory spend = prove(withdrawal(amount, fee));
        vm.expectRevert();
        pool.withdraw(spend);
        spend = prove(transferWithFee(amount));
        vm.expectRevert();
        pool.transact(spend);
        assertEq(token.balanceOf(address(pool)), 1000, "pool's balance");
    }

    function test_AFeeAboveTheAmountIsNoRefundOfTheDifference() external {
        uint256[3] memory fees = [uint256(11), type(uint256).max, type(uint256).max - 9];
        for (uint256 i; i < fees.length; ++i) {
            GelapShieldedAccount.Spend memory spend = prove(withdrawal(10, fees[i]));
            vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.PublicAmountMismatch.selector, 10, fees[i]));
            pool.withdraw(spend);
        }
    }

    /// @dev A token without decimals: the smallest withdrawal is the whole unit, and a fee does not fit into it.
    function test_OneUnitIsWithdrawnWholeOrNotAtAll() external {
        GelapShieldedAccount.Spend memory spend = withdrawal(1, 0);
        spend.relayer = address(0);
        pool.withdraw(prove(spend));
        assertEq(token.balanceOf(BOB), 1, "receiver");
        spend = prove(withdrawal(1, 1));
        vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.PublicAmountMismatch.selector, 1, 1));
        pool.withdraw(spend);
    }

    function test_WhoReceivesAndRelaysGetsBoth() external {
        GelapShieldedAccount.Spend memory spend = withdrawal(100, 10);
        spend.receiver = RELAYER;
        pool.withdraw(prove(spend));
        assertEq(token.balanceOf(RELAYER), 100, "receiver and relayer");
    }

    /// @dev attacks.md 9: the words behind receiver and relayer are hashed as they are, so that an address with bits
    /// above its 160 would be one receiver to the proof and another to the token. Such words are refused.
    function test_RefusesAnAddressWithBitsAboveIts160() external {
        bytes memory data = abi.encodeCall(pool.withdraw, (prove(withdrawal(100, 10))));
        for (uint256 field; field < 2; ++field) {
            // After the selector: the offset of the struct, and its words.
            bytes memory dirty = bytes.concat(data);
            dirty[4 + 32 * (1 + RECEIVER_AT + field)] = 0x01;
            (bool ok,) = address(pool).call(dirty);
            assertFalse(ok, "a dirty address is refused");
        }
        (bool clean,) = address(pool).call(data);
        assertTrue(clean, "the same call with clean words");
    }

    /// @dev attacks.md 13: what is behind the arguments says nothing; the same spend cannot be settled again with it.
    function test_BytesBehindTheArgumentsMakeNoOtherSpend() external {
        bytes memory data = bytes.concat(abi.encodeCall(pool.withdraw, (prove(withdrawal(100, 10)))), "more");
        (bool first,) = address(pool).call(data);
        (bool second,) = address(pool).call(bytes.concat(data, "and more"));
        assertTrue(first && !second, "once");
        assertEq(token.balanceOf(BOB), 90, "receiver");
    }

    /// @dev attacks.md 18: one memo's bytes for both outputs, by pointing at them twice: bound like any other memos.
    function test_MemosThatShareTheirBytesAreBoundLikeOthers() external {
        GelapShieldedAccount.Spend memory spend = withdrawal(100, 10);
        spend.memos[1] = spend.memos[0];
        bytes memory shared = _withMemosShared(prove(spend));
        spend = prove(withdrawal(100, 10));
        (bool other,) = address(pool).call(bytes.concat(pool.withdraw.selector, _withMemosShared(spend)));
        assertFalse(other, "memos that were not bound so");
        (bool same,) = address(pool).call(bytes.concat(pool.withdraw.selector, shared));
        assertTrue(same, "memos that were");
    }

    /// @dev A contract may deposit, even in its constructor and several times; each deposit is a note of its own.
    function test_AContractDepositsWhileItIsMade() external {
        uint256 before = pool.pendingCount();
        new Depositor(pool, token, memo(3));
        assertEq(pool.pendingCount(), before + 2, "pending");
        assertEq(token.balanceOf(address(pool)), 1030, "pool's balance");
    }

    /// @dev A deadline of no time or of all times is as good as its proof.
    function test_DeadlinesAtBothEndsOfTime() external {
        GelapShieldedAccount.Spend memory spend = transfer();
        spend.deadline = 0;
        prove(spend);
        vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.Expired.selector, 0));
        pool.transact(spend);
        spend.deadline = type(uint256).max;
        vm.warp(block.timestamp + 36500 days);
        pool.transact(prove(spend));
    }

    /// @dev attacks.md 10: after a split, a spend made for one branch is none for the other, once its id has changed.
    function test_AfterASplitEachBranchTakesItsOwnSpends() external {
        uint256 home = block.chainid;
        GelapShieldedAccount.Spend memory before = prove(withdrawal(100, 10));
        vm.chainId(home + 7);
        vm.expectRevert();
        pool.withdraw(before);
        GelapShieldedAccount.Spend memory there = prove(withdrawal(100, 10));
        pool.withdraw(there);
        vm.chainId(home);
        vm.expectRevert();
        pool.withdraw(there);
        pool.withdraw(before);
    }

    /// @dev The arguments with the offset of the second memo set to that of the first. A struct in them begins at its
    /// second word; `memos` is the eleventh field, and its own offsets follow its length.
    function _withMemosShared(GelapShieldedAccount.Spend memory spend) private pure returns (bytes memory) {
        bytes memory encoded = abi.encode(spend);
        uint256 length = 1 + encoded.wordAt(1 + 10) / 32;
        return encoded.replaced(length + 2, encoded.wordAt(length + 1));
    }

    function _ofIssued(GelapShieldedAccount.Spend memory spend)
        private
        view
        returns (GelapShieldedAccount.Spend memory)
    {
        spend.publicToken = uint160(address(_issued));
        return spend;
    }
}
