// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { GelapShieldedAccount } from "../../src/GelapShieldedAccount.sol";
import { Groth16Verifier } from "../../src/Groth16Verifier.sol";
import { TestToken } from "../../src/TestToken.sol";
import { SimulatedProver } from "./SimulatedProver.sol";
import { Test } from "./Test.sol";

/// @title A pool over the real verifier, with simulated proofs for whatever a test wants to say.
abstract contract PoolTest is Test {
    using SimulatedProver for SimulatedProver.Trapdoor;

    uint256 internal constant R = SimulatedProver.R;
    uint256 internal constant START = 1_800_000_000;

    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);
    address internal constant RELAYER = address(0x4E1A);

    GelapShieldedAccount internal pool;
    Groth16Verifier internal verifier;
    TestToken internal token;
    SimulatedProver.Trapdoor internal spendTrapdoor;
    SimulatedProver.Trapdoor internal insertTrapdoor;
    SimulatedProver.Trapdoor internal threeOutputsTrapdoor;
    SimulatedProver.Trapdoor internal eightInputsTrapdoor;

    uint256 private _fresh;

    function setUp() public virtual {
        vm.warp(START);
        spendTrapdoor = SimulatedProver.load(vm, "spend");
        insertTrapdoor = SimulatedProver.load(vm, "insert");
        threeOutputsTrapdoor = SimulatedProver.load(vm, "spend2x3");
        eightInputsTrapdoor = SimulatedProver.load(vm, "spend8x2");
        bytes[] memory keys = new bytes[](4);
        (keys[0], keys[1]) = (spendTrapdoor.key, insertTrapdoor.key);
        (keys[2], keys[3]) = (threeOutputsTrapdoor.key, eightInputsTrapdoor.key);
        verifier = new Groth16Verifier(keys);
        pool = new GelapShieldedAccount(verifier, insertTrapdoor.programVKey(), spendKeys());
        token = new TestToken("Test", "TST");
        token.mint(ALICE, 1_000_000 ether);
        vm.prank(ALICE);
        token.approve(address(pool), type(uint256).max);
    }

    function spendKeys() internal view returns (GelapShieldedAccount.SpendKey[] memory keys) {
        keys = new GelapShieldedAccount.SpendKey[](3);
        keys[0] = GelapShieldedAccount.SpendKey(2, 2, spendTrapdoor.programVKey());
        keys[1] = GelapShieldedAccount.SpendKey(2, 3, threeOutputsTrapdoor.programVKey());
        keys[2] = GelapShieldedAccount.SpendKey(8, 2, eightInputsTrapdoor.programVKey());
    }

    /// @dev A number below r that no other call returns.
    function fresh() internal returns (uint256) {
        return uint256(keccak256(abi.encode("fresh", _fresh++))) % R;
    }

    function memo(uint256 seed) internal pure returns (bytes memory text) {
        for (uint256 i; i < 7; ++i) {
            text = bytes.concat(text, keccak256(abi.encode("memo", seed, i)));
        }
    }

    function deposit(uint256 amount) internal {
        uint256 preCommitment = fresh();
        vm.prank(ALICE);
        pool.deposit(address(token), amount, preCommitment, memo(preCommitment));
    }

    /// @dev A private transfer of two notes to two without a fee, not yet proved.
    function transfer() internal returns (GelapShieldedAccount.Spend memory) {
        return transfer(2, 2);
    }

    function transfer(uint256 inputs, uint256 outputs) internal returns (GelapShieldedAccount.Spend memory spend) {
        spend.root = pool.merkleRoot();
        spend.nullifiers = new uint256[](inputs);
        for (uint256 i; i < inputs; ++i) {
            spend.nullifiers[i] = fresh();
        }
        (spend.commitments, spend.memos) = (new uint256[](outputs), new bytes[](outputs));
        for (uint256 i; i < outputs; ++i) {
            (spend.commitments[i], spend.memos[i]) = (fresh(), memo(fresh()));
        }
        spend.deadline = block.timestamp + 600;
    }

    function transferWithFee(uint256 fee) internal returns (GelapShieldedAccount.Spend memory spend) {
        spend = transfer();
        (spend.publicToken, spend.publicAmount, spend.fee) = (uint160(address(token)), fee, fee);
        spend.relayer = RELAYER;
    }

    /// @dev A withdrawal to Bob, `fee` of it for the relayer, not yet proved.
    function withdrawal(uint256 amount, uint256 fee) internal returns (GelapShieldedAccount.Spend memory) {
        return withdrawal(2, 2, amount, fee);
    }

    function withdrawal(uint256 inputs, uint256 outputs, uint256 amount, uint256 fee)
        internal
        returns (GelapShieldedAccount.Spend memory spend)
    {
        spend = transfer(inputs, outputs);
        (spend.publicToken, spend.publicAmount, spend.fee) = (uint160(address(token)), amount, fee);
        (spend.receiver, spend.relayer) = (BOB, RELAYER);
    }

    function publicValues(GelapShieldedAccount.Spend memory spend) internal view returns (bytes memory) {
        return abi.encodePacked(
            spend.root, spend.nullifiers, spend.commitments, spend.publicToken, spend.publicAmount, boundHash(spend)
        );
    }

    function boundHash(GelapShieldedAccount.Spend memory spend) internal view returns (uint256) {
        bytes memory memos;
        for (uint256 i; i < spend.memos.length; ++i) {
            memos = bytes.concat(memos, spend.memos[i]);
        }
        return uint256(
            keccak256(
            abi.encode(
            block.chainid, address(pool), spend.receiver, spend.relayer, spend.fee, spend.deadline, keccak256(memos)
        )
        )
        ) % R;
    }

    /// @dev Under the key of the spend's number of notes.
    function prove(GelapShieldedAccount.Spend memory spend) internal view returns (GelapShieldedAccount.Spend memory) {
        SimulatedProver.Trapdoor memory trapdoor = spendTrapdoor;
        if (spend.commitments.length == 3) trapdoor = threeOutputsTrapdoor;
        if (spend.nullifiers.length == 8) trapdoor = eightInputsTrapdoor;
        spend.proof = trapdoor.prove(publicValues(spend));
        return spend;
    }

    /// @dev The public inputs of an insertion, computed from the pool's views as a sequencer would.
    function insertValues(uint256 newRoot, uint256 count) internal view returns (bytes memory) {
        uint256[] memory leaves = new uint256[](64);
        for (uint256 i; i < count && i < 64; ++i) {
            leaves[i] = pool.queuedCommitment(pool.firstPending() + i);
        }
        uint256 oldRoot = pool.merkleRoot();
        uint256 startIndex = pool.nextLeafIndex();
        uint256 challenge = uint256(keccak256(abi.encodePacked(oldRoot, newRoot, startIndex, leaves))) % R;
        uint256 evaluation;
        uint256 power = 1;
        for (uint256 i; i < 64; ++i) {
            evaluation = addmod(evaluation, mulmod(leaves[i], power, R), R);
            power = mulmod(power, challenge, R);
        }
        return abi.encodePacked(oldRoot, newRoot, startIndex, challenge, evaluation);
    }

    function insertProof(uint256 newRoot, uint256 count) internal view returns (bytes memory) {
        return insertTrapdoor.prove(insertValues(newRoot, count));
    }

    /// @dev Inserts a batch under a new root of no meaning, and returns the root.
    function insert(uint256 count) internal returns (uint256 newRoot) {
        newRoot = fresh();
        pool.insert(newRoot, count, insertProof(newRoot, count));
    }

    /// @dev Far enough for everything queued so far to be due.
    function waitUntilDue() internal {
        vm.warp(block.timestamp + 120);
    }

    function fill(uint256 count) internal {
        for (uint256 i; i < count; ++i) {
            deposit(1);
        }
    }
}
