// Where a comparison decides: equal values, probabilities of 0 and 1, extents that only just do not fit, operands of
// two graphs.
#include <filesystem>

#include "support.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("a loss's operands are of one graph, and it is the loss that says so") {
  const Loss losses[] = {mse,
                         mae,
                         huber(),
                         softmax_cross_entropy,
                         sparse_cross_entropy,
                         categorical_cross_entropy,
                         categorical_cross_entropy_with_logits,
                         binary_cross_entropy,
                         binary_cross_entropy_with_logits};
  for (const Loss& loss : losses) {
    GraphScope one;
    const Tensor p = input(f32, {3}, "p");
    GraphScope two;
    const bool labels = loss.target() == Loss::labels;
    const Tensor t = labels ? input(i32, {}, "t") : input(f32, {3}, "t");
    require_reported({
        MISTAKE(loss(p, t), loss.name() + ": operands belong to different graphs"),
        MISTAKE(loss(p, Tensor()), loss.name() + ": operand 1 is an empty Tensor"),
        MISTAKE(loss(Tensor(), t), loss.name() + ": operand 0 is an empty Tensor"),
    });
  }
}

TEST_CASE("labels must be integers, one for each row of scores") {
  GraphScope graph;
  const Tensor p = placeholder(f32, {2, 3}, "p");
  for (const Loss& loss : {softmax_cross_entropy, sparse_cross_entropy})
    require_reported({
        MISTAKE(loss(p, placeholder(i32, {4})), loss.name() + ": expected scores [batch, .., classes] and integer labels"),
        MISTAKE(loss(p, placeholder(f32, {2})), loss.name() + ": expected scores [batch, .., classes] and integer labels"),
        MISTAKE(loss(p, placeholder(i32, {2, 2})), loss.name() + ": expected scores [batch, .., classes]"),
    });
}

TEST_CASE("probabilities are kept 1e-7 away from 0 and 1") {
  GraphScope graph;
  const Tensor p = input(f32, {2}, "p"), label = input(i32, {}, "label"), t = input(f32, {2}, "t");
  const double at0 = -std::log(1e-7f), at1 = -std::log(1 - 1e-7f);
  const Array certain = f({1, 0, 1, 0}, {2, 2}), labels = i({0, 1}, {2}), hot = f({1, 0, 0, 1}, {2, 2});
  auto require_kept = [&](const Tensor& loss, const std::vector<Array>& in, const std::vector<Tensor>& order) {
    const Array each = run(loss, in, order);
    REQUIRE(each.at(0) == Approx(at1).epsilon(0.2));
    REQUIRE(each.at(1) == Approx(at0).epsilon(1e-2));
  };
  require_kept(sparse_cross_entropy(p, label), {certain, labels}, {p, label});
  require_kept(categorical_cross_entropy(p, t), {certain, hot}, {p, t});
  require_kept(binary_cross_entropy(p, t), {certain, hot}, {p, t});
  // Rows that do not add up to 1 are divided by their sum.
  REQUIRE(run(categorical_cross_entropy(p, t), {f({0.2f, 0.2f}, {1, 2}), f({0, 1}, {1, 2})}, {p, t}).at(0) ==
          Approx(std::log(2)).epsilon(1e-5));
}

TEST_CASE("an equal value is no improvement, for EarlyStopping and BestCheckpoint") {
  for (const bool maximize : {false, true}) {
    GraphScope graph;
    const Tensor x = input(f32, {1}, "x");
    Model model(x, Dense(1, {}, {.weight_init = zeros()})(x));
    model.compile({.optimizer = SGD{0.0}, .loss = mse});  // the loss stays 1
    struct Removes {
      std::string path;
      void on_epoch_end(FitRun& run) { REQUIRE(std::filesystem::remove(path) == (run.epoch == 0)); }
    };
    const std::string path = (std::filesystem::temp_directory_path() / fmt::format("weft_edges_{}", maximize)).string();
    const History h = model.fit(f({0, 0}, {2, 1}), f({1, 1}, {2, 1}),
                                {.batch_size = 2,
                                 .epochs = 9,
                                 .callbacks = {BestCheckpoint{path, "loss", maximize}, Removes{path},
                                               EarlyStopping{.monitor = "loss", .patience = 3, .maximize = maximize}},
                                 .verbose = 0});
    REQUIRE(h.epochs() == 4);
    REQUIRE(h.stop_reason == "loss has not improved for 3 epochs; the best was 1.0000 in epoch 1");
  }
}

