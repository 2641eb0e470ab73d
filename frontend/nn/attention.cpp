// Attention over contractions and softmax.
#include "frontend/nn/attention.h"

#include <cmath>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

/// bool [queries, keys]: key j lies at most at query i, which stands beside key i + first.
Tensor seen_causally(std::int64_t queries, std::int64_t keys, const Operand& first) {
  const Shape shape{queries, keys};
  return iota(i32, shape, 1) <= iota(i32, shape, 0) + first;
}

/// softmax of s where a key is seen; 0 elsewhere, and for who sees none.
Tensor softmax_of_seen(const Tensor& s, const Tensor& seen) {
  const std::vector<int> last = Axes(-1).resolve(s);
  const Tensor shown = where(seen, s, -HUGE_VAL), highest = stop_gradient(max(shown, -1));
  const Tensor e = exp(shown - spread_back(where(highest == -HUGE_VAL, 0, highest), s, last)), total = sum(e, -1);
  return e / spread_back(where(total == 0, 1, total), s, last);
}

/// The weights of keys, [.., queries, keys], from scaled products.
Tensor weights_of(const Tensor& s, const AttentionOptions& options) {
  Tensor seen;
  const int rank = s.rank();
  if (options.causal) {
    const std::int64_t queries = s.shape()[rank - 2], keys = s.shape()[rank - 1];
    if (queries != keys && (is_symbol(queries) || is_symbol(keys)))
      type_error({s}, "causal attention between axes of unknown extents that differ");
    seen = seen_causally(queries, keys, keys - queries);
  }
  if (options.mask.defined()) {
    if (options.mask.dtype() != boolean) type_error({options.mask}, "the mask must be bool");
    seen = seen.defined() ? seen & options.mask : options.mask;
  }
  return seen.defined() ? softmax_of_seen(s, seen) : softmax(s);
}

/// Cosines and sines of rope() at positions 0, 1, … below `count`, f32 [count, half].
std::pair<Array, Array> turns(std::int64_t count, std::int64_t half, double base) {
  Array cosines(Type{f32, {count, half}}), sines(Type{f32, {count, half}});
  for (std::int64_t t = 0; t < count; ++t)
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(t) * std::pow(base, -static_cast<double>(i) / static_cast<double>(half));
      const auto at = static_cast<std::size_t>(t * half + i);
      cosines.as<float>()[at] = static_cast<float>(std::cos(angle));
      sines.as<float>()[at] = static_cast<float>(std::sin(angle));
    }
  return {cosines, sines};
}

/// x [batch, time, heads, width] turned at `positions` (i32 [time], all below `most`; undefined: 0, 1, …).
Tensor turned(const Tensor& x, double base, const Tensor& positions, std::int64_t most) {
  check_number("rope", "base", base, Domain::positive);
  if (x.rank() != 4 || !is_float(x.dtype()) || is_symbol(x.shape()[1]) || is_symbol(x.shape()[3]) ||
      x.shape()[3] % 2 != 0)
    type_error({x}, "expected floats [batch, time, heads, width] of known time and even width");
  const std::int64_t half = x.shape()[3] / 2, time = x.shape()[1];
  const auto [cosines, sines] = turns(positions.defined() ? most : time, half, base);
  const auto at_positions = [&](const Array& table) {
    const Tensor all = astype(literal(x.trace(), table), x.dtype());
    return expand_dims(positions.defined() ? gather(all, positions) : all, 1);
  };
  const Tensor c = at_positions(cosines), s = at_positions(sines);
  const Tensor a = slice(x, 3, 0, half), b = slice(x, 3, half, 2 * half);
  return concat({a * c - b * s, b * c + a * s}, 3);
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options,
                 std::source_location where) {
  LocScope scope(where);
  check_operands({q, k, v});
  check_number("attention", "scale", options.scale, Domain::not_negative);
  if (q.rank() < 2 || k.rank() < 2 || v.rank() < 2)
    type_error({q, k, v}, "expected q [.., queries, width], k [.., keys, width] and v [.., keys, values]");
  const std::int64_t width = q.shape().back();
  if (is_symbol(width)) type_error({q}, "the last axis must have a known extent");
  const double scale = options.scale > 0 ? options.scale : 1 / std::sqrt(static_cast<double>(width));
  return matmul(weights_of(matmul(q, swapaxes(k, -2, -1)) * scale, options), v);
}

