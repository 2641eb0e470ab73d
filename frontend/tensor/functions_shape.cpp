// Products, einsum among them, which reads an equation, and functions that move elements.
#include <algorithm>
#include <map>

#include "frontend/tensor/functions.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

/// "[a, b)" of an axis after NumPy's rules for negative indices.
std::int64_t from_end(std::int64_t index, std::int64_t extent) { return index < 0 ? index + extent : index; }

}  // namespace

Tensor contract(const Tensor& a, const Tensor& b, const Dims& lhs, const Dims& rhs, const Dims& lhs_batch,
                const Dims& rhs_batch, std::source_location where) {
  LocScope scope(where);
  return node(Op::contract, {a, b},
              {{Attr::lhs, lhs}, {Attr::rhs, rhs}, {Attr::lhs_batch, lhs_batch}, {Attr::rhs_batch, rhs_batch}});
}

Tensor matmul(const Tensor& a, const Tensor& b, std::source_location where) {
  LocScope scope(where);
  check_operands({a, b});
  if (a.rank() == 0 || b.rank() == 0) type_error({a, b}, "a scalar has no rows or columns; multiply with *");
  if (a.dtype() != b.dtype())
    type_error({a, b},
               fmt::format("dtypes differ: {} and {}; convert one with astype()", name(a.dtype()), name(b.dtype())));
  const int ka = a.rank() - 1, kb = std::max(0, b.rank() - 2);
  if (a.shape()[ka] != b.shape()[kb])
    type_error({a, b}, fmt::format("inner extents differ: {} and {}; expected the second operand to be [{}{}]",
                                   extent_text(a.shape()[ka]), extent_text(b.shape()[kb]), extent_text(a.shape()[ka]),
                                   b.rank() > 1 ? ", *" : ""));
  if (a.rank() <= 2 && b.rank() <= 2) return contract(a, b, {ka}, {kb});
  if (b.rank() <= 2 || a.rank() == 1) return contract(a, b, {ka}, {kb});

  // Both have rows and columns, and one has batch axes: repeat both along the common ones.
  auto leading = [](const Tensor& t) {
    return Shape(std::span(t.shape().begin(), static_cast<std::size_t>(t.rank() - 2)));
  };
  const Shape la = leading(a), lb = leading(b);
  Shape batch = la.rank() >= lb.rank() ? la : lb;
  for (const Shape* s : {&la, &lb})
    for (int i = 0; i < s->rank(); ++i) {
      std::int64_t& have = batch[batch.rank() - s->rank() + i];
      const std::int64_t next = (*s)[i];
      if (have == 1) have = next;
      if (next != 1 && next != have)
        type_error({a, b}, fmt::format("batch extents differ: {} and {}; expected equal extents, or 1",
                                       extent_text(have), extent_text(next)));
    }
  auto repeated = [&](const Tensor& t) {
    Shape shape = batch;
    shape.push_back(t.shape()[t.rank() - 2]);
    shape.push_back(t.shape()[t.rank() - 1]);
    return spread_trailing(t, shape);
  };
  const Dims axes = Dims::iota(batch.rank());
  return contract(repeated(a), repeated(b), {batch.rank() + 1}, {batch.rank()}, axes, axes);
}

