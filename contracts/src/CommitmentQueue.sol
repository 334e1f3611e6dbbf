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

    /// @dev Queues commitments in order, each with its memo.
    function _queue(uint256[] calldata commitments, bytes[] calldata memos) internal {
        uint256 position = _advance(commitments.length);
        for (uint256 i; i < commitments.length; ++i) {
            _put(position + i, commitments[i], memos[i]);
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

    /// @dev Counts `count` commitments as queued now and returns the position of the first.
    function _advance(uint256 count) private returns (uint256 position) {
        Counters memory counters = _counters;
        position = counters.queued;
        uint256 epoch = block.timestamp / EPOCH;
        if (counters.epoch != epoch) {
            counters.queuedBeforePreviousEpoch =
                counters.epoch + 1 == epoch ? counters.queuedBeforeEpoch : counters.queued;
            counters.queuedBeforeEpoch = counters.queued;
            counters.epoch = uint32(epoch);
        }
        counters.queued = uint40(position + count);
        _counters = counters;
    }

    function _put(uint256 position, uint256 commitment, bytes calldata memo) private {
        if (commitment == 0) revert ZeroCommitment();
        _commitments[position] = commitment;
        emit CommitmentQueued(position, commitment, memo);
    }

    function _dueCount(Counters memory counters) private view returns (uint256) {
        uint256 epoch = block.timestamp / EPOCH;
        uint256 queued = counters.queued;
        if (counters.epoch == epoch) queued = counters.queuedBeforePreviousEpoch;
        else if (counters.epoch + 1 == epoch) queued = counters.queuedBeforeEpoch;
        return queued > counters.inserted ? queued - counters.inserted : 0;
    }
}
