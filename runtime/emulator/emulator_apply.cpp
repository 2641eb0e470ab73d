// The emulator's elementwise instructions: the scalar functions of ir/ops/scalar.h in vectorised loops over the threads
// of a block, and a table that finds them by op and dtype. Compiled with -O3 (CMakeLists.txt), on which their speed
// depends.
#include "ir/base/philox.h"
#include "ir/ops/scalar.h"
#include "ir/ops/sum_order.h"
#include "runtime/emulator/emulator_machine.h"

namespace weft::emulator {
namespace {

template <Op op>
constexpr bool is_unary = false;
#define WEFT_FUNCTION(op, form, ...) \
  template <>                        \
  constexpr bool is_unary<Op::op> = std::string_view(#form) == "unary";
#include <weft/ir/ops/ops.def>

template <Op op, class T>
void unary(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const T* x = m.values<T>(s.at[1]);
  for_lanes(s.n, [=](int i) { z[i] = apply_unary(op, x[i]); });
}

/// A machine that takes every operand for a usual one, and notes where that was wrong: without branches a loop is
/// vectorised.
template <class T>
struct UsualMachine : ScalarMachine<T> {
  int is_rare = 0;  // not a bool, for the same reason
  template <class Body>
  std::array<T, 2> rarely(bool p, std::array<T, 2> usual, Body) {
    is_rare |= p;
    return usual;
  }
};

template <Op op, class T>
void function(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const T *x = m.values<T>(s.at[1]), *y = is_unary<op> ? x : m.values<T>(s.at[2]);
  int rare = 0;
  for (int i = 0; i < s.n; ++i) {
    UsualMachine<T> machine;
    (void)FunctionOf<op>::apply(machine, x[i], y[i]);
    rare |= machine.is_rare;
  }
  if (rare)
    for_lanes(s.n, [=](int i) {
      ScalarMachine<T> machine;
      z[i] = FunctionOf<op>::apply(machine, x[i], y[i]);
    });
  else
    for_lanes(s.n, [=](int i) {
      UsualMachine<T> machine;
      z[i] = FunctionOf<op>::apply(machine, x[i], y[i]);
    });
}

template <Op op, class T>
void binary(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const T *x = m.values<T>(s.at[1]), *y = m.values<T>(s.at[2]);
  for_lanes(s.n, [=](int i) { z[i] = apply_binary(op, x[i], y[i]); });
}

template <Op op, class T>
void compare(const Step& s, Machine& m) {
  bool* z = m.values<bool>(s.at[0]);
  const T *x = m.values<T>(s.at[1]), *y = m.values<T>(s.at[2]);
  for_lanes(s.n, [=](int i) { z[i] = apply_compare(op, x[i], y[i]); });
}

template <class T>
void select(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const bool* p = m.values<bool>(s.at[1]);
  const T *x = m.values<T>(s.at[2]), *y = m.values<T>(s.at[3]);
  for_lanes(s.n, [=](int i) { z[i] = p[i] ? x[i] : y[i]; });
}

template <class T>
void fma(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const T *x = m.values<T>(s.at[1]), *y = m.values<T>(s.at[2]), *w = m.values<T>(s.at[3]);
  for_lanes(s.n, [=](int i) { z[i] = apply_fma(x[i], y[i], w[i]); });
}

template <class To, class From>
void convert(const Step& s, Machine& m) {
  To* z = m.values<To>(s.at[0]);
  const From* x = m.values<From>(s.at[1]);
  for_lanes(s.n, [=](int i) { z[i] = weft::convert<To>(x[i]); });
}

void random(const Step& s, Machine& m) {
  std::int32_t* z = m.values<std::int32_t>(s.at[0]);
  const auto *key = m.values<std::int64_t>(s.at[1]), *step = m.values<std::int64_t>(s.at[2]),
             *index = m.values<std::int64_t>(s.at[3]);
  for_lanes(s.n, [=](int i) { z[i] = static_cast<std::int32_t>(random_word(key[i], step[i], index[i])); });
}

template <Op op>
Handler unary_of(DType operand, DType) {
  return visit_dtype(operand, [](auto zero) -> Handler { return unary<op, decltype(zero)>; });
}
template <Op op>
Handler function_of(DType operand, DType) {
  return operand == f64 ? function<op, double> : function<op, float>;
}
template <Op op>
Handler binary_of(DType operand, DType) {
  return visit_dtype(operand, [](auto zero) -> Handler { return binary<op, decltype(zero)>; });
}
template <Op op>
Handler compare_of(DType operand, DType) {
  return visit_dtype(operand, [](auto zero) -> Handler { return compare<op, decltype(zero)>; });
}
template <Op>
Handler select_of(DType operand, DType) {
  return visit_dtype(operand, [](auto zero) -> Handler { return select<decltype(zero)>; });
}
template <Op>
Handler fma_of(DType operand, DType) {
  return visit_dtype(operand, [](auto zero) -> Handler { return fma<decltype(zero)>; });
}
template <Op>
Handler convert_of(DType operand, DType result) {
  return visit_dtype(operand, [&](auto from) {
    return visit_dtype(result, [](auto to) -> Handler { return convert<decltype(to), decltype(from)>; });
  });
}
Handler random_of(DType, DType) { return random; }

struct Row {
  Op op;
  Handler (*handler)(DType operand, DType result);
};
constexpr Row kRows[] = {
    {Op::random, random_of},
#define WEFT_ELEMENTWISE(op, name, form, ...) {Op::op, form##_of<Op::op>},
#define WEFT_FUNCTION(op, ...) {Op::op, function_of<Op::op>},
#include <weft/ir/ops/ops.def>
};

template <class T>
void constant(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const T value = from_scalar_bits<T>(s.inst->bits);
  for_lanes(s.n, [=](int i) { z[i] = value; });
}

template <class T>
void splat(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const T value = z[0];
  for_lanes(s.n, [=](int i) { z[i] = value; });
}

template <class T>
void copy(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const T* x = m.values<T>(s.at[1]);
  if (s.mask == kNoSlot) return for_lanes(s.n, [=](int i) { z[i] = x[i]; });
  const bool* active = m.values<bool>(s.mask);
  for_lanes(s.n, [=](int i) { z[i] = active[i] ? x[i] : z[i]; });
}

}  // namespace

Handler apply_handler(Op op, DType operand, DType result) {
  for (const Row& row : kRows)
    if (row.op == op) return row.handler(operand, result);
  throw InternalError(fmt::format("internal error: emulator: {} is not elementwise", name(op)));
}

Handler constant_handler(DType t) {
  return visit_dtype(t, [](auto zero) -> Handler { return constant<decltype(zero)>; });
}
Handler splat_handler(DType t) {
  return visit_dtype(t, [](auto zero) -> Handler { return splat<decltype(zero)>; });
}
Handler copy_handler(DType t) {
  return visit_dtype(t, [](auto zero) -> Handler { return copy<decltype(zero)>; });
}

void thread_numbers(const Step& s, Machine& m) {
  std::int32_t* z = m.values<std::int32_t>(s.at[0]);
  for_lanes(s.n, [=](int i) { z[i] = i; });
}
void block_number(const Step& s, Machine& m) { *m.values<std::int32_t>(s.at[0]) = m.block; }

}  // namespace weft::emulator
