// The meaning of every elementwise op on one element: shared by the graph interpreter, the kernel interpreter and
// constant folding, so that there is one definition to agree with. The equations are those of ir/ops/ops.def.
//
// Runs under FlushSubnormals (ir/base/float_environment.h). Arithmetic and comparisons then take subnormal operands as zero and
// flush subnormal results; ops that only move bits (neg, abs, max, min, select, stop_gradient) leave a subnormal alone.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include <weft/ir/ops/functions.h>
#include <weft/ir/ops/sum_order.h>

namespace weft {

/// The machine of ir/ops/approx.h on plain floats; T is float or double.
template <class T>
struct ScalarMachine {
  using F = T;
  using I = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  using B = bool;
  static constexpr bool is_f64 = sizeof(T) == 8;

  F f(double c) { return static_cast<F>(c); }
  I i(std::int64_t c) { return static_cast<I>(c); }
  F add(F a, F b) { return a + b; }
  F sub(F a, F b) { return a - b; }
  F mul(F a, F b) { return a * b; }
  F div(F a, F b) { return a / b; }
  F fma(F a, F b, F c) { return std::fma(a, b, c); }
  F abs(F a) { return std::fabs(a); }
  F neg(F a) { return -a; }
  B lt(F a, F b) { return a < b; }
  B le(F a, F b) { return a <= b; }
  F select(B p, F a, F b) { return p ? a : b; }
  I bits(F a) { return std::bit_cast<I>(a); }
  F from_bits(I a) { return std::bit_cast<F>(a); }
  I iadd(I a, I b) { return a + b; }
  I isub(I a, I b) { return a - b; }
  I iand(I a, I b) { return a & b; }
  I ixor(I a, I b) { return a ^ b; }
  I shl(I a, int n) { return a << n; }
  I shr(I a, int n) { return a >> n; }
  B is_zero(I a) { return a == 0; }
  template <class Body>
  std::array<F, 2> rarely(B p, std::array<F, 2> usual, Body body) {
    if (p) [[unlikely]]
      return body();
    return usual;
  }
};

/// An unsigned type in which T's arithmetic wraps (u8 is widened, so that nothing is promoted to a signed int).
template <class T>
using Wrapping = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;

[[noreturn, gnu::noinline]] inline void no_such_op(Op op, DType t) {
  throw InternalError(fmt::format("internal error: {} has no meaning on {}", name(op), name(t)));
}

/// x, or zero of the same sign when it is subnormal.
template <class T>
T flush_subnormal(T x) {
  return std::fabs(x) < std::numeric_limits<T>::min() ? std::copysign(T{0}, x) : x;
}

template <class T>
T apply_unary(Op op, T x) {
  if (op == Op::stop_gradient) return x;
  if constexpr (std::is_floating_point_v<T>) {
    switch (op) {
      case Op::neg: return -x;
      case Op::abs: return std::fabs(x);
      case Op::sign: return x != x ? x : static_cast<T>((x > 0) - (x < 0));
      case Op::floor: return std::floor(flush_subnormal(x));
      case Op::ceil: return std::ceil(flush_subnormal(x));
      case Op::round: return std::nearbyint(flush_subnormal(x));
      case Op::sqrt: return std::sqrt(x);
      default: break;
    }
    ScalarMachine<T> m;
    if (is_function(op)) return apply_function(m, op, x, x);
  } else if constexpr (std::is_same_v<T, bool>) {
    if (op == Op::logical_not) return !x;
  } else {
    using W = Wrapping<T>;
    switch (op) {
      case Op::neg: return static_cast<T>(W{0} - static_cast<W>(x));
      case Op::abs: return x < 0 ? static_cast<T>(W{0} - static_cast<W>(x)) : x;
      case Op::sign: return static_cast<T>((x > 0) - (x < 0));
      case Op::logical_not: return static_cast<T>(~x);
      default: break;
    }
  }
  no_such_op(op, dtype_of<T>);
}

/// x / y truncated; x / 0 = 0, MIN / -1 = MIN.
template <class T>
T divide_integer(T x, T y) {
  if (y == 0) return 0;
  if constexpr (std::is_signed_v<T>)
    if (y == -1) return apply_unary(Op::neg, x);
  return static_cast<T>(x / y);
}

template <class T>
T apply_binary(Op op, T x, T y) {
  if (op == Op::max) return x > y || x != x ? x : y;
  if (op == Op::min) return x < y || x != x ? x : y;
  if constexpr (std::is_floating_point_v<T>) {
    switch (op) {
      case Op::add: return x + y;
      case Op::sub: return x - y;
      case Op::mul: return x * y;
      case Op::div: return x / y;
      default: break;
    }
    ScalarMachine<T> m;
    if (is_function(op)) return apply_function(m, op, x, y);
  } else {
    using W = Wrapping<T>;
    constexpr W bits = 8 * sizeof(T);
    const W a = static_cast<W>(x), b = static_cast<W>(y);  // a negative shift count becomes one that is too large
    switch (op) {
      case Op::bit_and: return static_cast<T>(a & b);
      case Op::bit_or: return static_cast<T>(a | b);
      case Op::bit_xor: return static_cast<T>(a ^ b);
      default: break;
    }
    if constexpr (!std::is_same_v<T, bool>) {
      switch (op) {
        case Op::add: return static_cast<T>(a + b);
        case Op::sub: return static_cast<T>(a - b);
        case Op::mul: return static_cast<T>(a * b);
        case Op::div: return divide_integer(x, y);
        case Op::rem: return static_cast<T>(a - static_cast<W>(divide_integer(x, y)) * b);
        case Op::shl: return b < bits ? static_cast<T>(a << b) : T{0};
        case Op::shr: return b < bits ? static_cast<T>(a >> b) : T{0};
        default: break;
      }
    }
  }
  no_such_op(op, dtype_of<T>);
}

template <class T>
bool apply_compare(Op op, T x, T y) {
  switch (op) {
    case Op::eq: return x == y;
    case Op::ne: return x != y;
    case Op::lt: return x < y;
    case Op::le: return x <= y;
    case Op::gt: return x > y;
    case Op::ge: return x >= y;
    default: no_such_op(op, dtype_of<T>);
  }
}

/// The binary op that a reduce_* op folds with, and the value that its folds start from.
inline Op fold_op(Op reduce) {
  const std::optional<Op> fold = info(reduce).traits.fold;
  ensure(fold.has_value(), "{} is not a fold", name(reduce));
  return *fold;
}
/// A chain's changes not even the sign of a zero.
template <class T>
T reduce_identity(Op reduce, FoldOrder order = FoldOrder::sequential) {
  using Limits = std::numeric_limits<T>;
  if (std::is_floating_point_v<T> && order == FoldOrder::chain) return static_cast<T>(-0.0);
  switch (fold_op(reduce)) {
    case Op::mul: return T{1};
    case Op::max: return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    case Op::min: return Limits::has_infinity ? Limits::infinity() : Limits::max();
    default: return T{0};
  }
}

/// x * y + w: rounded once for floats, wrapping for integers (a contraction's step).
template <class T>
T apply_fma(T x, T y, T w) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::fma(x, y, w);
  } else {
    using W = Wrapping<T>;
    return static_cast<T>(static_cast<W>(x) * static_cast<W>(y) + static_cast<W>(w));
  }
}

/// The op `convert`: float to integer truncates and saturates (NaN to 0), integer to integer wraps, to bool is x != 0.
template <class To, class From>
To convert(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    using Limits = std::numeric_limits<To>;
    constexpr From end = static_cast<From>(std::uint64_t{1} << (Limits::digits - 1)) * 2;  // max() + 1, exactly
    if (x != x) return 0;
    if (x >= end) return Limits::max();
    if (x <= static_cast<From>(Limits::min())) return Limits::min();
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

/// A scalar of any dtype in 64 bits: its bytes in memory, zero-extended.
template <class T>
std::uint64_t to_scalar_bits(T x) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &x, sizeof x);
  return bits;
}
template <class T>
T from_scalar_bits(std::uint64_t bits) {
  if constexpr (std::is_same_v<T, bool>) {
    return (bits & 0xff) != 0;
  } else {
    T x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
}

/// Evaluates any elementwise op, or random(key, step, index), on scalars given and returned as to_scalar_bits().
/// `operand_dtype` is that of the operands, of the last two for select. Throws InternalError where the op table forbids
/// it.
std::uint64_t eval_scalar(Op, DType operand_dtype, DType result_dtype, const std::uint64_t* operands);

}  // namespace weft
