// Convolution and pooling against their equations, what they say of mistakes, and layers of them.
#include "support.h"

#include <random>

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

struct Row {
  Shape x, w;  // [batch, spatial…, channels], [size…, channels / groups, filters]
  ConvOptions options = {};
};

std::int64_t entry(const Dims& list, int i, std::int64_t otherwise) {
  return list.empty() ? otherwise : list[list.rank() == 1 ? 0 : i];
}

/// The windows along a spatial axis; `low`: the padding in front.
struct Axis {
  std::int64_t extent, size, stride, dilation, low, windows;
};
Axis axis_of(const Row& r, int i) {
  Axis a{r.x[i + 1], r.w[i], entry(r.options.stride, i, 1), entry(r.options.dilation, i, 1), 0, 0};
  const std::int64_t span = (a.size - 1) * a.dilation + 1;
  std::int64_t high = 0;
  if (const auto kind = r.options.padding.kind; kind == Padding::same || kind == Padding::causal) {
    a.windows = (a.extent + a.stride - 1) / a.stride;
    const std::int64_t all = std::max<std::int64_t>(0, (a.windows - 1) * a.stride + span - a.extent);
    a.low = kind == Padding::causal ? all : all / 2, high = all - a.low;
  } else if (r.options.padding.kind == Padding::given) {
    a.low = entry(r.options.padding.low, i, 0), high = entry(r.options.padding.high, i, 0);
  }
  a.windows = (a.extent + a.low + high - span) / a.stride + 1;
  return a;
}

std::vector<double> reference(const Row& r, const Array& x, const Array& w) {
  const int rank = r.x.rank() - 2;
  std::vector<Axis> axes;
  for (int i = 0; i < 3; ++i) axes.push_back(i < rank ? axis_of(r, i) : Axis{1, 1, 1, 1, 0, 1});
  const std::int64_t channels = r.x.back(), filters = r.w.back(), depth = channels / r.options.groups,
                     per_group = filters / r.options.groups;
  std::vector<double> out;
  for (std::int64_t n = 0; n < r.x[0]; ++n)
    for (std::int64_t o0 = 0; o0 < axes[0].windows; ++o0)
      for (std::int64_t o1 = 0; o1 < axes[1].windows; ++o1)
        for (std::int64_t o2 = 0; o2 < axes[2].windows; ++o2)
          for (std::int64_t f = 0; f < filters; ++f) {
            double sum = 0;
            for (std::int64_t k0 = 0; k0 < axes[0].size; ++k0)
              for (std::int64_t k1 = 0; k1 < axes[1].size; ++k1)
                for (std::int64_t k2 = 0; k2 < axes[2].size; ++k2) {
                  const std::int64_t o[] = {o0, o1, o2}, k[] = {k0, k1, k2};
                  std::int64_t pixel = n, tap = 0;
                  bool inside = true;
                  for (std::size_t i = 0; i < 3; ++i) {
                    const Axis& a = axes[i];
                    const std::int64_t at = o[i] * a.stride + k[i] * a.dilation - a.low;
                    inside &= at >= 0 && at < a.extent;
                    pixel = pixel * a.extent + at, tap = tap * a.size + k[i];
                  }
                  for (std::int64_t c = 0; inside && c < depth; ++c)
                    sum += x.at(pixel * channels + f / per_group * depth + c) * w.at((tap * depth + c) * filters + f);
                }
            out.push_back(sum);
          }
  return out;
}

const Row kRows[] = {
    {{2, 6, 7, 3}, {3, 3, 3, 4}},
    {{2, 7, 6, 3}, {3, 2, 3, 4}, {.padding = Padding::same}},
    {{1, 9, 8, 2}, {3, 4, 2, 5}, {.stride = {2}, .padding = Padding::same}},
    {{1, 9, 8, 2}, {3, 2, 2, 5}, {.stride = {1, 3}, .dilation = {2, 1}}},
    {{2, 5, 5, 4}, {3, 3, 2, 6}, {.padding = {{1, 0}, {2, 3}}, .groups = 2}},
    {{1, 5, 4, 2}, {3, 3, 2, 3}, {.padding = {{1}, {2}}}},
    {{2, 5, 5, 6}, {2, 2, 1, 6}, {.groups = 6}},
    {{3, 11, 2}, {4, 2, 3}},
    {{3, 11, 2}, {4, 2, 3}, {.stride = {3}, .padding = Padding::same}},
    {{2, 9, 2}, {3, 2, 4}, {.dilation = 2, .padding = Padding::causal}},
    {{1, 7, 6, 2}, {3, 4, 2, 3}, {.stride = {2, 1}, .padding = Padding::causal}},
    {{1, 4, 5, 3, 2}, {2, 3, 2, 2, 3}, {.stride = {1, 2, 1}}},
    {{2, 8, 8, 3}, {2, 2, 3, 4}, {.stride = {2}}},  // tiles
    {{2, 3, 3, 5}, {1, 1, 5, 2}},
};

}  // namespace

