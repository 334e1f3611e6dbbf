// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { TestToken } from "../../src/TestToken.sol";

/// @dev A token whose transfers can be bent; what is bent is chosen by the contracts below.
abstract contract BentToken {
    mapping(address owner => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function _move(address from, address to, uint256 taken, uint256 given) internal {
        balanceOf[from] -= taken;
        balanceOf[to] += given;
    }
}

/// @dev Takes a fee of one unit, from what the receiver gets or on top of what the sender pays.
contract FeeToken is BentToken {
    bool private immutable _onTop;

    constructor(bool onTop) {
        _onTop = onTop;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _pay(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        _pay(from, to, amount);
        return true;
    }

    function _pay(address from, address to, uint256 amount) private {
        if (_onTop) _move(from, to, amount + 1, amount);
        else _move(from, to, amount, amount - 1);
    }
}

/// @dev Returns the word it was made with from every transfer; moves tokens only if told so.
contract AnsweringToken is BentToken {
    uint256 private immutable _answer;
    bool private immutable _moves;

    constructor(uint256 answer, bool moves) {
        _answer = answer;
        _moves = moves;
    }

    function transfer(address to, uint256 amount) external returns (uint256) {
        if (_moves) _move(msg.sender, to, amount, amount);
        return _answer;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (uint256) {
        if (_moves) _move(from, to, amount, amount);
        return _answer;
    }
}

/// @dev Returns nothing from transfers, like some of the oldest tokens. A good one, and it has no permits.
contract SilentToken is BentToken {
    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        _move(from, to, amount, amount);
    }
}

/// @dev Calls somebody in the middle of each transfer and permit, as ERC-777 hooks let a receiver do.
contract ReentrantToken is TestToken {
    address private _target;
    bytes private _data;
    bool private _tolerant;
    uint256 public callsRefused;

    constructor() TestToken("Reentrant", "RE") { }

    /// @param tolerant Whether a refused call is swallowed instead of passed on.
    function arm(address target, bytes calldata data, bool tolerant) external {
        (_target, _data, _tolerant) = (target, data, tolerant);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        _reenter();
        return super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _reenter();
        return super.transferFrom(from, to, amount);
    }

    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        public
        override
    {
        _reenter();
        super.permit(owner, spender, value, deadline, v, r, s);
    }

    function _reenter() private {
        if (_target == address(0)) return;
        (bool ok, bytes memory answer) = _target.call(_data);
        if (ok) return;
        ++callsRefused;
        if (_tolerant) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}

/// @notice Tells balances and refuses every transfer, with a reason or without one.
contract RefusingToken {
    error Frozen();

    bool private immutable _speaks;

    constructor(bool speaks) {
        _speaks = speaks;
    }

    function balanceOf(address) external pure returns (uint256) {
        return 100;
    }

    function transfer(address, uint256) external view returns (bool) {
        if (_speaks) revert Frozen();
        assembly {
            revert(0, 0)
        }
    }
}
