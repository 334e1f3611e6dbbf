// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { Words } from "./Words.sol";
import { Vm } from "./Test.sol";

/// @title Valid proofs for any public inputs, under keys whose secrets are known.
/// @dev The real verifier accepts these proofs for exactly the public inputs they were made for, so tests of the pool
/// see what binding a proof gives. They prove nothing about the circuit: any statement can be "proved". The keys come
/// from contracts/tools/make_fixtures.py, which explains the formula.
library SimulatedProver {
    using Words for bytes;

    uint256 internal constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;

    struct Trapdoor {
        bytes key;
        uint256 alphaBeta;
        uint256 gamma;
        uint256 inverseDelta;
        bytes ic;
        uint256 a;
        uint256 b;
        bytes pointB;
    }

    function load(Vm vm, string memory name) internal view returns (Trapdoor memory trapdoor) {
        string memory json = vm.readFile("test/fixtures/trapdoors.json");
        string memory prefix = string.concat(".", name);
        trapdoor.key = vm.parseJsonBytes(json, string.concat(prefix, ".key"));
        trapdoor.alphaBeta = vm.parseJsonBytes(json, string.concat(prefix, ".alphaBeta")).wordAt(0);
        trapdoor.gamma = vm.parseJsonBytes(json, string.concat(prefix, ".gamma")).wordAt(0);
        trapdoor.inverseDelta = vm.parseJsonBytes(json, string.concat(prefix, ".inverseDelta")).wordAt(0);
        trapdoor.ic = vm.parseJsonBytes(json, string.concat(prefix, ".ic"));
        trapdoor.a = vm.parseJsonBytes(json, string.concat(prefix, ".a")).wordAt(0);
        trapdoor.b = vm.parseJsonBytes(json, string.concat(prefix, ".b")).wordAt(0);
        trapdoor.pointB = vm.parseJsonBytes(json, string.concat(prefix, ".pointB"));
    }

    /// @dev `publicValues` are words; they may be non-canonical, as C depends on them modulo r only.
    function prove(Trapdoor memory trapdoor, bytes memory publicValues) internal view returns (bytes memory) {
        uint256 combined = trapdoor.ic.wordAt(0);
        for (uint256 i; i < publicValues.count(); ++i) {
            combined = addmod(combined, mulmod(publicValues.wordAt(i), trapdoor.ic.wordAt(i + 1), R), R);
        }
        uint256 negative = addmod(trapdoor.alphaBeta, mulmod(trapdoor.gamma, combined, R), R);
        uint256 c = mulmod(addmod(mulmod(trapdoor.a, trapdoor.b, R), R - negative, R), trapdoor.inverseDelta, R);
        return bytes.concat(g1(trapdoor.a), trapdoor.pointB, g1(c));
    }

    function programVKey(Trapdoor memory trapdoor) internal pure returns (bytes32) {
        return keccak256(trapdoor.key);
    }

    /// @dev A multiple of the generator of G1, as words x, y.
    function g1(uint256 scalar) internal view returns (bytes memory point) {
        bool ok;
        (ok, point) = address(0x07).staticcall(abi.encode(1, 2, scalar));
        require(ok, "ecMul failed");
    }
}
