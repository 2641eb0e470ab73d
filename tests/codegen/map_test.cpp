// Elementwise kernels against the interpreter, in bits: every op, dtype and length of the last vector.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "catch.h"
#include "programs.h"

using namespace weft;

namespace {

constexpr std::int64_t kExtents[] = {0, 1, 7, 16, 17, 100, 1000};

DType result_of(Op op, DType t) {
  const bool compares = op >= Op::eq && op <= Op::ge;
  return compares ? boolean : t;
}

/// One kernel for each extent: out[i] = op(in0[i], …).
Program elementwise(Op op, DType t, DType result, int arity) {
  ProgramBuilder b;
  for (std::int64_t n : kExtents) {
    std::vector<BufferId> in;
    for (int i = 0; i < arity; ++i) in.push_back(b.input(op == Op::select && i == 0 ? boolean : t, {n}));
    const BufferId out = b.output(result, {n});
    HandBuilder k(b.program(), b.kernel());
    const AxisId i = k.axis("i", n);
    std::vector<ExprId> args;
    for (BufferId x : in) args.push_back(k.load(x, {at(i)}));
    k.phase({i}).stages = {map_stage({{out, {at(i)}, k.op(op, result, args)}})};
    k.schedule().vector_axis = i;
  }
  return b.program();
}

}  // namespace

TEST_CASE("every elementwise op equals the interpreter in bits") {
  for (int o = 0; o < kOpCount; ++o) {
    const Op op = static_cast<Op>(o);
    if (!is_elementwise(op) || op == Op::convert) continue;
    for (DType t : kAllDTypes) {
      const DType operand = op == Op::select ? boolean : t;
      if (!in_set(operand, info(op).dtypes)) continue;
      INFO(name(op) << " on " << name(t));
      CHECK(check(elementwise(op, t, result_of(op, t), info(op).min_arity)) == "");
    }
  }
}

TEST_CASE("every conversion equals the interpreter in bits") {
  for (DType from : kAllDTypes)
    for (DType to : kAllDTypes) {
      INFO(name(from) << " to " << name(to));
      CHECK(check(elementwise(Op::convert, from, to, 1)) == "");
    }
}

namespace {

/// out[i, j] = f(x) for each f of one operand: expressions that LLVM could simplify as if subnormals were kept.
Program identities() {
  ProgramBuilder b;
  const std::int64_t n = 50;
  const BufferId x = b.input(f32, {n});
  for (int f = 0; f < 8; ++f) {
    const BufferId out = b.output(f32, {n});
    HandBuilder k(b.program(), b.kernel());
    const AxisId i = k.axis("i", n);
    const ExprId v = k.load(x, {at(i)});
    auto c = [&](double value) { return k.constant(f32, value); };
    auto apply = [&]() -> ExprId {
      switch (f) {
        case 0: return k.op(Op::mul, f32, {v, c(1)});
        case 1: return k.op(Op::add, f32, {c(-0.0), v});
        case 2: return k.op(Op::sub, f32, {v, c(0)});
        case 3: return k.op(Op::div, f32, {v, c(-1)});
        case 4: return k.op(Op::sub, f32, {c(-0.0), k.op(Op::neg, f32, {v})});
        case 5: return k.op(Op::mul, f32, {c(1e-30), c(1e-10)});
        case 6: return k.op(Op::convert, f32, {k.op(Op::convert, f64, {v})});
        default: return k.op(Op::select, f32, {k.op(Op::gt, boolean, {v, c(-1)}), v, c(-1)});
      }
    };
    k.phase({i}).stages = {map_stage({{out, {at(i)}, apply()}})};
    k.schedule().vector_axis = i;
  }
  return b.program();
}

}  // namespace

TEST_CASE("subnormals are flushed where LLVM would fold the operation away") { CHECK(check(identities()) == ""); }

