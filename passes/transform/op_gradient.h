// Gradients of single ops, as the op table has them.
#pragma once
#include <weft/ir/graph/build.h>

namespace weft {

/// The contribution of a node of `op` to the gradient of its operand `i`, a value of that operand's type. Throws
/// InternalError when the op table has none.
ValueId gradient(Op op, Builder&, const GradientArgs&, std::size_t i);

}  // namespace weft
