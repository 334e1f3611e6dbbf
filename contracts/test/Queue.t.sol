// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { CommitmentQueue } from "../src/CommitmentQueue.sol";
import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { PoolTest } from "./utils/PoolTest.sol";

/// @title Who must be in a batch, who cannot be kept out, and when the tree is full.
contract QueueTest is PoolTest {
    /// @dev When an epoch begins, shortly after the start of the tests.
    uint256 private constant EPOCH_START = START / 60 * 60 + 60;

    function setUp() public override {
        super.setUp();
        vm.warp(EPOCH_START);
    }

    function test_ALoneCommitmentIsDueWhenTheSecondEpochAfterItsOwnBegins() external {
        vm.warp(EPOCH_START + 59);
        fill(1);
        assertEq(pool.dueCount(), 0, "at once");
        vm.warp(EPOCH_START + 119);
        assertEq(pool.dueCount(), 0, "at the end of the next epoch");
        _expectTooShort(1, 0);
        vm.warp(EPOCH_START + 120);
        assertEq(pool.dueCount(), 1, "when the previous epoch began after it");
        insert(1);
    }

    function test_AnEmptyQueueTakesNoBatch() external {
        for (uint256 count; count < 2; ++count) {
            _expectBatchSize(count, 0);
        }
        fill(1);
        waitUntilDue();
        insert(1);
        _expectBatchSize(1, 0);
    }

    function test_ABatchHoldsWhatIsPendingAtMost() external {
        fill(2);
        waitUntilDue();
        _expectBatchSize(0, 2);
        _expectBatchSize(3, 2);
        insert(2);
    }

    function test_ABatchIsFullWhenItCanBe() external {
        fill(66);
        waitUntilDue();
        uint256[5] memory counts = [uint256(0), 1, 63, 65, 66];
        for (uint256 i; i < counts.length; ++i) {
            _expectBatchSize(counts[i], 66);
        }
        insert(64);
        _expectTooShort(1, 2);
        insert(2);
    }

    /// @dev attacks.md 17: nobody is left behind by batches of one: a short batch holds everything that is due.
    function test_AShortBatchHoldsEverybodyWhoIsDue() external {
        fill(5);
        waitUntilDue();
        fill(2);
        assertEq(pool.dueCount(), 5, "due");
        for (uint256 count = 1; count < 5; ++count) {
            _expectTooShort(count, 5);
        }
        insert(5);
        assertEq(pool.dueCount(), 0, "nothing is due any more");
        _expectTooShort(2, 0);
    }

    /// @dev attacks.md 16 and 17: a proof for all that was pending stays valid for 60 seconds and more, however many
    /// commitments others queue meanwhile, as long as no full batch comes about.
    function testFuzz_AnHonestProofStaysValidForAMinute(uint256 madeAt, uint256 others, uint256 seed) external {
        fill(3);
        waitUntilDue();
        vm.warp(block.timestamp + madeAt % 60);
        fill(1);
        uint256 newRoot = fresh();
        bytes memory proof = insertProof(newRoot, 4);
        others %= 20;
        uint256 made = block.timestamp;
        for (uint256 i; i < others; ++i) {
            uint256 later = made + uint256(keccak256(abi.encode(seed, i))) % 61;
            if (later > block.timestamp) vm.warp(later);
            fill(1);
        }
        vm.warp(made + 60);
        pool.insert(newRoot, 4, proof);
        assertEq(pool.pendingCount(), others, "pending");
    }

    /// @dev attacks.md 17: a proof for part of the queue does not stay good for ever; who was skipped becomes due.
    function test_AProofForPartOfTheQueueRunsOut() external {
        fill(1);
        waitUntilDue();
        bytes memory proof = insertProof(7, 1);
        fill(1);
        vm.warp(block.timestamp + 120);
        vm.expectRevert(abi.encodeWithSelector(CommitmentQueue.BatchTooShort.selector, 1, 2));
        pool.insert(7, 1, proof);
    }

    /// @dev The two counters of a slot against the history they summarise.
    function testFuzz_DueCountEqualsItsDefinition(uint256 seed) external {
        uint256[] memory times = new uint256[](24);
        uint256 inserted;
        for (uint256 i; i < times.length; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            vm.warp(block.timestamp + seed % 100);
            if (seed >> 128 & 3 == 0 && pool.dueCount() > 0) {
                uint256 count = pool.dueCount() + (seed >> 64) % (pool.pendingCount() - pool.dueCount() + 1);
                insert(count);
                inserted += count;
            }
            fill(1);
            times[i] = block.timestamp;
            vm.warp(block.timestamp + (seed >> 32) % 100);
            uint256 previousEpoch = block.timestamp / 60 * 60 - 60;
            uint256 due;
            for (uint256 j = inserted; j <= i; ++j) {
                if (times[j] < previousEpoch) ++due;
            }
            assertEq(pool.dueCount(), due, "due");
            assertEq(pool.pendingCount(), i + 1 - inserted, "pending");
        }
    }

    /// @dev attacks.md 17: one party that floods the queue pays for it and delays others by whole batches only.
    function test_AFloodedQueueMovesOn() external {
        fill(70);
        fill(1);
        insert(64);
        waitUntilDue();
        insert(7);
        assertEq(pool.pendingCount(), 0, "pending");
    }

    function test_ThePositionsOfTheQueueStayReadable() external {
        fill(2);
        uint256 first = pool.queuedCommitment(0);
        waitUntilDue();
        insert(2);
        assertEq(pool.queuedCommitment(0), first, "after insertion");
        vm.expectRevert(abi.encodeWithSelector(CommitmentQueue.NothingQueued.selector, 2));
        pool.queuedCommitment(2);
    }

    /// @dev attacks.md 25: the last subtrees are kept for what is pending; then deposits and transfers stop.
    function test_DepositsAndTransfersNeedRoomForABatchEach() external {
        fill(1);
        _leaveRoomFor(2);
        GelapShieldedAccount.Spend memory spend = prove(transfer());
        vm.expectRevert(abi.encodeWithSelector(CommitmentQueue.TreeFull.selector));
        pool.transact(spend);
        fill(1);
        vm.expectRevert(abi.encodeWithSelector(CommitmentQueue.TreeFull.selector));
        vm.prank(ALICE);
        pool.deposit(address(token), 1, 1, memo(1));
        waitUntilDue();
        insert(2);
        fill(1);
        vm.expectRevert(abi.encodeWithSelector(CommitmentQueue.TreeFull.selector));
        vm.prank(ALICE);
        pool.deposit(address(token), 1, 1, memo(1));
        waitUntilDue();
        insert(1);
        assertEq(pool.nextLeafIndex(), 1 << 32, "the tree is full");
    }

    function test_ATransferTakesTheLastRoom() external {
        _leaveRoomFor(2);
        pool.transact(prove(transfer()));
        vm.expectRevert(abi.encodeWithSelector(CommitmentQueue.TreeFull.selector));
        vm.prank(ALICE);
        pool.deposit(address(token), 1, 1, memo(1));
    }

    function test_AThirdOutputNeedsRoomOfItsOwn() external {
        _leaveRoomFor(2);
        GelapShieldedAccount.Spend memory spend = prove(transfer(2, 3));
        vm.expectRevert(abi.encodeWithSelector(CommitmentQueue.TreeFull.selector));
        pool.transact(spend);
        pool.transact(prove(transfer(8, 2)));
    }

    /// @dev attacks.md 25: whoever is in can leave, though there is no room for change.
    function test_WithdrawalsWorkWhenTheTreeIsFull() external {
        fill(1);
        _leaveRoomFor(1);
        waitUntilDue();
        insert(1);
        assertEq(pool.nextLeafIndex(), 1 << 32, "the tree is full");
        pool.withdraw(prove(withdrawal(1, 0)));
        assertEq(token.balanceOf(BOB), 1, "receiver");
        waitUntilDue();
        bytes memory proof = insertProof(7, 2);
        vm.expectRevert(abi.encodeWithSelector(CommitmentQueue.TreeFull.selector));
        pool.insert(7, 2, proof);
    }

    /// @dev Withdrawals take no room away from what was queued before them.
    function test_WithdrawalsDoNotTakeTheRoomOfPendingDeposits() external {
        _leaveRoomFor(1);
        fill(1);
        token.mint(address(pool), 10);
        pool.withdraw(prove(withdrawal(1, 0)));
        pool.withdraw(prove(withdrawal(1, 0)));
        waitUntilDue();
        insert(5);
        assertEq(pool.pendingCount(), 0, "pending");
    }

    function _expectTooShort(uint256 count, uint256 due) private {
        vm.expectRevert(abi.encodeWithSelector(CommitmentQueue.BatchTooShort.selector, count, due));
        pool.insert(1, count, "");
    }

    function _expectBatchSize(uint256 count, uint256 pending) private {
        vm.expectRevert(abi.encodeWithSelector(CommitmentQueue.BatchSize.selector, count, pending));
        pool.insert(1, count, "");
    }

    /// @dev Moves the next leaf index, bits 80 to 119 of the counters in slot 0, near the end of the tree.
    function _leaveRoomFor(uint256 batches) private {
        uint256 index = (1 << 32) - 64 * batches;
        uint256 counters = uint256(vm.load(address(pool), 0)) & ~(uint256(type(uint40).max) << 80);
        vm.store(address(pool), 0, bytes32(counters | index << 80));
        assertEq(pool.nextLeafIndex(), index, "next leaf index");
    }
}
