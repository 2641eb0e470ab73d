// The functions of the op table on any machine (ir/ops/approx.h says what one is): the interpreter's, the emulator's,
// LLVM's, the one that counts instructions.
#pragma once
#include <weft/ir/ops/approx.h>
#include <weft/ir/ops/approx_pow.h>
#include <weft/ir/ops/approx_trig.h>
#include <weft/ir/ops/op.h>

namespace weft {

// clang-format off
/// op(x), or op(x, y); y is x for an op of one operand.
template <Op op>
struct FunctionOf;
#define WEFT_FUNCTION(op, form, cost, function, gradient, equation)                                                   \
  template <>                                                                                                         \
  struct FunctionOf<Op::op> {                                                                                           \
    template <class M>                                                                                                \
    static typename M::F apply(M& m, typename M::F x, [[maybe_unused]] typename M::F y) { return function; }          \
  };
#include <weft/ir/ops/ops.def>

constexpr bool is_function(Op op) {
  switch (op) {
#define WEFT_FUNCTION(op, ...) case Op::op:
#include <weft/ir/ops/ops.def>
    return true;
    default: return false;
  }
}

/// The same for an op that is known at run time. InternalError when it is no function.
template <class M>
typename M::F apply_function(M& m, Op op, typename M::F x, typename M::F y) {
  switch (op) {
#define WEFT_FUNCTION(op, ...) case Op::op: return FunctionOf<Op::op>::apply(m, x, y);
#include <weft/ir/ops/ops.def>
    default: ensure(false, "{} is not a function", name(op));
  }
  return x;
}
// clang-format on

}  // namespace weft