namespace {

bool is_letter(char c) { return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z'); }

/// The operands' axes and the result's, a letter each, with the places where they stand.
class Equation {
 public:
  Equation(std::string_view text, const std::vector<Tensor>& operands) : text_(text), operands_(operands) {
    read();
    if (inputs.size() != operands.size())
      wrong(0, fmt::format("names {} for {}", counted(static_cast<std::int64_t>(inputs.size()), "operand"),
                           counted(static_cast<std::int64_t>(operands.size()), "tensor")));
    for (std::size_t i = 0; i < inputs.size(); ++i) measure(i);
    if (!arrow_) imply();
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (!extents_.contains(result[i])) wrong(result_at_[i], "names no axis of an operand");
      if (result.find(result[i]) != i) wrong(result_at_[i], "occurs twice in the result");
    }
  }

  std::vector<std::string> inputs;
  std::string result;

 private:
  /// Error at a place in the text.
  [[noreturn]] void wrong(std::size_t at, const std::string& what) const {
    const std::string found = at < text_.size() ? fmt::format("'{}' ", text_.substr(at, 1)) : "the end ";
    type_error(operands_, fmt::format("in \"{}\", at character {}: {}{}", text_, at + 1, found, what));
  }

  void read() {
    inputs.emplace_back();
    places_.emplace_back();
    for (std::size_t at = 0; at < text_.size(); ++at) {
      const char c = text_[at];
      if (c == ' ') continue;
      if (is_letter(c)) {
        (arrow_ ? result : inputs.back()).push_back(c);
        (arrow_ ? result_at_ : places_.back()).push_back(at);
      } else if (c == ',' && !arrow_) {
        inputs.emplace_back();
        places_.emplace_back();
      } else if (c == '-' && !arrow_ && at + 1 < text_.size() && text_[at + 1] == '>') {
        arrow_ = true;
        ++at;
      } else {
        wrong(at, c == '.' ? "begins an ellipsis, which is not supported; name the axes"
                           : "is out of place; expected letters, ',' between operands and one \"->\"");
      }
    }
  }

  /// Learns the extents of an operand's axes.
  void measure(std::size_t i) {
    const Shape shape = operands_[i].shape();
    const std::string& letters = inputs[i];
    if (static_cast<int>(letters.size()) != shape.rank())
      wrong(places_[i].empty() ? 0 : places_[i][0],
            fmt::format("begins {} for operand {}, which has {}",
                        counted(static_cast<std::int64_t>(letters.size()), "letter"), i,
                        shape.rank() == 1 ? "1 axis" : fmt::format("{} axes", shape.rank())));
    for (std::size_t axis = 0; axis < letters.size(); ++axis) {
      const std::int64_t extent = shape[static_cast<int>(axis)];
      const auto [known, fresh] = extents_.try_emplace(letters[axis], extent);
      if (known->second != extent)
        wrong(places_[i][axis], fmt::format("has extent {} in operand {} and {} before", extent_text(extent), i,
                                            extent_text(known->second)));
    }
  }

  /// The result without "->": the letters that occur once.
  void imply() {
    for (const auto& [letter, extent] : extents_) {
      std::ptrdiff_t count = 0;
      for (const std::string& letters : inputs) count += std::ranges::count(letters, letter);
      if (count == 1) result.push_back(letter);
    }
    result_at_.assign(result.size(), text_.size());
  }

  std::string_view text_;
  const std::vector<Tensor>& operands_;
  std::vector<std::vector<std::size_t>> places_;  // of each letter of `inputs` in the text
  std::vector<std::size_t> result_at_;
  std::map<char, std::int64_t> extents_;
  bool arrow_ = false;
};

/// A tensor whose axes have letters.
struct Named {
  Tensor x;
  std::string letters;
};

/// Letters that occur twice become one, that of the diagonal.
void take_diagonals(Named& a) {
  for (std::size_t i = 0; i < a.letters.size();) {
    const std::size_t j = a.letters.find(a.letters[i], i + 1);
    if (j == a.letters.npos) {
      ++i;
      continue;
    }
    const char letter = a.letters[i];
    a.x = diagonal(a.x, 0, static_cast<int>(i), static_cast<int>(j));
    a.letters.erase(j, 1).erase(i, 1).push_back(letter);
    i = 0;
  }
}

/// Sums over the letters that are not among `wanted`.
void sum_others(Named& a, const std::string& wanted) {
  std::vector<int> axes;
  std::string left;
  for (std::size_t i = 0; i < a.letters.size(); ++i)
    if (wanted.find(a.letters[i]) == wanted.npos)
      axes.push_back(static_cast<int>(i));
    else
      left.push_back(a.letters[i]);
  if (axes.empty()) return;
  a = {sum(a.x, axes), left};
}

/// The product, summed over what both have and `wanted` lacks.
Named product(Named a, Named b, const std::string& wanted) {
  sum_others(a, wanted + b.letters);
  sum_others(b, wanted + a.letters);
  Dims lhs, rhs, lhs_batch, rhs_batch;
  std::string shared, left, right;
  for (std::size_t i = 0; i < a.letters.size(); ++i) {
    const std::size_t j = b.letters.find(a.letters[i]);
    const bool is_wanted = wanted.find(a.letters[i]) != wanted.npos;
    if (j == b.letters.npos) {
      left.push_back(a.letters[i]);
    } else {
      (is_wanted ? lhs_batch : lhs).push_back(static_cast<std::int64_t>(i));
      (is_wanted ? rhs_batch : rhs).push_back(static_cast<std::int64_t>(j));
      if (is_wanted) shared.push_back(a.letters[i]);
    }
  }
  for (const char letter : b.letters)
    if (a.letters.find(letter) == a.letters.npos) right.push_back(letter);
  return {contract(a.x, b.x, lhs, rhs, lhs_batch, rhs_batch), shared + left + right};
}

}  // namespace

