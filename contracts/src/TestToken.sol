// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title An ERC-20 with EIP-2612 permits that anyone may mint.
/// @notice For tests and demonstrations; worth nothing.
contract TestToken {
    /// @notice The sender's or owner's balance is too small.
    error InsufficientBalance(address owner, uint256 balance, uint256 needed);
    /// @notice The owner has not allowed the spender this much.
    error InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
    /// @notice The permit's deadline is over.
    error PermitExpired(uint256 deadline);
    /// @notice The permit is not signed by its owner, or was used before.
    error PermitNotSigned(address owner);

    /// @notice As in ERC-20.
    event Transfer(address indexed from, address indexed to, uint256 value);
    /// @notice As in ERC-20.
    event Approval(address indexed owner, address indexed spender, uint256 value);

    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant PERMIT_TYPE =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    /// @notice As in ERC-20.
    string public name;
    /// @notice As in ERC-20.
    string public symbol;
    /// @notice As in ERC-20.
    uint8 public constant decimals = 18;
    /// @notice As in ERC-20.
    uint256 public totalSupply;
    /// @notice As in ERC-20.
    mapping(address owner => uint256) public balanceOf;
    /// @notice As in ERC-20.
    mapping(address owner => mapping(address spender => uint256)) public allowance;
    /// @notice The next permit nonce, as in EIP-2612.
    mapping(address owner => uint256) public nonces;

    constructor(string memory name_, string memory symbol_) {
        name = name_;
        symbol = symbol_;
    }

    /// @notice Creates `amount` units for `to`; anyone may call.
    function mint(address to, uint256 amount) external {
        totalSupply += amount;
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    /// @notice As in ERC-20.
    function approve(address spender, uint256 amount) external returns (bool) {
        _approve(msg.sender, spender, amount);
        return true;
    }

    /// @notice As in ERC-20.
    function transfer(address to, uint256 amount) public virtual returns (bool) {
        _transfer(msg.sender, to, amount);
        return true;
    }

    /// @notice As in ERC-20; an allowance of 2^256 - 1 is never used up.
    function transferFrom(address from, address to, uint256 amount) public virtual returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed != type(uint256).max) {
            if (allowed < amount) revert InsufficientAllowance(msg.sender, allowed, amount);
            allowance[from][msg.sender] = allowed - amount;
        }
        _transfer(from, to, amount);
        return true;
    }

    /// @notice As in EIP-2612.
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        public
        virtual
    {
        if (block.timestamp > deadline) revert PermitExpired(deadline);
        bytes32 permitHash = keccak256(abi.encode(PERMIT_TYPE, owner, spender, value, nonces[owner]++, deadline));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), permitHash));
        address signer = ecrecover(digest, v, r, s);
        if (signer == address(0) || signer != owner) revert PermitNotSigned(owner);
        _approve(owner, spender, value);
    }

    /// @notice As in EIP-2612; computed for the chain it runs on.
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, keccak256(bytes(name)), keccak256("1"), block.chainid, address(this)));
    }

    function _approve(address owner, address spender, uint256 amount) private {
        allowance[owner][spender] = amount;
        emit Approval(owner, spender, amount);
    }

    function _transfer(address from, address to, uint256 amount) private {
        uint256 balance = balanceOf[from];
        if (balance < amount) revert InsufficientBalance(from, balance, amount);
        unchecked {
            balanceOf[from] = balance - amount;
            balanceOf[to] += amount;
        }
        emit Transfer(from, to, amount);
    }
}
