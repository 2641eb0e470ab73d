// Elementwise kernels against the interpreter, in bits: every op, dtype and length of the last vector.
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
    KernelBuilder k(b.program(), b.kernel());
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