TEST_CASE("conv() is its equation") {
  std::uint32_t seed = 1;
  for (const Row& r : kRows) {
    GraphScope graph;
    const Array x = random_array(seed++, r.x), w = random_array(seed++, r.w);
    CAPTURE(to_string(r.x), to_string(r.w));
    const Tensor xs = placeholder(f32, r.x, "x"), ws = placeholder(f32, r.w, "w");
    require_close(run(conv(xs, ws, r.options), {x, w}), reference(r, x, w), 1e-5);
  }
}

TEST_CASE("gradients of conv() are those of its equation") {
  // The loss is linear in x and in w: f(x + d) - f(x) = sum of df/dx d holds exactly, up to rounding.
  std::uint32_t seed = 100;
  for (const Row& r : kRows) {
    CAPTURE(to_string(r.x), to_string(r.w));
    GraphScope graph;
    const Array x = random_array(seed++, r.x), w = random_array(seed++, r.w), dx = random_array(seed++, r.x),
                dw = random_array(seed++, r.w);
    const Tensor xs = placeholder(f32, r.x, "x"), ws = placeholder(f32, r.w, "w");
    const Tensor y = conv(xs, ws, r.options);
    const Array weight = random_array(seed++, y.shape());
    const Tensor loss = sum(y * constant(weight));
    const std::vector<Tensor> d = grad(loss, {xs, ws});
    const std::vector<double> by_x = reference(r, dx, w), by_w = reference(r, x, dw);
    double want_x = 0, want_w = 0, got_x = 0, got_w = 0;
    for (std::size_t i = 0; i < by_x.size(); ++i)
      want_x += by_x[i] * weight.at(static_cast<std::int64_t>(i)),
          want_w += by_w[i] * weight.at(static_cast<std::int64_t>(i));
    const Array gx = run(d[0], {x, w}, {xs, ws}), gw = run(d[1], {x, w}, {xs, ws});
    for (std::int64_t i = 0; i < gx.size(); ++i) got_x += gx.at(i) * dx.at(i);
    for (std::int64_t i = 0; i < gw.size(); ++i) got_w += gw.at(i) * dw.at(i);
    CHECK(close(got_x, want_x, 1e-4));
    CHECK(close(got_w, want_w, 1e-4));
  }
}

TEST_CASE("conv_transpose() is the transpose of conv()") {
  struct {
    Shape x, w;  // of conv()
    ConvOptions options;
  } rows[] = {{{2, 7, 6, 3}, {3, 3, 3, 4}, {}},
              {{2, 7, 9, 3}, {3, 3, 3, 4}, {.stride = {2}}},
              {{1, 8, 6, 2}, {3, 3, 2, 4}, {.stride = {2}, .padding = Padding::same}},
              {{1, 8, 6, 2}, {2, 1, 2, 4}, {.stride = {4, 3}, .padding = Padding::same}},
              {{1, 9, 2}, {3, 2, 4}, {.dilation = {2}}},
              {{1, 7, 7, 2}, {3, 3, 2, 4}, {.padding = {{1, 1}, {1, 1}}}}};
  std::uint32_t seed = 200;
  for (const auto& r : rows) {
    CAPTURE(to_string(r.x), to_string(r.w));
    GraphScope graph;
    const Array x = random_array(seed++, r.x), w = random_array(seed++, r.w);
    const Tensor xs = placeholder(f32, r.x, "x"), ws = placeholder(f32, r.w, "w");
    const Tensor y = conv(xs, ws, r.options);
    const Array v = random_array(seed++, y.shape());
    const Tensor vs = placeholder(f32, y.shape(), "v");
    const Tensor back = conv_transpose(vs, ws, r.options);  // [size…, filters, channels] of it are channels, filters
    REQUIRE(back.shape() == r.x);
    const Array got = run(back, {w, v}, {ws, vs}), forward = run(y, {x, w}, {xs, ws});
    double left = 0, right = 0;  // <conv(x), v> = <x, conv_transpose(v)>
    for (std::int64_t i = 0; i < v.size(); ++i) left += forward.at(i) * v.at(i);
    for (std::int64_t i = 0; i < x.size(); ++i) right += x.at(i) * got.at(i);
    CHECK(close(left, right, 1e-4));
  }
}

