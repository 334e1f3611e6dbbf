// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title ERC-20 and its permits (EIP-2612).
/// @notice What the pool uses of them.
interface IERC20 {
    /// @notice As in ERC-20.
    function balanceOf(address owner) external view returns (uint256);

    /// @notice As in ERC-20; some tokens return nothing.
    function transfer(address to, uint256 amount) external returns (bool);

    /// @notice As in ERC-20; some tokens return nothing.
    function transferFrom(address from, address to, uint256 amount) external returns (bool);

    /// @notice As in EIP-2612.
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;
}
