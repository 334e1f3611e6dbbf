// A batch of witnesses as they arrive, one after another, into the layout of all that follows: proof index innermost, so
// that neighbouring lanes are neighbouring proofs.
#include "field.cuh"

// rows[wire, proof] = witnesses[proof, wire]: (n_wires, batch) and (batch, n_wires) elements. A warp reads one line after
// another and writes whole sectors of 32 bytes.
extern "C" __global__ void interleave(const void* witnesses, void* rows, uint32_t n_wires, uint32_t batch) {
  const uint64_t index = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= (uint64_t)n_wires * batch) return;
  const uint64_t proof = index / n_wires, wire = index % n_wires;
  store(rows, wire * batch + proof, load<Fr>(witnesses, index));
}
