// Reference semantics of the elementwise ops: ir/ops/scalar.h applied to every element, and to type-erased scalars.
#include "ir/base/native_fma.h"
#include "ir/base/philox.h"
#include "ir/ops/eval.h"
#include "ir/ops/scalar.h"

namespace weft {
namespace eval {
namespace {

/// The result, filled by f(T{}, result) for the C++ type T of `operand`'s elements.
template <class F>
Array map(const EvalArgs& a, const Array& operand, F&& f) {
  Array y(a.result);
  visit_dtype(operand.dtype(), [&](auto zero) { with_native_fma([&] { f(zero, y); }); });
  return y;
}

}  // namespace

Array unary(const EvalArgs& a) {
  return map(a, a.operands[0], [&](auto zero, Array& y) {
    using T = decltype(zero);
    const auto x = a.operands[0].as<T>();
    auto z = y.as<T>();
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = apply_unary(a.op, x[i]);
  });
}

Array binary(const EvalArgs& a) {
  return map(a, a.operands[0], [&](auto zero, Array& out) {
    using T = decltype(zero);
    const auto x = a.operands[0].as<T>(), y = a.operands[1].as<T>();
    auto z = out.as<T>();
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = apply_binary(a.op, x[i], y[i]);
  });
}

Array compare(const EvalArgs& a) {
  return map(a, a.operands[0], [&](auto zero, Array& out) {
    using T = decltype(zero);
    const auto x = a.operands[0].as<T>(), y = a.operands[1].as<T>();
    auto z = out.as<bool>();
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = apply_compare(a.op, x[i], y[i]);
  });
}

Array select(const EvalArgs& a) {
  return map(a, a.operands[1], [&](auto zero, Array& out) {
    using T = decltype(zero);
    const auto p = a.operands[0].as<bool>();
    const auto x = a.operands[1].as<T>(), y = a.operands[2].as<T>();
    auto z = out.as<T>();
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = p[i] ? x[i] : y[i];
  });
}

Array fma(const EvalArgs& a) {
  return map(a, a.operands[0], [&](auto zero, Array& out) {
    using T = decltype(zero);
    const auto x = a.operands[0].as<T>(), y = a.operands[1].as<T>(), w = a.operands[2].as<T>();
    auto z = out.as<T>();
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = apply_fma(x[i], y[i], w[i]);
  });
}

Array convert(const EvalArgs& a) {
  return map(a, a.operands[0], [&](auto zero, Array& out) {
    const auto x = a.operands[0].as<decltype(zero)>();
    visit_dtype(out.dtype(), [&](auto to_zero) {
      using To = decltype(to_zero);
      auto y = out.as<To>();
      for (std::size_t i = 0; i < y.size(); ++i) y[i] = weft::convert<To>(x[i]);
    });
  });
}

}  // namespace eval

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
      return visit_dtype(result_dtype, [&](auto to) { return to_scalar_bits(convert<decltype(to)>(x(0))); });
    if (op == Op::fma) return to_scalar_bits(apply_fma(x(0), x(1), x(2)));
    if (info(op).min_arity == 1) return to_scalar_bits(apply_unary(op, x(0)));
    if (info(op).eval == eval::compare) return to_scalar_bits(apply_compare(op, x(0), x(1)));
    return to_scalar_bits(apply_binary(op, x(0), x(1)));
  });
}

}  // namespace weft
