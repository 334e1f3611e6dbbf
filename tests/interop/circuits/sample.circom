pragma circom 2.0.0;

include "circomlib/circuits/poseidon.circom";
include "circomlib/circuits/bitify.circom";

// Small enough for powers of tau of 2^8, with every kind of signal: an output, a public input that is used and one that is
// not, private inputs likewise.
template Sample() {
    signal input secret;
    signal input threshold;
    signal input tag;
    signal input unused;
    signal output digest;

    component hash = Poseidon(1);
    hash.inputs[0] <== secret;
    digest <== hash.out + threshold * secret;

    component bits = Num2Bits(12);
    bits.in <== secret;
}

component main {public [threshold, tag]} = Sample();