namespace {

/// Results around the smallest normal number: those that round up to it are kept, those below are flushed. Whether a
/// machine flushes before or after it rounds shows here only.
Program smallest_normals() {
  ProgramBuilder b;
  for (DType t : {f32, f64}) {
    const int digits = t == f32 ? 23 : 52, least = t == f32 ? -126 : -1022;
    const double half = std::ldexp(1, least / 2), ulp = std::ldexp(1, -digits);
    for (const double second : {1 - ulp, 1 - 2 * ulp, -(1 - ulp), 1.0}) {
      const BufferId out = b.output(t, {3});
      HandBuilder k(b.program(), b.kernel());
      const ExprId x = k.constant(t, (1 + ulp) * half), y = k.constant(t, second * half);
      k.phase({}).stages = {map_stage({{out, {{{}, 0, kNone}}, k.op(Op::mul, t, {x, y})},
                                       {out, {{{}, 1, kNone}}, k.op(Op::fma, t, {x, y, k.constant(t, 0)})},
                                       {out, {{{}, 2, kNone}}, k.op(Op::sub, t, {k.op(Op::mul, t, {x, y}), y})}})};
    }
  }
  const BufferId out = b.output(f32, {2});
  HandBuilder k(b.program(), b.kernel());
  auto shorter = [&](double v) { return k.op(Op::convert, f32, {k.constant(f64, v * std::ldexp(1, -126))}); };
  k.phase({}).stages = {map_stage({{out, {{{}, 0, kNone}}, shorter(1 - std::ldexp(1, -26))},
                                   {out, {{{}, 1, kNone}}, shorter(1 - std::ldexp(1, -24))}})};
  return b.program();
}

}  // namespace

TEST_CASE("results that round up to the smallest normal number are not flushed") {
  const Program p = smallest_normals();
  CHECK(check(p) == "");
  CHECK(interpret(p, {}).outputs[0].as<float>()[0] == 0x1p-126F);
  CHECK(interpret(p, {}).outputs[1].as<float>()[0] == 0);
}

namespace {

/// y[i, j] = x[i, j] + 1, z[i, j] = x[i, j + 1] (rows of 48 or, with partial vectors and rows that move off alignment,
/// 50).
Program large_results(std::int64_t columns, DType t) {
  ProgramBuilder b;
  const BufferId x = b.input(t, {20, columns}), y = b.output(t, {20, columns}), z = b.output(t, {20, columns - 1});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", 20), j = k.axis("j", columns), l = k.axis("l", columns - 1);
  k.phase({i, j}).stages = {
      map_stage({{y, {at(i), at(j)}, k.op(Op::add, t, {k.load(x, {at(i), at(j)}), k.constant(t, 1)})}})};
  k.phase({i, l}).stages = {map_stage({{z, {at(i), at(l)}, k.load(x, {at(i), at(l, 1, 1)})}})};
  k.schedule().vector_axis = j;
  return b.program();
}

}  // namespace

TEST_CASE("results larger than the caches are written past them, where they are aligned") {
  for (CpuTarget target : runnable_targets()) {
    target.l3_bytes = 1024;
    for (DType t : {f32, f64, i32, u8})
      for (std::int64_t columns : {48, 50}) CHECK(check(large_results(columns, t), {&target, 1}) == "");
    const auto program = std::make_shared<const Program>(large_results(48, f32));
    const std::string code = emit_llvm(*program, target);
    CHECK(code.find("!nontemporal") != code.npos);
    CHECK(code.find("sfence") != code.npos);
    target.l3_bytes = 1 << 20;
    CHECK(emit_llvm(*program, target).find("!nontemporal") == std::string::npos);
  }
}

namespace {

/// The float of type T whose bits are those of x, moved by `steps` to larger or smaller magnitudes.
template <class T, class Bits>
T neighbour(T x, std::int64_t steps) {
  return std::bit_cast<T>(static_cast<Bits>(std::bit_cast<Bits>(x) + static_cast<Bits>(steps)));
}

/// Every 4099th f32 (all signs, exponents, NaNs), or as many f64 over the range of exp and beyond, and the neighbours
/// of the limits of exp: where results turn into 0 and inf.
template <class T, class Bits>
Array arguments_of_exp(std::initializer_list<T> limits) {
  constexpr std::int64_t kNear = 4000;
  std::vector<T> x;
  if constexpr (sizeof(T) == 4)
    for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 4099)
      x.push_back(std::bit_cast<T>(static_cast<Bits>(bits)));
  else
    for (T v = -1200; v < 1200; v += 0.0037) x.push_back(v);
  for (T limit : limits)
    for (std::int64_t i = -kNear; i <= kNear; ++i) x.push_back(neighbour<T, Bits>(limit, i));
  for (T v : {T(1e30), T(-1e30), std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity()})
    x.push_back(v);
  x.resize((x.size() + 15) / 16 * 16, std::numeric_limits<T>::quiet_NaN());
  Array a(Type{dtype_of<T>, {static_cast<std::int64_t>(x.size())}});
  std::ranges::copy(x, a.as<T>().begin());
  return a;
}

}  // namespace