TEST_CASE("depthwise_conv() is conv() with a group for each channel") {
  GraphScope graph;
  const Array x = random_array(1, {2, 6, 7, 5}), w = random_array(2, {3, 2, 5, 3});
  const Tensor xs = placeholder(f32, {2, 6, 7, 5}, "x"), ws = placeholder(f32, {3, 2, 5, 3}, "w");
  const ConvOptions options{.stride = {2, 1}, .padding = Padding::same};
  ConvOptions grouped = options;
  grouped.groups = 5;
  const Array own = run(depthwise_conv(xs, ws, options), {x, w});
  require_close(own, doubles(run(conv(xs, reshape(ws, {3, 2, 1, 15}), grouped), {x, w})));
}

TEST_CASE("pooling") {
  GraphScope graph;
  const Array x = f({1, 5, 2, 8, -3, 4, 7, 0, 9, -1, 6, 3, 2, 2, -8, 5}, {1, 4, 4, 1});
  const Tensor t = placeholder(f32, {1, 4, 4, 1}, "x");
  const PoolOptions same{.stride = {1}, .padding = Padding::same};
  require_close(run(max_pool(t, {2}), {x}), {5, 8, 9, 6});
  require_close(run(max_pool(t, {3, 2}, {.stride = {1, 2}}), {x}), {9, 8, 9, 7});
  require_close(run(max_pool(t, {2}, same), {x}), {5, 7, 8, 8, 9, 7, 7, 3, 9, 6, 6, 5, 2, 2, 5, 5});
  require_close(run(avg_pool(t, {2}), {x}), {1.75, 4.25, 3, 1.5});
  require_close(run(avg_pool(t, {2}, same), {x}),
                {1.75, 4.5, 4.25, 4, 2.25, 4, 4, 1.5, 3, -0.25, 1.5, 4, 2, -3, -1.5, 5});
  require_close(run(l2_pool(t, {4}), {x}), {std::sqrt(392.0)});
  require_close(run(max_pool(reshape(t, {1, 16, 1}), {3}, {.stride = {2}}), {x}), {5, 8, 7, 9, 9, 6, 2});
  const Array counts = i({3, 1, 2, -5}, {1, 4, 1});
  CHECK(run(max_pool(placeholder(i32, {1, 4, 1}, "n"), {2}, {.padding = {{1}, {1}}}), {counts}, {})
            .same_bits(i({3, 2, -5}, {1, 3, 1})));
}

TEST_CASE("the gradient of a pool goes to the largest, that of an average to all") {
  GraphScope graph;
  const Array x = f({1, 5, 2, 8, 5, 4, 7, 8}, {1, 2, 4, 1});
  const Tensor t = placeholder(f32, {1, 2, 4, 1}, "x");
  require_close(run(grad(sum(max_pool(t, {2}) * constant(f({2, 4}, {1, 1, 2, 1}))), {t})[0], {x}, {t}),
                {0, 1, 0, 2, 1, 0, 0, 2});
  require_close(run(grad(sum(max_pool(t, {1, 2}, {.stride = {1}})), {t})[0], {x}, {t}), {0, 2, 0, 1, 1, 0, 1, 1});
  require_close(run(grad(sum(avg_pool(t, {2}) * constant(f({4, 8}, {1, 1, 2, 1}))), {t})[0], {x}, {t}),
                {1, 1, 2, 2, 1, 1, 2, 2});
}

TEST_CASE("window() and flip()") {
  GraphScope graph;
  const Array x = f({1, 2, 3, 4, 5, 6, 7, 8}, {2, 4});
  const Tensor t = placeholder(f32, {2, 4}, "x");
  require_close(run(window(t, {1}, {3}), {x}), {1, 2, 3, 2, 3, 4, 5, 6, 7, 6, 7, 8});
  require_close(run(window(t, {0, 1}, {2, 2}, {1, 2}), {x}), {1, 2, 5, 6, 3, 4, 7, 8});
  require_close(run(window(t, {1}, {2}, {1}, {3}), {x}), {1, 4, 5, 8});
  CHECK(window(t, {-1, 0}, {3, 2}).shape() == Shape{1, 2, 3, 2});  // each list in the order of the axes
  require_close(run(window(t, {1, 0}, {1, 2}, {3, 1}), {x}), {1, 5, 4, 8});
  require_close(run(flip(t), {x}), {8, 7, 6, 5, 4, 3, 2, 1});
  require_close(run(flip(t, 0), {x}), {5, 6, 7, 8, 1, 2, 3, 4});
}

