// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Byte strings read as 32-byte words, the form of numbers in the fixtures.
library Words {
    function count(bytes memory data) internal pure returns (uint256) {
        return data.length / 32;
    }

    function wordAt(bytes memory data, uint256 index) internal pure returns (uint256 word) {
        require(index * 32 < data.length, "no such word");
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), mul(index, 32)))
        }
    }

    /// @dev A copy with one word replaced.
    function replaced(bytes memory data, uint256 index, uint256 value) internal pure returns (bytes memory copy) {
        copy = bytes.concat(data);
        require(index * 32 < data.length, "no such word");
        assembly ("memory-safe") {
            mstore(add(add(copy, 32), mul(index, 32)), value)
        }
    }

    /// @dev A copy without its last `bytes_` bytes.
    function shortened(bytes memory data, uint256 bytes_) internal pure returns (bytes memory copy) {
        copy = bytes.concat(data);
        assembly ("memory-safe") {
            mstore(copy, sub(mload(copy), bytes_))
        }
    }

    /// @dev A copy with 64 bytes from another place.
    function copied64(bytes memory data, uint256 from, uint256 to) internal pure returns (bytes memory copy) {
        copy = replaced(replaced(data, to, wordAt(data, from)), to + 1, wordAt(data, from + 1));
    }
}
