// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { Groth16Check } from "./Groth16Check.sol";
import { Groth16Code } from "./Groth16Code.sol";

/// @title Groth16 over BN254 for any number of verification keys, all fixed at deployment.
/// @notice No owner, no storage: the keys are part of the code. `Groth16Check` says what a key and a proof are.
contract Groth16Verifier is Groth16Check {
    /// @notice A key has a wrong length: it is 448 bytes and then 64 for each of at least two IC points.
    error KeyLength(uint256 length);
    /// @notice A key holds a coordinate that is not below the base field's modulus.
    error KeyCoordinateOutOfRange(uint256 value);
    /// @notice A key holds the point at infinity, at this byte offset.
    error KeyPointAtInfinity(uint256 offset);
    /// @notice A key holds a point outside the curve or its subgroup.
    error KeyPointNotOnCurve();
    /// @notice gamma and delta are equal or opposite: the key never saw phase 2 of a ceremony, and anyone can forge.
    error KeyWithoutPhaseTwo();

    /// @notice A key has been stored; emitted by the constructor only.
    event KeyStored(bytes32 indexed programVKey, uint256 publicInputs);

    /// @notice Checks the keys and leaves code that ends with them. Both must fit the 24,576 bytes of a contract.
    /// @param keys The verification keys, each checked in full: a malformed or unsafe key stops the deployment.
    constructor(bytes[] memory keys) {
        for (uint256 i; i < keys.length; ++i) {
            _checkKey(keys[i]);
            emit KeyStored(keccak256(keys[i]), _publicInputCount(keys[i].length));
        }
        bytes memory code = type(Groth16Code).runtimeCode;
        code = bytes.concat(code, _encodeKeys(keys, code.length));
        assembly ("memory-safe") {
            return(add(code, 32), mload(code))
        }
    }

    function _checkKey(bytes memory key) private view {
        uint256 length = key.length;
        if (length < IC_OFFSET + 2 * POINT_BYTES || length % POINT_BYTES != 0) revert KeyLength(length);
        for (uint256 offset; offset < length; offset += 32) {
            uint256 value = _word(key, offset);
            if (value >= Q) revert KeyCoordinateOutOfRange(value);
        }
        _checkG1(key, 0);
        for (uint256 offset = IC_OFFSET; offset < length; offset += POINT_BYTES) {
            _checkG1(key, offset);
        }
        for (uint256 offset = POINT_BYTES; offset < IC_OFFSET; offset += 128) {
            _checkG2(key, offset);
        }
        // Equal x means gamma = delta or gamma = -delta; either way C can cancel the inputs without a witness.
        if (_word(key, 192) == _word(key, 320) && _word(key, 224) == _word(key, 352)) revert KeyWithoutPhaseTwo();
    }

    /// @dev Adding infinity makes the precompile check that the point is on the curve.
    function _checkG1(bytes memory key, uint256 offset) private view {
        (uint256 x, uint256 y) = (_word(key, offset), _word(key, offset + 32));
        if (x == 0 && y == 0) revert KeyPointAtInfinity(offset);
        (bool ok,) = address(0x06).staticcall(abi.encode(x, y, 0, 0));
        if (!ok) revert KeyPointNotOnCurve();
    }

    /// @dev Pairing with infinity makes the precompile check that the point is on the twist and in the subgroup.
    function _checkG2(bytes memory key, uint256 offset) private view {
        uint256 a = _word(key, offset);
        uint256 b = _word(key, offset + 32);
        uint256 c = _word(key, offset + 64);
        uint256 d = _word(key, offset + 96);
        if (a == 0 && b == 0 && c == 0 && d == 0) revert KeyPointAtInfinity(offset);
        (bool ok,) = address(0x08).staticcall(abi.encode(0, 0, a, b, c, d));
        if (!ok) revert KeyPointNotOnCurve();
    }

    function _word(bytes memory data, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), offset))
        }
    }
}
