// The number-theoretic transform over Fr, in place, in passes over device memory (the geometry: prover/ntt/plan_cuda.py).
//
// A pass reads blocks of 2^log_block values as matrices of 2^log_radix rows and transforms their columns.
//   ntt_frequency  Gentleman-Sande: natural order to bit-reversed; afterwards values are multiplied by factors
//   ntt_time       Cooley-Tukey: bit-reversed order to natural; before it values are multiplied by factors
//   ntt_extend     the last pass of an inverse transform, factors, and the first pass of a forward one
//   ntt_factors    fills a table of factors
//
// A tile lies in shared memory for a whole pass and each radix-4 step reads and writes it once. An element's two halves
// of 16 bytes lie in two planes, and places are swizzled: eight neighbouring threads, which the hardware serves at once,
// meet eight different groups of banks at every distance between the four values (or two, in a radix-2 step).
//
// The factor of a value in row i and column j of its block, between passes, is w^(j rev(i)) with w of order 2^log_block:
// row i holds the transform's value rev(i), the log_radix bits of i reversed.
#include "field.cuh"

// Where factors come from.
enum FactorSource : uint32_t {
  NO_FACTORS = 0,
  ONE_FACTOR = 1,    // factors[0]
  FULL_TABLE = 2,    // factors[position in the block]
  TWO_LEVELS = 3,    // factors[low bits of the exponent] * high[high bits]
};

struct Factors {
  uint32_t source;
  const uint32_t* table;
  const uint32_t* high;
  uint32_t log_low;

  INLINE Fr by_exponent(uint32_t exponent) const {
    return mul(load<Fr>(table, exponent & ((1u << log_low) - 1)), load<Fr>(high, exponent >> log_low));
  }

  INLINE Fr at(uint32_t position, uint32_t exponent) const {
    if (source == TWO_LEVELS) return by_exponent(exponent);
    return load<Fr>(table, source == FULL_TABLE ? position : 0);
  }
};

INLINE uint32_t reversed(uint32_t value, uint32_t bits) { return __brev(value) >> (32 - bits); }

// The exponent of the factor at a position of a block.
INLINE uint32_t between_passes(uint32_t position, uint32_t log_radix, uint32_t log_stride) {
  return reversed(position >> log_stride, log_radix) * (position & ((1u << log_stride) - 1));
}

// The place of a tile in its array of `total` values. Rows of a matrix lie 2^log_stride apart; whole blocks of a tile are
// like more rows, since only a pass without stride has several.
struct Geometry {
  uint64_t base;
  uint64_t total;
  uint32_t log_columns, log_stride, log_block, log_tile;

  INLINE Geometry(uint64_t total, uint32_t log_block, uint32_t log_radix, uint32_t log_columns, uint32_t log_groups)
      : total(total), log_columns(log_columns), log_stride(log_block - log_radix), log_block(log_block),
        log_tile(log_groups + log_radix + log_columns) {
    const uint32_t log_pieces = log_stride - log_columns;
    const uint64_t piece = blockIdx.x & ((1u << log_pieces) - 1);
    base = ((uint64_t)(blockIdx.x >> log_pieces) << (log_block + log_groups)) + (piece << log_columns);
  }

  INLINE uint32_t size() const { return 1u << log_tile; }

  INLINE uint64_t address(uint32_t e) const {
    return base + ((uint64_t)(e >> log_columns) << log_stride) + (e & ((1u << log_columns) - 1));
  }

  INLINE uint32_t position(uint64_t address, uint32_t log_size) const {
    return (uint32_t)address & ((1u << log_size) - 1);
  }
};

// 2^log_tile elements of shared memory.
struct Tile {
  uint4* halves;
  uint32_t plane;

  INLINE Tile(uint4* halves, uint32_t size) : halves(halves), plane(size < 8 ? 8 : size) {}

  // Bits 3 and 4 of a place change its bank group such that bits 0, 1, 2 tell eight of them apart, and so do any three of
  // bits 0 .. 4 that leave out two neighbours (radix 4), and of bits 0 .. 3 that leave out one (radix 2).
  INLINE static uint32_t place(uint32_t e) { return e ^ ((e >> 3 & 1) * 7) ^ ((e >> 4 & 1) * 5); }

