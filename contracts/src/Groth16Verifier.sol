// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { ISP1Verifier } from "./ISP1Verifier.sol";

/// @title Groth16 over BN254 for any number of verification keys, all fixed at deployment.
/// @notice A key is the words alpha (G1), beta, gamma, delta (G2), IC[0..n] (G1) in the order of EIP-197: G1 is x, y
/// and G2 is x.c1, x.c0, y.c1, y.c0. It is known by `programVKey = keccak256(key)`. A proof is the words A (G1),
/// B (G2), C (G1); the public values are n words. Every word must be canonical.
/// @dev The check is e(A, B) = e(alpha, beta) e(IC[0] + sum of s_i IC[i], gamma) e(C, delta), from Groth, "On the Size
/// of Pairing-based Non-interactive Arguments" (https://eprint.iacr.org/2016/260). The precompiles of EIP-196 and
/// EIP-197 refuse points that are not on the curve or, in G2, not in the subgroup. Proofs can be re-randomised by
/// anyone, so a proof identifies nothing.
contract Groth16Verifier is ISP1Verifier {
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
    /// @notice The code that was to hold a key could not be created.
    error KeyNotStored();
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

    /// @notice A key has been stored; emitted by the constructor only.
    event KeyStored(bytes32 indexed programVKey, address store, uint256 publicInputs);

    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    uint256 private constant Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583;

    uint256 private constant PROOF_BYTES = 256;
    uint256 private constant IC_OFFSET = 448;
    uint256 private constant POINT_BYTES = 64;
    /// @dev A store's code starts with STOP, so that nobody can run it; the key follows.
    uint256 private constant STORE_PREFIX = 1;

    mapping(bytes32 programVKey => address store) private _stores;

    /// @notice Checks and stores the keys.
    /// @param keys The verification keys, each checked in full: a malformed or unsafe key stops the deployment.
    constructor(bytes[] memory keys) {
        for (uint256 i; i < keys.length; ++i) {
            bytes memory key = keys[i];
            _checkKey(key);
            bytes32 programVKey = keccak256(key);
            address store = _store(key);
            _stores[programVKey] = store;
            emit KeyStored(programVKey, store, (key.length - IC_OFFSET) / POINT_BYTES - 1);
        }
    }

    /// @inheritdoc ISP1Verifier
    function verifyProof(bytes32 programVKey, bytes calldata publicValues, bytes calldata proofBytes) external view {
        address store = _storeOf(programVKey);
        uint256 publicInputs = _publicInputCount(store);
        if (publicValues.length != publicInputs * 32) {
            revert PublicValuesLength(publicValues.length, publicInputs * 32);
        }
        if (proofBytes.length != PROOF_BYTES) revert ProofLength(proofBytes.length);
        _requireCanonical(publicValues, proofBytes);
        bytes memory key = _load(store);
        (uint256 x, uint256 y) = _combineInputs(key, publicValues);
        if (!_pairingHolds(key, x, y, proofBytes)) revert InvalidProof();
    }

    /// @notice The number of public inputs of a key; reverts for an unknown one.
    function publicInputCount(bytes32 programVKey) external view returns (uint256) {
        return _publicInputCount(_storeOf(programVKey));
    }

    /// @notice The bytes of a key, to compare with the published one; reverts for an unknown one.
    function verificationKey(bytes32 programVKey) external view returns (bytes memory key) {
        return _load(_storeOf(programVKey));
    }

    function _storeOf(bytes32 programVKey) private view returns (address store) {
        store = _stores[programVKey];
        if (store == address(0)) revert UnknownKey(programVKey);
    }

    function _publicInputCount(address store) private view returns (uint256) {
        return (store.code.length - STORE_PREFIX - IC_OFFSET) / POINT_BYTES - 1;
    }

    function _load(address store) private view returns (bytes memory key) {
        key = new bytes(store.code.length - STORE_PREFIX);
        assembly ("memory-safe") {
            extcodecopy(store, add(key, 32), STORE_PREFIX, mload(key))
        }
    }

    /// @dev Reverts unless every public value is below r and every coordinate of the proof below q.
    function _requireCanonical(bytes calldata publicValues, bytes calldata proofBytes) private pure {
        uint256 value;
        uint256 coordinate;
        assembly ("memory-safe") {
            let end := add(publicValues.offset, publicValues.length)
            for { let at := publicValues.offset } lt(at, end) { at := add(at, 32) } {
                if iszero(lt(calldataload(at), R)) {
                    value := calldataload(at)
                    break
                }
            }
            end := add(proofBytes.offset, PROOF_BYTES)
            for { let at := proofBytes.offset } lt(at, end) { at := add(at, 32) } {
                if iszero(lt(calldataload(at), Q)) {
                    coordinate := calldataload(at)
                    break
                }
            }
        }
        if (value != 0) revert PublicValueOutOfRange(value);
        if (coordinate != 0) revert ProofCoordinateOutOfRange(coordinate);
    }

    /// @dev Returns IC[0] + sum of s_i IC[i]. A zero input costs nothing: the multiplication is left out.
    function _combineInputs(bytes memory key, bytes calldata publicValues) private view returns (uint256 x, uint256 y) {
        bool ok = true;
        assembly ("memory-safe") {
            let point := add(key, add(32, IC_OFFSET))
            // Scratch: the sum (x, y), then the next point and its scalar, or their product.
            let sum := mload(0x40)
            let next := add(sum, 0x40)
            mcopy(sum, point, 0x40)
            let end := add(publicValues.offset, publicValues.length)
            for { let at := publicValues.offset } lt(at, end) { at := add(at, 32) } {
                point := add(point, 0x40)
                let scalar := calldataload(at)
                if scalar {
                    mcopy(next, point, 0x40)
                    mstore(add(next, 0x40), scalar)
                    ok := and(ok, staticcall(gas(), 0x07, next, 0x60, next, 0x40))
                    ok := and(ok, staticcall(gas(), 0x06, sum, 0x80, sum, 0x40))
                }
            }
            x := mload(sum)
            y := mload(add(sum, 32))
        }
        if (!ok) revert InvalidProof();
    }

    /// @dev Whether e(-A, B) e(alpha, beta) e(inputs, gamma) e(C, delta) = 1. False for points the precompile refuses.
    function _pairingHolds(bytes memory key, uint256 x, uint256 y, bytes calldata proofBytes)
        private
        view
        returns (bool holds)
    {
        assembly ("memory-safe") {
            let words := add(key, 32)
            let pairs := mload(0x40)
            calldatacopy(pairs, proofBytes.offset, 192)
            let yOfA := add(pairs, 32)
            // The point at infinity (0, 0) is its own negative.
            mstore(yOfA, mod(sub(Q, mload(yOfA)), Q))
            mcopy(add(pairs, 192), words, 192)
            mstore(add(pairs, 384), x)
            mstore(add(pairs, 416), y)
            mcopy(add(pairs, 448), add(words, 192), 128)
            calldatacopy(add(pairs, 576), add(proofBytes.offset, 192), 64)
            mcopy(add(pairs, 640), add(words, 320), 128)
            let ok := staticcall(gas(), 0x08, pairs, 768, 0x00, 0x20)
            holds := and(ok, mload(0x00))
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

    /// @dev Creates a contract whose code is STOP and then the key. The creation code is PUSH2 length, DUP1, PUSH1 10,
    /// RETURNDATASIZE (0), CODECOPY, RETURNDATASIZE (0), RETURN: it returns what follows it.
    function _store(bytes memory key) private returns (address store) {
        uint256 codeLength = key.length + STORE_PREFIX;
        if (codeLength > type(uint16).max) revert KeyLength(key.length);
        bytes memory creation = abi.encodePacked(hex"61", uint16(codeLength), hex"80600a3d393df3", hex"00", key);
        assembly ("memory-safe") {
            store := create(0, add(creation, 32), mload(creation))
        }
        if (store == address(0)) revert KeyNotStored();
    }

    function _word(bytes memory data, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), offset))
        }
    }
}
