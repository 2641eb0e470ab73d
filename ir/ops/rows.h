// Internal to ir/ops: the functions that the rows of the op table name, and what inference shares.
#pragma once
#include <weft/ir/ops/index.h>

// Each is declared where its first row is; several rows may name one.
#define NO_GRADIENT
#define NO_ELEMENT
#define ELEMENT(function)                \
  namespace element {                    \
  ExprId function(const ElementArgs& a); \
  }
#define GRADIENT_TEXT(...)
#define GRADIENT(function)                                                  \
  namespace grad {                                                          \
  ValueId function(NodeBuilder&, const GradientArgs&, std::size_t operand); \
  }
#define WEFT_ROW_FUNCTIONS(infer_, eval_) \
  namespace infer {                       \
  Type infer_(const InferArgs&);          \
  }                                       \
  namespace eval {                        \
  Array eval_(const EvalArgs&);           \
  }
#define WEFT_OP(op, name, cls, least, most, attributes, dtypes, type, traits, cost, infer_, eval_, element_, gradient, \
                equation)                                                                                              \
  WEFT_ROW_FUNCTIONS(infer_, eval_)                                                                                    \
  element_ gradient
#define WEFT_ELEMENTWISE(op, name, form, dtypes, traits, cost, gradient, equation) \
  WEFT_ROW_FUNCTIONS(form, form)                                                   \
  gradient
#define WEFT_CONTROL(op, least, attributes, bodies, equation)                                                        \
  namespace infer {                                                                                                  \
  Type op(const InferArgs&);                                                                                         \
  }                                                                                                                  \
  namespace run {                                                                                                    \
  std::vector<Array> op(const EvalArgs&, const ControlRow::Run&);                                                    \
  }                                                                                                                  \
  namespace expand {                                                                                                 \
  std::vector<ValueId> op(NodeBuilder&, std::span<const ValueId> operands, const Attrs&, const ControlRow::Inline&); \
  }
namespace weft {
#include <weft/ir/ops/ops.def>
}
#undef NO_GRADIENT
#undef NO_ELEMENT
#undef ELEMENT
#undef GRADIENT_TEXT
#undef GRADIENT
#undef WEFT_ROW_FUNCTIONS

namespace weft::infer {

/// Each throws Error, saying what was found and what would fit.
void require_dtype(const InferArgs&, DType);
void require_same(const Type&, const Type&, std::string_view what);
/// The attribute is a list with one entry for each axis of the rank.
void require_rank(const InferArgs&, Attr, int rank);
/// It names axes of the shape, none twice.
void require_axes(const InferArgs&, Attr, const Shape&);
/// The attribute `axis`, of that rank.
int axis_of(const InferArgs&, int rank);
/// The type, whose size is one that an array can have.
Type checked(Type);
Shape without(const Shape&, int axis);

}  // namespace weft::infer
