// The emulator's elementwise instructions: the scalar functions of ir/ops/scalar.h in vectorised loops over the threads of
// a block, and a table that finds them by op and dtype. Compiled with -O3 (CMakeLists.txt), on which their speed
// depends.
#include "ir/base/philox.h"
#include "ir/ops/eval.h"
#include "ir/ops/scalar.h"
#include "runtime/emulator/emulator_machine.h"

namespace weft::emulator {
namespace {

template <Op op, class T>
void unary(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const T* x = m.values<T>(s.at[1]);
  for_lanes(s.n, [=](int i) { z[i] = apply_unary(op, x[i]); });
}

/// A machine for operands of which none is rare: a loop without that branch is vectorised.
template <class T>
struct UsualMachine : ScalarMachine<T> {
  template <class Body>
  std::array<T, 2> rarely(bool, std::array<T, 2> usual, Body) {
    return usual;
  }
};

template <Op op, class T>
void trigonometric(const Step& s, Machine& m) {
  T* z = m.values<T>(s.at[0]);
  const T* x = m.values<T>(s.at[1]);
  int large = 0;  // not a bool: the loop is vectorised
  for (int i = 0; i < s.n; ++i) large |= !(std::fabs(x[i]) <= approx::trig_limit<T>);
  if (large) return unary<op, T>(s, m);
  for_lanes(s.n, [=](int i) {
    UsualMachine<T> machine;
    z[i] = op == Op::sin ? approx::sin(machine, x[i]) : approx::cos(machine, x[i]);
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
Handler trigonometric_of(DType operand, DType) {
  return operand == f64 ? trigonometric<op, double> : trigonometric<op, float>;
}
template <Op op>
Handler binary_of(DType operand, DType) {
  return visit_dtype(operand, [](auto zero) -> Handler { return binary<op, decltype(zero)>; });
}
template <Op op>
Handler compare_of(DType operand, DType) {
  return visit_dtype(operand, [](auto zero) -> Handler { return compare<op, decltype(zero)>; });
}
Handler select_of(DType operand, DType) {
  return visit_dtype(operand, [](auto zero) -> Handler { return select<decltype(zero)>; });
}
Handler fma_of(DType operand, DType) {
  return visit_dtype(operand, [](auto zero) -> Handler { return fma<decltype(zero)>; });
}
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
// clang-format off
constexpr Row kRows[] = {
    {Op::random, random_of},
    {Op::neg, unary_of<Op::neg>}, {Op::abs, unary_of<Op::abs>}, {Op::sign, unary_of<Op::sign>},
    {Op::floor, unary_of<Op::floor>}, {Op::ceil, unary_of<Op::ceil>}, {Op::round, unary_of<Op::round>},
    {Op::sqrt, unary_of<Op::sqrt>}, {Op::exp, unary_of<Op::exp>}, {Op::expm1, unary_of<Op::expm1>},
    {Op::log, unary_of<Op::log>}, {Op::log1p, unary_of<Op::log1p>},
    {Op::sin, trigonometric_of<Op::sin>}, {Op::cos, trigonometric_of<Op::cos>}, {Op::tanh, unary_of<Op::tanh>},
    {Op::sigmoid, unary_of<Op::sigmoid>}, {Op::softplus, unary_of<Op::softplus>},
    {Op::erf, unary_of<Op::erf>}, {Op::logical_not, unary_of<Op::logical_not>}, {Op::convert, convert_of},
    {Op::stop_gradient, unary_of<Op::stop_gradient>},
    {Op::add, binary_of<Op::add>}, {Op::sub, binary_of<Op::sub>}, {Op::mul, binary_of<Op::mul>},
    {Op::div, binary_of<Op::div>}, {Op::pow, binary_of<Op::pow>}, {Op::rem, binary_of<Op::rem>}, {Op::max, binary_of<Op::max>},
    {Op::min, binary_of<Op::min>}, {Op::bit_and, binary_of<Op::bit_and>}, {Op::bit_or, binary_of<Op::bit_or>},
    {Op::bit_xor, binary_of<Op::bit_xor>}, {Op::shl, binary_of<Op::shl>}, {Op::shr, binary_of<Op::shr>},
    {Op::eq, compare_of<Op::eq>}, {Op::ne, compare_of<Op::ne>}, {Op::lt, compare_of<Op::lt>},
    {Op::le, compare_of<Op::le>}, {Op::gt, compare_of<Op::gt>}, {Op::ge, compare_of<Op::ge>},
    {Op::select, select_of}, {Op::fma, fma_of},
};
// clang-format on

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
  if (s.mask == kNowhere) return for_lanes(s.n, [=](int i) { z[i] = x[i]; });
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
