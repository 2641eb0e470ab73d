// The leaves.
#include "ir/base/philox.h"
#include "ir/base/strided.h"
#include "ir/ops/index.h"
#include "ir/ops/rows.h"
#include "ir/ops/scalar.h"

namespace weft {
using namespace infer;

Type infer::declared(const InferArgs& a) {
  if (a.attrs.literal && !(a.attrs.literal->type() == *a.declared))
    fail("literal of {} declared as {}", to_string(a.attrs.literal->type()), to_string(*a.declared));
  if (a.op == Op::constant && !a.attrs.literal) fail("needs a value");
  return checked(*a.declared);
}

Array eval::input(const EvalArgs& a) {
  ensure(false, "an input of {} is bound by the interpreter, not evaluated", to_string(a.result));
  return {};
}

Array eval::constant(const EvalArgs& a) { return *a.attrs.literal; }

ExprId element::constant(const ElementArgs& a) { return a.b.literal(*a.attrs.literal); }

Type infer::iota(const InferArgs& a) {
  require_dtype(a, a.declared->dtype);
  axis_of(a, a.declared->shape.rank());
  return checked(*a.declared);
}

Array eval::iota(const EvalArgs& a) {
  Array y(a.result);
  Dims strides = Dims::filled(a.result.shape.rank(), 0);
  strides[a.attrs.axis()] = 1;
  visit_dtype(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto* to = y.as<T>().data();
    for_each_offset(a.result.shape, 0, strides, [&](std::int64_t i, std::int64_t k) { to[i] = weft::convert<T>(k); });
  });
  return y;
}

ExprId element::iota(const ElementArgs& a) {
  const ExprId i = a.b.index_value(a.index[static_cast<std::size_t>(a.attrs.axis())]);
  return a.result.dtype == i64 ? i : a.b.op(Op::convert, a.result.dtype, {i});
}

Type infer::random(const InferArgs& a) {
  for (const Type& t : a.operands)
    if (!(t == Type{i64, {}})) fail("key and step must be i64[], found {}", to_string(t));
  if (a.declared->dtype != i32) fail("result must be i32, declared {}", to_string(*a.declared));
  return checked(*a.declared);
}

Array eval::random(const EvalArgs& a) {
  Array y(a.result);
  const std::int64_t key = a.operands[0].item<std::int64_t>(), step = a.operands[1].item<std::int64_t>();
  std::int64_t i = 0;
  for (std::int32_t& word : y.as<std::int32_t>()) word = static_cast<std::int32_t>(random_word(key, step, i++));
  return y;
}

ExprId element::random(const ElementArgs& a) {
  const Dims strides = row_major_strides(a.result.shape);
  Index linear;
  for (int d = 0; d < strides.rank(); ++d)
    linear = a.b.plus(linear, a.b.times(a.index[static_cast<std::size_t>(d)], strides[d]));
  return a.b.op(Op::random, i32, {a.operand(0, {}), a.operand(1, {}), a.b.index_value(linear)});
}

Type infer::size(const InferArgs& a) {
  axis_of(a, a.operands[0].shape.rank());
  return {i64, {}};
}

Array eval::size(const EvalArgs& a) { return Array::scalar(a.operands[0].shape()[a.attrs.axis()]); }

ExprId element::size(const ElementArgs& a) { return a.b.integer(a.types[0].shape[a.attrs.axis()]); }

}  // namespace weft
