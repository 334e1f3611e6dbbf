// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { CommitmentQueue } from "../../src/CommitmentQueue.sol";
import { GelapShieldedAccount } from "../../src/GelapShieldedAccount.sol";
import { Groth16Check } from "../../src/Groth16Check.sol";
import { Groth16Verifier } from "../../src/Groth16Verifier.sol";
import { TestToken } from "../../src/TestToken.sol";
import { Test } from "./Test.sol";
import { Words } from "./Words.sol";

/// @title A pool, and a fixture with proofs of the real circuits for it.
/// @dev The proofs bind the chain and the addresses of the pool and the token, so both are created where the fixture's
/// maker, contracts/tools/scenario.py, expected them.
abstract contract RealProofTest is Test {
    using Words for bytes;

    address internal constant ALICE = address(0xA11CE);

    string internal json;
    GelapShieldedAccount internal pool;
    TestToken internal token;

    /// @dev `arities[i]` are the numbers of inputs and outputs of the circuit `spends[i]`. Alice has 100.
    function createPool(string memory fixture, string[] memory spends, uint256[2][] memory arities) internal {
        vm.warp(1_800_000_000);
        json = vm.readFile(string.concat("test/fixtures/", fixture));
        bytes[] memory keys = new bytes[](spends.length + 1);
        GelapShieldedAccount.SpendKey[] memory table = new GelapShieldedAccount.SpendKey[](spends.length);
        for (uint256 i; i < spends.length; ++i) {
            keys[i] = vm.parseJsonBytes(json, string.concat(".keys.", spends[i]));
            table[i] = GelapShieldedAccount.SpendKey(arities[i][0], arities[i][1], keccak256(keys[i]));
        }
        keys[spends.length] = vm.parseJsonBytes(json, ".keys.insert_64");
        vm.startPrank(vm.parseJsonAddress(json, ".deployer"));
        Groth16Verifier verifier = new Groth16Verifier(keys);
        pool = new GelapShieldedAccount(verifier, keccak256(keys[spends.length]), table);
        token = new TestToken("Test", "TST");
        vm.stopPrank();
        assertEq(address(pool), vm.parseJsonAddress(json, ".pool"), "the pool's address");
        assertEq(address(token), vm.parseJsonAddress(json, ".token"), "the token's address");
        token.mint(ALICE, 100);
        vm.prank(ALICE);
        token.approve(address(pool), 100);
    }

    /// @dev The deposit at this place of the fixture; the contract computes the same commitment at `position`.
    function deposit(string memory part, uint256 position) internal {
        uint256 commitment = vm.parseJsonBytes(json, string.concat(part, ".commitment")).wordAt(0);
        bytes memory memo = vm.parseJsonBytes(json, string.concat(part, ".memo"));
        vm.expectEmit(true, true, true, true, address(pool));
        emit CommitmentQueue.CommitmentQueued(position, commitment, memo);
        vm.prank(ALICE);
        pool.deposit(
            address(token),
            vm.parseJsonUint(json, string.concat(part, ".amount")),
            vm.parseJsonBytes(json, string.concat(part, ".preCommitment")).wordAt(0),
            memo
        );
    }

    function insert(string memory part) internal {
        insert(part, "");
    }

    /// @dev Waits until the batch is due and inserts it; expects the reason if one is given.
    function insert(string memory part, bytes memory reason) internal {
        vm.warp(block.timestamp + 120);
        uint256 newRoot = vm.parseJsonBytes(json, string.concat(part, ".newRoot")).wordAt(0);
        uint256 count = vm.parseJsonUint(json, string.concat(part, ".count"));
        bytes memory proof = vm.parseJsonBytes(json, string.concat(part, ".proof"));
        if (reason.length != 0) vm.expectRevert(reason);
        pool.insert(newRoot, count, proof);
    }

    function spendOf(string memory part) internal view returns (GelapShieldedAccount.Spend memory spend) {
        spend.proof = vm.parseJsonBytes(json, string.concat(part, ".proof"));
        spend.root = vm.parseJsonBytes(json, string.concat(part, ".root")).wordAt(0);
        spend.nullifiers = _list(vm.parseJsonBytes(json, string.concat(part, ".nullifiers")));
        spend.commitments = _list(vm.parseJsonBytes(json, string.concat(part, ".commitments")));
        spend.publicToken = vm.parseJsonBytes(json, string.concat(part, ".publicToken")).wordAt(0);
        spend.publicAmount = vm.parseJsonUint(json, string.concat(part, ".publicAmount"));
        spend.receiver = vm.parseJsonAddress(json, string.concat(part, ".receiver"));
        spend.relayer = vm.parseJsonAddress(json, string.concat(part, ".relayer"));
        spend.fee = vm.parseJsonUint(json, string.concat(part, ".fee"));
        spend.deadline = vm.parseJsonUint(json, string.concat(part, ".deadline"));
        spend.memos = vm.parseJsonBytesArray(json, string.concat(part, ".memos"));
    }

    function expectInvalidProof() internal {
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
    }

    function _list(bytes memory data) private pure returns (uint256[] memory list) {
        list = new uint256[](data.count());
        for (uint256 i; i < list.length; ++i) {
            list[i] = data.wordAt(i);
        }
    }
}