Tensor rope(const Tensor& x, double base, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  return turned(x, base, {}, 0);
}

MultiHeadAttention::MultiHeadAttention(std::int64_t heads, MultiHeadAttentionOptions options,
                                       std::source_location where)
    : Layer("MultiHeadAttention", options.name, where), heads_(heads), options_(std::move(options)) {
  const LocScope scope(where);
  check_count("MultiHeadAttention", "heads", heads);
  check_count("MultiHeadAttention", "key_value_heads", options_.key_value_heads, 0);
  check_count("MultiHeadAttention", "head_width", options_.head_width, 0);
  check_number("MultiHeadAttention", "rope_base", options_.rope_base, Domain::not_negative);
  check_number("MultiHeadAttention", "dropout", options_.dropout, Domain::below_one);
  callable(options_.weight_init, "MultiHeadAttention: weight_init", where);
  key_value_heads_ = options_.key_value_heads == 0 ? heads : options_.key_value_heads;
  if (heads % key_value_heads_ != 0)
    fail("{}MultiHeadAttention: {} heads in groups that share {} of keys and values; expected a divisor of the heads",
         where_prefix(), heads, key_value_heads_);
}

void MultiHeadAttention::build(const Tensor& x) {
  if (x.rank() != 3 || x.dtype() != f32 || is_symbol(x.shape()[2]))
    type_error_of(name(), {x}, "expected f32 [batch, time, width]");
  const std::int64_t width = x.shape()[2];
  if (built()) {
    if (width != parameters()[0].shape()[0])
      type_error_of(
          name(), {x},
          fmt::format("the layer was built for {} features and is given {}", parameters()[0].shape()[0], width));
    return;
  }
  if (options_.head_width == 0 && width % heads_ != 0)
    type_error_of(name(), {x}, fmt::format("{} heads do not divide a width of {}; set head_width", heads_, width));
  head_width_ = options_.head_width > 0 ? options_.head_width : width / heads_;
  const std::int64_t all = (heads_ + 2 * key_value_heads_) * head_width_;
  weight("weight", {width, all}, options_.weight_init);
  weight("mix", {heads_ * head_width_, width}, options_.weight_init);
  if (options_.use_bias) {
    weight("bias", {all}, zeros());
    weight("mix_bias", {width}, zeros());
  }
}

MultiHeadAttention::Heads MultiHeadAttention::project(const Tensor& x, const Tensor& memory, const Tensor& positions,
                                                      std::int64_t most_positions) const {
  const Tensor& weight = parameters()[0];
  const std::int64_t both = heads_ + key_value_heads_, all = both + key_value_heads_;
  // Heads `first` to `last` of weight's columns, for t.
  const auto part = [&](const Tensor& t, std::int64_t first, std::int64_t last) {
    const auto columns = [&](const Tensor& whole, int axis) {
      return first == 0 && last == all ? whole : slice(whole, axis, first * head_width_, last * head_width_);
    };
    Tensor y = matmul(t, columns(weight, 1));
    if (options_.use_bias) y = y + columns(parameters()[2], 0);
    return reshape(y, {t.shape()[0], t.shape()[1], last - first, head_width_});
  };
  Heads h;
  if (memory.defined()) {
    const Tensor pairs = part(memory, heads_, all);
    h = {part(x, 0, heads_), slice(pairs, 2, 0, key_value_heads_),
         slice(pairs, 2, key_value_heads_, 2 * key_value_heads_)};
  } else {
    const Tensor every = part(x, 0, all);
    h = {slice(every, 2, 0, heads_), slice(every, 2, heads_, both), slice(every, 2, both, all)};
  }
  if (options_.rope_base > 0) {
    h.q = turned(h.q, options_.rope_base, positions, most_positions);
    h.k = turned(h.k, options_.rope_base, positions, most_positions);
  }
  return h;
}