Tensor outer(const Tensor& a, const Tensor& b, std::source_location where) {
  LocScope scope(where);
  check_operands({a, b});
  if (a.rank() != 1 || b.rank() != 1) type_error({a, b}, "expected two vectors");
  return expand_dims(a, 1) * expand_dims(b, 0);
}

Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands, std::source_location where) {
  LocScope scope(where);
  if (operands.empty()) fail("{}no operands; expected one or more", call_prefix());
  check_operands(operands);
  const Equation e(equation, operands);
  Named all{operands[0], e.inputs[0]};
  take_diagonals(all);
  for (std::size_t i = 1; i < operands.size(); ++i) {
    Named next{operands[i], e.inputs[i]};
    take_diagonals(next);
    std::string wanted = e.result;
    for (std::size_t later = i + 1; later < operands.size(); ++later) wanted += e.inputs[later];
    all = product(all, next, wanted);
  }
  sum_others(all, e.result);
  Dims perm;
  for (const char letter : e.result) perm.push_back(static_cast<std::int64_t>(all.letters.find(letter)));
  return perm.empty() ? all.x : transpose(all.x, perm);
}

Tensor reshape(const Tensor& x, const Shape& shape, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  Shape to = shape;
  int open = -1;
  for (int i = 0; i < to.rank(); ++i) {
    if (to[i] >= 0 || (is_symbol(to[i]) && to[i] != kBatch)) continue;
    if (to[i] != kBatch || open >= 0)
      type_error({x}, fmt::format("shape {} is not one: at most one extent may be -1", list_text(shape)));
    open = i;
  }
  if (open >= 0 && is_static(x.shape())) {
    to[open] = 1;
    const std::int64_t rest = element_count(to), all = element_count(x.shape());
    if (rest == 0 || all % rest != 0)
      type_error({x}, fmt::format("{} {} not divide into {}", counted(all, "element"), all == 1 ? "does" : "do",
                                  list_text(shape)));
    to[open] = all / rest;
  }
  if (x.shape() == to) return x;
  return node(Op::reshape, {x}, {}, Type{x.dtype(), to});
}

Tensor flatten(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  if (x.rank() == 0) type_error({x}, "a scalar has no batch axis to keep");
  Shape rest = x.shape();
  rest.erase(0);
  return reshape(x, {x.shape()[0], element_count(rest)});
}

Tensor transpose(const Tensor& x, const Dims& perm, std::source_location where) {
  LocScope scope(where);
  Dims p = perm;
  if (p.empty())
    for (int i = x.rank(); i-- > 0;) p.push_back(i);
  for (int i = 0; i < p.rank(); ++i) p[i] = resolve_axis(x, p[i], x.rank());
  if (p == Dims::iota(x.rank())) return x;
  return node(Op::transpose, {x}, {{Attr::perm, p}});
}

Tensor squeeze(const Tensor& x, const Axes& axes, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  std::vector<int> dropped;
  for (int axis : axes.resolve(x)) {
    const std::int64_t extent = x.shape()[axis];
    if (extent == 1) dropped.push_back(axis);
    if (extent != 1 && !axes.all())
      type_error({x}, fmt::format("axis {} has extent {}; expected 1", axis, extent_text(extent)));
  }
  Shape shape;
  for (std::int64_t axis : other_axes(x.rank(), dropped)) shape.push_back(x.shape()[static_cast<int>(axis)]);
  return reshape(x, shape);
}

