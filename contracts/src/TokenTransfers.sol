// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { IERC20 } from "./IERC20.sol";

/// @title Moves of ERC-20 tokens that either change the caller's balance by exactly the amount, or revert.
/// @notice Tokens that take a fee on either side, return false or move nothing are refused; tokens that return nothing
/// are fine.
library TokenTransfers {
    /// @notice There is no contract at the token's address.
    error TokenWithoutCode(address token);
    /// @notice The token refused a transfer.
    error TransferFailed(address token);
    /// @notice The pool's balance is not what it must be after the transfer.
    error BalanceMismatch(address token, uint256 expected, uint256 actual);

    /// @notice Takes exactly `amount` from `from`, who has allowed it.
    function pull(address token, address from, uint256 amount) internal {
        _requireCode(token);
        uint256 expected = IERC20(token).balanceOf(address(this)) + amount;
        _call(token, abi.encodeCall(IERC20.transferFrom, (from, address(this), amount)));
        _requireBalance(token, expected);
    }

    /// @notice Pays `amount` to `receiver` and `fee` to `relayer`, exactly their sum in all; zero amounts are left out.
    function pay(address token, address receiver, uint256 amount, address relayer, uint256 fee) internal {
        _requireCode(token);
        uint256 expected = IERC20(token).balanceOf(address(this)) - amount - fee;
        if (amount != 0) _call(token, abi.encodeCall(IERC20.transfer, (receiver, amount)));
        if (fee != 0) _call(token, abi.encodeCall(IERC20.transfer, (relayer, fee)));
        _requireBalance(token, expected);
    }

    /// @dev A call to an address without code succeeds; the callers have ruled that out.
    function _call(address token, bytes memory data) private {
        (bool ok, bytes memory answer) = token.call(data);
        if (!ok) {
            if (answer.length == 0) revert TransferFailed(token);
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        if (answer.length != 0 && (answer.length < 32 || uint256(bytes32(answer)) != 1)) revert TransferFailed(token);
    }

    function _requireBalance(address token, uint256 expected) private view {
        uint256 actual = IERC20(token).balanceOf(address(this));
        if (actual != expected) revert BalanceMismatch(token, expected, actual);
    }

    function _requireCode(address token) private view {
        if (token.code.length == 0) revert TokenWithoutCode(token);
    }
}
