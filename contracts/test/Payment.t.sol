// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { GelapShieldedAccount } from "../src/GelapShieldedAccount.sol";
import { Groth16Check } from "../src/Groth16Check.sol";
import { RealProofTest } from "./utils/RealProofTest.sol";

/// @title A payment from deposit to withdrawal with proofs of the real circuits, from contracts/tools/make_payment.py.
contract PaymentTest is RealProofTest {
    function setUp() external {
        string[] memory spends = new string[](1);
        uint256[2][] memory arities = new uint256[2][](1);
        (spends[0], arities[0]) = ("spend_2x2", [uint256(2), 2]);
        createPool("payment.json", spends, arities);
    }

    function test_APaymentFromDepositToWithdrawal() external {
        deposit(".deposit", 0);
        insert(".firstInsert");
        GelapShieldedAccount.Spend memory transact = spendOf(".transact");
        pool.transact(transact);
        assertEq(token.balanceOf(transact.relayer), 1, "relayer");
        insert(".secondInsert");
        GelapShieldedAccount.Spend memory withdraw = spendOf(".withdraw");
        pool.withdraw(withdraw);
        assertEq(token.balanceOf(withdraw.receiver), 13, "receiver");
        assertEq(token.balanceOf(withdraw.relayer), 3, "relayer");
        assertEq(token.balanceOf(address(pool)), 84, "what is left: Alice's 59 and Bob's 25");
        assertEq(pool.nextLeafIndex(), 128, "next leaf index");
        assertEq(pool.pendingCount(), 2, "pending");
    }

    function test_ARealProofSpendsOnce() external {
        deposit(".deposit", 0);
        insert(".firstInsert");
        GelapShieldedAccount.Spend memory transact = spendOf(".transact");
        pool.transact(transact);
        vm.expectRevert(
            abi.encodeWithSelector(GelapShieldedAccount.NullifierAlreadyUsed.selector, transact.nullifiers[0])
        );
        pool.transact(transact);
    }

    /// @dev attacks.md 9 and 10, with a real proof.
    function test_ARealProofBindsReceiverRelayerFeeDeadlineMemosAndChain() external {
        deposit(".deposit", 0);
        insert(".firstInsert");
        pool.transact(spendOf(".transact"));
        insert(".secondInsert");
        for (uint256 field; field < 6; ++field) {
            GelapShieldedAccount.Spend memory withdraw = spendOf(".withdraw");
            if (field == 0) withdraw.receiver = ALICE;
            if (field == 1) withdraw.relayer = ALICE;
            if (field == 2) withdraw.fee = 1;
            if (field == 3) withdraw.deadline -= 1;
            if (field == 4) withdraw.memos[1] = withdraw.memos[0];
            if (field == 5) withdraw.publicAmount = 16;
            expectInvalidProof();
            pool.withdraw(withdraw);
        }
        uint256 home = block.chainid;
        vm.chainId(home + 1);
        GelapShieldedAccount.Spend memory elsewhere = spendOf(".withdraw");
        expectInvalidProof();
        pool.withdraw(elsewhere);
        vm.chainId(home);
        pool.withdraw(elsewhere);
    }

    /// @dev A spend is proved under a root; before its notes are in the tree there is none.
    function test_ARealProofNeedsItsRoot() external {
        deposit(".deposit", 0);
        GelapShieldedAccount.Spend memory transact = spendOf(".transact");
        vm.expectRevert(abi.encodeWithSelector(GelapShieldedAccount.UnknownRoot.selector, transact.root));
        pool.transact(transact);
    }

    /// @dev The proof of a batch is about these leaves: with another deposit in front, it proves nothing.
    function test_ARealInsertProofIsAboutItsLeaves() external {
        token.mint(ALICE, 1);
        vm.startPrank(ALICE);
        token.approve(address(pool), 101);
        pool.deposit(address(token), 1, 1, vm.parseJsonBytes(json, ".deposit.memo"));
        vm.stopPrank();
        insert(".firstInsert", abi.encodeWithSelector(Groth16Check.InvalidProof.selector));
    }
}
