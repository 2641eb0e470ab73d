// What the inference of several ops shares. Arity, the names of attributes and reserved dtypes are checked by
// Graph::add before it runs.
#include <algorithm>

#include "ir/ops/infer.h"
#include "ir/ops/rows.h"

namespace weft::infer {
namespace {

std::string dtype_list(std::uint8_t set) {
  std::string s;
  for (DType t : kAllDTypes)
    if (in_set(t, set)) s += (s.empty() ? "" : ", ") + std::string(name(t));
  return s;
}

}  // namespace

Type node(const InferArgs& a) {
  const OpInfo& row = info(a.op);
  const int arity = static_cast<int>(a.operands.size());
  if (arity < row.min_arity || (row.max_arity >= 0 && arity > row.max_arity))
    fail("takes {}{}, found {}", counted(row.min_arity, "operand"), row.max_arity < 0 ? " or more" : "", arity);
  if (a.attrs.bodies.size() != row.control.count())
    fail("takes {}, found {}", counted(row.control.count(), "function"), a.attrs.bodies.size());
  for (const BodyRef& body : a.attrs.bodies) ensure(body != nullptr, "{} without its function", row.name);
  for (std::size_t i = 0; i < a.operands.size(); ++i)
    if (is_tuple(a.operands[i]) && a.op != Op::result)
      fail("operand {} is a tuple {}; expected a tensor, such as one of its results", i, to_string(a.operands[i]));
  if (a.declared && is_tuple(*a.declared) && row.cls != OpClass::control)
    fail("its result is a tensor, not a tuple {}", to_string(*a.declared));
  return row.infer(a);
}

void require_dtype(const InferArgs& a, DType t) {
  if (!in_set(t, info(a.op).dtypes)) fail("does not take {}; it takes {}", name(t), dtype_list(info(a.op).dtypes));
}

void require_same(const Type& a, const Type& b, std::string_view what) {
  if (!(a == b)) fail("{} differ: {} and {}; expected equal shapes and dtypes", what, to_string(a), to_string(b));
}

void require_rank(const InferArgs& a, Attr attr, int rank) {
  const Dims& list = a.attrs[attr];
  if (list.rank() != rank)
    fail("{}={} needs {}, one for each axis", name(attr), list_text(list),
         rank == 1 ? "1 entry" : fmt::format("{} entries", rank));
}

void require_axes(const InferArgs& a, Attr attr, const Shape& shape) {
  const Dims& axes = a.attrs[attr];
  for (int i = 0; i < axes.rank(); ++i) {
    if (axes[i] < 0 || axes[i] >= shape.rank())
      fail("{}={} names axis {}, outside shape {}", name(attr), list_text(axes), axes[i], to_string(shape));
    for (int j = 0; j < i; ++j)
      if (axes[i] == axes[j]) fail("{}={} names axis {} twice", name(attr), list_text(axes), axes[i]);
  }
}

int axis_of(const InferArgs& a, int rank) {
  const Dims& list = a.attrs[Attr::axis];
  if (list.rank() != 1) fail("attribute axis must be one number, found {}", list_text(list));
  if (list[0] < 0 || list[0] >= rank) fail("axis {} is outside rank {}: expected 0 <= axis < {}", list[0], rank, rank);
  return static_cast<int>(list[0]);
}

Type checked(Type t) {
  if (is_static(t.shape)) byte_size(t);
  return t;
}

Shape without(const Shape& shape, int axis) {
  Shape s = shape;
  s.erase(axis);
  return s;
}

}  // namespace weft::infer
