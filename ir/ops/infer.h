// Type inference, of nodes and of ops on scalars, in kernels and device code.
#pragma once
#include <weft/ir/ops/op.h>

namespace weft::infer {

/// The type of a node. Throws Error when operands, functions or attributes do not fit: what was found, what would fit.
Type node(const InferArgs&);

/// The dtype of an elementwise op, or of random (key, step, index), on scalars of these dtypes; `declared` where the row
/// says declared_type. Throws Error saying what the op takes.
DType scalar(Op, std::span<const DType> args, DType declared);

}  // namespace weft::infer
