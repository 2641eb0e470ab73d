// The elements of a row are numbered, and their numbers sent through the views between the row and an index: what
// arrives are the numbers of the elements that are used as indices there.
#include "frontend/train/index_limits.h"

#include <cmath>
#include <map>

#include "frontend/tensor/node.h"

namespace weft {

namespace {

/// The bits of a number that a dtype holds.
int exact_bits(DType t) {
  switch (t) {
    case f64: return 53;
    case f32: return 24;
    case u8: return 8;
    case i32: return 31;
    case boolean: return 1;
    default: return 63;
  }
}

}  // namespace

bool moves_elements(const Graph& g, const Node& n) {
  if (n.op == Op::stop_gradient) return true;
  if (n.op != Op::convert) return info(n.op).cls == OpClass::view && !info(n.op).traits.indexed;
  const DType to = n.type.dtype, from = g[n.operands[0]].type.dtype;
  return is_integer(to) || (is_float(to) && exact_bits(from) <= exact_bits(to));
}

std::vector<IndexUse> index_uses(const Graph& g, const std::vector<Tensor>& results) {
  const std::vector<bool> used = reached_from(g, ids_of(results));
  std::vector<IndexUse> uses;
  for (ValueId id = 0; id < g.size(); ++id) {
    const Node& n = g[id];
    if (!used[id] || !info(n.op).traits.indexed) continue;
    const std::int64_t extent = g[n.operands[0]].type.shape[n.attrs.axis()];
    if (!is_symbol(extent)) uses.push_back({n.operands[1], extent, n.locs});
  }
  return uses;
}

namespace {

constexpr std::int64_t kNoElement = -1;

/// The shape of one row's part of a value.
Shape one_row(Shape shape) {
  for (int i = 0; i < shape.rank(); ++i)
    if (is_symbol(shape[i])) shape[i] = 1;
  return shape;
}

/// Follows the elements of rows through a graph.
class Elements {
 public:
  Elements(const Graph& g, const std::vector<Tensor>& rows) : g_(g) {
    std::int64_t next = 0;
    for (const Tensor& t : rows) {
      Array numbers(Type{i64, one_row(t.shape())});
      for (std::int64_t& n : numbers.as<std::int64_t>()) n = next++;
      numbers_.emplace(t.id(), numbers);
    }
  }

  /// The number of the element that each element of a value is; kNoElement where it is none.
  const Array& numbers(ValueId id) {
    if (const auto known = numbers_.find(id); known != numbers_.end()) return known->second;
    const Node& n = g_[id];
    const Type type{i64, one_row(n.type.shape)};
    std::vector<Array> operands;
    if (moves_elements(g_, n))
      for (ValueId v : n.operands) operands.push_back(numbers(v));
    const bool same = is_elementwise(n.op);  // a conversion, or stop_gradient
    Array result = operands.empty() ? Array::filled(type, kNoElement)
                   : same           ? operands[0]
                                    : info(n.op).eval({n.op, operands, n.attrs, type});
    return numbers_.emplace(id, std::move(result)).first->second;
  }

 private:
  const Graph& g_;
  std::map<ValueId, Array> numbers_;
};

/// Which values are a row, or a move of its elements.
std::vector<bool> made_of(const Graph& g, const std::vector<Tensor>& rows) {
  std::vector<bool> found(g.size(), false);
  for (const Tensor& t : rows) found[t.id()] = true;
  for (ValueId id = 0; id < g.size(); ++id)
    if (moves_elements(g, g[id]))
      for (ValueId v : g[id].operands) found[id] = found[id] || found[v];
  return found;
}

}  // namespace

std::vector<IndexLimits> index_limits(const std::vector<Tensor>& results, const std::vector<Tensor>& rows) {
  std::vector<IndexLimits> limits(rows.size());
  if (rows.empty()) return limits;
  const Graph& g = rows[0].trace()->graph;
  const std::vector<bool> moved = made_of(g, rows);
  Elements elements(g, rows);
  std::vector<std::pair<std::size_t, std::size_t>> place;  // of each number: the tensor, the element
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::int64_t e = 0; e < element_count(one_row(rows[r].shape())); ++e)
      place.emplace_back(r, static_cast<std::size_t>(e));
  for (const IndexUse& use : index_uses(g, results)) {
    if (!moved[use.index]) continue;
    for (const std::int64_t number : elements.numbers(use.index).as<std::int64_t>()) {
      if (number == kNoElement) continue;
      const auto [r, e] = place[static_cast<std::size_t>(number)];
      auto& of_element = limits[r].of_element;
      if (of_element.empty()) of_element.resize(static_cast<std::size_t>(element_count(one_row(rows[r].shape()))));
      if (!of_element[e] || use.extent < of_element[e]->extent) of_element[e] = IndexLimits::Use{use.extent, use.locs};
    }
  }
  return limits;
}

void check_indices(const std::string& what, const Array& data, const IndexLimits& limits) {
  const std::size_t per_row = limits.of_element.size();
  if (per_row == 0) return;
  visit_dtype(data.dtype(), [&](auto zero) {
    const auto values = data.as<decltype(zero)>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto& use = limits.of_element[i % per_row];
      if (!use) continue;
      const auto value = values[i];  // a float is truncated where it becomes an index
      const bool fits =
          std::is_floating_point_v<decltype(zero)>
              ? static_cast<double>(value) > -1 && static_cast<double>(value) < static_cast<double>(use->extent)
              : static_cast<std::int64_t>(value) >= 0 && static_cast<std::int64_t>(value) < use->extent;
      if (!fits)
        fail("{}: the index {} in row {}, element {} is outside 0 … {} ({})", what, value, i / per_row, i % per_row,
             use->extent - 1, use->locs.str());
    }
  });
}

}  // namespace weft
