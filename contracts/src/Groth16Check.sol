// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { ISP1Verifier } from "./ISP1Verifier.sol";

/// @title The Groth16 check over BN254, for keys that stand at the end of the contract's own code.
/// @notice A key is the words alpha (G1), beta, gamma, delta (G2), IC[0..n] (G1) in the order of EIP-197: G1 is x, y
/// and G2 is x.c1, x.c0, y.c1, y.c0. It is known by `programVKey = keccak256(key)`. A proof is the words A (G1),
/// B (G2), C (G1); the public values are n words. Every word must be canonical.
/// @dev The check is e(A, B) = e(alpha, beta) e(IC[0] + sum of s_i IC[i], gamma) e(C, delta), from Groth, "On the Size
/// of Pairing-based Non-interactive Arguments" (https://eprint.iacr.org/2016/260). The precompiles of EIP-196 and
/// EIP-197 refuse points that are not on the curve or, in G2, not in the subgroup. Proofs can be re-randomised by
/// anyone, so a proof identifies nothing.
///
/// The code ends with the keys, then for each of them its name and the word `offset << 128 | length`, then the number
/// of keys. Own code is read for the price of a copy, where a storage slot and another contract's code would cost
/// 4,700 gas a proof. The compiler's part of the code ends before it and never jumps there.
abstract contract Groth16Check is ISP1Verifier {
    /// @notice No key with this name was given at deployment.
    error UnknownKey(bytes32 programVKey);
    /// @notice The public values are not one word for each public input of the key.
    error PublicValuesLength(uint256 length, uint256 expected);
    /// @notice A public value is not below the scalar field's modulus.
    error PublicValueOutOfRange(uint256 value);
    /// @notice The proof is not 256 bytes.
    error ProofLength(uint256 length);
    /// @notice A coordinate of the proof is not below the base field's modulus.
    error ProofCoordinateOutOfRange(uint256 value);
    /// @notice The proof does not prove this statement, or one of its points is not on the curve.
    error InvalidProof();

    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    uint256 internal constant Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583;

    uint256 private constant PROOF_BYTES = 256;
    uint256 internal constant IC_OFFSET = 448;
    uint256 internal constant POINT_BYTES = 64;

    /// @inheritdoc ISP1Verifier
    function verifyProof(bytes32 programVKey, bytes calldata publicValues, bytes calldata proofBytes) external view {
        (uint256 keyAt, uint256 keyLength) = _find(programVKey);
        uint256 expected = _publicInputCount(keyLength) * 32;
        if (publicValues.length != expected) revert PublicValuesLength(publicValues.length, expected);
        if (proofBytes.length != PROOF_BYTES) revert ProofLength(proofBytes.length);
        _requireCanonicalProof(proofBytes);
        if (!_holds(keyAt, publicValues, proofBytes)) revert InvalidProof();
    }

    /// @notice The number of public inputs of a key; reverts for an unknown one.
    function publicInputCount(bytes32 programVKey) external pure returns (uint256) {
        (, uint256 keyLength) = _find(programVKey);
        return _publicInputCount(keyLength);
    }

    /// @notice The bytes of a key, to compare with the published one; reverts for an unknown one.
    function verificationKey(bytes32 programVKey) external pure returns (bytes memory key) {
        (uint256 keyAt, uint256 keyLength) = _find(programVKey);
        key = new bytes(keyLength);
        assembly ("memory-safe") {
            codecopy(add(key, 32), keyAt, keyLength)
        }
    }

    /// @dev Of a key whose length was checked.
    function _publicInputCount(uint256 keyLength) internal pure returns (uint256) {
        unchecked {
            return (keyLength - IC_OFFSET) / POINT_BYTES - 1;
        }
    }

    /// @dev The end of the code that `_load` reads, for these keys in this order after `codeBytes` bytes of code.
    function _encodeKeys(bytes[] memory keys, uint256 codeBytes) internal pure returns (bytes memory tail) {
        bytes memory directory;
        for (uint256 i; i < keys.length; ++i) {
            uint256 offset = codeBytes + tail.length;
            directory = abi.encodePacked(directory, keccak256(keys[i]), uint128(offset), uint128(keys[i].length));
            tail = bytes.concat(tail, keys[i]);
        }
        return abi.encodePacked(tail, directory, keys.length);
    }

    /// @dev Where in the code a key is, and its length in bytes. The search goes from the first key on, so the one used
    /// most goes first.
    function _find(bytes32 programVKey) private pure returns (uint256 keyAt, uint256 keyLength) {
        assembly ("memory-safe") {
            let end := sub(codesize(), 32)
            codecopy(0x00, end, 32)
            for { let at := sub(end, mul(mload(0x00), 64)) } lt(at, end) { at := add(at, 64) } {
                codecopy(0x00, at, 64)
                if eq(mload(0x00), programVKey) {
                    keyAt := shr(128, mload(0x20))
                    keyLength := and(mload(0x20), 0xffffffffffffffffffffffffffffffff)
                    break
                }
            }
        }
        if (keyLength == 0) revert UnknownKey(programVKey);
    }

    /// @dev Reverts unless every coordinate is below q; names the first that is not.
    function _requireCanonicalProof(bytes calldata proof) private pure {
        bool canonical;
        assembly ("memory-safe") {
            let at := proof.offset
            canonical := and(
                and(
                    and(lt(calldataload(at), Q), lt(calldataload(add(at, 32)), Q)),
                    and(lt(calldataload(add(at, 64)), Q), lt(calldataload(add(at, 96)), Q))
                ),
                and(
                    and(lt(calldataload(add(at, 128)), Q), lt(calldataload(add(at, 160)), Q)),
                    and(lt(calldataload(add(at, 192)), Q), lt(calldataload(add(at, 224)), Q))
                )
            )
        }
        if (canonical) return;
        for (uint256 i; i < PROOF_BYTES; i += 32) {
            uint256 coordinate = uint256(bytes32(proof[i:i + 32]));
            if (coordinate >= Q) revert ProofCoordinateOutOfRange(coordinate);
        }
    }

    /// @dev Whether e(-A, B) e(alpha, beta) e(inputs, gamma) e(C, delta) = 1, with inputs = IC[0] + sum of s_i IC[i].
    /// False for points the precompiles refuse. Reverts on a public value that is not below r.
    function _holds(uint256 keyAt, bytes calldata publicValues, bytes calldata proofBytes)
        private
        view
        returns (bool holds)
    {
        bytes4 outOfRange = PublicValueOutOfRange.selector;
        assembly ("memory-safe") {
            // The four pairs, six words each; the sum of the inputs is built in its place. Behind it stand for now the
            // next point and its scalar, then their product.
            let pairs := mload(0x40)
            let sum := add(pairs, 384)
            let next := add(pairs, 448)
            let point := add(keyAt, IC_OFFSET)
            codecopy(sum, point, 64)
            let ok := 1
            let end := add(publicValues.offset, publicValues.length)
            for { let at := publicValues.offset } lt(at, end) { at := add(at, 32) } {
                point := add(point, 64)
                let scalar := calldataload(at)
                if iszero(lt(scalar, R)) {
                    mstore(0x00, outOfRange)
                    mstore(0x04, scalar)
                    revert(0x00, 0x24)
                }
                // A zero input costs nothing: the multiplication is left out.
                if scalar {
                    codecopy(next, point, 64)
                    mstore(add(pairs, 512), scalar)
                    ok := and(ok, staticcall(gas(), 0x07, next, 96, next, 64))
                    ok := and(ok, staticcall(gas(), 0x06, sum, 128, sum, 64))
                }
            }
            calldatacopy(pairs, proofBytes.offset, 192)
            let yOfA := add(pairs, 32)
            // The point at infinity (0, 0) is its own negative.
            mstore(yOfA, mod(sub(Q, mload(yOfA)), Q))
            codecopy(add(pairs, 192), keyAt, 192)
            codecopy(next, add(keyAt, 192), 128)
            calldatacopy(add(pairs, 576), add(proofBytes.offset, 192), 64)
            codecopy(add(pairs, 640), add(keyAt, 320), 128)
            ok := and(ok, staticcall(gas(), 0x08, pairs, 768, 0x00, 32))
            holds := and(ok, mload(0x00))
        }
    }
}