Tensor expand_dims(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  const int at = resolve_axis(x, axis, x.rank() + 1);
  Shape shape = x.shape();
  shape.insert(at, 1);
  return spread(x, shape, other_axes(shape.rank(), {at}));
}

Tensor broadcast_to(const Tensor& x, const Shape& shape, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  bool fits = x.rank() <= shape.rank();
  for (int i = 0; fits && i < x.rank(); ++i) {
    const std::int64_t e = x.shape()[i];
    fits = e == 1 || e == shape[shape.rank() - x.rank() + i];
  }
  if (!fits)
    type_error({x}, fmt::format("does not repeat to {}; expected its trailing extents, or 1", to_string(shape)));
  return spread_trailing(x, shape);
}

Tensor concat(const std::vector<Tensor>& xs, int axis, std::source_location where) {
  LocScope scope(where);
  if (xs.empty()) fail("{}no operands; expected one or more", call_prefix());
  check_operands(xs);
  if (xs.size() == 1) return xs[0];
  return node(Op::concat, xs, Attrs::axis(resolve_axis(xs[0], axis, xs[0].rank())));
}

Tensor stack(const std::vector<Tensor>& xs, int axis, std::source_location where) {
  LocScope scope(where);
  std::vector<Tensor> parts;
  for (const Tensor& x : xs) parts.push_back(expand_dims(x, axis));
  return concat(parts, axis);
}

Tensor slice(const Tensor& x, int axis, std::int64_t start, std::int64_t limit, std::int64_t stride,
             std::source_location where) {
  LocScope scope(where);
  const int at = resolve_axis(x, axis, x.rank());
  Dims starts = Dims::filled(x.rank(), 0), limits = x.shape(), strides = Dims::filled(x.rank(), 1);
  if (is_symbol(x.shape()[at]))
    type_error({x}, x.shape()[at] != kBatch
                        ? "an axis of unbound extent cannot be sliced"
                        : "the batch axis cannot be sliced: its extent is known only when compiled");
  starts[at] = from_end(start, x.shape()[at]);
  limits[at] = from_end(limit, x.shape()[at]);
  strides[at] = stride;
  return node(Op::slice, {x}, {{Attr::start, starts}, {Attr::limit, limits}, {Attr::stride, strides}});
}

Tensor pad(const Tensor& x, const Dims& low, const Dims& high, const Number& value, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  return node(Op::pad, {x, scalar_like(x, value)}, {{Attr::low, low}, {Attr::high, high}});
}

Tensor gather(const Tensor& x, const Tensor& indices, int axis, std::source_location where) {
  LocScope scope(where);
  check_operands({x, indices});
  return node(Op::gather, {x, indices}, Attrs::axis(resolve_axis(x, axis, x.rank())));
}

Tensor scatter_add(const Tensor& x, const Tensor& indices, const Tensor& u, int axis, std::source_location where) {
  LocScope scope(where);
  check_operands({x, indices, u});
  return node(Op::scatter_add, {x, indices, u}, Attrs::axis(resolve_axis(x, axis, x.rank())));
}

Tensor one_hot(const Tensor& labels, std::int64_t classes, DType dtype, std::source_location where) {
  LocScope scope(where);
  check_operands({labels});
  if (!is_integer(labels.dtype())) type_error({labels}, "labels must be integers; convert with astype(x, i32)");
  if (classes < 1) type_error({labels}, fmt::format("{} classes; expected at least 1", classes));
  GraphScope graph(labels.trace());
  Shape shape = labels.shape();
  shape.push_back(classes);
  const Tensor k = astype(labels, labels.dtype() == u8 ? i32 : labels.dtype());
  return astype(spread(k, shape, Dims::iota(k.rank())) == iota(k.dtype(), shape, -1), dtype);
}

}  // namespace weft