namespace {

/// What docs/numerics.md says of integers, in numbers that have room for all of it.
__extension__ typedef __int128 Wide;
__extension__ typedef unsigned __int128 UnsignedWide;

template <class T>
T wrapped(Wide v) {
  return static_cast<T>(static_cast<std::make_unsigned_t<T>>(static_cast<UnsignedWide>(v)));
}

template <class T>
struct IntegerRow {
  const char* name;
  std::function<Tensor(const Operand&, const Operand&)> f;
  std::function<T(Wide, Wide)> want;
};

template <class T>
std::vector<IntegerRow<T>> integer_rows() {
  constexpr Wide kBits = std::numeric_limits<std::make_unsigned_t<T>>::digits;
  const auto outside = [](Wide y) { return y < 0 || y >= kBits; };
  const auto bits = [](Wide x) { return static_cast<Wide>(static_cast<std::make_unsigned_t<T>>(static_cast<T>(x))); };
  return {
      {"add", [](auto& x, auto& y) { return x + y; }, [](Wide x, Wide y) { return wrapped<T>(x + y); }},
      {"sub", [](auto& x, auto& y) { return x - y; }, [](Wide x, Wide y) { return wrapped<T>(x - y); }},
      {"mul", [](auto& x, auto& y) { return x * y; }, [](Wide x, Wide y) { return wrapped<T>(x * y); }},
      {"div", [](auto& x, auto& y) { return x / y; }, [](Wide x, Wide y) { return y == 0 ? T{0} : wrapped<T>(x / y); }},
      {"rem", [](auto& x, auto& y) { return x % y; },
       [](Wide x, Wide y) { return y == 0 ? wrapped<T>(x) : wrapped<T>(x % y); }},
      {"shl", [](auto& x, auto& y) { return x << y; },
       [=](Wide x, Wide y) { return outside(y) ? T{0} : wrapped<T>(bits(x) << y); }},
      {"shr", [](auto& x, auto& y) { return x >> y; },
       [=](Wide x, Wide y) { return outside(y) ? T{0} : wrapped<T>(bits(x) >> y); }},
  };
}

template <class T>
void check_integers(Backend backend) {
  using Limits = std::numeric_limits<T>;
  constexpr int kBits = std::numeric_limits<std::make_unsigned_t<T>>::digits;
  std::vector<T> edges{0, 1, 2, 3, 7, 100, T(kBits - 1), T(kBits), T(kBits + 1), Limits::min(), Limits::max()};
  edges.push_back(static_cast<T>(Limits::min() + 1)), edges.push_back(static_cast<T>(Limits::max() - 1));
  if (std::is_signed_v<T>)
    for (const int v : {-1, -2, -7, -kBits}) edges.push_back(static_cast<T>(v));
  std::vector<T> xs, ys;
  for (const T x : edges)
    for (const T y : edges) xs.push_back(x), ys.push_back(y);
  const Shape shape{static_cast<std::int64_t>(xs.size())};
  GraphScope graph;
  const Tensor x = placeholder(dtype_of<T>, shape, "x"), y = placeholder(dtype_of<T>, shape, "y");
  const auto rows = integer_rows<T>();
  std::vector<NamedTensor> results;
  for (const auto& row : rows) results.push_back(row.f(x, y));
  results.push_back(-x), results.push_back(abs(x));
  for (const auto& row : rows)  // of a number, which rewrites and folding may see
    for (const T edge : edges) results.push_back(row.f(x, edge));
  const auto got =
      compile(results, {.inputs = {x, y}, .backend = backend})({Array::from<T>(xs, shape), Array::from<T>(ys, shape)});
  for (std::size_t k = 0; k < xs.size(); ++k) {
    CAPTURE(name(backend), name(dtype_of<T>), Wide(xs[k]) < 0, std::int64_t(xs[k]), std::int64_t(ys[k]));
    std::size_t at = 0;
    const auto check = [&](const char* what, T want) {
      CAPTURE(what);
      REQUIRE(std::int64_t(got[at++].template as<T>()[k]) == std::int64_t(want));
    };
    for (const auto& row : rows) check(row.name, row.want(xs[k], ys[k]));
    check("neg", wrapped<T>(-Wide(xs[k])));
    check("abs", wrapped<T>(xs[k] < 0 ? -Wide(xs[k]) : Wide(xs[k])));
    for (const auto& row : rows)
      for (const T edge : edges) check(row.name, row.want(xs[k], edge));
  }
}

template <class From, class To>
void check_conversion(Backend backend, const std::vector<From>& values) {
  const Shape shape{static_cast<std::int64_t>(values.size())};
  GraphScope graph;
  const Tensor x = placeholder(dtype_of<From>, shape, "x");
  const Array got = compile({astype(x, dtype_of<To>)}, {.backend = backend})({Array::from<From>(values, shape)})[0];
  for (std::size_t k = 0; k < values.size(); ++k) {
    CAPTURE(name(backend), name(dtype_of<From>), name(dtype_of<To>), values[k]);
    const From v = values[k];
    To want{};
    if constexpr (std::is_same_v<To, bool>) {
      want = v != 0;
    } else if constexpr (std::is_floating_point_v<From>) {
      const auto low = static_cast<long double>(std::numeric_limits<To>::min()),
                 high = static_cast<long double>(std::numeric_limits<To>::max());
      const long double whole = std::trunc(static_cast<long double>(v));
      want = std::isnan(v) ? To{0} : static_cast<To>(std::min(std::max(whole, low), high));
    } else {
      want = wrapped<To>(v);
    }
    REQUIRE(std::int64_t(got.as<To>()[k]) == std::int64_t(want));
  }
}

}  // namespace

