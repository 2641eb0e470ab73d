// Reductions over rows and over columns, and the row chains that fuse into one kernel: softmax, cross-entropy, layer
// norm, each forward and backward.
#include "bench/stream.h"

namespace weft::bench {
namespace {

Tensor sum_last(const Tensor& x) { return sum(x, -1); }
Tensor max_last(const Tensor& x) { return max(x, -1); }
Tensor sum_first(const Tensor& x) { return sum(x, 0); }
Tensor max_first(const Tensor& x) { return max(x, 0); }
Tensor sum_all(const Tensor& x) { return sum(x); }
Tensor soft(const Tensor& x) { return softmax(x); }
Tensor normalised(const Tensor& x) { return layer_norm(x); }

/// The loss of each row; with `gradient` also that of the logits, as a training step has it.
template <bool gradient>
Traced cross_entropy(std::int64_t rows, std::int64_t columns) {
  const Tensor z = operand(rows, columns, "z"), labels = placeholder(i32, {rows}, "labels");
  const Tensor loss = mean(softmax_cross_entropy(z, labels));
  if (!gradient) return {{loss}};
  return {{loss, grad(loss, {z})[0]}};
}

Traced layer_norm_affine(std::int64_t rows, std::int64_t columns) {
  const Tensor scale = placeholder(f32, {columns}, "scale"), offset = placeholder(f32, {columns}, "offset");
  return {{layer_norm(operand(rows, columns), scale, offset)}};
}

Traced layer_norm_affine_grad(std::int64_t rows, std::int64_t columns) {
  const Tensor x = operand(rows, columns), dy = operand(rows, columns, "dy");
  const Tensor scale = placeholder(f32, {columns}, "scale"), offset = placeholder(f32, {columns}, "offset");
  const std::vector<Tensor> g = grad(sum(layer_norm(x, scale, offset) * dy), {x, scale, offset});
  return {{g[0], g[1], g[2]}};
}

const int registered = register_stream({
    {"sum_last_axis", forward<sum_last>, 1024, 1},
    {"max_last_axis", forward<max_last>, 1024, 1},
    {"sum_first_axis", forward<sum_first>, 1024, 1},
    {"max_first_axis", forward<max_first>, 1024, 1},
    {"sum_all", forward<sum_all>, 1024, 1},
    {"softmax", forward<soft>},
    {"softmax_grad", backward<soft>, 1024, 3},
    {"cross_entropy", cross_entropy<false>, 1024, 1},
    {"cross_entropy_grad", cross_entropy<true>, 1024, 2},
    {"cross_entropy_grad", cross_entropy<true>, 10, 2},
    {"layer_norm", forward<normalised>},
    {"layer_norm_grad", backward<normalised>, 1024, 3},
    {"layer_norm_affine", layer_norm_affine},
    {"layer_norm_affine_grad", layer_norm_affine_grad, 1024, 3},
    {"layer_norm_affine_grad", layer_norm_affine_grad, 256, 3},
    {"layer_norm_affine_grad", layer_norm_affine_grad, 512, 3},
    {"layer_norm_affine_grad", layer_norm_affine_grad, 768, 3},
    {"layer_norm_grad", backward<normalised>, 512, 3},
});

const int shapes = [] {
  register_stream({"sum_last_axis", forward<sum_last>, 1 << 24}, "one_row", 1);
  register_stream({"sum_first_axis", forward<sum_first>, 64}, "narrow", 1 << 18);
  register_stream({"softmax", forward<soft>, 1 << 20}, "long_rows", 16);
  return 0;
}();

}  // namespace
}  // namespace weft::bench
