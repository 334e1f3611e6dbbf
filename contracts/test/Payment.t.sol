// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { CommitmentQueue } from "../src/CommitmentQueue.sol";
import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { Groth16Check } from "../src/Groth16Check.sol";
import { Groth16Verifier } from "../src/Groth16Verifier.sol";
import { TestToken } from "../src/TestToken.sol";
import { Test } from "./utils/Test.sol";
import { Words } from "./utils/Words.sol";

/// @title A payment from deposit to withdrawal with proofs of the real circuits.
/// @dev The proofs bind the chain and the addresses of the pool and the token, so both are created where the fixture's
/// maker, contracts/tools/make_payment.py, expected them.
contract PaymentTest is Test {
    using Words for bytes;

    address private constant ALICE = address(0xA11CE);

    string private _json;
    GelapShieldedAccount private _pool;
    TestToken private _token;

    function setUp() external {
        vm.warp(1_800_000_000);
        _json = vm.readFile("test/fixtures/payment.json");
        bytes[] memory keys = new bytes[](2);
        keys[0] = vm.parseJsonBytes(_json, ".spendKey");
        keys[1] = vm.parseJsonBytes(_json, ".insertKey");
        GelapShieldedAccount.SpendKey[] memory spendKeys = new GelapShieldedAccount.SpendKey[](1);
        spendKeys[0] = GelapShieldedAccount.SpendKey(2, 2, keccak256(keys[0]));
        vm.startPrank(vm.parseJsonAddress(_json, ".deployer"));
        Groth16Verifier verifier = new Groth16Verifier(keys);
        _pool = new GelapShieldedAccount(verifier, keccak256(keys[1]), spendKeys);
        _token = new TestToken("Test", "TST");
        vm.stopPrank();
        assertEq(address(_pool), vm.parseJsonAddress(_json, ".pool"), "the pool's address");
        assertEq(address(_token), vm.parseJsonAddress(_json, ".token"), "the token's address");
        _token.mint(ALICE, 100);
        vm.prank(ALICE);
        _token.approve(address(_pool), 100);
    }

    function test_APaymentFromDepositToWithdrawal() external {
        _deposit();
        _insert(".firstInsert", "");
        GelapShieldedAccount.Spend memory transact = _spend(".transact");
        _pool.transact(transact);
        assertEq(_token.balanceOf(transact.relayer), 1, "relayer");
        _insert(".secondInsert", "");
        GelapShieldedAccount.Spend memory withdraw = _spend(".withdraw");
        _pool.withdraw(withdraw);
        assertEq(_token.balanceOf(withdraw.receiver), 13, "receiver");
        assertEq(_token.balanceOf(withdraw.relayer), 3, "relayer");
        assertEq(_token.balanceOf(address(_pool)), 84, "what is left: Alice's 59 and Bob's 25");
        assertEq(_pool.nextLeafIndex(), 128, "next leaf index");
        assertEq(_pool.pendingCount(), 2, "pending");
    }

    function test_ARealProofSpendsOnce() external {
        _deposit();
        _insert(".firstInsert", "");
        GelapShieldedAccount.Spend memory transact = _spend(".transact");
        _pool.transact(transact);
        vm.expectRevert(
            abi.encodeWithSelector(GelapShieldedAccount.NullifierAlreadyUsed.selector, transact.nullifiers[0])
        );
        _pool.transact(transact);
    }

    /// @dev attacks.md 9 and 10, with a real proof.
    function test_ARealProofBindsReceiverRelayerFeeDeadlineMemosAndChain() external {
        _deposit();
        _insert(".firstInsert", "");
        _pool.transact(_spend(".transact"));
        _insert(".secondInsert", "");
        for (uint256 field; field < 6; ++field) {
            GelapShieldedAccount.Spend memory withdraw = _spend(".withdraw");
            if (field == 0) withdraw.receiver = ALICE;
            if (field == 1) withdraw.relayer = ALICE;
            if (field == 2) withdraw.fee = 1;
            if (field == 3) withdraw.deadline -= 1;
            if (field == 4) withdraw.memos[1] = withdraw.memos[0];
            if (field == 5) withdraw.publicAmount = 16;
            _expectInvalidProof();
            _pool.withdraw(withdraw);
        }
        uint256 home = block.chainid;
        vm.chainId(home + 1);
        GelapShieldedAccount.Spend memory elsewhere = _spend(".withdraw");
        _expectInvalidProof();
        _pool.withdraw(elsewhere);
        vm.chainId(home);
        _pool.withdraw(elsewhere);
    }

    /// @dev A spend is proved under a root; before its notes are in the tree there is none.
    function test_ARealProofNeedsItsRoot() external {
        _deposit();
        GelapShieldedAccount.Spend memory transact = _spend(".transact");
        vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.UnknownRoot.selector, transact.root));
        _pool.transact(transact);
    }

    /// @dev The proof of a batch is about these leaves: with another deposit in front, it proves nothing.
    function test_ARealInsertProofIsAboutItsLeaves() external {
        _token.mint(ALICE, 1);
        vm.startPrank(ALICE);
        _token.approve(address(_pool), 101);
        _pool.deposit(address(_token), 1, 1, vm.parseJsonBytes(_json, ".deposit.memo"));
        vm.stopPrank();
        _insert(".firstInsert", abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
    }

    function _deposit() private {
        uint256 commitment = vm.parseJsonBytes(_json, ".deposit.commitment").wordAt(0);
        bytes memory memo = vm.parseJsonBytes(_json, ".deposit.memo");
        vm.expectEmit(true, true, true, true, address(_pool));
        emit CommitmentQueue.CommitmentQueued(0, commitment, memo);
        vm.prank(ALICE);
        _pool.deposit(
            address(_token),
            vm.parseJsonUint(_json, ".deposit.amount"),
            vm.parseJsonBytes(_json, ".deposit.preCommitment").wordAt(0),
            memo
        );
    }

    /// @dev Waits until the batch is due and inserts it; expects the reason if one is given.
    function _insert(string memory part, bytes memory reason) private {
        vm.warp(block.timestamp + 120);
        uint256 newRoot = vm.parseJsonBytes(_json, string.concat(part, ".newRoot")).wordAt(0);
        uint256 count = vm.parseJsonUint(_json, string.concat(part, ".count"));
        bytes memory proof = vm.parseJsonBytes(_json, string.concat(part, ".proof"));
        if (reason.length != 0) vm.expectRevert(reason);
        _pool.insert(newRoot, count, proof);
    }

    function _spend(string memory part) private view returns (GelapShieldedAccount.Spend memory spend) {
        spend.proof = vm.parseJsonBytes(_json, string.concat(part, ".proof"));
        spend.root = vm.parseJsonBytes(_json, string.concat(part, ".root")).wordAt(0);
        spend.nullifiers = _pair(vm.parseJsonBytes(_json, string.concat(part, ".nullifiers")));
        spend.commitments = _pair(vm.parseJsonBytes(_json, string.concat(part, ".commitments")));
        spend.publicToken = vm.parseJsonBytes(_json, string.concat(part, ".publicToken")).wordAt(0);
        spend.publicAmount = vm.parseJsonUint(_json, string.concat(part, ".publicAmount"));
        spend.receiver = vm.parseJsonAddress(_json, string.concat(part, ".receiver"));
        spend.relayer = vm.parseJsonAddress(_json, string.concat(part, ".relayer"));
        spend.fee = vm.parseJsonUint(_json, string.concat(part, ".fee"));
        spend.deadline = vm.parseJsonUint(_json, string.concat(part, ".deadline"));
        spend.memos = vm.parseJsonBytesArray(_json, string.concat(part, ".memos"));
    }

    function _pair(bytes memory data) private pure returns (uint256[] memory pair) {
        pair = new uint256[](2);
        (pair[0], pair[1]) = (data.wordAt(0), data.wordAt(1));
    }

    function _expectInvalidProof() private {
        vm.expectRevert(abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
    }
}
