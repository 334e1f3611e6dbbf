// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { IERC20 } from "./IERC20.sol";

/// @title Moves of ERC-20 tokens that either change the caller's balance by exactly the amount, or revert.
/// @notice Tokens that take a fee on either side, return false or move nothing are refused; tokens that return nothing
/// are fine.
library TokenTransfers {
    /// @notice There is no contract at the token's address, or none that tells balances.
    error TokenWithoutCode(address token);
    /// @notice The token refused a transfer.
    error TransferFailed(address token);
    /// @notice The pool's balance is not what it must be after the transfer.
    error BalanceMismatch(address token, uint256 expected, uint256 actual);

    /// @notice Takes exactly `amount` from `from`, who has allowed it.
    function pull(address token, address from, uint256 amount) internal {
        uint256 expected = _balance(token) + amount;
        _transferFrom(token, from, amount);
        _requireBalance(token, expected);
    }

    /// @notice Pays `amount` to `receiver` and `fee` to `relayer`, exactly their sum in all; zero amounts are left out.
    function pay(address token, address receiver, uint256 amount, address relayer, uint256 fee) internal {
        uint256 expected = _balance(token) - amount - fee;
        if (amount != 0) _transfer(token, receiver, amount);
        if (fee != 0) _transfer(token, relayer, fee);
        _requireBalance(token, expected);
    }

    /// @dev As `_transferFrom`, from this contract and without the compiler's encoding: every withdrawal pays for it.
    function _transfer(address token, address to, uint256 amount) private {
        bytes4 selector = IERC20.transfer.selector;
        bool ok;
        bool moved;
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, selector)
            mstore(add(data, 4), shr(96, shl(96, to)))
            mstore(add(data, 36), amount)
            ok := call(gas(), token, 0, data, 68, 0x00, 32)
            moved := and(ok, or(iszero(returndatasize()), and(gt(returndatasize(), 31), eq(mload(0x00), 1))))
        }
        if (!moved) _refuse(token, ok);
    }

    /// @dev A call to an address without code succeeds; reading the balance before has ruled that out. The answer must
    /// be nothing, or at least a word that is 1. Assembly, so that the answer is not copied to be read.
    function _transferFrom(address token, address from, uint256 amount) private {
        bytes memory data = abi.encodeCall(IERC20.transferFrom, (from, address(this), amount));
        bool ok;
        bool moved;
        assembly ("memory-safe") {
            ok := call(gas(), token, 0, add(data, 32), mload(data), 0x00, 32)
            moved := and(ok, or(iszero(returndatasize()), and(gt(returndatasize(), 31), eq(mload(0x00), 1))))
        }
        if (!moved) _refuse(token, ok);
    }

    /// @dev With the token's reason, if the call just made failed and gave one.
    function _refuse(address token, bool ok) private pure {
        if (!ok) {
            assembly ("memory-safe") {
                if returndatasize() {
                    let reason := mload(0x40)
                    returndatacopy(reason, 0, returndatasize())
                    revert(reason, returndatasize())
                }
            }
        }
        revert TransferFailed(token);
    }

    /// @dev This contract's balance. Reverts with the token's reason, or unless it answers with at least a word, as an
    /// address without code does not.
    function _balance(address token) private view returns (uint256 held) {
        bool answered;
        bytes4 selector = IERC20.balanceOf.selector;
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, address())
            if iszero(staticcall(gas(), token, 0x00, 36, 0x00, 32)) {
                let reason := mload(0x40)
                returndatacopy(reason, 0, returndatasize())
                revert(reason, returndatasize())
            }
            answered := gt(returndatasize(), 31)
            held := mload(0x00)
        }
        if (!answered) revert TokenWithoutCode(token);
    }

    function _requireBalance(address token, uint256 expected) private view {
        uint256 actual = _balance(token);
        if (actual != expected) revert BalanceMismatch(token, expected, actual);
    }
}
