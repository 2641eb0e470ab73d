// Transformers: positions, and the block.
#pragma once
#include <weft/frontend/nn/attention.h>

namespace weft {

/// f32 [length, width]: sin(t / 10000^(2 i / width)) at column 2 i of row t, the cosine at 2 i + 1 (Vaswani et al. 2017).
/// A constant of this thread's graph. width is even.
Tensor sinusoidal_positions(std::int64_t length, std::int64_t width, WEFT_HERE);

/// Adds a learned vector for each position: f32 [batch, time, width] -> the same. Parameter: table [length, width]; time
/// is at most length.
class PositionEmbedding : public Layer {
 public:
  explicit PositionEmbedding(std::int64_t length, Initializer init = normal(0, 0.02), std::string name = "", WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);
  /// x [batch, n, width] at positions `position` (i32[]) to position + n - 1.
  Tensor step(const Tensor& x, const Tensor& position, WEFT_HERE);

 private:
  void build(const Tensor& x);
  std::int64_t length_;
  Initializer init_;
};

struct TransformerBlockOptions {
  std::int64_t hidden = 0;  ///< units between the two dense layers; 0: 4 * width
  Activation activation = gelu;
  bool causal = false;
  std::int64_t key_value_heads = 0;  ///< as in MultiHeadAttentionOptions
  double rope_base = 0;              ///< likewise
  double dropout = 0;                ///< of the weights of keys, and of what is added to x
  double epsilon = 1e-5;             ///< of the norms
  Initializer weight_init = glorot_uniform();
  std::string name = "";
};

/// A pre-norm block: x += attention(norm(x)); x += dense(activation(dense(norm(x)))) (Vaswani et al. 2017, with the norms
/// of Xiong et al. 2020). f32 [batch, time, width] -> the same. Its layers are called "block.norm1", "block.attention",
/// "block.norm2", "block.up" and "block.down", after its own name.
class TransformerBlock : public Layer {
 public:
  explicit TransformerBlock(std::int64_t heads, TransformerBlockOptions options = {}, WEFT_HERE);
  Tensor operator()(const Tensor& x, const Tensor& mask = {}, WEFT_HERE);  ///< mask: as AttentionInputs::mask
  /// As those of MultiHeadAttention.
  KeyValueCache cache(std::int64_t batch, std::int64_t length, WEFT_HERE) const;
  Tensor step(const Tensor& x, const Tensor& position, const KeyValueCache& cache, std::vector<Assignment>& updates,
              WEFT_HERE);

 private:
  struct Parts {
    LayerNorm norm1, norm2;
    MultiHeadAttention attention;
    Dense up, down;
  };
  template <class Attend>
  Tensor run(const Tensor& x, const std::vector<Tensor>& inputs, const Attend& attend);

  std::int64_t heads_;
  TransformerBlockOptions options_;
  std::shared_ptr<Parts> parts_;  // once called
};

}  // namespace weft
