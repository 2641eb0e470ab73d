// Attention and transformers against their equations, and a decoder's steps against the pass over all positions.
#include <random>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

Array random_array(std::uint32_t seed, const Shape& shape) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Array a(Type{f32, shape});
  for (float& v : a.as<float>()) v = uniform(random);
  return a;
}

/// softmax(scale q k^T) v of one head in double precision; sees(i, j): whether query i sees key j.
template <class Sees>
std::vector<double> reference(const Array& q, const Array& k, const Array& v, double scale, const Sees& sees) {
  const std::int64_t queries = q.shape()[0], keys = k.shape()[0], width = q.shape()[1], values = v.shape()[1];
  std::vector<double> out;
  for (std::int64_t i = 0; i < queries; ++i) {
    std::vector<double> w(static_cast<std::size_t>(keys));
    double total = 0;
    for (std::int64_t j = 0; j < keys; ++j) {
      double s = 0;
      for (std::int64_t d = 0; d < width; ++d) s += q.at(i * width + d) * k.at(j * width + d);
      total += w[static_cast<std::size_t>(j)] = sees(i, j) ? std::exp(s * scale) : 0;
    }
    for (std::int64_t c = 0; c < values; ++c) {
      double sum = 0;
      for (std::int64_t j = 0; j < keys; ++j) sum += w[static_cast<std::size_t>(j)] / total * v.at(j * values + c);
      out.push_back(sum);
    }
  }
  return out;
}

bool sees_all(std::int64_t, std::int64_t) { return true; }

}  // namespace

TEST_CASE("attention is softmax(q k^T) v over the keys that are seen") {
  GraphScope graph;
  const Array q = random_array(1, {4, 6}), k = random_array(2, {7, 6}), v = random_array(3, {7, 5});
  const Tensor tq = placeholder(f32, {4, 6}, "q"), tk = placeholder(f32, {7, 6}, "k"),
               tv = placeholder(f32, {7, 5}, "v");
  const double scale = 1 / std::sqrt(6.0);
  require_close(run(attention(tq, tk, tv), {q, k, v}), reference(q, k, v, scale, sees_all));
  require_close(run(attention(tq, tk, tv, {.scale = 2}), {q, k, v}), reference(q, k, v, 2, sees_all));
  require_close(run(attention(tq, tk, tv, {.causal = true}), {q, k, v}),
                reference(q, k, v, scale, [](auto i, auto j) { return j <= i + 3; }));
  const Tensor mask = (iota(i32, {4, 7}, 0) + iota(i32, {4, 7}, 1)) % 3 != 0;
  require_close(run(attention(tq, tk, tv, {.mask = mask}), {q, k, v}),
                reference(q, k, v, scale, [](auto i, auto j) { return (i + j) % 3 != 0; }));
  std::vector<double> want = reference(q, k, v, scale, sees_all);
  for (std::int64_t c = 0; c < 5; ++c) {  // who sees nothing gets 0
    want[static_cast<std::size_t>(c)] = 0;
  }
  require_close(run(attention(tq, tk, tv, {.mask = iota(i32, {4, 7}, 0) > 0}), {q, k, v}), want);
  {  // scores that overflow are no reason to look at hidden keys
    const Tensor a = placeholder(f32, {2, 1}, "a"), b = placeholder(f32, {2, 1}, "b"),
                 c = placeholder(f32, {2, 1}, "c");
    const Array y = run(attention(a, b, c, {.causal = true}),
                        {f({1e20f, 1e20f}, {2, 1}), f({-1e20f, 1}, {2, 1}), f({1, 100}, {2, 1})});
    REQUIRE(doubles(y) == std::vector<double>{0, 100});
  }
  require_reported({
      MISTAKE(attention(tq, tv, tv), "attention: ", "inner extents differ"),
      FAILS(attention(tq, tk, tv, {.mask = tk}), "attention: the mask must be bool"),
      FAILS(attention(tq, tk, tv, {.scale = -1}), "attention: scale is -1"),
  });
}

