// Code for other CPUs than this one: the same bits in every part that this machine can play, states that they share,
// and what users get wrong.
#include "codegen/codegen.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr const char* kCpus[] = {"native", "x86-64-v2", "sandybridge", "haswell", "znver3", "skylake-avx512", "znver4"};

/// The names of those that this machine can run.
std::vector<std::string> runnable() {
  std::vector<std::string> names;
  for (const char* cpu : kCpus)
    if (error_of([&] { target_for(cpu, host_target()); }) == "no error") names.emplace_back(cpu);
  return names;
}

Array values(const Shape& shape, int step) {
  Array a(Type{f32, shape});
  int k = 0;
  for (float& v : a.as<float>()) v = static_cast<float>(++k * step % 97) / 31 - 1;
  return a;
}

}  // namespace

TEST_CASE("a model trains to the same bits as any CPU", "[cpu]") {
  constexpr std::int64_t kSamples = 80;
  Array labels(Type{i32, {kSamples}});
  for (std::int64_t k = 0; k < kSamples; ++k) labels.as<std::int32_t>()[static_cast<std::size_t>(k)] = k * 7 % 10;
  const Array images = values({kSamples, 41}, 13);

  const auto train = [&](const std::string& cpu) {
    GraphScope graph;
    set_seed(3);
    const Tensor image = input(f32, {41});
    const Tensor h = Dense(20, relu)(Dense(65, relu)(image));
    Model model(image, Dense(10)(h));
    model.compile({.optimizer = Adam{1e-2}, .loss = softmax_cross_entropy, .metrics = {accuracy}, .cpu = cpu});
    std::vector<Array> results;
    const History history = model.fit(images, labels, {.batch_size = 32, .epochs = 3, .verbose = 0});
    for (const double loss : history["loss"]) results.push_back(Array::scalar(loss));
    for (const Tensor& p : model.parameters()) results.push_back(p.value());
    results.push_back(model.predict(images));
    return results;
  };
  const std::vector<Array> expected = train("");
  REQUIRE(expected.size() == 3 + 6 + 1);
  for (const std::string& cpu : runnable()) {
    const std::vector<Array> found = train(cpu);
    for (std::size_t k = 0; k < expected.size(); ++k) {
      CAPTURE(cpu, k, found[k].str(), expected[k].str());
      CHECK(found[k].same_bits(expected[k]));
    }
  }
}

TEST_CASE("functions made for several CPUs share states, which each has in panels of its own width", "[cpu]") {
  GraphScope graph;
  const Tensor w = state(values({96, 128}, 5), "w"), x = placeholder(f32, {40, 96}, "x");
  const Array start = w.value(), operand = values({40, 96}, 11);
  const Tensor y = matmul(x, w);
  const std::vector<Assignment> updates = {{w, w * 0.5 + sum(y) * 1e-3}};
  const Executable interpreter = compile({y}, {.updates = updates, .backend = Backend::interpreter});
  std::vector<Array> expected;
  const std::size_t calls = runnable().size();
  for (std::size_t k = 0; k < calls; ++k) expected.push_back(interpreter({operand})[0]);
  expected.push_back(w.value());
  w.set_value(start);
  for (std::size_t k = 0; k < calls; ++k) {
    const std::string cpu = runnable()[k];
    CAPTURE(cpu);
    CHECK(compile({y}, {.updates = updates, .cpu = cpu})({operand})[0].same_bits(expected[k]));
  }
  CHECK(w.value().same_bits(expected.back()));
}

TEST_CASE("the code is that of the CPU", "[cpu]") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {64, 64}, "x");
  for (const std::string& cpu : runnable()) {
    CAPTURE(cpu);
    const CpuTarget target = target_for(cpu, host_target());
    const std::string code = compile({matmul(x, x)}, {.cpu = cpu}).dump(Stage::assembly);
    CHECK((code.find("%zmm") != code.npos) == (target.vector_bytes == 64));
    CHECK((code.find("%ymm") != code.npos) >= (target.vector_bytes == 32));
    CHECK((code.find("vfmadd") != code.npos) == target.fma);
  }
}

TEST_CASE("mistakes about CPUs are found where the function is compiled", "[cpu]") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {2}, "x"), in = input(f32, {2}, "in");
  Model model(in, Dense(1)(in));
  require_reported({
      MISTAKE(compile({x * 2}, {.cpu = "znver33"}),
              "compile: unknown cpu 'znver33' (did you mean 'znver3'?); expected one of", "haswell", "znver4"),
      MISTAKE(compile({x * 2}, {.cpu = "sm_90"}), "compile: unknown cpu 'sm_90'"),
      MISTAKE(compile({x * 2}, {.cpu = " "}), "compile: unknown cpu ' '"),
      MISTAKE(compile({x * 2}, {.cpu = "i386"}), "compile: unknown cpu 'i386'"),
      MISTAKE(compile({x * 2}, {.backend = Backend::emulator, .cpu = "haswell"}),
              "compile: cpu 'haswell' is given for code of a CPU, and the backend is emulator"),
      MISTAKE(compile({x * 2}, {.backend = Backend::interpreter, .cpu = "haswell"}),
              "compile: cpu 'haswell' is given for code of a CPU, and the backend is interpreter"),
      MISTAKE(model.compile({.loss = mse, .cpu = "zen"}), "compile: unknown cpu 'zen'"),
      MISTAKE(model.compile({.loss = mse, .backend = Backend::emulator, .cpu = "haswell"}),
              "compile: cpu 'haswell' is given for code of a CPU, and the backend is emulator"),
  });
}