TEST_CASE("integers at their edges are what docs/numerics.md says, interpreted and compiled") {
  for (const Backend backend : {Backend::interpreter, Backend::cpu, Backend::emulator}) {
    check_integers<std::uint8_t>(backend);
    check_integers<std::int32_t>(backend);
    check_integers<std::int64_t>(backend);
  }
}

TEST_CASE("conversions to integers and bool are what docs/numerics.md says, interpreted and compiled") {
  std::vector<double> reals;
  for (const double v : {0.0, 0.5, 0.99, 1.0, 1.5, 254.9, 255.0, 256.0, 2147483520.0, 2147483648.0, 4294967296.0,
                         9223371487098961920.0, 9223372036854775808.0, 1e30, HUGE_VAL, double(NAN)})
    reals.push_back(v), reals.push_back(-v);
  const std::vector<float> floats(reals.begin(), reals.end());
  std::vector<std::int64_t> wide;
  for (const std::int64_t v :
       {0L, 1L, 255L, 256L, 257L, 2147483647L, 2147483648L, 4294967295L, 4294967296L, 9223372036854775807L})
    wide.push_back(v), wide.push_back(-v - 1);
  for (const Backend backend : {Backend::interpreter, Backend::cpu, Backend::emulator}) {
    check_conversion<float, std::uint8_t>(backend, floats);
    check_conversion<float, std::int32_t>(backend, floats);
    check_conversion<float, std::int64_t>(backend, floats);
    check_conversion<float, bool>(backend, floats);
    check_conversion<double, std::uint8_t>(backend, reals);
    check_conversion<double, std::int32_t>(backend, reals);
    check_conversion<double, std::int64_t>(backend, reals);
    check_conversion<double, bool>(backend, reals);
    check_conversion<std::int64_t, std::uint8_t>(backend, wide);
    check_conversion<std::int64_t, std::int32_t>(backend, wide);
    check_conversion<std::int64_t, bool>(backend, wide);
  }
}
