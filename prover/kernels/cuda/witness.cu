// Witnesses of a batch of statements (prover/witness/cuda.py, prover/witness/schedule_cuda.py).
//
//   witness_inputs   plain inputs -> Montgomery form; reports those that are not below r
//   witness_run      the program, step by step: WORKERS threads for each proof
//   witness_plain    Montgomery form -> plain, in place
//   witness_check    reports the first constraint that a witness breaks; a thread for each row and proof
//   witness_check_long  the same for rows with many entries, a warp for each row and proof
//   witness_montgomery  plain -> Montgomery form, in place, for tables
//
// `witness` is (n_wires, batch) elements: the threads of a warp are neighbouring proofs, read the same instruction and
// neighbouring elements. Rows from n_wires on are those of `scratch`. What is wrong is reported for each proof as 2^32 - 1 - the number of the first input or
// constraint, 0 if nothing is: never a value.
#include "inverse.cuh"
#include "sparse.cuh"

enum Operation : uint32_t { LINEAR = 0, PRODUCT = 1, INVERSE = 2, BIT = 3 };

// Coefficients of these numbers are 1 and -1.
constexpr uint32_t COEFFICIENT_ONE = 0, COEFFICIENT_MINUS_ONE = 1;

INLINE void report(uint32_t* failure, uint32_t number) { atomicMax(failure, 0xffffffffu - number); }

extern "C" __global__ void __launch_bounds__(256)
    witness_inputs(uint32_t* witness, uint32_t* input_failures, const uint32_t* inputs, uint32_t n_inputs,
                   uint32_t batch) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  if (thread >= (n_inputs + 1) * batch) return;
  const uint32_t row = thread / batch, proof = thread % batch;
  if (row == 0) {
    store(witness, thread, Fr::one());
    return;
  }
  const Fr plain = load<Fr>(inputs, thread - batch);
  Fr reduced;
  subtract_modulus<FrParameters>(reduced.limb, plain.limb);
  if (!equal(reduced, plain)) report(input_failures + proof, row - 1);
  store(witness, thread, to_montgomery(plain));
}

// What a thread needs to evaluate linear combinations for its proof.
struct Machine {
  uint32_t* witness;
  uint32_t* scratch;
  uint32_t n_wires;
  const uint2* terms;
  const uint32_t* constants;
  uint32_t batch, proof;

  INLINE uint32_t* row(uint32_t number) const {
    return number < n_wires ? witness + (size_t)number * batch * LIMBS
                            : scratch + (size_t)(number - n_wires) * batch * LIMBS;
  }

  INLINE Fr value(uint32_t number) const { return load<Fr>(row(number), proof); }

  // The sum of terms first .. first + count - 1.
  INLINE Fr combination(uint32_t first, uint32_t count) const {
    Fr total = Fr::zero();
    ProductSum products;
    bool has_products = false;
    if (count == 0) return total;
    uint2 term = terms[first];
#pragma unroll 1
    for (uint32_t k = 1;; k++) {
      const Fr operand = value(term.x);
      const uint32_t coefficient = term.y;
      // The next term is on its way while this one is worked on.
      if (k < count) term = terms[first + k];
      if (coefficient == COEFFICIENT_ONE) {
        total = add(total, operand);
      } else if (coefficient == COEFFICIENT_MINUS_ONE) {
        total = sub(total, operand);
      } else {
        products.add_product(load<Fr>(constants, coefficient), operand);
        has_products = true;
      }
      if (k == count) break;
    }
    return has_products ? add(total, products.divided()) : total;
  }

  INLINE Fr result(const uint4& operation) const {
    const uint32_t n_left = operation.w & 0xffff, right = operation.w >> 16;
    const Fr left = combination(operation.z, n_left);
    if (operation.x == PRODUCT) return mul(left, right == 0 ? left : combination(operation.z + n_left, right));
    if (operation.x == INVERSE) return inverse_by_divsteps(left);
    if (operation.x == LINEAR) return left;
    const Fr plain = from_montgomery(left);
    uint32_t limb = 0;
#pragma unroll
    for (int i = 0; i < LIMBS; i++) limb = i == (int)(right / 32) ? plain.limb[i] : limb;
    return limb >> (right % 32) & 1 ? Fr::one() : Fr::zero();
  }
};

