// Attention (Vaswani et al., "Attention is all you need", 2017): the function, the layer, and the cache of a decoder.
#pragma once
#include <weft/frontend/executable/compile.h>
#include <weft/frontend/nn/layers.h>

namespace weft {

struct AttentionOptions {
  bool causal = false;  ///< the last query sees all keys, the one before it all but the last, …
  Tensor mask = {};     ///< bool, which broadcasts to [.., queries, keys]: whether a query sees a key; undefined: all
  double scale = 0;     ///< of the products; 0: 1 / sqrt(width)
};

/// softmax(scale * q k^T) v over the keys that each query sees: q [.., queries, width], k [.., keys, width] and
/// v [.., keys, values] give [.., queries, values]; leading axes broadcast. A query that sees no key gets 0.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options = {}, WEFT_HERE);

/// Rotary position embedding (Su et al., "RoFormer", 2021): in x [batch, time, heads, width], of even width, the elements
/// i and i + width / 2 turn by t / base^(2 i / width) at time t.
Tensor rope(const Tensor& x, double base = 10000, WEFT_HERE);

struct MultiHeadAttentionOptions {
  std::int64_t key_value_heads = 0;  ///< what heads share in equal groups (grouped-query attention); 0: one for each
  std::int64_t head_width = 0;       ///< 0: the width of the input divided by the heads
  bool causal = false;
  double rope_base = 0;  ///< > 0: queries and keys are turned by rope()
  double dropout = 0;    ///< of the weights that queries give to keys
  bool use_bias = true;
  Initializer weight_init = glorot_uniform();
  std::string name = "";
};

/// What else a call of MultiHeadAttention takes.
struct AttentionInputs {
  Tensor memory = {};  ///< f32 [batch, keys, width]: what is attended to; undefined: the input itself
  Tensor mask = {};    ///< bool, which broadcasts to [batch, heads, time, keys]: what is seen; undefined: all
};

/// The keys and values of the positions that a decoder has seen: states [batch, length, key_value_heads, head_width].
struct KeyValueCache {
  Tensor keys, values;
};

/// `heads` attentions side by side: f32 [batch, time, width] -> the same. Parameters: weight [width, (heads + 2
/// key_value_heads) * head_width] for queries, keys and values, in this order, mix [heads * head_width, width], and a
/// bias of each.
class MultiHeadAttention : public Layer {
 public:
  explicit MultiHeadAttention(std::int64_t heads, MultiHeadAttentionOptions options = {}, WEFT_HERE);
  Tensor operator()(const Tensor& x, const AttentionInputs& with = {}, WEFT_HERE);

  /// An empty cache of `length` positions, in the layer's graph. Error before the layer's first call.
  KeyValueCache cache(std::int64_t batch, std::int64_t length, WEFT_HERE) const;
  /// The attention of the next positions alone, as that of a causal call on all: x [batch, n, width] are positions
  /// `position` (i32[]) to position + n - 1, `cache` has those before. Appends what it makes of the cache to `updates`,
  /// for compile(). What lies beyond the cache's length is not kept.
  Tensor step(const Tensor& x, const Tensor& position, const KeyValueCache& cache, std::vector<Assignment>& updates,
              WEFT_HERE);

 private:
  struct Heads {
    Tensor q, k, v;  // [batch, time, heads, head_width]; of k and v key_value_heads
  };
  void build(const Tensor& x);
  /// Those of x and of what it attends to. `positions` (i32 [time], undefined: 0, 1, …) are for rope.
  Heads project(const Tensor& x, const Tensor& memory, const Tensor& positions, std::int64_t most_positions) const;
  Tensor mix(const Heads&, const AttentionOptions&) const;

  std::int64_t heads_, key_value_heads_ = 0, head_width_ = 0;
  MultiHeadAttentionOptions options_;
};

}  // namespace weft
