// The host's floating-point environment: results do not depend on it, and it is as before afterwards, at every entry.
#include <cfenv>
#include <cstdio>
#include <filesystem>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "runtime/data/csv.h"
#include "runtime/data/preprocess.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// What an entry point made: arrays, and text.
struct Made {
  std::vector<Array> arrays;
  std::string text;
};

struct Entry {
  const char* name;
  std::function<Made()> make;
};

std::uint32_t control_word() {
#if defined(__x86_64__)
  return _mm_getcsr();
#else
  return 0;
#endif
}

/// Calls `make` as a program would that has set all this, and says whether the environment was as before afterwards.
Made made_under(int rounding, bool traps, bool flush, const std::function<Made()>& make, bool& unchanged) {
  std::feclearexcept(FE_ALL_EXCEPT);
  std::fesetround(rounding);
  if (traps) feenableexcept(FE_ALL_EXCEPT);
#if defined(__x86_64__)
  if (flush) _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
  const std::uint32_t before = control_word();
  const int trapped = fegetexcept();
  Made made;
  try {
    made = make();
  } catch (const std::exception& e) {
    made.text = e.what();
  }
  unchanged = control_word() == before && std::fegetround() == rounding && fegetexcept() == trapped;
  fesetenv(FE_DFL_ENV);
  return made;
}

/// Layers, losses, schedules, metrics: what a model is made of, and one that is trained.
Model small_model(Backend backend = Backend::cpu) {
  set_seed(3);
  const Tensor x = input(f32, {7});
  const Tensor h = Dropout(0.3)(LayerNorm()(Dense(33, gelu)(x)));
  Model model(x, Dense(5, {}, {.weight_init = truncated_normal(), .l2 = 0.1})(h));
  model.compile({.optimizer = AdamW{.learning_rate = warm_up(2, cosine_decay(1e-2, 30, 1e-4))},
                 .loss = softmax_cross_entropy,
                 .metrics = {accuracy, top_k(2)},
                 .clip_norm = 0.7,
                 .backend = backend,
                 .threads = 2});
  return model;
}

Dataset small_data() {
  Array x(Type{f32, {50, 7}}), y(Type{i32, {50}});
  for (std::int64_t k = 0; k < x.size(); ++k)
    x.as<float>()[static_cast<std::size_t>(k)] = static_cast<float>(k % 13) - 6;
  for (std::int64_t k = 0; k < y.size(); ++k)
    y.as<std::int32_t>()[static_cast<std::size_t>(k)] = static_cast<std::int32_t>(k % 5);
  return {x, y, ""};
}

std::vector<Array> values(const Model& model) {
  std::vector<Array> all;
  for (const auto& [name, value] : model.weights()) all.push_back(value);
  return all;
}

Made trained(Backend backend) {
  GraphScope graph;
  Model model = small_model(backend);
  const Dataset data = small_data();
  std::FILE* log = std::fopen("/dev/null", "w");
  const History history =
      model.fit(data, {.batch_size = 20, .epochs = 2, .validation_split = 0.2, .verbose = 2, .log = log});
  std::fclose(log);
  Made made{values(model), fmt::format("{}", model.evaluate(data, 20).str())};
  made.arrays.push_back(model.predict(data.x, 17));
  made.arrays.push_back(Array::from<double>(history["val_loss"], {2}));
  made.arrays.push_back(Array::from<double>(history["learning_rate"], {2}));
  return made;
}

std::vector<Tensor> function_of(const Tensor& x) {
  return {sum(x * 0.1, 1), tanh(x / 3.0) + exp(-x * x), matmul(x, parameter({40, 24})), mean(sqrt(abs(x) + 1e-30))};
}

Made called(Backend backend, bool steps) {
  GraphScope graph;
  set_seed(5);
  const Tensor x = placeholder(f32, {64, 40}), s = state(Array::filled({f32, {40}}, 0.3));
  std::vector<NamedTensor> outputs;
  for (const Tensor& t : function_of(x + s)) outputs.emplace_back(t);
  const Executable exe = compile(outputs, {.updates = {{s, s * 0.7}}, .backend = backend, .threads = 2});
  const Array rows = uniform(-2, 2)({3, 64, 40}, 1, 0);
  if (!steps) return {exe({rows.rows(1, 2).reshaped({64, 40})}), ""};
  return {exe.run_steps(3, {per_step(rows)}, {.after = [](std::int64_t, const std::vector<Array>&) { return true; }})
              .outputs,
          ""};
}

/// Each rounding mode, everything trapped or nothing, subnormals flushed or not.
constexpr struct {
  int rounding;
  bool traps, flush;
} kHosts[] = {
    {FE_TONEAREST, true, false}, {FE_UPWARD, false, true}, {FE_DOWNWARD, true, true}, {FE_TOWARDZERO, true, false}};

