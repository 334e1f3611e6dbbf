// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { ISP1Verifier } from "../../src/ISP1Verifier.sol";

/// @dev Says "false" by returning it, as many generated verifiers do, and reverts on an empty proof only.
contract AnsweringVerifier {
    function verifyProof(bytes32, bytes calldata, bytes calldata proofBytes) external pure returns (bool) {
        require(proofBytes.length != 0, "no proof");
        return false;
    }
}

/// @dev Accepts everything.
contract AcceptingVerifier is ISP1Verifier {
    function verifyProof(bytes32, bytes calldata, bytes calldata) external view { }
}

/// @dev Forgets to revert: checks, and returns false without a word about it.
contract FalseVerifier {
    function verifyProof(bytes32, bytes calldata, bytes calldata) external pure returns (bool) {
        return false;
    }
}
