// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import { CommitmentQueue } from "./CommitmentQueue.sol";
import { IERC20 } from "./IERC20.sol";
import { ISP1Verifier } from "./ISP1Verifier.sol";
import { PoseidonT4 } from "./PoseidonT4.sol";
import { TokenTransfers } from "./TokenTransfers.sol";

/// @title A shielded pool: ERC-20 tokens as notes in a Merkle tree, spent with zero-knowledge proofs.
/// @notice A deposit queues a commitment that the pool computes itself. A spend shows nullifiers and new commitments
/// under any past root, with a proof of the statement `spend`. Anyone moves queued commitments into the tree with a
/// proof of the statement `insert`. There is no owner, no upgrade and no pause; the verifier is fixed.
/// @dev Rebasing tokens are unsupported: the pool keeps no per-token sums, and its notes do not rebase.
contract GelapShieldedAccount is CommitmentQueue {
    using TokenTransfers for address;

    /// @notice A verification key of the statement `spend` for one number of inputs and outputs.
    struct SpendKey {
        uint256 inputs;
        uint256 outputs;
        bytes32 programVKey;
    }

    /// @notice A spend. Its proof binds everything else in it, this contract and this chain.
    struct Spend {
        bytes proof;
        uint256 root;
        uint256[] nullifiers;
        uint256[] commitments;
        uint256 publicToken;
        uint256 publicAmount;
        address receiver;
        address relayer;
        uint256 fee;
        uint256 deadline;
        bytes[] memos;
    }

    /// @notice A call came in while another one was running.
    error Reentered();
    /// @notice The verifier has no code, or accepts an empty proof.
    error UnusableVerifier();
    /// @notice A key is missing, given for two purposes or two numbers of notes, or for no inputs or outputs.
    error UnusableKey();
    /// @notice The verifier answered instead of returning nothing: it may mean "false".
    error VerifierAnswered();
    /// @notice An amount outside 1 .. 2^128 - 1.
    error AmountOutOfRange(uint256 amount);
    /// @notice A number that is not below the scalar field's modulus.
    error NotInField(uint256 value);
    /// @notice A memo that is not 224 bytes.
    error MemoLength(uint256 length);
    /// @notice There must be one memo for each commitment.
    error MemoCount(uint256 memos, uint256 commitments);
    /// @notice The spend's deadline has passed.
    error Expired(uint256 deadline);
    /// @notice `transact` pays nobody but the relayer.
    error ReceiverGiven(address receiver);
    /// @notice `withdraw` needs somebody to pay.
    error ReceiverMissing();
    /// @notice A fee needs somebody to get it.
    error RelayerMissing();
    /// @notice The pool cannot be the receiver or the relayer.
    error PoolIsPayee();
    /// @notice `transact` must make exactly the fee public, `withdraw` more than the fee.
    error PublicAmountMismatch(uint256 publicAmount, uint256 fee);
    /// @notice The public token must be an address if an amount is public, and 0 if not.
    error PublicTokenMismatch(uint256 publicToken);
    /// @notice The pool has no key for this number of inputs and outputs.
    error UnknownArity(uint256 inputs, uint256 outputs);
    /// @notice The tree never had this root.
    error UnknownRoot(uint256 root);
    /// @notice The note was spent before, or twice in this spend.
    error NullifierAlreadyUsed(uint256 nullifier);

    /// @notice A note was spent.
    event NullifierUsed(uint256 indexed nullifier);
    /// @notice Tokens left the pool; the amount is what the receiver got.
    event WithdrawExecuted(address indexed receiver, address indexed token, uint256 amount);
    /// @notice The tree took the next `count` queued commitments as the leaves from `startIndex`.
    event AccountUpdated(uint256 root, uint256 startIndex, uint256 count);

    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    /// @dev The root of a tree of 32 levels whose leaves are all 0.
    uint256 private constant EMPTY_ROOT = 0x2f68a1c58e257e42a17a6c61dff5551ed560b9922ab119d5ac8e184c9734ead9;
    uint256 private constant MEMO_BYTES = 224;
    uint256 private constant CHALLENGE_HEAD = 3;
    /// @dev Where a `Spend` in calldata has its root, its public token and amount, and its receiver, relayer, fee and
    /// deadline, in bytes.
    uint256 private constant ROOT_AT = 32;
    uint256 private constant PUBLIC_TOKEN_AT = 4 * 32;
    uint256 private constant RECEIVER_AT = 6 * 32;

    /// @notice What checks the proofs.
    ISP1Verifier public immutable verifier;
    /// @notice The key of the statement `insert`.
    bytes32 public immutable insertKey;
    PoseidonT4 private immutable _poseidon;

    /// @notice The keys of the statement `spend`; 0 where there is none.
    mapping(uint256 inputs => mapping(uint256 outputs => bytes32 programVKey)) public spendKey;
    /// @dev The key for 2 inputs and 2 outputs once more, in the code: payments of that form pay for no storage read.
    bytes32 private immutable _spendKey2x2;
    /// @notice The current root of the tree.
    uint256 public merkleRoot;
    /// @notice Whether the tree has or ever had this root.
    mapping(uint256 root => bool) public knownRoot;
    /// @notice Whether a note with this nullifier was spent.
    mapping(uint256 nullifier => bool) public nullifierUsed;

    /// @dev 1 while a call runs. A whole word: a bool is read before it is written.
    uint256 private transient _entered;

    modifier nonReentrant() {
        if (_entered != 0) revert Reentered();
        _entered = 1;
        _;
        _entered = 0;
    }

    /// @notice Starts an empty pool.
    /// @param verifier_ Has no owner, knows all the keys, and reverts on an invalid proof.
    /// @param insertKey_ The key of the statement `insert`.
    /// @param spendKeys The keys of the statement `spend`, one for each number of inputs and outputs.
    constructor(ISP1Verifier verifier_, bytes32 insertKey_, SpendKey[] memory spendKeys) {
        if (address(verifier_).code.length == 0) revert UnusableVerifier();
        if (spendKeys.length == 0) revert UnusableKey();
        verifier = verifier_;
        insertKey = insertKey_;
        _checkKey(verifier_, insertKey_);
        for (uint256 i; i < spendKeys.length; ++i) {
            SpendKey memory key = spendKeys[i];
            _checkKey(verifier_, key.programVKey);
            if (key.inputs == 0 || key.outputs == 0 || key.programVKey == insertKey_) revert UnusableKey();
            // The public inputs of 2 to 2 and 1 to 3 notes are equally many. Under one key for both, a spend of two
            // notes could be settled as one whose second nullifier is a commitment, and that note spent again.
            for (uint256 j; j < i; ++j) {
                SpendKey memory other = spendKeys[j];
                if (
                    key.programVKey == other.programVKey || (key.inputs == other.inputs && key.outputs == other.outputs)
                ) {
                    revert UnusableKey();
                }
            }
            spendKey[key.inputs][key.outputs] = key.programVKey;
        }
        _spendKey2x2 = spendKey[2][2];
        _poseidon = new PoseidonT4();
        merkleRoot = EMPTY_ROOT;
        knownRoot[EMPTY_ROOT] = true;
    }

    /// @notice Takes `amount` of `token` from the caller and queues the commitment to a note of that token and amount.
    /// @param preCommitment Hides the note's owner and blinding.
    /// @param memo What the owner needs to find the note, encrypted: 224 bytes.
    function deposit(address token, uint256 amount, uint256 preCommitment, bytes calldata memo) external nonReentrant {
        _deposit(token, amount, preCommitment, memo);
    }

    /// @notice `deposit`, after an EIP-2612 permit of the caller for exactly `amount`. A permit that fails is ignored,
    /// as somebody may have used it already; the allowance decides.
    function depositWithPermit(
        address token,
        uint256 amount,
        uint256 preCommitment,
        bytes calldata memo,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant {
        _permit(token, amount, permitDeadline, v, r, s);
        _deposit(token, amount, preCommitment, memo);
    }

    /// @notice Spends notes for new ones inside the pool. Only the fee becomes public, for the relayer.
    function transact(Spend calldata spend) external nonReentrant {
        (uint256 publicAmount, uint256 fee) = (spend.publicAmount, spend.fee);
        if (spend.receiver != address(0)) revert ReceiverGiven(spend.receiver);
        if (publicAmount != fee) revert PublicAmountMismatch(publicAmount, fee);
        _requireRoom(spend.commitments.length);
        _spend(spend, address(0), 0, publicAmount, fee);
    }

    /// @notice Spends notes and pays `publicAmount - fee` to the receiver and `fee` to the relayer.
    /// @dev Needs no room in the tree, so that the last note can always leave. Change queued when the tree is full may
    /// never be spendable: a wallet then withdraws without change.
    function withdraw(Spend calldata spend) external nonReentrant {
        (address receiver, uint256 publicAmount, uint256 fee) = (spend.receiver, spend.publicAmount, spend.fee);
        if (receiver == address(0)) revert ReceiverMissing();
        if (publicAmount <= fee) revert PublicAmountMismatch(publicAmount, fee);
        uint256 amount;
        unchecked {
            amount = publicAmount - fee;
        }
        _spend(spend, receiver, amount, publicAmount, fee);
        emit WithdrawExecuted(receiver, address(uint160(spend.publicToken)), amount);
    }

    /// @notice Moves the oldest `count` queued commitments into the tree; anyone may call. `count` is 64 when that many
    /// are pending; otherwise at least all that are due (see `CommitmentQueue`).
    /// @param newRoot The root with the new leaves.
    function insert(uint256 newRoot, uint256 count, bytes calldata proof) external nonReentrant {
        _requireInField(newRoot);
        uint256 oldRoot = merkleRoot;
        // What the challenge hashes: both roots, the start index, and 64 leaves, the absent ones 0. The new root must
        // be among them: a challenge known before the root is chosen lets other leaves pass.
        uint256[] memory words = new uint256[](CHALLENGE_HEAD + BATCH);
        uint256 startIndex = _dequeue(count, words, CHALLENGE_HEAD);
        (words[0], words[1], words[2]) = (oldRoot, newRoot, startIndex);
        uint256 challenge = uint256(keccak256(abi.encodePacked(words))) % R;
        uint256 evaluation;
        for (uint256 i = count; i > 0; --i) {
            evaluation = addmod(mulmod(evaluation, challenge, R), words[CHALLENGE_HEAD + i - 1], R);
        }
        _verify(insertKey, abi.encodePacked(oldRoot, newRoot, startIndex, challenge, evaluation), proof);
        merkleRoot = newRoot;
        knownRoot[newRoot] = true;
        emit AccountUpdated(newRoot, startIndex, count);
    }

    function _deposit(address token, uint256 amount, uint256 preCommitment, bytes calldata memo) private {
        if (amount == 0 || amount > type(uint128).max) revert AmountOutOfRange(amount);
        _requireInField(preCommitment);
        _requireMemo(memo);
        _requireRoom(1);
        _queue(_poseidon.hash(preCommitment, uint160(token), amount), memo);
        token.pull(msg.sender, amount);
    }

    function _permit(address token, uint256 amount, uint256 permitDeadline, uint8 v, bytes32 r, bytes32 s) private {
        bytes memory data = abi.encodeCall(IERC20.permit, (msg.sender, address(this), amount, permitDeadline, v, r, s));
        // The outcome does not matter, so neither does a missing contract or function.
        assembly ("memory-safe") {
            pop(call(gas(), token, 0, add(data, 32), mload(data), 0, 0))
        }
    }

    /// @dev `publicAmount` is the sum of `amount`, for the receiver, and `fee`.
    function _spend(Spend calldata spend, address receiver, uint256 amount, uint256 publicAmount, uint256 fee) private {
        (address relayer, uint256 publicToken) = (spend.relayer, spend.publicToken);
        // Validators can shift a timestamp by seconds; deadlines are minutes.
        if (block.timestamp > spend.deadline) revert Expired(spend.deadline);
        if (fee != 0 && relayer == address(0)) revert RelayerMissing();
        if (receiver == address(this) || relayer == address(this)) revert PoolIsPayee();
        if ((publicAmount != 0) != (publicToken != 0) || publicToken > type(uint160).max) {
            revert PublicTokenMismatch(publicToken);
        }
        _replaceNotes(spend);
        if (publicAmount != 0) address(uint160(publicToken)).pay(receiver, amount, relayer, fee);
    }

    /// @dev Marks the nullifiers, checks the proof and queues the commitments.
    function _replaceNotes(Spend calldata spend) private {
        (uint256[] calldata nullifiers, uint256[] calldata commitments) = (spend.nullifiers, spend.commitments);
        bytes[] calldata memos = spend.memos;
        bytes32 programVKey = nullifiers.length == 2 && commitments.length == 2
            ? _spendKey2x2
            : spendKey[nullifiers.length][commitments.length];
        if (programVKey == 0) revert UnknownArity(nullifiers.length, commitments.length);
        if (memos.length != commitments.length) revert MemoCount(memos.length, commitments.length);
        bytes memory publicValues = _publicValues(spend, nullifiers, commitments, _boundHash(spend, memos));
        _requireWordsInField(publicValues);
        if (!knownRoot[spend.root]) revert UnknownRoot(spend.root);
        _useNullifiers(nullifiers);
        _verify(programVKey, publicValues, spend.proof);
        _queue(commitments, memos);
    }

    /// @dev One by one, so that one nullifier twice in a spend is refused like one of an earlier spend.
    function _useNullifiers(uint256[] calldata nullifiers) private {
        mapping(uint256 => bool) storage used = nullifierUsed;
        for (uint256 i; i < nullifiers.length; ++i) {
            uint256 nullifier;
            bool usedBefore;
            // `used[nullifiers[i]]` read and set: the compiler would read it again to set it, and hash its place twice.
            assembly ("memory-safe") {
                nullifier := calldataload(add(nullifiers.offset, mul(i, 32)))
                mstore(0x00, nullifier)
                mstore(0x20, used.slot)
                let slot := keccak256(0x00, 0x40)
                usedBefore := sload(slot)
                sstore(slot, 1)
            }
            if (usedBefore) revert NullifierAlreadyUsed(nullifier);
            emit NullifierUsed(nullifier);
        }
    }

    /// @dev The hash of everything a spend must not change and the circuit does not know otherwise: keccak256 of
    /// abi.encode(block.chainid, address(this), receiver, relayer, fee, deadline, keccak256(memo_0 | memo_1 | ...)).
    /// In assembly, as each memo is then copied once; reading the addresses elsewhere has checked that they are such.
    function _boundHash(Spend calldata spend, bytes[] calldata memos) private view returns (uint256 boundHash) {
        for (uint256 i; i < memos.length; ++i) {
            bytes calldata memo = memos[i];
            _requireMemo(memo);
            assembly ("memory-safe") {
                calldatacopy(add(mload(0x40), mul(i, MEMO_BYTES)), memo.offset, MEMO_BYTES)
            }
        }
        assembly ("memory-safe") {
            let at := mload(0x40)
            let memosHash := keccak256(at, mul(memos.length, MEMO_BYTES))
            mstore(at, chainid())
            mstore(add(at, 32), address())
            calldatacopy(add(at, 64), add(spend, RECEIVER_AT), 128)
            mstore(add(at, 192), memosHash)
            boundHash := mod(keccak256(at, 224), R)
        }
    }

    /// @dev The public inputs in the circuit's order, like abi.encodePacked but without its loops: root, nullifiers,
    /// commitments, public token, public amount, boundHash.
    function _publicValues(
        Spend calldata spend,
        uint256[] calldata nullifiers,
        uint256[] calldata commitments,
        uint256 boundHash
    ) private pure returns (bytes memory values) {
        assembly ("memory-safe") {
            values := mload(0x40)
            mstore(add(values, 32), calldataload(add(spend, ROOT_AT)))
            let at := add(values, 64)
            let size := mul(nullifiers.length, 32)
            calldatacopy(at, nullifiers.offset, size)
            at := add(at, size)
            size := mul(commitments.length, 32)
            calldatacopy(at, commitments.offset, size)
            at := add(at, size)
            calldatacopy(at, add(spend, PUBLIC_TOKEN_AT), 64)
            mstore(add(at, 64), boundHash)
            at := add(at, 96)
            mstore(values, sub(at, add(values, 32)))
            mstore(0x40, at)
        }
    }

    /// @dev Passes on the verifier's reason. An answer, even `true`, comes from something that is no ISP1Verifier.
    function _verify(bytes32 programVKey, bytes memory publicValues, bytes calldata proof) private view {
        address target = address(verifier);
        bytes4 selector = ISP1Verifier.verifyProof.selector;
        uint256 answerLength;
        assembly ("memory-safe") {
            // abi.encodeCall(ISP1Verifier.verifyProof, (programVKey, publicValues, proof)); public values are whole
            // words, so only the proof may need padding, which the verifier has no use for.
            let data := mload(0x40)
            let length := mload(publicValues)
            mstore(data, selector)
            mstore(add(data, 4), programVKey)
            mstore(add(data, 36), 96)
            mstore(add(data, 68), add(128, length))
            mcopy(add(data, 100), publicValues, add(32, length))
            let at := add(add(data, 132), length)
            mstore(at, proof.length)
            calldatacopy(add(at, 32), proof.offset, proof.length)
            if iszero(staticcall(gas(), target, data, sub(add(add(at, 32), proof.length), data), 0, 0)) {
                returndatacopy(data, 0, returndatasize())
                revert(data, returndatasize())
            }
            answerLength := returndatasize()
        }
        if (answerLength != 0) revert VerifierAnswered();
    }

    /// @dev An empty proof proves nothing: a verifier that does not revert on it would not revert on forgeries either.
    function _checkKey(ISP1Verifier verifier_, bytes32 programVKey) private view {
        if (programVKey == 0) revert UnusableKey();
        (bool accepted,) =
            address(verifier_).staticcall(abi.encodeCall(ISP1Verifier.verifyProof, (programVKey, "", "")));
        if (accepted) revert UnusableVerifier();
    }

    function _requireMemo(bytes calldata memo) private pure {
        if (memo.length != MEMO_BYTES) revert MemoLength(memo.length);
    }

    function _requireInField(uint256 value) private pure {
        if (value >= R) revert NotInField(value);
    }

    function _requireWordsInField(bytes memory words) private pure {
        bool inField = true;
        assembly ("memory-safe") {
            let end := add(words, mload(words))
            for { let at := words } lt(at, end) { } {
                at := add(at, 32)
                inField := and(inField, lt(mload(at), R))
            }
        }
        if (inField) return;
        for (uint256 i = 32; i <= words.length; i += 32) {
            uint256 value;
            assembly ("memory-safe") {
                value := mload(add(words, i))
            }
            _requireInField(value);
        }
    }
}