TEST_CASE("a window of many places gives its gradient back by a scatter") {
  GraphScope graph;
  const Array x = random_array(1, {40, 3});
  const Tensor t = placeholder(f32, {40, 3}, "x");
  const Tensor y = window(t, {0}, {25});  // [16, 3, 25]
  const Array got = run(grad(sum(y), {t})[0], {x}, {t});
  for (std::int64_t i = 0; i < 40; ++i)
    for (std::int64_t c = 0; c < 3; ++c)
      CHECK(got.at(i * 3 + c) == static_cast<double>(std::min<std::int64_t>({i + 1, 40 - i, 16})));
}

TEST_CASE("windows along axes in any order are given back in one order") {
  GraphScope graph;
  const Array x = random_array(1, {9, 8});
  const Tensor t = placeholder(f32, {9, 8}, "x");
  for (const Dims& size : {Dims{2, 3}, Dims{5, 6}}) {  // by selects, by a scatter
    const Tensor y = window(t, {1, 0}, size);
    run(grad(sum(y * y * y), {t})[0], {x}, {t});
  }
}

TEST_CASE("a window of thousands of places is compiled without its indices") {
  GraphScope graph;
  const Tensor t = placeholder(f32, {60000}, "x");
  const Tensor mean = sum(window(t, {0}, {3000}), 1) * (1.0 / 3000);
  Executable e = compile({grad(sum(mean), {t})[0]}, {.inputs = {t}});
  CHECK(e.dump(Stage::kernels).size() < 20000);
}

TEST_CASE("what convolutions and pools say of mistakes") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {2, 6, 6, 3}, "x"), w = placeholder(f32, {3, 3, 3, 4}, "w"),
               flat = placeholder(f32, {2, 3}, "flat"), deep = placeholder(f32, {3, 3, 2, 4}, "deep"),
               wide = placeholder(f32, {9, 9, 3, 4}, "wide"), d = placeholder(f64, {3, 3, 3, 4}, "d");
  const Tensor unbound = placeholder(f32, {kBatch, kBatch, 6, 3}, "unbound");
  require_reported({
      MISTAKE(conv(flat, w), "conv:", "expected [batch, 1 to 3 spatial axes, channels]", "f32[2,3]"),
      MISTAKE(conv(x, deep), "conv:", "the weight is for 2 channels; expected 3"),
      MISTAKE(conv(x, flat), "conv:", "the weight has 2 axes; expected [size…, channels / groups, filters]"),
      MISTAKE(conv(x, d), "conv:", "dtypes differ: f32 and f64"),
      MISTAKE(conv(x, wide), "conv:", "a window of 9 elements does not fit axis 1", "which has 6"),
      MISTAKE(conv(x, w, {.stride = {0}}), "conv:", "stride is [0]; expected 1 to 16777216"),
      MISTAKE(conv(x, w, {.stride = {1, 2, 3}}), "conv:", "stride is [1,2,3]; expected 2 entries"),
      MISTAKE(conv(x, w, {.groups = 2}), "conv:", "2 groups; expected a divisor of 3 channels and 4 filters"),
      MISTAKE(conv(x, w, {.padding = {{1, 1, 1}, {1}}}), "conv:", "the padding before is [1,1,1]; expected 2 entries"),
      MISTAKE(conv(x, w, {.padding = {{1}, {-1}}}), "conv:", "the padding behind is [-1]; expected 0 to 16777216"),
      MISTAKE(avg_pool(x, {1}, {.padding = {{2}, {1}}}), "avg_pool:", "a window of 1 lies in it whole"),
      MISTAKE(window(x, {1, 7}, {2, 2}), "window:", "names axis 7"),
      MISTAKE(conv(unbound, w), "conv:", "axis 1 is unbound"),
      MISTAKE(max_pool(x, {}), "max_pool:", "the size of the windows is missing"),
      MISTAKE(max_pool(x, {7}), "max_pool:", "does not fit axis 1"),
      MISTAKE(avg_pool(astype(x, i32), {2}), "avg_pool:", "takes f32 and f64"),
      MISTAKE(window(x, {1}, {2, 2}), "window:", "size=[2,2] needs an entry for each of axes=[1]"),
      MISTAKE(window(x, {1}, {0}), "window:", "size=[0] must be positive"),
      MISTAKE(window(unbound, {0}, {2}), "window:", "no window along the unbound batch axis"),
      MISTAKE(flip(unbound, 0), "flip:", "cannot reverse the unbound batch axis"),
      MISTAKE(conv_transpose(x, w), "conv_transpose:", "the weight is for 4 channels; expected 3"),
      MISTAKE(depthwise_conv(x, deep), "depthwise_conv:", "the weight is for 2 channels; expected 3"),
      MISTAKE(depthwise_conv(x, w, {.groups = 3}), "depthwise_conv: 3 groups; expected 1"),
      MISTAKE(DepthwiseConv2D({3}, 1, {}, {.groups = 2}), "DepthwiseConv2D: groups is 2; expected 1"),
      MISTAKE(Conv2DTranspose(4, {3}, {}, {.groups = 2}), "Conv2DTranspose: groups is 2; expected 1"),
      MISTAKE(Conv2D(4, {9}, {}, {.name = "broad"})(x), "broad: a window of 9 elements does not fit axis 1"),
      MISTAKE(Conv2D(4, {3}, {}, {.stride = {0}, .name = "still"})(x), "still: stride is [0]"),
      MISTAKE(Conv2D(0, {3}), "Conv2D: filters is 0"),
      MISTAKE(Conv2D(4, {3, 3, 3}), "Conv2D: size is [3,3,3]; expected 2 entries"),
      MISTAKE(Conv2D(4, {0}), "Conv2D: size is [0]; expected 1 or more"),
      MISTAKE(Conv1D(4, {3})(x), "conv1d", "expected 3 axes"),
  });
}

