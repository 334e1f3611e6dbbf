// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Commitments waiting for the tree, first in, first out.
/// @notice `position` counts every commitment ever queued, from 0. The oldest pending ones enter the tree in batches,
/// each an aligned subtree of 64 leaves: a commitment's leaf index is the batch's start index plus its place in it.
/// @dev Time is counted in epochs of 60 seconds. A batch that is not full is allowed only when it holds every
/// commitment queued before the previous epoch began, and at least one: so leaf space cannot be burned with empty
/// batches, no one can be left behind, and a proof made for the whole queue stays good for at least 60 seconds, unless
/// a full batch comes about.
abstract contract CommitmentQueue {
    /// @notice The commitment 0 marks an empty leaf.
    error ZeroCommitment();
    /// @notice The tree could not take these commitments if every pending one got a batch of its own.
    error TreeFull();
    /// @notice This many commitments cannot be inserted now; see `pendingCount`.
    error BatchSize(uint256 count, uint256 pending);
    /// @notice A batch below 64 must hold all commitments that are due, and at least one; see `dueCount`.
    error BatchTooShort(uint256 count, uint256 due);
    /// @notice Nothing was queued at this position yet.
    error NothingQueued(uint256 position);

    /// @notice A commitment awaits its place in the tree.
    event CommitmentQueued(uint256 indexed position, uint256 commitment, bytes memo);

    /// @dev One storage slot. `queuedBefore...` are the numbers of commitments queued before `epoch`, the last epoch in
    /// which one was queued, began, and before the epoch preceding it began.
    struct Counters {
        uint40 queued;
        uint40 inserted;
        uint40 nextLeafIndex;
        uint32 epoch;
        uint40 queuedBeforeEpoch;
        uint40 queuedBeforePreviousEpoch;
    }

    uint256 internal constant BATCH = 64;
    uint256 private constant CAPACITY = 1 << 32;
    uint256 private constant EPOCH = 60 seconds;
    /// @dev The first bits of the last three counters in their slot.
    uint256 private constant EPOCH_BIT = 120;
    uint256 private constant BEFORE_EPOCH_BIT = 152;
    uint256 private constant BEFORE_PREVIOUS_BIT = 192;

    Counters private _counters;
    /// @dev By position. A fixed array needs no hash to find a slot; the capacity rule keeps positions far below 2^40.
    uint256[1 << 40] private _commitments;

    /// @notice How many commitments wait for the tree.
    function pendingCount() external view returns (uint256) {
        return _counters.queued - _counters.inserted;
    }

    /// @notice The position of the oldest commitment that waits, or of the next one to be queued.
    function firstPending() external view returns (uint256) {
        return _counters.inserted;
    }

    /// @notice How many pending commitments were queued before the previous epoch began: a short batch must hold them
    /// all, and is refused while there are none.
    function dueCount() external view returns (uint256) {
        return _dueCount(_counters);
    }

    /// @notice The index of the first leaf of the next batch.
    function nextLeafIndex() external view returns (uint64) {
        return _counters.nextLeafIndex;
    }

    /// @notice The commitment queued at a position, inserted or not.
    function queuedCommitment(uint256 position) external view returns (uint256) {
        if (position >= _counters.queued) revert NothingQueued(position);
        return _commitments[position];
    }

    /// @dev Reverts unless the tree has room for `count` more at one batch each, the most that short batches can burn.
    function _requireRoom(uint256 count) internal view {
        Counters memory counters = _counters;
        uint256 batches = uint256(counters.queued) - counters.inserted + count;
        if (counters.nextLeafIndex + batches * BATCH > CAPACITY) revert TreeFull();
    }

    /// @dev Queues commitments in order, each with its memo. The caller has made sure that there are as many memos, and
    /// has read every one of them with the compiler's checks.
    function _queue(uint256[] calldata commitments, bytes[] calldata memos) internal {
        uint256 position = _advance(commitments.length);
        for (uint256 i; i < commitments.length; ++i) {
            uint256 commitment;
            bytes calldata memo;
            // commitments[i] and memos[i], without those checks.
            assembly ("memory-safe") {
                let word := mul(i, 32)
                commitment := calldataload(add(commitments.offset, word))
                let at := add(memos.offset, calldataload(add(memos.offset, word)))
                memo.length := calldataload(at)
                memo.offset := add(at, 32)
            }
            unchecked {
                _put(position + i, commitment, memo);
            }
        }
    }

    function _queue(uint256 commitment, bytes calldata memo) internal {
        _put(_advance(1), commitment, memo);
    }

    /// @dev Takes `count` commitments off the queue into `leaves[offset..]` and returns the index of their first leaf.
    function _dequeue(uint256 count, uint256[] memory leaves, uint256 offset) internal returns (uint256 startIndex) {
        Counters memory counters = _counters;
        uint256 pending = counters.queued - counters.inserted;
        if (count == 0 || count > BATCH || count > pending || (count < BATCH && pending >= BATCH)) {
            revert BatchSize(count, pending);
        }
        if (count < BATCH) {
            uint256 due = _dueCount(counters);
            if (due == 0 || count < due) revert BatchTooShort(count, due);
        }
        startIndex = counters.nextLeafIndex;
        if (startIndex + BATCH > CAPACITY) revert TreeFull();
        for (uint256 i; i < count; ++i) {
            leaves[offset + i] = _commitments[counters.inserted + i];
        }
        counters.inserted = uint40(counters.inserted + count);
        counters.nextLeafIndex = uint40(startIndex + BATCH);
        _counters = counters;
    }

    /// @dev Counts `count` commitments as queued now and returns the position of the first. Works on the packed slot:
    /// every spend pays for this, and taking the struct apart and together again would cost it 500 gas more.
    function _advance(uint256 count) private returns (uint256 position) {
        uint256 packed;
        assembly ("memory-safe") {
            packed := sload(_counters.slot)
        }
        position = uint40(packed);
        uint256 last = uint32(packed >> EPOCH_BIT);
        uint256 epoch = uint32(block.timestamp / EPOCH);
        // Numbers of 32 and 40 bits do not overflow here. `queued` has the lowest bits; filling its 40 would take 2^40
        // calls of 22,100 gas each.
        unchecked {
            if (last != epoch) {
                uint256 beforePrevious = last + 1 == epoch ? uint40(packed >> BEFORE_EPOCH_BIT) : position;
                packed = packed & ((1 << EPOCH_BIT) - 1) | epoch << EPOCH_BIT | position << BEFORE_EPOCH_BIT
                    | beforePrevious << BEFORE_PREVIOUS_BIT;
            }
            packed += count;
        }
        assembly ("memory-safe") {
            sstore(_counters.slot, packed)
        }
    }

    function _put(uint256 position, uint256 commitment, bytes calldata memo) private {
        if (commitment == 0) revert ZeroCommitment();
        uint256[1 << 40] storage commitments = _commitments;
        bytes32 topic = CommitmentQueued.selector;
        // commitments[position] = commitment; emit CommitmentQueued(position, commitment, memo). A position is below
        // 2^40, as the counters have no more bits, and a memo is whole words, so that its encoding needs no padding.
        assembly ("memory-safe") {
            sstore(add(commitments.slot, position), commitment)
            let data := mload(0x40)
            mstore(data, commitment)
            mstore(add(data, 32), 64)
            mstore(add(data, 64), memo.length)
            calldatacopy(add(data, 96), memo.offset, memo.length)
            log2(data, add(96, memo.length), topic, position)
        }
    }

    function _dueCount(Counters memory counters) private view returns (uint256) {
        uint256 epoch = block.timestamp / EPOCH;
        uint256 queued = counters.queued;
        if (counters.epoch == epoch) queued = counters.queuedBeforePreviousEpoch;
        else if (counters.epoch + 1 == epoch) queued = counters.queuedBeforeEpoch;
        return queued > counters.inserted ? queued - counters.inserted : 0;
    }
}