  INLINE Fr get(uint32_t e) const {
    const uint32_t at = place(e);
    const uint4 low = halves[at], high = halves[plane + (at ^ 4)];
    return Fr{{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
  }

  INLINE void put(uint32_t e, const Fr& a) const {
    const uint32_t at = place(e);
    halves[at] = make_uint4(a.limb[0], a.limb[1], a.limb[2], a.limb[3]);
    halves[plane + (at ^ 4)] = make_uint4(a.limb[4], a.limb[5], a.limb[6], a.limb[7]);
  }
};

// The transforms of a tile's columns. `twiddles` holds w^e for e < 2^log_radix, w of that order or its inverse.
struct Columns {
  Tile tile;
  uint32_t log_tile, log_columns, log_radix;

  // A thread's part of a step whose values lie 2^log_quarter rows apart: four values a, a + quarter, ... and the row's
  // number within the quarter.
  struct Place {
    uint32_t first, quarter, row;
    INLINE Place(uint32_t unit, uint32_t log_distance, uint32_t log_skip, uint32_t log_columns) {
      quarter = 1u << log_distance;
      const uint32_t offset = unit & (quarter - 1);
      first = (unit >> log_distance) << (log_distance + log_skip) | offset;
      row = offset >> log_columns;
    }
  };

  // Levels log_quarter + 2 and + 1 of the transform from natural order: two stages of butterflies as one of four values,
  // with i = w^(R/4), a root of order four.
  INLINE void frequency_quads(const uint32_t* twiddles, uint32_t log_quarter) const {
    const Fr fourth = load<Fr>(twiddles, 1u << (log_radix - 2));
    const uint32_t log_unit = log_radix - 2 - log_quarter;
#pragma unroll 1
    for (uint32_t unit = threadIdx.x; unit < 1u << (log_tile - 2); unit += blockDim.x) {
      const Place at(unit, log_quarter + log_columns, 2, log_columns);
      const Fr a0 = tile.get(at.first), a2 = tile.get(at.first + 2 * at.quarter);
      const Fr sum02 = add(a0, a2), difference02 = sub(a0, a2);
      const Fr a1 = tile.get(at.first + at.quarter), a3 = tile.get(at.first + 3 * at.quarter);
      const Fr sum13 = add(a1, a3), turned = mul(sub(a1, a3), fourth);
      Fr b1 = sub(sum02, sum13), b2 = add(difference02, turned), b3 = sub(difference02, turned);
      tile.put(at.first, add(sum02, sum13));
      if (log_quarter != 0) {
        const uint32_t exponent = at.row << log_unit;
        b1 = mul(b1, load<Fr>(twiddles, 2 * exponent));
        b2 = mul(b2, load<Fr>(twiddles, exponent));
        b3 = mul(b3, load<Fr>(twiddles, 3 * exponent));
      }
      tile.put(at.first + at.quarter, b1);
      tile.put(at.first + 2 * at.quarter, b2);
      tile.put(at.first + 3 * at.quarter, b3);
    }
  }

  // The way back.
  INLINE void time_quads(const uint32_t* twiddles, uint32_t log_quarter) const {
    const Fr fourth = load<Fr>(twiddles, 1u << (log_radix - 2));
    const uint32_t log_unit = log_radix - 2 - log_quarter;
#pragma unroll 1
    for (uint32_t unit = threadIdx.x; unit < 1u << (log_tile - 2); unit += blockDim.x) {
      const Place at(unit, log_quarter + log_columns, 2, log_columns);
      Fr b1 = tile.get(at.first + at.quarter), b2 = tile.get(at.first + 2 * at.quarter);
      Fr b3 = tile.get(at.first + 3 * at.quarter);
      if (log_quarter != 0) {
        const uint32_t exponent = at.row << log_unit;
        b1 = mul(b1, load<Fr>(twiddles, 2 * exponent));
        b2 = mul(b2, load<Fr>(twiddles, exponent));
        b3 = mul(b3, load<Fr>(twiddles, 3 * exponent));
      }
      const Fr b0 = tile.get(at.first);
      const Fr sum01 = add(b0, b1), difference01 = sub(b0, b1);
      const Fr sum23 = add(b2, b3), turned = mul(sub(b2, b3), fourth);
      tile.put(at.first, add(sum01, sum23));
      tile.put(at.first + at.quarter, add(difference01, turned));
      tile.put(at.first + 2 * at.quarter, sub(sum01, sum23));
      tile.put(at.first + 3 * at.quarter, sub(difference01, turned));
    }
  }

  // The uppermost level alone, for odd log_radix.
  INLINE void frequency_pairs(const uint32_t* twiddles) const {
    const uint32_t log_distance = log_radix - 1 + log_columns;
#pragma unroll 1
    for (uint32_t unit = threadIdx.x; unit < 1u << (log_tile - 1); unit += blockDim.x) {
      const Place at(unit, log_distance, 1, log_columns);
      const Fr a = tile.get(at.first), b = tile.get(at.first + at.quarter);
      tile.put(at.first, add(a, b));
      Fr difference = sub(a, b);
      if (log_radix != 1) difference = mul(difference, load<Fr>(twiddles, at.row));
      tile.put(at.first + at.quarter, difference);
    }
  }

  INLINE void time_pairs(const uint32_t* twiddles) const {
    const uint32_t log_distance = log_radix - 1 + log_columns;
#pragma unroll 1
    for (uint32_t unit = threadIdx.x; unit < 1u << (log_tile - 1); unit += blockDim.x) {
      const Place at(unit, log_distance, 1, log_columns);
      const Fr a = tile.get(at.first);
      Fr b = tile.get(at.first + at.quarter);
      if (log_radix != 1) b = mul(b, load<Fr>(twiddles, at.row));
      tile.put(at.first, add(a, b));
      tile.put(at.first + at.quarter, sub(a, b));
    }
  }

  // Starts and ends with the tile complete.
  INLINE void frequency(const uint32_t* twiddles) const {
    uint32_t left = log_radix;
    if (left & 1) {
      frequency_pairs(twiddles);
      left--;
      __syncthreads();
    }
#pragma unroll 1
    for (; left > 0; left -= 2) {
      frequency_quads(twiddles, left - 2);
      __syncthreads();
    }
  }

  INLINE void time(const uint32_t* twiddles) const {
#pragma unroll 1
    for (uint32_t done = 0; done + 2 <= log_radix; done += 2) {
      time_quads(twiddles, done);
      __syncthreads();
    }
    if (log_radix & 1) {
      time_pairs(twiddles);
      __syncthreads();
    }
  }
};

// Blocks of up to 256 threads; two or more on a multiprocessor.
#define TRANSFORM_BOUNDS __launch_bounds__(256, 2)

extern "C" __global__ void TRANSFORM_BOUNDS ntt_frequency(uint32_t* values, uint64_t total, const uint32_t* twiddles,
                                                          uint32_t source, const uint32_t* factors,
                                                          const uint32_t* high, uint32_t log_low, uint32_t log_block,
                                                          uint32_t log_radix, uint32_t log_columns,
                                                          uint32_t log_groups) {
  DYNAMIC_SHARED(uint4, halves);
  const Geometry geometry(total, log_block, log_radix, log_columns, log_groups);
  const Tile tile(halves, geometry.size());
  const Columns columns{tile, geometry.log_tile, log_columns, log_radix};
  const Factors between{source, factors, high, log_low};
#pragma unroll 2
  for (uint32_t e = threadIdx.x; e < geometry.size(); e += blockDim.x) {
    const uint64_t address = geometry.address(e);
    tile.put(e, address < total ? load<Fr>(values, address) : Fr::zero());
  }
  __syncthreads();
  columns.frequency(twiddles);
#pragma unroll 1
  for (uint32_t e = threadIdx.x; e < geometry.size(); e += blockDim.x) {
    const uint64_t address = geometry.address(e);
    if (address >= total) break;
    Fr a = tile.get(e);
    if (source != NO_FACTORS) {
      const uint32_t position = geometry.position(address, log_block);
      a = mul(a, between.at(position, between_passes(position, log_radix, geometry.log_stride)));
    }
    store(values, address, a);
  }
}

extern "C" __global__ void TRANSFORM_BOUNDS ntt_time(uint32_t* values, uint64_t total, const uint32_t* twiddles,
                                                     uint32_t source, const uint32_t* factors, const uint32_t* high,
                                                     uint32_t log_low, uint32_t log_block, uint32_t log_radix,
                                                     uint32_t log_columns, uint32_t log_groups) {
  DYNAMIC_SHARED(uint4, halves);
  const Geometry geometry(total, log_block, log_radix, log_columns, log_groups);
  const Tile tile(halves, geometry.size());
  const Columns columns{tile, geometry.log_tile, log_columns, log_radix};
  const Factors between{source, factors, high, log_low};
#pragma unroll 1
  for (uint32_t e = threadIdx.x; e < geometry.size(); e += blockDim.x) {
    const uint64_t address = geometry.address(e);
    Fr a = address < total ? load<Fr>(values, address) : Fr::zero();
    if (source != NO_FACTORS) {
      const uint32_t position = geometry.position(address, log_block);
      a = mul(a, between.at(position, between_passes(position, log_radix, geometry.log_stride)));
    }
    tile.put(e, a);
  }
  __syncthreads();
  columns.time(twiddles);
#pragma unroll 2
  for (uint32_t e = threadIdx.x; e < geometry.size(); e += blockDim.x) {
    const uint64_t address = geometry.address(e);
    if (address < total) store(values, address, tile.get(e));
  }
}

// The factor at place q of a transform of 2^log_size values has the exponent rev(q): q holds coefficient rev(q).
extern "C" __global__ void TRANSFORM_BOUNDS ntt_extend(uint32_t* values, uint64_t total,
                                                       const uint32_t* inverse_twiddles,
                                                       const uint32_t* forward_twiddles, uint32_t source,
                                                       const uint32_t* factors, const uint32_t* high, uint32_t log_low,
                                                       uint32_t log_size, uint32_t log_radix, uint32_t log_groups) {
  DYNAMIC_SHARED(uint4, halves);
  const Geometry geometry(total, log_radix, log_radix, 0, log_groups);
  const Tile tile(halves, geometry.size());
  const Columns columns{tile, geometry.log_tile, 0, log_radix};
  const Factors coset{source, factors, high, log_low};
#pragma unroll 2
  for (uint32_t e = threadIdx.x; e < geometry.size(); e += blockDim.x) {
    const uint64_t address = geometry.address(e);
    tile.put(e, address < total ? load<Fr>(values, address) : Fr::zero());
  }
  __syncthreads();
  columns.frequency(inverse_twiddles);
#pragma unroll 1
  for (uint32_t e = threadIdx.x; e < geometry.size(); e += blockDim.x) {
    const uint32_t position = geometry.position(geometry.address(e), log_size);
    tile.put(e, mul(tile.get(e), coset.at(position, reversed(position, log_size))));
  }
  __syncthreads();
  columns.time(forward_twiddles);
#pragma unroll 2
  for (uint32_t e = threadIdx.x; e < geometry.size(); e += blockDim.x) {
    const uint64_t address = geometry.address(e);
    if (address < total) store(values, address, tile.get(e));
  }
}

// out[p] for p < 2^log_block: the factor between passes, or with log_radix = log_block that of the coset, whose exponent
// is rev(p), from the tables of two levels.
extern "C" __global__ void ntt_factors(uint32_t* out, const uint32_t* low, const uint32_t* high, uint32_t log_low,
                                       uint32_t log_block, uint32_t log_radix) {
  const uint32_t position = blockIdx.x * blockDim.x + threadIdx.x;
  if (position >= 1u << log_block) return;
  const Factors levels{TWO_LEVELS, low, high, log_low};
  const uint32_t exponent = log_radix == log_block ? reversed(position, log_block)
                                                   : between_passes(position, log_radix, log_block - log_radix);
  store(out, position, levels.by_exponent(exponent));
}