// Products over [batch, key_value_heads, group, queries, keys]: the heads of a group share keys and values.
Tensor MultiHeadAttention::mix(const Heads& h, const AttentionOptions& options) const {
  const Shape q = h.q.shape();
  const std::int64_t group = heads_ / key_value_heads_;
  const double scale = 1 / std::sqrt(static_cast<double>(head_width_));
  const Tensor grouped = reshape(h.q, {q[0], q[1], key_value_heads_, group, head_width_});
  Tensor products = contract(grouped, h.k, {4}, {3}, {0, 2}, {0, 2});  // [batch, kv heads, queries, group, keys]
  products = transpose(products, {0, 1, 3, 2, 4}) * scale;
  const std::int64_t keys = h.k.shape()[1];
  products = reshape(products, {q[0], heads_, q[1], keys});
  const Tensor weights = dropout(weights_of(products, options), options_.dropout);
  const Tensor by_group = reshape(weights, {q[0], key_value_heads_, group, q[1], keys});
  const Tensor mixed = contract(by_group, h.v, {4}, {1}, {0, 1}, {0, 2});  // [batch, kv heads, group, queries, width]
  const Tensor flat = reshape(transpose(mixed, {0, 3, 1, 2, 4}), {q[0], q[1], heads_ * head_width_});
  const Tensor y = matmul(flat, parameters()[1]);
  return options_.use_bias ? y + parameters()[3] : y;
}

Tensor MultiHeadAttention::operator()(const Tensor& x, const AttentionInputs& with, std::source_location where) {
  LocScope scope(where);
  enter(x);
  build(x);
  std::vector<Tensor> inputs{x};
  if (with.memory.defined()) {
    check_operands({x, with.memory});
    build(with.memory);
    inputs.push_back(with.memory);
  }
  const Heads heads = project(x, with.memory, {}, 0);
  return called(inputs, mix(heads, {.causal = options_.causal, .mask = with.mask}));
}

KeyValueCache MultiHeadAttention::cache(std::int64_t batch, std::int64_t length, std::source_location where) const {
  LocScope scope(where);
  if (!built()) fail("{}MultiHeadAttention: a cache is asked for before the layer's first call", where_prefix());
  check_count(name(), "batch", batch);
  check_count(name(), "length", length);
  const std::shared_ptr<Trace> trace = parameters()[0].trace();
  const GraphScope graph(trace);
  const Type type{f32, {batch, length, key_value_heads_, head_width_}};
  const auto empty = [&](const char* suffix) { return weft::state(Array(type), trace->unique_name(name() + suffix)); };
  KeyValueCache made{empty(".keys"), {}};
  made.values = empty(".values");
  return made;
}

Tensor MultiHeadAttention::step(const Tensor& x, const Tensor& position, const KeyValueCache& cache,
                                std::vector<Assignment>& updates, std::source_location where) {
  LocScope scope(where);
  enter(x);
  build(x);
  check_operands({x, position, cache.keys, cache.values});
  if (!(position.type() == Type{i32, {}})) type_error_of(name(), {position}, "the position must be i32[]");
  const Shape held = cache.keys.shape();
  const std::int64_t count = x.shape()[1], length = held.rank() == 4 ? held[1] : 0;
  const Type wanted{f32, {x.shape()[0], length, key_value_heads_, head_width_}};
  if (!is_static(x.shape()) || count > length || !(cache.keys.type() == wanted) || !(cache.values.type() == wanted))
    type_error_of(name(), {x, cache.keys, cache.values},
                  fmt::format("expected x [batch, n, width] of known extents, and a cache [batch, at least n, {}, {}]",
                              key_value_heads_, head_width_));
  Heads h = project(x, {}, arange(count) + position, length);
  // Positions of the cache, as those among the new ones.
  const Tensor among = arange(length) - position;
  const Tensor is_new = expand_dims(expand_dims((among >= 0) & (among < count), 1), 2);  // [length, 1, 1]
  const auto keep = [&](const Tensor& old, const Tensor& made) {
    const Tensor next = weft::where(is_new, gather(made, among, 1), old);
    updates.push_back({old, next});
    return next;
  };
  h.k = keep(cache.keys, h.k);
  h.v = keep(cache.values, h.v);
  return mix(h, {.mask = seen_causally(count, length, position)});
}

}  // namespace weft
