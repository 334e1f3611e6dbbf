// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { Groth16Check } from "../src/Groth16Check.sol";
import { Groth16Code } from "../src/Groth16Code.sol";
import { Groth16Verifier } from "../src/Groth16Verifier.sol";
import { SimulatedProver } from "./utils/SimulatedProver.sol";
import { Test, Vm } from "./utils/Test.sol";
import { Words } from "./utils/Words.sol";

/// @title What the verifier accepts, checked against keys and proofs that py-ecc made.
contract Groth16VerifierTest is Test {
    using SimulatedProver for SimulatedProver.Trapdoor;
    using Words for bytes;

    uint256 private constant R = SimulatedProver.R;
    uint256 private constant Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583;

    Groth16Verifier private _verifier;
    SimulatedProver.Trapdoor private _trapdoor;
    bytes private _key;
    bytes[] private _publicValues;
    bytes[] private _proofs;
    bytes32 private _programVKey;

    function setUp() external {
        string memory json = vm.readFile("test/fixtures/verifier.json");
        _key = vm.parseJsonBytes(json, ".key");
        _publicValues = vm.parseJsonBytesArray(json, ".publicValues");
        _proofs = vm.parseJsonBytesArray(json, ".proofs");
        _trapdoor = SimulatedProver.load(vm, "small");
        _programVKey = keccak256(_key);
        _verifier = _deploy(_key);
    }

    function test_AcceptsTheProofsOfPyEcc() external view {
        assertTrue(_proofs.length == 3, "the fixture is whole");
        for (uint256 i; i < _proofs.length; ++i) {
            _verifier.verifyProof(_programVKey, _publicValues[i], _proofs[i]);
        }
    }

    function testFuzz_AcceptsAProofOfAnyPublicValues(uint256 a, uint256 b, uint256 c) external view {
        bytes memory values = abi.encode(a % R, b % R, c % R);
        _verifier.verifyProof(_programVKey, values, _trapdoor.prove(values));
    }

    function testFuzz_RefusesTheProofOfOtherValues(uint256 index, uint256 other) external {
        (index, other) = (index % 3, other % R);
        vm.assume(other != _publicValues[0].wordAt(index));
        _expectRefusal(Groth16Check.InvalidProof.selector);
        _verifier.verifyProof(_programVKey, _publicValues[0].replaced(index, other), _proofs[0]);
    }

    function testFuzz_RefusesAChangedProof(uint256 index, uint256 other) external {
        (index, other) = (index % 8, other % Q);
        vm.assume(other != _proofs[0].wordAt(index));
        _expectRefusal(Groth16Check.InvalidProof.selector);
        _verifier.verifyProof{ gas: 1_000_000 }(_programVKey, _publicValues[0], _proofs[0].replaced(index, other));
    }

    function testFuzz_RefusesAProofOfRandomBytes(bytes32[8] calldata words) external {
        vm.expectRevert();
        _verifier.verifyProof{ gas: 1_000_000 }(_programVKey, _publicValues[0], abi.encode(words));
    }

    /// @dev attacks.md 2: x and x + r are one number in the circuit and two on chain.
    function test_RefusesEveryAliasOfEveryPublicValue() external {
        for (uint256 i; i < 3; ++i) {
            uint256 value = _publicValues[0].wordAt(i);
            for (uint256 alias_ = value + R; alias_ > value; alias_ = _plusOrZero(alias_, R)) {
                vm.expectRevert(abi.encodeWithSelector(Groth16Check.PublicValueOutOfRange.selector, alias_));
                _verifier.verifyProof(_programVKey, _publicValues[0].replaced(i, alias_), _proofs[0]);
            }
        }
    }

    function test_RefusesEveryAliasOfEveryProofCoordinate() external {
        for (uint256 i; i < 8; ++i) {
            uint256 alias_ = _proofs[0].wordAt(i) + Q;
            vm.expectRevert(abi.encodeWithSelector(Groth16Check.ProofCoordinateOutOfRange.selector, alias_));
            _verifier.verifyProof(_programVKey, _publicValues[0], _proofs[0].replaced(i, alias_));
        }
    }

    function test_RefusesWrongLengths() external {
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.ProofLength.selector, 0));
        _verifier.verifyProof(_programVKey, _publicValues[0], "");
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.ProofLength.selector, 255));
        _verifier.verifyProof(_programVKey, _publicValues[0], _proofs[0].shortened(1));
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.ProofLength.selector, 257));
        _verifier.verifyProof(_programVKey, _publicValues[0], bytes.concat(_proofs[0], hex"00"));
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.PublicValuesLength.selector, 64, 96));
        _verifier.verifyProof(_programVKey, _publicValues[0].shortened(32), _proofs[0]);
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.PublicValuesLength.selector, 95, 96));
        _verifier.verifyProof(_programVKey, _publicValues[0].shortened(1), _proofs[0]);
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.PublicValuesLength.selector, 128, 96));
        _verifier.verifyProof(_programVKey, bytes.concat(_publicValues[0], bytes32(0)), _proofs[0]);
    }

    function test_RefusesAnUnknownKey() external {
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.UnknownKey.selector, bytes32(uint256(1))));
        _verifier.verifyProof(bytes32(uint256(1)), _publicValues[0], _proofs[0]);
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.UnknownKey.selector, bytes32(uint256(1))));
        _verifier.publicInputCount(bytes32(uint256(1)));
    }

    function test_RefusesAProofUnderAnotherKey() external {
        SimulatedProver.Trapdoor memory other = SimulatedProver.load(vm, "insert");
        bytes[] memory keys = new bytes[](2);
        (keys[0], keys[1]) = (_key, other.key);
        Groth16Verifier both = new Groth16Verifier(keys);
        bytes memory values = abi.encode(1, 2, 3, 4, 5);
        both.verifyProof(other.programVKey(), values, other.prove(values));
        both.verifyProof(_programVKey, _publicValues[0], _proofs[0]);
        _expectRefusal(Groth16Check.InvalidProof.selector);
        both.verifyProof(other.programVKey(), values, _proofs[0]);
    }

    /// @dev The subgroup of G2 must be checked: outside it the pairing is no pairing.
    function test_RefusesAProofPointOutsideTheSubgroup() external {
        bytes memory proof = _withG2(_proofs[0], 2, _outsideSubgroup());
        _expectRefusal(Groth16Check.InvalidProof.selector);
        _verifier.verifyProof{ gas: 1_000_000 }(_programVKey, _publicValues[0], proof);
    }

    /// @dev Points at infinity pass the precompiles; they prove nothing all the same.
    function test_RefusesAProofOfPointsAtInfinity() external {
        _expectRefusal(Groth16Check.InvalidProof.selector);
        _verifier.verifyProof(_programVKey, _publicValues[0], new bytes(256));
    }

    /// @dev attacks.md 14: what is on chain can be compared with the published key, byte for byte.
    function test_ShowsItsKeys() external view {
        assertTrue(keccak256(_verifier.verificationKey(_programVKey)) == keccak256(_key), "the key as given");
        assertEq(_verifier.publicInputCount(_programVKey), 3, "public inputs");
    }

    function test_TheConstructorRefusesKeysOfWrongLengths() external {
        uint256[5] memory cut = [uint256(1), 32, 64 * 3, 64 * 4, _key.length];
        for (uint256 i; i < cut.length; ++i) {
            _expectKeyRefusal(
                _key.shortened(cut[i]), abi.encodeWithSelector(Groth16Verifier.KeyLength.selector, _key.length - cut[i])
            );
        }
        bytes memory longer = bytes.concat(_key, hex"00");
        _expectKeyRefusal(longer, abi.encodeWithSelector(Groth16Verifier.KeyLength.selector, longer.length));
    }

    function test_TheConstructorRefusesEveryCoordinateThatIsNotCanonical() external {
        for (uint256 i; i < _key.count(); ++i) {
            uint256 alias_ = _key.wordAt(i) + Q;
            _expectKeyRefusal(
                _key.replaced(i, alias_),
                abi.encodeWithSelector(Groth16Verifier.KeyCoordinateOutOfRange.selector, alias_)
            );
        }
    }

    /// @dev A zero point in a key drops its term from the check: a zero IC point frees an input, a zero gamma all.
    function test_TheConstructorRefusesEveryPointAtInfinity() external {
        for (uint256 word; word < _key.count();) {
            bytes memory key = _key;
            uint256 words = word >= 2 && word < 14 ? 4 : 2;
            for (uint256 i; i < words; ++i) {
                key = key.replaced(word + i, 0);
            }
            _expectKeyRefusal(key, abi.encodeWithSelector(Groth16Verifier.KeyPointAtInfinity.selector, word * 32));
            word += words;
        }
    }

    function test_TheConstructorRefusesEveryPointThatIsNotOnTheCurve() external {
        for (uint256 word; word < _key.count(); ++word) {
            _expectKeyRefusal(
                _key.replaced(word, (_key.wordAt(word) + 1) % Q),
                abi.encodeWithSelector(Groth16Verifier.KeyPointNotOnCurve.selector)
            );
        }
    }

    function test_TheConstructorRefusesG2PointsOutsideTheSubgroup() external {
        for (uint256 word = 2; word < 14; word += 4) {
            _expectKeyRefusal(
                _withG2(_key, word, _outsideSubgroup()),
                abi.encodeWithSelector(Groth16Verifier.KeyPointNotOnCurve.selector)
            );
        }
    }

    /// @dev attacks.md 14: a key that skipped phase 2 has gamma = delta, and C can cancel the public inputs.
    function test_TheConstructorRefusesGammaEqualToDelta() external {
        bytes memory key = _key.copied64(6, 10).copied64(8, 12);
        _expectKeyRefusal(key, abi.encodeWithSelector(Groth16Verifier.KeyWithoutPhaseTwo.selector));
    }

    /// @dev gamma = -delta is as bad: C = the combined inputs cancels them.
    function test_TheConstructorRefusesGammaOppositeToDelta() external {
        bytes memory key = _key.copied64(6, 10);
        key = key.replaced(12, Q - _key.wordAt(8)).replaced(13, Q - _key.wordAt(9));
        _expectKeyRefusal(key, abi.encodeWithSelector(Groth16Verifier.KeyWithoutPhaseTwo.selector));
    }

    /// @dev The forgery that the rule above stops: with gamma = -delta, A = alpha, B = beta and C = the combined inputs
    /// satisfy the equation for any public inputs, and whoever copies them from the key needs no secret.
    function test_AKeyWithoutPhaseTwoCouldBeForged() external view {
        bytes memory values = abi.encode(7, 8, 9);
        bytes memory c = SimulatedProver.g1(_combined(values));
        bytes memory gamma = abi.encodePacked(_key.wordAt(6), _key.wordAt(7), _key.wordAt(8), _key.wordAt(9));
        bytes memory minusGamma =
            abi.encodePacked(_key.wordAt(6), _key.wordAt(7), Q - _key.wordAt(8), Q - _key.wordAt(9));
        // The factors e(-alpha, beta) e(alpha, beta) are 1 and left out.
        (bool ok, bytes memory answer) = address(0x08).staticcall(bytes.concat(c, gamma, c, minusGamma));
        assertTrue(ok && answer.wordAt(0) == 1, "the forged equation holds");
    }

    function test_TheConstructorTellsOfEveryKey() external {
        vm.recordLogs();
        _deploy(_key);
        Vm.Log memory log = vm.getRecordedLogs()[0];
        assertTrue(log.topics[1] == _programVKey, "the key's name");
        assertEq(abi.decode(log.data, (uint256)), 3, "public inputs in the event");
    }

    /// @dev The code that the compiler made stands before the keys, whole and unchanged.
    function test_TheCodeIsTheCompilersAndThenTheKeys() external view {
        bytes memory compiled = type(Groth16Code).runtimeCode;
        bytes memory deployed = address(_verifier).code;
        bytes memory entry = abi.encodePacked(_programVKey, uint128(compiled.length), uint128(_key.length));
        assertTrue(
            keccak256(deployed) == keccak256(bytes.concat(compiled, _key, entry, bytes32(uint256(1)))), "the code"
        );
    }

    function test_FindsEachOfManyKeys() external {
        bytes[] memory keys = new bytes[](3);
        (keys[0], keys[1], keys[2]) =
        (SimulatedProver.load(vm, "spend").key, SimulatedProver.load(vm, "insert").key, _key);
        Groth16Verifier many = new Groth16Verifier(keys);
        for (uint256 i; i < keys.length; ++i) {
            assertTrue(keccak256(many.verificationKey(keccak256(keys[i]))) == keccak256(keys[i]), "each as given");
        }
        many.verifyProof(_programVKey, _publicValues[0], _proofs[0]);
    }

    function test_WithoutKeysEveryNameIsUnknown() external {
        Groth16Verifier none = new Groth16Verifier(new bytes[](0));
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.UnknownKey.selector, bytes32(0)));
        none.verifyProof(bytes32(0), "", "");
    }

    function deploy(bytes memory key) external returns (Groth16Verifier) {
        return _deploy(key);
    }

    function _deploy(bytes memory key) private returns (Groth16Verifier) {
        bytes[] memory keys = new bytes[](1);
        keys[0] = key;
        return new Groth16Verifier(keys);
    }

    function _expectKeyRefusal(bytes memory key, bytes memory reason) private {
        vm.expectRevert(reason);
        // A precompile that refuses its input takes all the gas it is given.
        this.deploy{ gas: 5_000_000 }(key);
    }

    function _expectRefusal(bytes4 selector) private {
        vm.expectRevert(abi.encodeWithSelector(selector));
    }

    function _outsideSubgroup() private view returns (bytes memory) {
        return vm.parseJsonBytes(vm.readFile("test/fixtures/verifier.json"), ".g2OutsideSubgroup");
    }

    function _withG2(bytes memory data, uint256 word, bytes memory point) private pure returns (bytes memory) {
        for (uint256 i; i < 4; ++i) {
            data = data.replaced(word + i, point.wordAt(i));
        }
        return data;
    }

    function _combined(bytes memory values) private view returns (uint256 sum) {
        sum = _trapdoor.ic.wordAt(0);
        for (uint256 i; i < values.count(); ++i) {
            sum = addmod(sum, mulmod(values.wordAt(i), _trapdoor.ic.wordAt(i + 1), R), R);
        }
    }

    /// @dev Zero instead of an overflow.
    function _plusOrZero(uint256 value, uint256 addend) private pure returns (uint256) {
        return value > type(uint256).max - addend ? 0 : value + addend;
    }
}
