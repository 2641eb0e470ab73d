// Shape and dtype inference, one function for each kind of op; the op table's rows point here.
#pragma once
#include <weft/ir/ops/op.h>

namespace weft::infer {

Type declared(const InferArgs&);   // input, constant
Type iota(const InferArgs&);
Type random(const InferArgs&);
Type size(const InferArgs&);
Type elementwise(const InferArgs&);  // result type = type of the operands, all equal
Type compare(const InferArgs&);      // bool of the operands' shape
Type select(const InferArgs&);
Type convert(const InferArgs&);
Type broadcast(const InferArgs&);
Type reshape(const InferArgs&);
Type transpose(const InferArgs&);
Type slice(const InferArgs&);
Type pad(const InferArgs&);
Type concat(const InferArgs&);
Type gather(const InferArgs&);
Type scatter_add(const InferArgs&);
Type reduce(const InferArgs&);
Type arg_reduce(const InferArgs&);
Type contract(const InferArgs&);

/// The dtype of an elementwise op, or of random (key, step, index), on scalars of these dtypes; `declared` where the row
/// says declared_type. Throws Error saying what the op takes.
DType scalar(Op, std::span<const DType> args, DType declared);

}  // namespace weft::infer