TEST_CASE("MultiHeadAttention: heads, groups that share keys and values, rotary positions, memory, masks") {
  constexpr std::int64_t kTime = 5, kWidth = 8, kHeads = 4;
  const Array x = random_array(4, {2, kTime, kWidth}), memory = random_array(5, {2, 3, kWidth});
  struct Row {
    std::int64_t groups;
    bool causal, rope, cross;
  };
  for (const Row& row : {Row{4, false, false, false}, Row{4, true, false, false}, Row{2, true, true, false},
                         Row{1, false, true, false}, Row{2, false, false, true}}) {
    CAPTURE(row.groups, row.causal, row.rope, row.cross);
    GraphScope graph;
    const std::int64_t d = kWidth / kHeads, keys = row.cross ? 3 : kTime;
    MultiHeadAttention layer(
        kHeads, {.key_value_heads = row.groups, .causal = row.causal, .rope_base = row.rope ? 100.0 : 0.0});
    const Tensor in = placeholder(f32, {2, kTime, kWidth}, "x"), other = placeholder(f32, {2, 3, kWidth}, "memory");
    const Tensor y = row.cross ? layer(in, {.memory = other}) : layer(in);
    layer.parameters()[2].set_value(random_array(6, layer.parameters()[2].shape()));
    layer.parameters()[3].set_value(random_array(7, {kWidth}));
    const Array w = layer.parameters()[0].value(), mix = layer.parameters()[1].value(),
                bias = layer.parameters()[2].value(), mix_bias = layer.parameters()[3].value();
    const std::int64_t columns = w.shape()[1];
    /// Head `h` (of all columns) of sample n of `from`, [time, d], turned where asked.
    const auto head = [&](const Array& from, std::int64_t n, std::int64_t h, bool turn) {
      const std::int64_t time = from.shape()[1];
      Array out(Type{f64, {time, d}});
      for (std::int64_t t = 0; t < time; ++t) {
        for (std::int64_t c = 0; c < d; ++c) {
          double sum = bias.at(h * d + c);
          for (std::int64_t k = 0; k < kWidth; ++k)
            sum += from.at((n * time + t) * kWidth + k) * w.at(k * columns + h * d + c);
          out.as<double>()[static_cast<std::size_t>(t * d + c)] = sum;
        }
        for (std::int64_t c = 0; turn && c < d / 2; ++c) {
          const double angle =
              static_cast<double>(t) * std::pow(100.0, -2.0 * static_cast<double>(c) / static_cast<double>(d));
          double &a = out.as<double>()[static_cast<std::size_t>(t * d + c)],
                 &b = out.as<double>()[static_cast<std::size_t>(t * d + c + d / 2)];
          const double turned = a * std::cos(angle) - b * std::sin(angle);
          b = b * std::cos(angle) + a * std::sin(angle);
          a = turned;
        }
      }
      return out;
    };
    std::vector<double> want;
    for (std::int64_t n = 0; n < 2; ++n) {
      std::vector<std::vector<double>> heads;
      for (std::int64_t h = 0; h < kHeads; ++h) {
        const std::int64_t g = h / (kHeads / row.groups);
        const Array& from = row.cross ? memory : x;
        heads.push_back(reference(head(x, n, h, row.rope), head(from, n, kHeads + g, row.rope),
                                  head(from, n, kHeads + row.groups + g, false), 1 / std::sqrt(static_cast<double>(d)),
                                  [&](auto i, auto j) { return !row.causal || j <= i + keys - kTime; }));
      }
      for (std::int64_t t = 0; t < kTime; ++t)
        for (std::int64_t c = 0; c < kWidth; ++c) {
          double sum = mix_bias.at(c);
          for (std::int64_t h = 0; h < kHeads; ++h)
            for (std::int64_t e = 0; e < d; ++e)
              sum += heads[static_cast<std::size_t>(h)][static_cast<std::size_t>(t * d + e)] *
                     mix.at((h * d + e) * kWidth + c);
          want.push_back(sum);
        }
    }
    require_close(row.cross ? run(y, {x, memory}) : run(y, {x}), want, 1e-5);
  }
  GraphScope graph;
  const Tensor in = input(f32, {kTime, kWidth}, "x");
  require_reported({
      MISTAKE(MultiHeadAttention(3)(in), "3 heads do not divide a width of 8"),
      FAILS(MultiHeadAttention(4, {.key_value_heads = 3}), "4 heads in groups that share 3 of keys and values"),
      FAILS(MultiHeadAttention(2)(input(f32, {8})), "expected f32 [batch, time, width]"),
      FAILS(MultiHeadAttention(2).cache(1, 4), "before the layer's first call"),
      FAILS(rope(in), "rope: expected floats [batch, time, heads, width]"),
      FAILS(sinusoidal_positions(4, 3), "width is 3; expected an even number"),
      FAILS(PositionEmbedding(4)(in), "expected at most 4 positions"),
      FAILS(Gpt({.heads = 3}), "Gpt: a width of 128 for 3 heads"),
  });
}

