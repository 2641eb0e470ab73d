// Reference semantics of the leaves.
#include "ir/base/philox.h"
#include "ir/base/strided.h"
#include "ir/ops/eval.h"
#include "ir/ops/scalar.h"

namespace weft::eval {

Array input(const EvalArgs& a) {
  ensure(false, "an input of {} is bound by the interpreter, not evaluated", to_string(a.result));
  return {};
}

Array constant(const EvalArgs& a) { return *a.attrs.literal; }

Array iota(const EvalArgs& a) {
  Array y(a.result);
  Dims strides = Dims::filled(a.result.shape.rank(), 0);
  strides[static_cast<int>(a.attrs.dims[0][0])] = 1;
  visit_dtype(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto* to = y.as<T>().data();
    for_each_offset(a.result.shape, 0, strides, [&](std::int64_t i, std::int64_t k) { to[i] = weft::convert<T>(k); });
  });
  return y;
}

Array random(const EvalArgs& a) {
  Array y(a.result);
  const std::int64_t key = a.operands[0].item<std::int64_t>(), step = a.operands[1].item<std::int64_t>();
  std::int64_t i = 0;
  for (std::int32_t& word : y.as<std::int32_t>()) word = static_cast<std::int32_t>(random_word(key, step, i++));
  return y;
}

Array size(const EvalArgs& a) { return Array::scalar(a.operands[0].shape()[static_cast<int>(a.attrs.dims[0][0])]); }

}  // namespace weft::eval
