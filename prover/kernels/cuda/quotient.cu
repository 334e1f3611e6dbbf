// What a Groth16 proof does with its witness before and after the transforms (prover/groth16/quotient_cuda.py).
//
//   quotient_rows       A w, B w and their products, a thread for each row and proof
//   quotient_long_rows  the same for rows with many entries, a warp for each row and proof
//   quotient_combine    a b - c on the odd coset, plain, laid out as scalars
//
// A witness batch is (n_wires, batch) elements, plain: neighbouring threads are neighbouring proofs, so they read one
// entry of the matrix and neighbouring values. Matrix values are coefficient * R^2, so that products divided by R are in
// Montgomery form. `polynomials` is (3, batch, n): A w, B w, C w.
#include "sparse.cuh"

INLINE void store_row(uint32_t* polynomials, uint32_t n, uint32_t batch, uint32_t proof, uint32_t row, const Fr& a,
                      const Fr& b) {
  const size_t plane = (size_t)batch * n, place = (size_t)proof * n + row;
  store(polynomials, place, a);
  store(polynomials, plane + place, b);
  store(polynomials, 2 * plane + place, mul(a, b));
}

// rows: the `count` rows to compute, those of one length together so that the threads of a warp stay together.
extern "C" __global__ void __launch_bounds__(256)
    quotient_rows(uint32_t* polynomials, uint32_t n, uint32_t batch, const uint32_t* rows, uint32_t count,
                  const uint32_t* a_row_ptr, const uint32_t* a_column, const uint32_t* a_value,
                  const uint32_t* b_row_ptr, const uint32_t* b_column, const uint32_t* b_value,
                  const uint32_t* witness) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  if (thread >= count * batch) return;
  const uint32_t proof = thread % batch, row = rows[thread / batch];
  const SparseRows matrix_a{a_row_ptr, a_column, a_value}, matrix_b{b_row_ptr, b_column, b_value};
  const Fr a = matrix_a.times(row, witness, batch, proof, 0, 1);
  const Fr b = matrix_b.times(row, witness, batch, proof, 0, 1);
  store_row(polynomials, n, batch, proof, row, a, b);
}

extern "C" __global__ void __launch_bounds__(256)
    quotient_long_rows(uint32_t* polynomials, uint32_t n, uint32_t batch, const uint32_t* rows, uint32_t count,
                       const uint32_t* a_row_ptr, const uint32_t* a_column, const uint32_t* a_value,
                       const uint32_t* b_row_ptr, const uint32_t* b_column, const uint32_t* b_value,
                       const uint32_t* witness) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t warp = thread / WARP, lane = thread % WARP;
  if (warp >= count * batch) return;
  const uint32_t proof = warp % batch, row = rows[warp / batch];
  const SparseRows matrix_a{a_row_ptr, a_column, a_value}, matrix_b{b_row_ptr, b_column, b_value};
  const Fr a = warp_sum(matrix_a.times(row, witness, batch, proof, lane, WARP));
  const Fr b = warp_sum(matrix_b.times(row, witness, batch, proof, lane, WARP));
  if (lane == 0) store_row(polynomials, n, batch, proof, row, a, b);
}

// scalars: (n, batch), plain. A warp takes 2^log_proofs proofs and as many neighbouring rows as make 32 elements, so that
// both sides are whole lines of memory.
extern "C" __global__ void __launch_bounds__(256)
    quotient_combine(uint32_t* scalars, const uint32_t* polynomials, uint32_t n, uint32_t batch, uint32_t log_proofs) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t unit = thread >> log_proofs;
  const uint32_t row = unit % n, proof = (unit / n) << log_proofs | (thread & ((1u << log_proofs) - 1));
  if (proof >= batch) return;
  const size_t plane = (size_t)batch * n, place = (size_t)proof * n + row;
  const Fr product = mul(load<Fr>(polynomials, place), load<Fr>(polynomials, plane + place));
  const Fr difference = sub(product, load<Fr>(polynomials, 2 * plane + place));
  store(scalars, (size_t)row * batch + proof, from_montgomery(difference));
}
