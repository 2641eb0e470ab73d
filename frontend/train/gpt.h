// A character or token model after GPT-2 (Radford et al., "Language models are unsupervised multitask learners", 2019),
// and what continues a text with it.
#pragma once
#include <memory>
#include <span>

#include <weft/frontend/executable/compile.h>
#include <weft/frontend/nn/transformer.h>

namespace weft {

struct GptOptions {
  std::int64_t vocabulary = 65, context = 128;
  std::int64_t layers = 4, heads = 4, width = 128;  ///< heads divide the width
  double dropout = 0;
  bool operator==(const GptOptions&) const = default;
};

/// Embeddings of tokens and positions, causal TransformerBlocks, a norm and a dense layer: tokens, i32 [batch, time] with
/// time at most `context`, give the scores of what follows each, f32 [batch, time, vocabulary]. Copies share the layers.
class Gpt {
 public:
  explicit Gpt(GptOptions options = {}, WEFT_HERE);
  Tensor operator()(const Tensor& tokens, WEFT_HERE);
  const GptOptions& options() const { return options_; }

 private:
  friend class Continuation;
  struct Layers;
  GptOptions options_;
  std::shared_ptr<Layers> layers_;
};

struct SampleOptions {
  double temperature = 1;    ///< divides the scores; 0: always the highest
  std::int64_t top_k = 0;    ///< > 0: among the k highest alone
  double top_p = 1;          ///< among the likeliest whose probabilities add up to this, in (0, 1]
  std::uint64_t seed = 0;
};

/// A text under way. It keeps the keys and values of what it has seen, so that a token costs one pass over the weights,
/// and gives the bits of a pass over the whole text. Each is for one thread at a time; several may be read, and the model
/// trained, at once. Past the model's context it starts again from the last half of it.
class Continuation {
 public:
  /// Error before the model's first call. The weights are those that the model has at each call.
  explicit Continuation(const Gpt& model, const CompileOptions& options = {.threads = 1}, WEFT_HERE);
  /// Reads tokens and gives the scores of the next, f32[vocabulary]. Error when there are none, or one is no token.
  const Array& read(std::span<const std::int32_t> tokens);
  /// Chooses the next token by what was read last, and reads it. Error when nothing was read, or an option makes no sense.
  std::int32_t next(const SampleOptions& options = {});

 private:
  void feed(std::span<const std::int32_t> tokens);
  GptOptions options_;
  Executable step_;
  std::vector<std::int32_t> seen_;  // what the cache holds
  std::uint64_t chosen_ = 0;        // how many tokens
  Array scores_;
};

/// The number of the token that `options` choose by scores f32[n], for a number drawn uniformly from [0, 1). Scores that
/// are NaN are not chosen; Error when all are, or an option makes no sense.
std::int32_t choose_token(std::span<const float> scores, const SampleOptions& options, double drawn);

}  // namespace weft
