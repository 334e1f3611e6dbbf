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

    uint256 private _fresh;

    function setUp() public virtual {
        vm.warp(START);
        spendTrapdoor = SimulatedProver.load(vm, "spend");
        insertTrapdoor = SimulatedProver.load(vm, "insert");
        bytes[] memory keys = new bytes[](2);
        (keys[0], keys[1]) = (spendTrapdoor.key, insertTrapdoor.key);
        verifier = new Groth16Verifier(keys);
        pool = new GelapShieldedAccount(verifier, insertTrapdoor.programVKey(), spendKeys());
        token = new TestToken("Test", "TST");
        token.mint(ALICE, 1_000_000 ether);
        vm.prank(ALICE);
        token.approve(address(pool), type(uint256).max);
    }

    function spendKeys() internal view returns (GelapShieldedAccount.SpendKey[] memory keys) {
        keys = new GelapShieldedAccount.SpendKey[](1);
        keys[0] = GelapShieldedAccount.SpendKey(2, 2, spendTrapdoor.programVKey());
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

    /// @dev A private transfer without a fee, not yet proved.
    function transfer() internal returns (GelapShieldedAccount.Spend memory spend) {
        spend.root = pool.merkleRoot();
        spend.nullifiers = new uint256[](2);
        (spend.nullifiers[0], spend.nullifiers[1]) = (fresh(), fresh());
        spend.commitments = new uint256[](2);
        (spend.commitments[0], spend.commitments[1]) = (fresh(), fresh());
        spend.memos = new bytes[](2);
        (spend.memos[0], spend.memos[1]) = (memo(fresh()), memo(fresh()));
        spend.deadline = block.timestamp + 600;
    }

    function transferWithFee(uint256 fee) internal returns (GelapShieldedAccount.Spend memory spend) {
        spend = transfer();
        (spend.publicToken, spend.publicAmount, spend.fee) = (uint160(address(token)), fee, fee);
        spend.relayer = RELAYER;
    }

    /// @dev A withdrawal to Bob, `fee` of it for the relayer, not yet proved.
    function withdrawal(uint256 amount, uint256 fee) internal returns (GelapShieldedAccount.Spend memory spend) {
        spend = transferWithFee(fee);
        (spend.publicAmount, spend.receiver) = (amount, BOB);
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

    function prove(GelapShieldedAccount.Spend memory spend) internal view returns (GelapShieldedAccount.Spend memory) {
        spend.proof = spendTrapdoor.prove(publicValues(spend));
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
