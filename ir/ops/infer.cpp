// Shape and dtype inference: what fits, what comes out, and a message that says which when it does not.
// Arity, attribute count and reserved dtypes are checked by Graph::add before these run.
#include "ir/ops/infer.h"

#include <algorithm>

namespace weft::infer {
namespace {

std::string dtype_list(std::uint8_t set) {
  std::string s;
  for (DType t : kAllDTypes)
    if (in_set(t, set)) s += (s.empty() ? "" : ", ") + std::string(name(t));
  return s;
}

void require_dtype(const InferArgs& a, DType t) {
  if (!in_set(t, info(a.op).dtypes)) fail("does not take {}; it takes {}", name(t), dtype_list(info(a.op).dtypes));
}

int scalar_attr(const InferArgs& a, std::size_t i) {
  const Dims& d = a.attrs.dims[i];
  if (d.rank() != 1) fail("attribute {} must be one number, found {}", info(a.op).attrs[i].name, list_text(d));
  return static_cast<int>(std::clamp<std::int64_t>(d[0], -1, kMaxRank + 1));
}

int axis_attr(const InferArgs& a, std::size_t i, int rank) {
  const int axis = scalar_attr(a, i);
  if (axis < 0 || axis >= rank) fail("axis {} is outside rank {}: expected 0 <= axis < {}", a.attrs.dims[i][0], rank, rank);
  return axis;
}

void require_axes(const InferArgs& a, std::size_t attr, const Shape& shape) {
  const Dims& axes = a.attrs.dims[attr];
  for (int i = 0; i < axes.rank(); ++i) {
    if (axes[i] < 0 || axes[i] >= shape.rank())
      fail("{}={} names axis {}, outside shape {}", info(a.op).attrs[attr].name, list_text(axes), axes[i], to_string(shape));
    for (int j = 0; j < i; ++j)
      if (axes[i] == axes[j]) fail("{}={} names axis {} twice", info(a.op).attrs[attr].name, list_text(axes), axes[i]);
  }
}

void require_rank(const InferArgs& a, std::size_t attr, int rank) {
  if (a.attrs.dims[attr].rank() != rank)
    fail("{}={} needs {}, one for each axis", info(a.op).attrs[attr].name, list_text(a.attrs.dims[attr]),
         rank == 1 ? "1 entry" : fmt::format("{} entries", rank));
}

void require_same(const Type& a, const Type& b, std::string_view what) {
  if (!(a == b)) fail("{} differ: {} and {}; expected equal shapes and dtypes", what, to_string(a), to_string(b));
}

Shape without(const Shape& shape, int axis) {
  Shape s = shape;
  s.erase(axis);
  return s;
}

Type checked(Type t) {
  if (is_static(t.shape)) byte_size(t);
  return t;
}

}  // namespace

Type declared(const InferArgs& a) {
  if (a.attrs.literal && !(a.attrs.literal->type() == *a.declared))
    fail("literal of {} declared as {}", to_string(a.attrs.literal->type()), to_string(*a.declared));
  if (a.op == Op::constant && !a.attrs.literal) fail("needs a value");
  return checked(*a.declared);
}

Type iota(const InferArgs& a) {
  require_dtype(a, a.declared->dtype);
  axis_attr(a, 0, a.declared->shape.rank());
  return checked(*a.declared);
}

Type random(const InferArgs& a) {
  for (const Type& t : a.operands)
    if (!(t == Type{i64, {}})) fail("key and step must be i64[], found {}", to_string(t));
  if (a.declared->dtype != i32) fail("result must be i32, declared {}", to_string(*a.declared));
  return checked(*a.declared);
}

Type size(const InferArgs& a) {
  axis_attr(a, 0, a.operands[0].shape.rank());
  return {i64, {}};
}

Type elementwise(const InferArgs& a) {
  require_dtype(a, a.operands[0].dtype);
  for (std::size_t i = 1; i < a.operands.size(); ++i) require_same(a.operands[0], a.operands[i], "operands");
  return a.operands[0];
}

Type compare(const InferArgs& a) { return {boolean, elementwise(a).shape}; }

Type select(const InferArgs& a) {
  if (a.operands[0].dtype != boolean) fail("the condition must be bool, found {}", to_string(a.operands[0]));
  require_same(a.operands[1], a.operands[2], "branches");
  if (!(a.operands[0].shape == a.operands[1].shape))
    fail("condition {} and branches {} differ in shape", to_string(a.operands[0]), to_string(a.operands[1]));
  return a.operands[1];
}

Type convert(const InferArgs& a) {
  if (!(a.declared->shape == a.operands[0].shape))
    fail("keeps the shape, but {} is declared as {}", to_string(a.operands[0]), to_string(*a.declared));
  return *a.declared;
}

Type broadcast(const InferArgs& a) {
  const Type& x = a.operands[0];
  const Shape& out = a.declared->shape;
  const Dims& axes = a.attrs.dims[0];
  if (a.declared->dtype != x.dtype) fail("keeps the dtype, but {} is declared as {}", to_string(x), to_string(*a.declared));
  require_rank(a, 0, x.shape.rank());
  require_axes(a, 0, out);
  for (int i = 0; i < axes.rank(); ++i) {
    if (i && axes[i] <= axes[i - 1]) fail("axes={} must increase; transpose first", list_text(axes));
    if (x.shape[i] != 1 && x.shape[i] != out[static_cast<int>(axes[i])])
      fail("cannot repeat {} along axes {} to {}: extent {} must be 1 or {}", to_string(x), list_text(axes), to_string(out),
           x.shape[i], out[static_cast<int>(axes[i])]);
  }
  return checked(*a.declared);
}

Type reshape(const InferArgs& a) {
  const Type& x = a.operands[0];
  const Type& y = *a.declared;
  if (y.dtype != x.dtype) fail("keeps the dtype, but {} is declared as {}", to_string(x), to_string(y));
  Shape from = x.shape, to = y.shape;
  // An unbound batch extent must stay a whole leading axis.
  if (!is_static(from) || !is_static(to)) {
    if (from.empty() || to.empty() || from[0] != kBatch || to[0] != kBatch)
      fail("cannot reshape {} to {}: the batch axis must stay in front", to_string(x), to_string(y.shape));
    from.erase(0);
    to.erase(0);
  }
  if (element_count(from) != element_count(to))
    fail("cannot reshape {} to {}: {} into {}", to_string(x), to_string(y.shape), counted(element_count(from), "element"), element_count(to));
  return checked(y);
}

Type transpose(const InferArgs& a) {
  const Type& x = a.operands[0];
  require_rank(a, 0, x.shape.rank());
  require_axes(a, 0, x.shape);
  Type y = x;
  for (int i = 0; i < x.shape.rank(); ++i) y.shape[i] = x.shape[static_cast<int>(a.attrs.dims[0][i])];
  return y;
}

Type slice(const InferArgs& a) {
  const Type& x = a.operands[0];
  const Dims &start = a.attrs.dims[0], &limit = a.attrs.dims[1], &stride = a.attrs.dims[2];
  for (std::size_t i = 0; i < 3; ++i) require_rank(a, i, x.shape.rank());
  Type y = x;
  for (int i = 0; i < x.shape.rank(); ++i) {
    if (x.shape[i] == kBatch) {
      if (start[i] != 0 || limit[i] != kBatch || stride[i] != 1) fail("cannot slice the unbound batch axis of {}", to_string(x));
      continue;
    }
    if (start[i] < 0 || limit[i] < start[i] || limit[i] > x.shape[i] || stride[i] < 1)
      fail("start {}, limit {}, stride {} do not fit axis {} of {}: expected 0 <= start <= limit <= {} and stride >= 1", start[i],
           limit[i], stride[i], i, to_string(x), x.shape[i]);
    y.shape[i] = limit[i] == start[i] ? 0 : (limit[i] - start[i] - 1) / stride[i] + 1;
  }
  return y;
}

Type pad(const InferArgs& a) {
  const Type& x = a.operands[0];
  if (!(a.operands[1] == Type{x.dtype, {}})) fail("the pad value must be {}[], found {}", name(x.dtype), to_string(a.operands[1]));
  const Dims &low = a.attrs.dims[0], &high = a.attrs.dims[1];
  for (std::size_t i = 0; i < 2; ++i) require_rank(a, i, x.shape.rank());
  Type y = x;
  for (int i = 0; i < x.shape.rank(); ++i) {
    if (low[i] < 0 || high[i] < 0) fail("low={} and high={} must not be negative; slice to remove elements", list_text(low), list_text(high));
    if (low[i] > std::int64_t{1} << 46 || high[i] > std::int64_t{1} << 46) fail("low={} or high={} is too large", list_text(low), list_text(high));
    if (x.shape[i] == kBatch && (low[i] || high[i])) fail("cannot pad the unbound batch axis of {}", to_string(x));
    if (x.shape[i] != kBatch) y.shape[i] += low[i] + high[i];
  }
  return checked(y);
}

Type concat(const InferArgs& a) {
  Type y = a.operands[0];
  const int axis = axis_attr(a, 0, y.shape.rank());
  if (y.shape[axis] == kBatch) fail("cannot concat along the unbound batch axis of {}", to_string(y));
  for (std::size_t i = 1; i < a.operands.size(); ++i) {
    const Type& x = a.operands[i];
    if (x.dtype != y.dtype || x.shape.rank() != y.shape.rank() || !(without(x.shape, axis) == without(y.shape, axis)))
      fail("operand 0 is {} and operand {} is {}: expected equal dtypes and equal extents off axis {}", to_string(a.operands[0]), i,
           to_string(x), axis);
    y.shape[axis] += x.shape[axis];
  }
  return checked(y);
}

Type gather(const InferArgs& a) {
  const Type &x = a.operands[0], &k = a.operands[1];
  const int axis = axis_attr(a, 0, x.shape.rank());
  if (k.dtype != i32 && k.dtype != i64) fail("indices must be i32 or i64, found {}", to_string(k));
  Type y{x.dtype, {}};
  for (int i = 0; i < axis; ++i) y.shape.push_back(x.shape[i]);
  for (std::int64_t e : k.shape) y.shape.push_back(e);
  for (int i = axis + 1; i < x.shape.rank(); ++i) y.shape.push_back(x.shape[i]);
  return checked(y);
}

Type scatter_add(const InferArgs& a) {
  const Type &x = a.operands[0], &u = a.operands[2];
  require_dtype(a, x.dtype);
  const Type pair[] = {x, a.operands[1]};
  const Type wanted = gather({Op::gather, pair, a.attrs, nullptr});
  if (!(u == wanted)) fail("updates are {}, expected {} for base {} and indices {}", to_string(u), to_string(wanted), to_string(x), to_string(a.operands[1]));
  return x;
}

Type reduce(const InferArgs& a) {
  const Type& x = a.operands[0];
  require_dtype(a, x.dtype);
  return {x.dtype, without(x.shape, axis_attr(a, 0, x.shape.rank()))};
}

Type arg_reduce(const InferArgs& a) {
  const Type& x = a.operands[0];
  const int axis = axis_attr(a, 0, x.shape.rank());
  if (x.shape[axis] == 0) fail("axis {} of {} is empty, so it has no largest or smallest element", axis, to_string(x));
  if (x.shape[axis] > INT32_MAX) fail("axis {} of {} is too long for an i32 index", axis, to_string(x));
  return {i32, reduce(a).shape};
}

Type contract(const InferArgs& a) {
  const Type &x = a.operands[0], &y = a.operands[1];
  const Dims &lhs = a.attrs.dims[0], &rhs = a.attrs.dims[1], &lb = a.attrs.dims[2], &rb = a.attrs.dims[3];
  require_dtype(a, x.dtype);
  if (x.dtype != y.dtype) fail("operands differ in dtype: {} and {}", to_string(x), to_string(y));
  require_axes(a, 0, x.shape);
  require_axes(a, 1, y.shape);
  require_axes(a, 2, x.shape);
  require_axes(a, 3, y.shape);
  if (lhs.rank() != rhs.rank() || lb.rank() != rb.rank())
    fail("lhs={} and rhs={}, lhs_batch={} and rhs_batch={} must pair up", to_string(lhs), to_string(rhs), to_string(lb), to_string(rb));
  auto pair = [&](const Dims& l, const Dims& r, std::string_view what) {
    for (int i = 0; i < l.rank(); ++i) {
      const std::int64_t p = x.shape[static_cast<int>(l[i])], q = y.shape[static_cast<int>(r[i])];
      if (p != q)
        fail("{} extents differ: axis {} of {} is {} and axis {} of {} is {}", what, l[i], to_string(x), p == kBatch ? "the batch" : std::to_string(p),
             r[i], to_string(y), q == kBatch ? "the batch" : std::to_string(q));
    }
  };
  pair(lhs, rhs, "contracted");
  pair(lb, rb, "batch");
  Type z{x.dtype, {}};
  for (std::int64_t i : lb) {
    if (lhs.contains(i)) fail("axis {} of the left operand is both contracted and batch", i);
    z.shape.push_back(x.shape[static_cast<int>(i)]);
  }
  for (std::int64_t i : rb)
    if (rhs.contains(i)) fail("axis {} of the right operand is both contracted and batch", i);
  for (int i = 0; i < x.shape.rank(); ++i)
    if (!lhs.contains(i) && !lb.contains(i)) z.shape.push_back(x.shape[i]);
  for (int i = 0; i < y.shape.rank(); ++i)
    if (!rhs.contains(i) && !rb.contains(i)) z.shape.push_back(y.shape[i]);
  return checked(z);
}

DType scalar(Op op, std::span<const DType> args, DType declared) {
  const OpInfo& row = info(op);
  const int arity = static_cast<int>(args.size());
  if (op == Op::random) {
    const bool fits = arity == 3 && std::all_of(args.begin(), args.end(), [](DType t) { return t == i64; });
    if (!fits) fail("random takes key, step and index, each i64");
    return i32;
  }
  if (!is_elementwise(op)) fail("{} is not elementwise", row.name);
  if (arity < row.min_arity || arity > row.max_arity) fail("takes {}, found {}", counted(row.min_arity, "argument"), arity);
  std::vector<Type> types;
  for (DType t : args) types.push_back({t, {}});
  const Type type{declared, {}};
  return row.infer({op, types, Attrs{}, &type}).dtype;
}

}  // namespace weft::infer