TEST_CASE("one number stands for all spatial axes") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {2, 9, 9, 4}, "x"), w = placeholder(f32, {3, 3, 4, 5}, "w");
  CHECK(conv(x, w, {.stride = 2, .dilation = 1, .padding = 1})
            .same(conv(x, w, {.stride = {2, 2}, .dilation = {1, 1}, .padding = {{1, 1}, {1, 1}}})));
  CHECK(
      max_pool(x, 3, {.stride = 2, .padding = 1}).same(max_pool(x, {3, 3}, {.stride = {2, 2}, .padding = {{1}, {1}}})));
  CHECK(Conv2D(8, 3, relu, {.stride = 2, .padding = 1})(x).shape() == Shape{2, 5, 5, 8});
  CHECK(MaxPool(3, {.stride = 1})(x).shape() == Shape{2, 7, 7, 4});
  CHECK(AvgPool(3)(x).shape() == AvgPool({3})(x).shape());
  CHECK(DepthwiseConv2D(3, 2)(x).shape() == DepthwiseConv2D({3, 3}, 2)(x).shape());
  CHECK(DepthwiseConv2D({2})(x).shape() == DepthwiseConv2D(2)(x).shape());
}

TEST_CASE("convolutional layers") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {2, 9, 9, 4}, "x");
  CHECK(Conv2D(8, {3})(x).shape() == Shape{2, 7, 7, 8});
  CHECK(Conv2D(8, {3}, relu, {.stride = {2}, .padding = Padding::same})(x).shape() == Shape{2, 5, 5, 8});
  CHECK(Conv2D(8, {3}, {}, {.groups = 4})(x).shape() == Shape{2, 7, 7, 8});
  CHECK(Conv2DTranspose(8, {3}, {}, {.stride = {2}})(x).shape() == Shape{2, 19, 19, 8});
  CHECK(Conv2DTranspose(8, {3}, {}, {.stride = {2}, .padding = Padding::same})(x).shape() == Shape{2, 18, 18, 8});
  CHECK(DepthwiseConv2D({3}, 2)(x).shape() == Shape{2, 7, 7, 8});
  CHECK(Conv1D(5, {4})(reshape(x, {2, 81, 4})).shape() == Shape{2, 78, 5});
  CHECK(Conv3D(5, {2})(reshape(x, {2, 9, 3, 3, 4})).shape() == Shape{2, 8, 2, 2, 5});
  CHECK(MaxPool({2})(x).shape() == Shape{2, 4, 4, 4});
  CHECK(AvgPool({3}, {.stride = {1}})(x).shape() == Shape{2, 7, 7, 4});
  CHECK(GlobalMaxPool()(x).shape() == Shape{2, 4});
  CHECK(GlobalAvgPool()(x).shape() == Shape{2, 4});
  Conv2D twice(8, {3}, {}, {.padding = Padding::same, .name = "twice"});
  const Tensor once = twice(x);
  REQUIRE(twice.parameters().size() == 2);
  CHECK(twice.parameters()[0].shape() == Shape{3, 3, 4, 8});
  CHECK(twice.parameters()[1].shape() == Shape{8});
  require_parts(error_of([&] { twice(once); }), {"twice", "the layer was built for 4 channels and is given 8"});
}
