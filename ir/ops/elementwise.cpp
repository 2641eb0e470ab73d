// The elementwise ops: ir/ops/scalar.h applied to every element, and to type-erased scalars.
#include "ir/base/native_fma.h"
#include "ir/base/philox.h"
#include "ir/ops/infer.h"
#include "ir/ops/node_builder.h"
#include "ir/ops/rows.h"
#include "ir/ops/scalar.h"

namespace weft {
using namespace infer;
namespace {

/// The type of the operands, all equal.
Type same_type(const InferArgs& a) {
  require_dtype(a, a.operands[0].dtype);
  for (std::size_t i = 1; i < a.operands.size(); ++i) require_same(a.operands[0], a.operands[i], "operands");
  return a.operands[0];
}

/// The result, filled by f(T{}, result) for the C++ type T of `operand`'s elements.
template <class F>
Array map(const EvalArgs& a, const Array& operand, F&& f) {
  Array y(a.result);
  visit_dtype(operand.dtype(), [&](auto zero) { with_native_fma([&] { f(zero, y); }); });
  return y;
}

}  // namespace

Type infer::unary(const InferArgs& a) { return same_type(a); }
Type infer::binary(const InferArgs& a) { return same_type(a); }
Type infer::fma(const InferArgs& a) { return same_type(a); }
Type infer::compare(const InferArgs& a) { return {boolean, same_type(a).shape}; }

Type infer::select(const InferArgs& a) {
  if (a.operands[0].dtype != boolean) fail("the condition must be bool, found {}", to_string(a.operands[0]));
  require_same(a.operands[1], a.operands[2], "branches");
  if (!(a.operands[0].shape == a.operands[1].shape))
    fail("condition {} and branches {} differ in shape", to_string(a.operands[0]), to_string(a.operands[1]));
  return a.operands[1];
}

Type infer::convert(const InferArgs& a) {
  if (!(a.declared->shape == a.operands[0].shape))
    fail("keeps the shape, but {} is declared as {}", to_string(a.operands[0]), to_string(*a.declared));
  return *a.declared;
}

Array eval::unary(const EvalArgs& a) {
  return map(a, a.operands[0], [&](auto zero, Array& y) {
    using T = decltype(zero);
    const auto x = a.operands[0].as<T>();
    auto z = y.as<T>();
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = apply_unary(a.op, x[i]);
  });
}

Array eval::binary(const EvalArgs& a) {
  return map(a, a.operands[0], [&](auto zero, Array& out) {
    using T = decltype(zero);
    const auto x = a.operands[0].as<T>(), y = a.operands[1].as<T>();
    auto z = out.as<T>();
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = apply_binary(a.op, x[i], y[i]);
  });
}

Array eval::compare(const EvalArgs& a) {
  return map(a, a.operands[0], [&](auto zero, Array& out) {
    using T = decltype(zero);
    const auto x = a.operands[0].as<T>(), y = a.operands[1].as<T>();
    auto z = out.as<bool>();
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = apply_compare(a.op, x[i], y[i]);
  });
}

Array eval::select(const EvalArgs& a) {
  return map(a, a.operands[1], [&](auto zero, Array& out) {
    using T = decltype(zero);
    const auto p = a.operands[0].as<bool>();
    const auto x = a.operands[1].as<T>(), y = a.operands[2].as<T>();
    auto z = out.as<T>();
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = p[i] ? x[i] : y[i];
  });
}

Array eval::fma(const EvalArgs& a) {
  return map(a, a.operands[0], [&](auto zero, Array& out) {
    using T = decltype(zero);
    const auto x = a.operands[0].as<T>(), y = a.operands[1].as<T>(), w = a.operands[2].as<T>();
    auto z = out.as<T>();
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = apply_fma(x[i], y[i], w[i]);
  });
}

Array eval::convert(const EvalArgs& a) {
  return map(a, a.operands[0], [&](auto zero, Array& out) {
    const auto x = a.operands[0].as<decltype(zero)>();
    visit_dtype(out.dtype(), [&](auto to_zero) {
      using To = decltype(to_zero);
      auto y = out.as<To>();
      for (std::size_t i = 0; i < y.size(); ++i) y[i] = weft::convert<To>(x[i]);
    });
  });
}

/// g / (1 + x^2) as g i^2 / (i^2 + m^2) with m = min(|x|, 1) and i = min(1/|x|, 1): no square overflows, so that the
/// derivatives of this are finite too.
ValueId grad::atan(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  const ValueId x = b.op(Op::abs, {a.operands[0]}), one = b.like(x, 1);
  const ValueId m = b.op(Op::min, {x, one}), i = b.div(one, b.op(Op::max, {x, one})), square = b.mul(i, i);
  return b.mul(a.g, b.div(square, b.add(square, b.mul(m, m))));
}

/// 2/sqrt(pi) e^(-x^2) g. The exponential would magnify the rounding error of a square, so that is put back.
ValueId grad::erf(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  const ValueId x0 = a.operands[0];
  const ValueId x = b.op(Op::min, {b.op(Op::abs, {x0}), b.like(x0, 30)});  // e^-900 is 0, and its square is finite
  const ValueId power = b.neg(b.mul(x, x)), e = b.op(Op::exp, {power});
  const ValueId rest = b.op(Op::stop_gradient, {b.op(Op::fma, {x, x, power})});
  return b.mul(a.g, b.mul(b.like(x0, 1.1283791670955126), b.op(Op::fma, {b.neg(rest), e, e})));
}

ValueId grad::convert(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  return b.convert(a.g, b.type(a.operands[0]).dtype);
}

DType infer::scalar(Op op, std::span<const DType> args, DType declared) {
  const OpInfo& row = info(op);
  const int arity = static_cast<int>(args.size());
  if (op == Op::random) {
    const bool fits = arity == 3 && std::all_of(args.begin(), args.end(), [](DType t) { return t == i64; });
    if (!fits) fail("random takes key, step and index, each i64");
    return i32;
  }
  if (!is_elementwise(op)) fail("{} is not elementwise", row.name);
  if (arity < row.min_arity || arity > row.max_arity)
    fail("takes {}, found {}", counted(row.min_arity, "argument"), arity);
  std::vector<Type> types;
  for (DType t : args) types.push_back({t, {}});
  const Type type{declared, {}};
  return row.infer({op, types, Attrs{}, &type}).dtype;
}

std::uint64_t eval_scalar(Op op, DType operand_dtype, DType result_dtype, const std::uint64_t* operands) {
  if (op == Op::random) {
    const auto i64_at = [&](int i) { return from_scalar_bits<std::int64_t>(operands[i]); };
    return random_word(i64_at(0), i64_at(1), i64_at(2));
  }
  if (op == Op::select) return from_scalar_bits<bool>(operands[0]) ? operands[1] : operands[2];
  ensure(is_elementwise(op), "{} has no meaning on scalars", name(op));
  return visit_dtype(operand_dtype, [&](auto zero) -> std::uint64_t {
    using T = decltype(zero);
    const auto x = [&](int i) { return from_scalar_bits<T>(operands[i]); };
    if (op == Op::convert)
      return visit_dtype(result_dtype, [&](auto to) { return to_scalar_bits(weft::convert<decltype(to)>(x(0))); });
    if (op == Op::fma) return to_scalar_bits(apply_fma(x(0), x(1), x(2)));
    if (info(op).min_arity == 1) return to_scalar_bits(apply_unary(op, x(0)));
    if (info(op).eval == &eval::compare) return to_scalar_bits(apply_compare(op, x(0), x(1)));
    return to_scalar_bits(apply_binary(op, x(0), x(1)));
  });
}

}  // namespace weft
