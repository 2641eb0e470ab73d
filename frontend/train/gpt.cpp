// The GPT of its layers, and its continuation: a compiled step of one token, with the caches as its states.
#include "frontend/train/gpt.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"
#include "frontend/train/model_impl.h"
#include "runtime/data/random.h"

namespace weft {

struct Gpt::Layers {
  Embedding tokens;
  PositionEmbedding positions;
  std::vector<TransformerBlock> blocks;
  LayerNorm norm;
  Dense scores;
};

Gpt::Gpt(GptOptions options, std::source_location where) : options_(options) {
  const LocScope scope(where);
  check_count("Gpt", "vocabulary", options_.vocabulary);
  check_count("Gpt", "context", options_.context);
  check_count("Gpt", "layers", options_.layers);
  check_count("Gpt", "heads", options_.heads);
  check_count("Gpt", "width", options_.width);
  check_number("Gpt", "dropout", options_.dropout, Domain::below_one);
  if (options_.width % options_.heads != 0)
    fail("{}Gpt: a width of {} for {} heads; expected a multiple", where_prefix(), options_.width, options_.heads);
  layers_ = std::make_shared<Layers>(Layers{Embedding(options_.vocabulary, options_.width, normal(0, 0.02)),
                                            PositionEmbedding(options_.context),
                                            {},
                                            LayerNorm(1e-5),
                                            Dense(options_.vocabulary)});
  for (std::int64_t i = 0; i < options_.layers; ++i)
    layers_->blocks.emplace_back(options_.heads,
                                 TransformerBlockOptions{.causal = true, .dropout = options_.dropout, .name = "block"});
}

Tensor Gpt::operator()(const Tensor& tokens, std::source_location where) {
  LocScope scope(where);
  Tensor h = layers_->positions(layers_->tokens(tokens));
  if (options_.dropout > 0) h = dropout(h, options_.dropout);
  for (TransformerBlock& block : layers_->blocks) h = block(h);
  return layers_->scores(layers_->norm(h));
}

// tokens i32[1, 1], position i32[] -> the scores [vocabulary]; the caches are updated in place.
Continuation::Continuation(const Gpt& model, const CompileOptions& options, std::source_location where)
    : options_(model.options()) {
  LocScope scope(where);
  Gpt::Layers& layers = *model.layers_;
  if (layers.scores.parameters().empty())
    fail("{}Continuation: the model has not been called yet, and has no weights", where_prefix());
  const std::shared_ptr<Trace> trace = layers.scores.parameters()[0].trace();
  const Tracing tracing(*trace);
  const GraphScope graph(trace);
  const Tensor token = placeholder(i32, {1, 1}, trace->unique_name("token"));
  const Tensor position = placeholder(i32, {}, trace->unique_name("position"));
  CompileOptions compiled = options;
  compiled.name = "next_token";
  compiled.inputs = {token, position};
  Tensor h = layers.positions.step(layers.tokens(token), position);
  for (TransformerBlock& block : layers.blocks)
    h = block.step(h, position, block.cache(1, options_.context), compiled.updates);
  step_ = compile({{"scores", reshape(layers.scores(layers.norm(h)), {options_.vocabulary})}}, compiled);
}

void Continuation::feed(std::span<const std::int32_t> tokens) {
  const std::int64_t count = std::ssize(tokens), first = std::ssize(seen_);
  Array given(Type{i32, {count, 1, 1}}), positions(Type{i32, {count}});
  std::ranges::copy(tokens, given.as<std::int32_t>().begin());
  std::iota(positions.as<std::int32_t>().begin(), positions.as<std::int32_t>().end(), static_cast<std::int32_t>(first));
  const Array all = step_.run_steps(count, {per_step(given), per_step(positions)}).outputs[0];
  scores_ = Array(Type{f32, {options_.vocabulary}});
  std::ranges::copy(all.as<float>().last(static_cast<std::size_t>(options_.vocabulary)), scores_.as<float>().begin());
  seen_.insert(seen_.end(), tokens.begin(), tokens.end());
}

const Array& Continuation::read(std::span<const std::int32_t> tokens) {
  if (tokens.empty()) fail("Continuation: nothing to read; expected at least one token");
  for (const std::int32_t t : tokens)
    if (t < 0 || t >= options_.vocabulary)
      fail("Continuation: {} is no token; expected 0 to {}", t, options_.vocabulary - 1);
  const auto context = static_cast<std::size_t>(options_.context), half = std::max<std::size_t>(1, context / 2);
  for (std::span<const std::int32_t> rest = tokens; !rest.empty();) {
    if (seen_.size() == context) {
      const std::vector<std::int32_t> kept(seen_.end() - static_cast<std::ptrdiff_t>(half - 1), seen_.end());
      seen_.clear();
      if (!kept.empty()) feed(kept);
    }
    const std::size_t count = std::min(rest.size(), context - seen_.size());
    feed(rest.first(count));
    rest = rest.subspan(count);
  }
  return scores_;
}

std::int32_t Continuation::next(const SampleOptions& options) {
  if (seen_.empty()) fail("Continuation: nothing was read, which the next token would follow");
  RandomStream random(options.seed, Purpose::next_token, chosen_);
  const std::int32_t token = choose_token(scores_.as<float>(), options, static_cast<double>(random.unit()));
  ++chosen_;
  read(std::span(&token, 1));
  return token;
}

std::int32_t choose_token(std::span<const float> scores, const SampleOptions& options, double drawn) {
  const auto refuse = [](std::string_view option, const std::string& found, std::string_view expected) {
    fail("SampleOptions: {} is {}; expected {}", option, found, expected);
  };
  if (!(options.temperature >= 0 && std::isfinite(options.temperature)))
    refuse("temperature", fmt::format("{}", options.temperature), "a finite number, 0 or more");
  if (options.top_k < 0) refuse("top_k", std::to_string(options.top_k), "0 or more");
  if (!(options.top_p > 0 && options.top_p <= 1))
    refuse("top_p", fmt::format("{}", options.top_p), "a number in (0, 1]");
  std::vector<std::int32_t> order;
  for (std::size_t i = 0; i < scores.size(); ++i)
    if (!std::isnan(scores[i])) order.push_back(static_cast<std::int32_t>(i));
  if (order.empty()) fail("choose_token: no token has a score that is a number");
  const auto score = [&](std::int32_t i) { return scores[static_cast<std::size_t>(i)]; };
  std::ranges::stable_sort(order, std::ranges::greater{}, score);
  const double highest = score(order[0]);
  if (options.temperature == 0 || std::isinf(highest)) return order[0];
  if (options.top_k > 0) order.resize(std::min(order.size(), static_cast<std::size_t>(options.top_k)));
  std::vector<double> sums;  // of probabilities, not divided by their total
  double total = 0;
  for (const std::int32_t i : order) sums.push_back(total += std::exp((score(i) - highest) / options.temperature));
  const double all = total;
  if (options.top_p < 1) {
    const auto last = std::ranges::lower_bound(sums, options.top_p * all);
    sums.erase(std::min(last, sums.end() - 1) + 1, sums.end());
  }
  const auto at = std::ranges::upper_bound(sums, drawn * sums.back());
  return order[static_cast<std::size_t>(std::min(at, sums.end() - 1) - sums.begin())];
}

}  // namespace weft
