// The emulator's elementwise instructions: every op on every dtype, on special and random values, against the scalar
// semantics.
#include <cmath>
#include <cstring>
#include <random>

#include "catch.h"
#include "ir/ops/op.h"
#include "ir/ops/sum_order.h"
#include "runtime/emulator/emulator.h"
#include "simt_builder.h"

using namespace weft;
using simt::Inst;
using test::SimtBuilder;

namespace {

constexpr int kThreads = 96;  // not a power of two

/// Special values, then random bits (floats: of all magnitudes).
Array operand(DType t, std::mt19937_64& random, std::size_t shift) {
  Array a({t, {kThreads}});
  visit_dtype(t, [&](auto zero) {
    using T = decltype(zero);
    using L = std::numeric_limits<T>;
    std::vector<T> special{T(0), T(1), L::max(), L::lowest(), T(2), T(3), T(7)};
    if constexpr (std::is_floating_point_v<T>) {
      for (T x :
           {L::min(), L::min() / 2, L::denorm_min(), L::infinity(), T(0.5), T(1.5), T(2.5), T(88.5), T(1e5), T(1e22)})
        special.insert(special.end(), {x, -x});
      special.push_back(-T(0));
      special.push_back(L::quiet_NaN());
    } else if constexpr (std::is_signed_v<T>) {
      for (T x : {-1, -2, 31, 32, 63, 64}) special.push_back(x);
    }
    auto values = a.as<T>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i < 2 * special.size())
        values[i] = special[(i * (1 + shift) + shift * 3) % special.size()];
      else if constexpr (std::is_floating_point_v<T>)
        values[i] =
            static_cast<T>(std::ldexp(static_cast<double>(random()) / 9e18 - 1, static_cast<int>(random() % 40) - 20));
      else
        values[i] = static_cast<T>(random());
    }
  });
  return a;
}

std::uint64_t bits_at(const Array& a, int i) {
  const std::size_t size = size_of(a.dtype());
  std::uint64_t bits = 0;
  std::memcpy(&bits, a.data() + static_cast<std::size_t>(i) * size, size);
  return bits;
}

/// y[thread] = op(operands[thread]), by the emulator and by eval_scalar.
void compare_op(Op op, const std::vector<Array>& operands, DType result) {
  INFO(name(op) << " of " << name(operands.back().dtype()) << " to " << name(result));
  SimtBuilder b("op", 1, kThreads);
  const auto thread = b.thread();
  std::vector<simt::RegisterId> args;
  std::vector<std::byte*> globals;
  for (const Array& a : operands) {
    const auto m = b.global(fmt::format("x{}", globals.size()), a.dtype(), kThreads, true);
    args.push_back(b.load(m, thread));
    globals.push_back(const_cast<std::byte*>(a.data()));
  }
  const auto out = b.global("y", result, kThreads);
  b.store(out, thread, b.emit({.kind = Inst::apply, .op = op, .dtype = result, .args = args}));
  Array y({result, {kThreads}}), expected({result, {kThreads}});
  globals.push_back(y.data());
  emulate(b.f, globals, {.threads = 1});
  const FlushSubnormals flush;
  for (int i = 0; i < kThreads; ++i) {
    std::vector<std::uint64_t> bits;
    for (const Array& a : operands) bits.push_back(bits_at(a, i));
    const std::uint64_t z = eval_scalar(op, operands.back().dtype(), result, bits.data());
    std::memcpy(expected.data() + static_cast<std::size_t>(i) * size_of(result), &z, size_of(result));
  }
  INFO(y.str(kThreads));
  INFO(expected.str(kThreads));
  CHECK(y.same_bits(expected));
}

}  // namespace

TEST_CASE("emulator: every elementwise op on every dtype gives the bits of the scalar semantics", "[emulator]") {
  std::mt19937_64 random(7);
  int compared = 0;
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    if (!is_elementwise(op)) continue;
    for (DType t : kAllDTypes) {
      if (!in_set(t, info(op).dtypes)) continue;
      std::vector<Array> operands;
      if (op == Op::select) operands.push_back(operand(boolean, random, 1));
      while (static_cast<int>(operands.size()) < info(op).min_arity)
        operands.push_back(operand(t, random, operands.size()));
      const bool compares = op >= Op::eq && op <= Op::ge;
      if (op == Op::convert)
        for (DType to : kAllDTypes) compare_op(op, operands, to);
      else
        compare_op(op, operands, compares ? boolean : t);
      ++compared;
    }
  }
  CHECK(compared > 120);
  compare_op(Op::random, {operand(i64, random, 0), operand(i64, random, 1), operand(i64, random, 2)}, i32);
}
