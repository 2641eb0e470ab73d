// The emulator's warp collectives: shuffles, and matrix products in the fragment layouts of PTX's mma.sync.
//
// An element of a product is one chain of fused multiply-adds in the order of k, onto c: f32, subnormals flushed.
// Tensor cores add in an order of their own, which NVIDIA does not specify; what is computed with them is compared by
// tolerance.
#include <bit>
#include <cmath>

#include "runtime/emulator/emulator_machine.h"

namespace weft::emulator {
namespace {

using simt::Inst, simt::kWarp;

template <class T, bool down>
void shuffle(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const T* x = m.values<T>(s.at[1]);
  const int width = s.inst->width, lane = static_cast<int>(s.inst->bits);
  for (int first = 0; first < s.n; first += width) {
    T* to = z + first;
    const T* from = x + first;
    if constexpr (down) {
      for (int i = 0; i < width - lane; ++i) to[i] = from[i + lane];
      for (int i = width - lane; i < width; ++i) to[i] = from[i];
    } else {
      for (int i = 0; i < width; ++i) to[i] = from[lane];
    }
  }
}

/// f32 -> tf32 (10 bits of mantissa), to nearest, ties away from zero.
float to_tf32(float x) {
  if (!std::isfinite(x)) return x;
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x1000u) & ~0x1fffu);
}

/// f32 -> bf16 (7 bits of mantissa), to nearest, ties to even.
float to_bf16(float x) {
  if (!std::isfinite(x)) return x;
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7fffu + (bits >> 16 & 1)) & ~0xffffu);
}

/// A slot in a fragment's matrix. Lane l of a warp has group l / 4 and number l % 4 in it.
struct Cell {
  int row, column;
};

struct Tf32 {
  static constexpr int k = 8, as = 4, bs = 2;
  static float round(float x) { return to_tf32(x); }
  static Cell a(int group, int number, int i) { return {group + (i & 1) * 8, number + (i >> 1) * 4}; }
  static Cell b(int group, int number, int i) { return {number + i * 4, group}; }
};
struct Bf16 {
  static constexpr int k = 16, as = 8, bs = 4;
  static float round(float x) { return to_bf16(x); }
  static Cell a(int group, int number, int i) {
    return {group + (i >> 1 & 1) * 8, number * 2 + (i & 1) + (i >> 2) * 8};
  }
  static Cell b(int group, int number, int i) { return {number * 2 + (i & 1) + (i >> 1) * 8, group}; }
};
Cell cell_of_c(int group, int number, int i) { return {group + (i >> 1) * 8, number * 2 + (i & 1)}; }

template <class M>
void mma(const Step& s, Machine& m) {
  constexpr int results = 4;
  const Slot* slots = &m.code->slots[s.more];
  const auto value = [&](int i) { return m.values<float>(slots[i]); };
  for (int warp = 0; warp < s.n; warp += kWarp) {
    float a[16][M::k], b[M::k][8];
    for (int lane = 0; lane < kWarp; ++lane) {
      const int group = lane / 4, number = lane % 4;
      for (int i = 0; i < M::as; ++i) {
        const auto [row, column] = M::a(group, number, i);
        a[row][column] = M::round(value(results + i)[warp + lane]);
      }
      for (int i = 0; i < M::bs; ++i) {
        const auto [row, column] = M::b(group, number, i);
        b[row][column] = M::round(value(results + M::as + i)[warp + lane]);
      }
    }
    with_native_fma([&, warp] {
      for (int lane = 0; lane < kWarp; ++lane)
        for (int i = 0; i < results; ++i) {
          const auto [row, column] = cell_of_c(lane / 4, lane % 4, i);
          float sum = value(results + M::as + M::bs + i)[warp + lane];
          for (int k = 0; k < M::k; ++k) sum = std::fma(a[row][k], b[k][column], sum);
          value(i)[warp + lane] = sum;
        }
    });
  }
}

}  // namespace

Handler shuffle_handler(Inst::Kind kind, DType t) {
  return visit_dtype(t, [&](auto zero) -> Handler {
    using T = decltype(zero);
    return kind == Inst::shuffle_down ? shuffle<T, true> : shuffle<T, false>;
  });
}

void mma_tf32(const Step& s, Machine& m) { mma<Tf32>(s, m); }
void mma_bf16(const Step& s, Machine& m) { mma<Bf16>(s, m); }

}  // namespace weft::emulator