TEST_CASE("exp on vectors is its definition everywhere, at the limits above all") {
  const Array arguments[] = {
      arguments_of_exp<float, std::uint32_t>({-0x1.5d589ep+6F, 0x1.62e42ep+6F, -104, 128, -128}),
      arguments_of_exp<double, std::uint64_t>({-0x1.6232bdd7abcd2p+9, 0x1.62e42fefa39efp+9, 800, -800})};
  for (const Array& x : arguments) {
    ProgramBuilder b;
    const Type type = x.type();
    const BufferId in = b.input(type.dtype, type.shape), out = b.output(type.dtype, type.shape);
    HandBuilder k(b.program(), b.kernel());
    const AxisId i = k.axis("i", type.shape[0]);
    k.phase({i}).stages = {map_stage({{out, {at(i)}, k.op(Op::exp, type.dtype, {k.load(in, {at(i)})})}})};
    k.schedule().vector_axis = i;
    const Evaluation expected = interpret(b.program(), {&x, 1});
    for (const CpuTarget& target : runnable_targets())
      CHECK(difference(run_artifact(compile(*b.finish(), target), {&x, 1}), expected) == "");
  }
}

namespace {

/// Where functions change their pieces, and where results are zeros, infinities or NaN.
template <class T>
std::vector<T> edges_of_functions() {
  using L = std::numeric_limits<T>;
  const T whole = sizeof(T) == 4 ? 0x1p23 : 0x1p52;
  std::vector<T> v{0,         L::denorm_min() * 5,
                   L::min(),  T(1e-30),
                   T(1e-3),   T(0.25),
                   T(0.3333), T(0.5),
                   T(0.7072), T(0.99),
                   1,         T(1.01),
                   T(1.4),    T(1.5),
                   2,         3,
                   T(4.7),    10,
                   17,        21,
                   88,        T(88.9),
                   T(101.5),  T(709.5),
                   1000,      whole - 1,
                   whole + 1, 2 * whole + 2,
                   T(0x1p17), T(131073.5),
                   T(0x1p30), T(1.7e9),
                   T(1e22),   T(6.0e37),
                   L::max(),  L::infinity()};
  for (std::size_t i = v.size(); i-- > 0;) v.push_back(-v[i]);
  v.push_back(L::quiet_NaN());
  return v;
}

}  // namespace

TEST_CASE("every function of floats equals the interpreter at its edges, in bits") {
  for (DType t : {f32, f64}) {
    std::vector<Array> grid;  // all pairs
    visit_dtype(t, [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_floating_point_v<T>) {
        const std::vector<T> v = edges_of_functions<T>();
        std::vector<T> x, y;
        for (T a : v)
          for (T b : v) x.push_back(a), y.push_back(b);
        grid = {Array::from<T>(x, {static_cast<std::int64_t>(x.size())}),
                Array::from<T>(y, {static_cast<std::int64_t>(y.size())})};
      }
    });
    for (int o = 0; o < kOpCount; ++o) {
      const Op op = static_cast<Op>(o);
      const int arity = info(op).min_arity;
      if (!is_elementwise(op) || op == Op::convert || arity > 2 || !in_set(t, info(op).dtypes)) continue;
      INFO(name(op) << " on " << name(t));
      const std::span<const Array> inputs(grid.data(), static_cast<std::size_t>(arity));
      ProgramBuilder b;
      std::vector<BufferId> in;
      for (const Array& x : inputs) in.push_back(b.input(t, x.shape()));
      const BufferId out = b.output(result_of(op, t), grid[0].shape());
      HandBuilder k(b.program(), b.kernel());
      const AxisId i = k.axis("i", grid[0].shape()[0]);
      std::vector<ExprId> args;
      for (BufferId x : in) args.push_back(k.load(x, {at(i)}));
      k.phase({i}).stages = {map_stage({{out, {at(i)}, k.op(op, result_of(op, t), args)}})};
      k.schedule().vector_axis = i;
      const Evaluation expected = interpret(b.program(), inputs);
      for (const CpuTarget& target : runnable_targets())
        CHECK(difference(run_artifact(compile(*b.finish(), target), inputs), expected) == "");
    }
  }
}
