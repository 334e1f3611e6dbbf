// SPDX-License-Identifier: MIT
// solhint-disable no-empty-blocks
pragma solidity ^0.8.28;

import { Groth16Check } from "./Groth16Check.sol";

/// @title The code that a `Groth16Verifier` leaves on chain, before its keys.
/// @notice A contract of its own, as a constructor cannot name the code of its own contract.
contract Groth16Code is Groth16Check { }