const Entry kEntries[] = {
    {"call", [] { return called(Backend::cpu, false); }},
    {"call, interpreted", [] { return called(Backend::interpreter, false); }},
    {"call, emulated", [] { return called(Backend::emulator, false); }},
    {"run_steps", [] { return called(Backend::cpu, true); }},
    {"run_steps, interpreted", [] { return called(Backend::interpreter, true); }},
    {"run_steps, emulated", [] { return called(Backend::emulator, true); }},
    {"fit, evaluate, predict", [] { return trained(Backend::cpu); }},
    {"fit, evaluate, predict, emulated", [] { return trained(Backend::emulator); }},
    {"a callback that throws",
     [] {
       GraphScope graph;
       const Tensor x = placeholder(f32, {512, 512});
       const Executable exe = compile({exp(x) * 0.1}, {.threads = 2});
       exe.run_steps(2, {Array(Type{f32, {512, 512}})},
                     {.after = [](std::int64_t, const std::vector<Array>&) -> bool { fail("stop"); }});
       return Made{};
     }},
    {"folded constants",
     [] {
       GraphScope graph;
       const Tensor c = constant(0.1) / constant(3.0, f32) + full(f32, {5}, 1e-3);
       const Executable exe = compile({c, astype(full(f64, {}, 0.1), f32)}, {.threads = 1});
       return Made{exe(), exe.dump(Stage::optimized)};
     }},
    {"gradients",
     [] {
       GraphScope graph;
       const Tensor w = parameter({6, 6}, he_normal()), y = sum(erf(w / 7.0) * log(w * w + 0.1));
       return Made{compile({grad(y, {w})[0], grad(sum(grad(y, {w})[0]), {w})[0]}, {.threads = 2})(), ""};
     }},
    {"initial values",
     [] {
       std::vector<Array> all;
       for (const Initializer& init : {uniform(), normal(0.1, 0.3), truncated_normal(), glorot_uniform(),
                                       glorot_normal(), he_uniform(), he_normal(), constant_value(0.1)}) {
         GraphScope graph;
         all.push_back(parameter({9, 11}, init).value());
       }
       return Made{all, ""};
     }},
    {"schedules",
     [] {
       std::vector<double> rates;
       for (const RateSchedule& s : {step_decay(0.1, 0.3, 3), cosine_decay(0.1, 30), warm_up(3, 0.1)})
         for (std::int64_t k = 0; k < 10; ++k) rates.push_back(s(k));
       return Made{{Array::from<double>(rates, {30})}, ""};
     }},
    {"save, load",
     [] {
       GraphScope graph;
       Model model = small_model();
       model.set_learning_rate(0.1);
       const std::string path =
           fmt::format("{}/environment.safetensors", std::filesystem::temp_directory_path().string());
       model.save(path);
       model.load(path);
       std::filesystem::remove(path);
       return Made{values(model), fmt::format("{}", model.learning_rate() == 0.1)};
     }},
    {"text",
     [] {
       GraphScope graph;
       Model model = small_model();
       const Executable step = model.training_step({Type{f32, {64, 7}}}, {Type{i32, {64}}}, 8);
       std::string all = model.summary(false) + uniform(-2, 2)({4}, 1, 1).str();
       for (const Stage s : {Stage::graph, Stage::optimized, Stage::kernels, Stage::llvm, Stage::device, Stage::ptx})
         all += step.dump(s);
       return Made{{}, all};
     }},
    {"data",
     [] {
       const Array x = uniform(-2, 2)({20, 3}, 1, 2);
       const data::Standardiser measured(x);
       const Dataset digits = data::digits({.train_count = 3, .test_count = 1}).train;
       return Made{{data::scale(x, 0.1, 0.3), data::scale_to(x, -0.3, 0.7), measured.apply(x), digits.x,
                    digits.x.converted(f32), Array::filled({f32, {2}}, 0.1)},
                   ""};
     }},
};

}  // namespace

TEST_CASE("no result depends on the host's floating-point environment, which is as before afterwards") {
  for (const Entry& entry : kEntries) {
    INFO(entry.name);
    bool unchanged = false;
    const Made plain = made_under(FE_TONEAREST, false, false, entry.make, unchanged);
    CHECK(unchanged);
    for (const auto& [rounding, traps, flush] : kHosts) {
      const Made made = made_under(rounding, traps, flush, entry.make, unchanged);
      CAPTURE(entry.name, rounding, traps, made.text, plain.text);
      CHECK(unchanged);
      CHECK(made.text == plain.text);
      REQUIRE(made.arrays.size() == plain.arrays.size());
      for (std::size_t k = 0; k < made.arrays.size(); ++k) {
        CAPTURE(k);
        CHECK(made.arrays[k].same_bits(plain.arrays[k]));
      }
    }
  }
}
