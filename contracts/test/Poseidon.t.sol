// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { PoseidonT4 } from "../src/PoseidonT4.sol";
import { PoolTest } from "./utils/PoolTest.sol";
import { Words } from "./utils/Words.sol";

/// @title The hash of the contracts is the hash of the specification.
/// @dev tests/unit/test_poseidon_contract.py shows that no sum in the assembly can wrap.
contract PoseidonTest is PoolTest {
    using Words for bytes;

    PoseidonT4 private _poseidon;

    function setUp() public override {
        super.setUp();
        _poseidon = new PoseidonT4();
    }

    function test_HashEqualsTheReferenceOnEdgesAndRandomInputs() external view {
        string memory json = vm.readFile("test/fixtures/poseidon.json");
        bytes memory inputs = vm.parseJsonBytes(json, ".inputs");
        bytes memory outputs = vm.parseJsonBytes(json, ".outputs");
        assertTrue(outputs.count() > 100 && inputs.count() == 3 * outputs.count(), "the fixture is whole");
        for (uint256 i; i < outputs.count(); ++i) {
            uint256 hash = _poseidon.hash(inputs.wordAt(3 * i), inputs.wordAt(3 * i + 1), inputs.wordAt(3 * i + 2));
            assertEq(hash, outputs.wordAt(i), "hash");
        }
    }

    /// @dev circomlibjs: poseidon([1, 2, 3]), the value of its own test of three inputs.
    function test_HashEqualsCircomlib() external view {
        assertEq(
            _poseidon.hash(1, 2, 3),
            6542985608222806190361240322586112750744169038454362455181422643027100751666,
            "H3(1, 2, 3)"
        );
    }

    function testFuzz_AnyWordIsReducedFirst(uint256 a, uint256 b, uint256 c) external view {
        uint256 reduced = _poseidon.hash(a % R, b % R, c % R);
        assertEq(_poseidon.hash(a, b, c), reduced, "hash of residues");
        assertTrue(reduced < R, "canonical");
    }

    function test_HashTakesLessThan17500Gas() external {
        PoseidonT4 poseidon = new PoseidonT4();
        uint256 before = gasleft();
        poseidon.hash(1, 2, 3);
        assertAtMost(before - gasleft(), 17_500, "gas of a hash");
    }

    function test_AnEmptyPoolHasTheRootOfAnEmptyTree() external view {
        bytes memory emptyRoot = vm.parseJsonBytes(vm.readFile("test/fixtures/poseidon.json"), ".emptyRoot");
        assertEq(pool.merkleRoot(), emptyRoot.wordAt(0), "initial root");
        assertTrue(pool.knownRoot(emptyRoot.wordAt(0)), "the initial root is known");
        assertFalse(pool.knownRoot(0), "no other root is known");
    }
}