// A block takes `proofs` proofs and has as many threads for each as fit into it: thread w * proofs + i is worker w of
// proof i. The operations of a step are read one step ahead.
extern "C" __global__ void __launch_bounds__(256)
    witness_run(uint32_t* witness, uint32_t* scratch, uint32_t n_wires, uint32_t batch, uint32_t proofs, const uint32_t* step_ptr, uint32_t n_steps,
                const uint4* operations, const uint2* terms, const uint32_t* constants) {
  const uint32_t worker = threadIdx.x / proofs, workers = blockDim.x / proofs;
  const uint32_t proof = blockIdx.x * proofs + threadIdx.x % proofs;
  const bool works = proof < batch && worker < workers;
  const Machine machine{witness, scratch, n_wires, terms, constants, batch, proof};
  uint32_t start = 0, end = step_ptr[n_steps ? 1 : 0];
  uint4 operation = worker < end ? operations[worker] : make_uint4(0, 0, 0, 0);
#pragma unroll 1
  for (uint32_t step = 0; step < n_steps; step++) {
    const uint32_t next_end = step + 1 < n_steps ? step_ptr[step + 2] : end;
    uint4 next = operation;
    if (end + worker < next_end) next = operations[end + worker];
#pragma unroll 1
    for (uint32_t number = start + worker; number < end && works; number += workers) {
      if (number != start + worker) operation = operations[number];
      store(machine.row(operation.y), proof, machine.result(operation));
    }
    __syncthreads();
    start = end, end = next_end, operation = next;
  }
}

extern "C" __global__ void __launch_bounds__(256) witness_plain(uint32_t* witness, uint32_t count) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  if (thread < count) store(witness, thread, from_montgomery(load<Fr>(witness, thread)));
}

extern "C" __global__ void __launch_bounds__(256) witness_montgomery(uint32_t* values, uint32_t count) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  if (thread < count) store(values, thread, to_montgomery(load<Fr>(values, thread)));
}

// Matrices hold Montgomery forms and the witness is plain, so their products divided by R are plain.
INLINE bool is_broken(const Fr& a, const Fr& b, const Fr& c) { return !equal(mul(to_montgomery(a), b), c); }

#define CHECK_PARAMETERS                                                                                            \
  uint32_t *constraint_failures, uint32_t batch, const uint32_t *rows, uint32_t count, const uint32_t *a_row_ptr,   \
      const uint32_t *a_column, const uint32_t *a_value, const uint32_t *b_row_ptr, const uint32_t *b_column,       \
      const uint32_t *b_value, const uint32_t *c_row_ptr, const uint32_t *c_column, const uint32_t *c_value,        \
      const uint32_t *witness

extern "C" __global__ void __launch_bounds__(256) witness_check(CHECK_PARAMETERS) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  if (thread >= count * batch) return;
  const uint32_t proof = thread % batch, row = rows[thread / batch];
  const Fr a = SparseRows{a_row_ptr, a_column, a_value}.times(row, witness, batch, proof, 0, 1);
  const Fr b = SparseRows{b_row_ptr, b_column, b_value}.times(row, witness, batch, proof, 0, 1);
  const Fr c = SparseRows{c_row_ptr, c_column, c_value}.times(row, witness, batch, proof, 0, 1);
  if (is_broken(a, b, c)) report(constraint_failures + proof, row);
}

extern "C" __global__ void __launch_bounds__(256) witness_check_long(CHECK_PARAMETERS) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t warp = thread / WARP, lane = thread % WARP;
  if (warp >= count * batch) return;
  const uint32_t proof = warp % batch, row = rows[warp / batch];
  const Fr a = warp_sum(SparseRows{a_row_ptr, a_column, a_value}.times(row, witness, batch, proof, lane, WARP));
  const Fr b = warp_sum(SparseRows{b_row_ptr, b_column, b_value}.times(row, witness, batch, proof, lane, WARP));
  const Fr c = warp_sum(SparseRows{c_row_ptr, c_column, c_value}.times(row, witness, batch, proof, lane, WARP));
  if (lane == 0 && is_broken(a, b, c)) report(constraint_failures + proof, row);
}
