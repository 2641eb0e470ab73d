// Transformers, of the layers that they are made of.
#include "frontend/nn/transformer.h"

#include <cmath>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"

namespace weft {

Tensor sinusoidal_positions(std::int64_t length, std::int64_t width, std::source_location where) {
  LocScope scope(where);
  check_count("sinusoidal_positions", "length", length);
  check_count("sinusoidal_positions", "width", width, 2);
  if (width % 2 != 0) fail("{}sinusoidal_positions: width is {}; expected an even number", where_prefix(), width);
  Array table(Type{f32, {length, width}});
  for (std::int64_t t = 0; t < length; ++t)
    for (std::int64_t c = 0; c < width; ++c) {
      const double angle =
          static_cast<double>(t) * std::pow(10000.0, -static_cast<double>(c / 2 * 2) / static_cast<double>(width));
      table.as<float>()[static_cast<std::size_t>(t * width + c)] =
          static_cast<float>(c % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  return literal(current_trace(), table);
}

PositionEmbedding::PositionEmbedding(std::int64_t length, Initializer init, std::string name,
                                     std::source_location where)
    : Layer("PositionEmbedding", std::move(name), where), length_(length), init_(std::move(init)) {
  const LocScope scope(where);
  check_count("PositionEmbedding", "length", length);
  callable(init_, "PositionEmbedding: init", where);
}

void PositionEmbedding::build(const Tensor& x) {
  if (x.rank() != 3 || x.dtype() != f32 || is_symbol(x.shape()[1]) || is_symbol(x.shape()[2]))
    type_error_of(name(), {x}, "expected f32 [batch, time, width] of known time and width");
  if (x.shape()[1] > length_) type_error_of(name(), {x}, fmt::format("expected at most {} positions", length_));
  if (!built()) weight("table", {length_, x.shape()[2]}, init_);
  if (x.shape()[2] != parameters()[0].shape()[1])
    type_error_of(name(), {x}, fmt::format("the layer was built for a width of {}", parameters()[0].shape()[1]));
}

Tensor PositionEmbedding::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  build(x);
  const std::int64_t time = x.shape()[1];
  const Tensor& table = parameters()[0];
  return called({x}, x + (time == length_ ? table : slice(table, 0, 0, time)));
}

Tensor PositionEmbedding::step(const Tensor& x, const Tensor& position, std::source_location where) {
  LocScope scope(where);
  enter(x);
  build(x);
  check_operands({x, position});
  if (!(position.type() == Type{i32, {}})) type_error_of(name(), {position}, "the position must be i32[]");
  return x + gather(parameters()[0], arange(x.shape()[1]) + position);
}

TransformerBlock::TransformerBlock(std::int64_t heads, TransformerBlockOptions options, std::source_location where)
    : Layer("TransformerBlock", options.name, where), heads_(heads), options_(std::move(options)) {
  const LocScope scope(where);
  check_count("TransformerBlock", "heads", heads);
  check_count("TransformerBlock", "hidden", options_.hidden, 0);
  check_count("TransformerBlock", "key_value_heads", options_.key_value_heads, 0);
  check_number("TransformerBlock", "rope_base", options_.rope_base, Domain::not_negative);
  check_number("TransformerBlock", "dropout", options_.dropout, Domain::below_one);
  check_number("TransformerBlock", "epsilon", options_.epsilon, Domain::not_negative);
  callable(options_.weight_init, "TransformerBlock: weight_init", where);
}

template <class Attend>
Tensor TransformerBlock::run(const Tensor& x, const std::vector<Tensor>& inputs, const Attend& attend) {
  enter(x);
  if (x.rank() != 3 || x.dtype() != f32 || is_symbol(x.shape()[2]))
    type_error_of(name(), {x}, "expected f32 [batch, time, width]");
  const bool is_first = !built();
  if (is_first) {
    const std::int64_t width = x.shape()[2];
    const auto dense = [&](std::int64_t units, const Activation& activation, const char* suffix) {
      return Dense(units, activation, {.weight_init = options_.weight_init, .name = name() + suffix});
    };
    parts_ = std::make_shared<Parts>(
        Parts{LayerNorm(options_.epsilon, name() + ".norm1"), LayerNorm(options_.epsilon, name() + ".norm2"),
              MultiHeadAttention(heads_, {.key_value_heads = options_.key_value_heads,
                                          .causal = options_.causal,
                                          .rope_base = options_.rope_base,
                                          .dropout = options_.dropout,
                                          .weight_init = options_.weight_init,
                                          .name = name() + ".attention"}),
              dense(options_.hidden > 0 ? options_.hidden : 4 * width, options_.activation, ".up"),
              dense(width, {}, ".down")});
  }
  Parts& p = *parts_;
  const Tensor h = x + dropout(attend(p.attention, p.norm1(x)), options_.dropout);
  const Tensor y = h + dropout(p.down(p.up(p.norm2(h))), options_.dropout);
  if (is_first)
    for (const Layer* inner : {static_cast<Layer*>(&p.norm1), static_cast<Layer*>(&p.attention),
                               static_cast<Layer*>(&p.norm2), static_cast<Layer*>(&p.up), static_cast<Layer*>(&p.down)})
      adopt(*inner);
  return called(inputs, y);
}

Tensor TransformerBlock::operator()(const Tensor& x, const Tensor& mask, std::source_location where) {
  LocScope scope(where);
  std::vector<Tensor> inputs{x};
  if (mask.defined()) inputs.push_back(mask);
  return run(x, inputs, [&](MultiHeadAttention& attention, const Tensor& t) { return attention(t, {.mask = mask}); });
}

KeyValueCache TransformerBlock::cache(std::int64_t batch, std::int64_t length, std::source_location where) const {
  LocScope scope(where);
  if (!built()) fail("{}TransformerBlock: a cache is asked for before the layer's first call", where_prefix());
  return parts_->attention.cache(batch, length);
}

Tensor TransformerBlock::step(const Tensor& x, const Tensor& position, const KeyValueCache& cache,
                              std::vector<Assignment>& updates, std::source_location where) {
  LocScope scope(where);
  return run(x, {x}, [&](MultiHeadAttention& attention, const Tensor& t) {
    return attention.step(t, position, cache, updates);
  });
}

}  // namespace weft
