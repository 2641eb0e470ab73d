// The losses beyond squares and cross-entropies, against their definitions in double precision.
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

// Two samples of three features (classes).
const std::vector<float> kScores = {1.5f, -0.5f, 0.25f, -3.f, 0.f, 4.f};
const std::vector<float> kShares = {0.2f, 0.5f, 0.3f, 0.1f, 0.1f, 0.8f}, kTargets = {0.25f, 0.25f, 0.5f, 0.f, 1.f, 0.f};
const std::vector<float> kSigns = {1, -1, 1, 1, 1, -1};

using Sample = std::vector<double>;
Sample row(const std::vector<float>& v, std::size_t r) {
  return {v.begin() + static_cast<std::ptrdiff_t>(3 * r), v.begin() + static_cast<std::ptrdiff_t>(3 * r + 3)};
}

struct Row {
  Loss loss;
  std::vector<float> p, t;
  double (*of)(const Sample& p, const Sample& t);
};

template <class F>
double total(const Sample& p, const Sample& t, F f) {
  double s = 0;
  for (std::size_t k = 0; k < p.size(); ++k) s += f(p[k], t[k]);
  return s;
}
double share(const Sample& z, double of) {
  return std::exp(of) / total(z, z, [](double a, double) { return std::exp(a); });
}
double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

const Row kRows[] = {
    {kl_divergence, kShares, kTargets,
     [](const Sample& p, const Sample& t) {
       return total(p, t, [](double a, double b) { return std::max(b, 1e-7) * std::log(std::max(b, 1e-7) / a); });
     }},
    {poisson, kShares, kTargets,
     [](const Sample& p, const Sample& t) {
       return total(p, t, [](double a, double b) { return a - b * std::log(a + 1e-7); }) / 3;
     }},
    {log_cosh, kScores, kTargets,
     [](const Sample& p, const Sample& t) {
       return total(p, t, [](double a, double b) { return std::log(std::cosh(a - b)); }) / 3;
     }},
    {cosine_similarity, kScores, kTargets,
     [](const Sample& p, const Sample& t) {
       const auto dot = [](double a, double b) { return a * b; };
       return -total(p, t, dot) / std::sqrt(total(p, p, dot) * total(t, t, dot));
     }},
    {hinge, kScores, kSigns,
     [](const Sample& p, const Sample& t) {
       return total(p, t, [](double a, double b) { return std::max(1 - a * b, 0.0); }) / 3;
     }},
    {squared_hinge, kScores, kSigns,
     [](const Sample& p, const Sample& t) {
       return total(p, t, [](double a, double b) { return std::pow(std::max(1 - a * b, 0.0), 2); }) / 3;
     }},
    {binary_focal_cross_entropy_with_logits(1.5, 0.4), kScores, kTargets,
     [](const Sample& p, const Sample& t) {
       return total(p, t,
                    [](double z, double b) {
                      const double s = sigmoid_of(z);
                      return -0.4 * b * std::pow(1 - s, 1.5) * std::log(s) -
                             0.6 * (1 - b) * std::pow(s, 1.5) * std::log(1 - s);
                    }) /
              3;
     }},
    {categorical_focal_cross_entropy_with_logits(0.5, 0.4), kScores, kTargets,
     [](const Sample& p, const Sample& t) {
       double s = 0;
       for (std::size_t k = 0; k < 3; ++k) s -= 0.4 * t[k] * std::sqrt(1 - share(p, p[k])) * std::log(share(p, p[k]));
       return s;
     }},
};

}  // namespace

TEST_CASE("further losses follow their definitions") {
  for (const Row& r : kRows) {
    CAPTURE(r.loss.name());
    GraphScope graph;
    const Tensor p = input(f32, {3}, "p"), t = input(f32, {3}, "t");
    const std::vector<Array> in = {f(r.p, {2, 3}), f(r.t, {2, 3})};
    require_close(run(r.loss(p, t), in, {p, t}), {r.of(row(r.p, 0), row(r.t, 0)), r.of(row(r.p, 1), row(r.t, 1))},
                  2e-6);
    for (const double g : doubles(run(grad(sum(r.loss(p, t)), {p})[0], in, {p, t}))) CHECK(std::isfinite(g));
  }
}

TEST_CASE("losses of focus forget what is certain, with any gamma") {
  for (const double gamma : {0.0, 0.5, 1.0, 3.0}) {
    CAPTURE(gamma);
    GraphScope graph;
    const Tensor z = input(f32, {2}, "z"), t = input(f32, {2}, "t");
    const std::vector<Array> in = {f({1000, -1000}, {1, 2}), f({1, 0}, {1, 2})};
    for (const Loss& loss :
         {binary_focal_cross_entropy_with_logits(gamma), categorical_focal_cross_entropy_with_logits(gamma)}) {
      require_close(run(loss(z, t), in, {z, t}), {0});
      require_close(run(grad(sum(loss(z, t)), {z})[0], in, {z, t}), {0, 0});
    }
  }
}

TEST_CASE("smoothing spreads a part of the target over all classes") {
  GraphScope graph;
  const Tensor z = input(f32, {3}, "z"), label = input(i32, {}, "label"), soft = input(f32, {3}, "soft");
  const std::vector<Array> in = {f(kScores, {2, 3}), i({2, 0}, {2}), f({0.1f, 0.1f, 0.8f, 0.8f, 0.1f, 0.1f}, {2, 3})};
  const Array want = run(categorical_cross_entropy_with_logits(z, soft), in, {z, label, soft});
  require_close(run(softmax_cross_entropy_smoothed(0.3)(z, label), in, {z, label, soft}), doubles(want), 1e-6);
  CHECK(run(softmax_cross_entropy_smoothed(0)(z, label), in, {z, label, soft})
            .same_bits(run(softmax_cross_entropy(z, label), in, {z, label, soft})));
  require_close(run(softmax_cross_entropy_smoothed()(z, label), {in[0], i({3, -1}, {2}), in[2]}, {z, label, soft}),
                {NAN, NAN});
}

TEST_CASE("triplet_loss wants the negative farther than the positive, by the margin") {
  GraphScope graph;
  const Tensor a = input(f32, {2}, "a"), p = input(f32, {2}, "p"), n = input(f32, {2}, "n");
  const std::vector<Array> in = {f({0, 0, 1, 1, 0, 0}, {3, 2}), f({1, 0, 1, 3, 1, 1}, {3, 2}),
                                 f({0, 2, 0, 1, 1, 1}, {3, 2})};
  require_close(run(triplet_loss(a, p, n, 0.5), in), {0, 3.5, 0.5});
  require_close(run(triplet_loss(a, p, n, 4), in), {1, 7, 4});
  require_reported({
      MISTAKE(triplet_loss(a, p, input(f32, {3})),
              ": triplet_loss: expected three embeddings of one shape, [batch, …]"),
      MISTAKE(triplet_loss(squeeze(slice(a, 1, 0, 1), 1), p, n), ": triplet_loss: expected three embeddings"),
      MISTAKE(triplet_loss(a, p, n, -1), ": triplet_loss: margin is -1"),
  });
}
