// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { TestToken } from "../src/TestToken.sol";
import { Test } from "./utils/Test.sol";

/// @title The test token behaves like the tokens it stands for.
contract TestTokenTest is Test {
    uint256 private constant CAROL_KEY = 0xCA401;
    address private constant BOB = address(0xB0B);

    TestToken private _token;
    address private _carol;

    function setUp() external {
        vm.warp(1_800_000_000);
        _token = new TestToken("Test", "TST");
        _carol = vm.addr(CAROL_KEY);
        _token.mint(_carol, 100);
    }

    function testFuzz_ATransferMovesItsAmountOrReverts(uint256 amount) external {
        if (amount > 100) {
            vm.expectRevert(abi.encodeWithSelector(TestToken.InsufficientBalance.selector, _carol, 100, amount));
        }
        vm.prank(_carol);
        _token.transfer(BOB, amount);
        uint256 moved = amount > 100 ? 0 : amount;
        assertEq(_token.balanceOf(_carol), 100 - moved, "sender");
        assertEq(_token.balanceOf(BOB), moved, "receiver");
        assertEq(_token.totalSupply(), 100, "supply");
    }

    function test_AnAllowanceIsUsedUpUnlessItIsTheLargest() external {
        vm.prank(_carol);
        _token.approve(BOB, 10);
        vm.startPrank(BOB);
        _token.transferFrom(_carol, BOB, 6);
        assertEq(_token.allowance(_carol, BOB), 4, "allowance left");
        vm.expectRevert(abi.encodeWithSelector(TestToken.InsufficientAllowance.selector, BOB, 4, 5));
        _token.transferFrom(_carol, BOB, 5);
        vm.stopPrank();
        vm.prank(_carol);
        _token.approve(BOB, type(uint256).max);
        vm.prank(BOB);
        _token.transferFrom(_carol, BOB, 5);
        assertEq(_token.allowance(_carol, BOB), type(uint256).max, "allowance without end");
    }

    function test_APermitIsGoodOnceForItsOwnerAmountAndTime() external {
        (uint8 v, bytes32 r, bytes32 s) = _sign(7, block.timestamp);
        _expectNotSigned(BOB);
        _token.permit(BOB, address(this), 7, block.timestamp, v, r, s);
        _expectNotSigned(_carol);
        _token.permit(_carol, address(this), 8, block.timestamp, v, r, s);
        _expectNotSigned(address(0));
        _token.permit(address(0), address(this), 7, block.timestamp, 99, r, s);
        _token.permit(_carol, address(this), 7, block.timestamp, v, r, s);
        assertEq(_token.allowance(_carol, address(this)), 7, "allowance");
        _expectNotSigned(_carol);
        _token.permit(_carol, address(this), 7, block.timestamp, v, r, s);
        (v, r, s) = _sign(7, block.timestamp - 1);
        vm.expectRevert(abi.encodeWithSelector(TestToken.PermitExpired.selector, block.timestamp - 1));
        _token.permit(_carol, address(this), 7, block.timestamp - 1, v, r, s);
    }

    function _sign(uint256 amount, uint256 deadline) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 permitType =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 permitHash =
            keccak256(abi.encode(permitType, _carol, address(this), amount, _token.nonces(_carol), deadline));
        return vm.sign(CAROL_KEY, keccak256(abi.encodePacked("\x19\x01", _token.DOMAIN_SEPARATOR(), permitHash)));
    }

    function _expectNotSigned(address owner) private {
        vm.expectRevert(abi.encodeWithSelector(TestToken.PermitNotSigned.selector, owner));
    }
}