TEST_CASE("a decoder's steps give the bits of a pass over all positions, whatever a step's length") {
  constexpr std::int64_t kTime = 12;
  for (const std::int64_t length : {1, 3, 12})
    for (const double rope_base : {0.0, 10000.0}) {
      CAPTURE(length, rope_base);
      GraphScope graph;
      TransformerBlock block(4, {.hidden = 24, .causal = true, .key_value_heads = 2, .rope_base = rope_base});
      PositionEmbedding positions(kTime);
      const Tensor all = placeholder(f32, {2, kTime, 16}, "all");
      const Array x = random_array(8, {2, kTime, 16});
      const Array whole = run(block(positions(all)), {x});
      const Tensor some = placeholder(f32, {2, length, 16}, "some"), at = placeholder(i32, {}, "at");
      const KeyValueCache cache = block.cache(2, kTime);
      for (const Backend backend : {Backend::interpreter, Backend::cpu, Backend::emulator}) {
        CompileOptions options{.backend = backend};
        const Tensor y = block.step(positions.step(some, at), at, cache, options.updates);
        const Executable step = compile({y}, options);
        for (std::int64_t t = 0; t < kTime; t += length) {
          Array part(Type{f32, {2, length, 16}});
          for (std::int64_t n = 0; n < 2; ++n)
            std::copy_n(x.as<float>().begin() + (n * kTime + t) * 16, length * 16,
                        part.as<float>().begin() + n * length * 16);
          const Array got = step({part, Array::scalar(static_cast<std::int32_t>(t))})[0];
          for (std::int64_t i = 0; i < got.size(); ++i) {
            const std::int64_t n = i / (length * 16), rest = i % (length * 16);
            REQUIRE(got.at(i) == whole.at((n * kTime + t) * 16 + rest));
          }
        }
      }
    }
}

TEST_CASE("a TransformerBlock is its layers: names, parameters, freezing, training") {
  GraphScope graph;
  const Tensor x = input(f32, {6, 8}, "x");
  TransformerBlock block(2, {.dropout = 0.1});
  Model model(x, Dense(1)(mean(block(x + sinusoidal_positions(6, 8)), 1)));
  REQUIRE(block.parameters().size() == 12);
  require_parts(model.summary(false), {"transformer_block.norm1 (LayerNorm)", "16", "transformer_block.attention",
                                       "288", "transformer_block.up (Dense)", "288", "transformer_block.down (Dense)",
                                       "264", "transformer_block (TransformerBlock)", "0"});
  model.compile({.optimizer = Adam{1e-2}, .loss = mse});
  const Array rows = random_array(9, {64, 6, 8});
  Array y(Type{f32, {64, 1}});
  for (std::int64_t n = 0; n < 64; ++n)
    y.as<float>()[static_cast<std::size_t>(n)] = static_cast<float>(rows.at(n * 48) * rows.at(n * 48 + 9));
  const History h = model.fit(rows, y, {.batch_size = 16, .epochs = 60, .verbose = 0});
  REQUIRE(h["loss"].back() < 0.5 * h["loss"].front());
  block.set_trainable(false);
  const Array before = block.parameters()[3].value();
  model.compile({.optimizer = Adam{1e-2}, .loss = mse});
  model.fit(rows, y, {.batch_size = 16, .epochs = 1, .verbose = 0});
  REQUIRE(block.parameters()[3].value().same_bits(before));
}
