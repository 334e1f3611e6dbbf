// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title The seam between the pool and whatever checks its proofs.
/// @notice The shape of Succinct's SP1 verifier gateway, so that a proof system can be swapped at deployment.
interface ISP1Verifier {
    /// @notice Returns nothing if the proof is valid, and reverts if it is not.
    /// @param programVKey Names the statement, as the implementation defines it.
    /// @param publicValues The public inputs.
    /// @param proofBytes The proof, in the implementation's encoding.
    function verifyProof(bytes32 programVKey, bytes calldata publicValues, bytes calldata proofBytes) external view;
}
