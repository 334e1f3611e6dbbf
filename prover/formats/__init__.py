"""The files of the Groth16 world, exactly as snarkjs 0.7 reads and writes them.

Facts about the layouts come from the iden3 specification of `.r1cs` and from reading snarkjs and binfileutils.
Readers believe nothing: whatever is wrong with a file is one FormatError that names the file and says what to do.
Writers are atomic: a reader never sees half a file.
"""
