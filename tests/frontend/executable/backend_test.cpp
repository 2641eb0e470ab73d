// Backends: their names, what they say of themselves, data that stays on a device, and a GPU that is not there.
#include "compiler/backend.h"

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// The driver's library as the environment names it, for the length of a scope.
class DriverLibrary {
 public:
  explicit DriverLibrary(const char* path) { ::setenv("WEFT_CUDA_LIBRARY", path, 1); }
  ~DriverLibrary() { ::unsetenv("WEFT_CUDA_LIBRARY"); }
};

}  // namespace

TEST_CASE("backends have names") {
  for (const Backend b : {Backend::cpu, Backend::cuda, Backend::emulator, Backend::interpreter})
    CHECK(backend_named(name(b)) == b);
  const DriverLibrary none("/nowhere/libcuda.so");
  CHECK(backend_named("auto") == Backend::cpu);
  CHECK(error_of([] { backend_named("tpu"); }) == "expected cpu, cuda, emulator, interpreter or auto, found 'tpu'");
}

TEST_CASE("compiling for a GPU that is not there says why it is not") {
  const DriverLibrary none("/nowhere/libcuda.so");
  GraphScope graph;
  const Tensor x = placeholder(f32, {2}, "x");
  CHECK(error_of([&] {
          compile({x * 2}, {.backend = Backend::cuda});
        }).starts_with("cuda: no driver: /nowhere/libcuda.so: cannot open shared object file"));
}

TEST_CASE("an executable says where it runs") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {2}, "x");
  const Executable cpu = compile({x * 2}, {.threads = 2}),
                   emulator = compile({x * 2}, {.backend = Backend::emulator, .threads = 2}),
                   checked = compile({x * 2}, {.backend = Backend::emulator, .check = true}),
                   interpreter = compile({x * 2}, {.backend = Backend::interpreter});
  CHECK(cpu.device() == "cpu");
  CHECK(cpu.threads() == 2);
  CHECK(emulator.device() == "emulator, 2 threads");
  CHECK(emulator.threads() == 2);
  CHECK(emulator.backend() == Backend::emulator);
  CHECK(checked.device() == "emulator, 1 thread, checking");
  CHECK(checked.threads() == 1);
  CHECK(interpreter.device() == "interpreter");
  CHECK(interpreter.threads() == 1);
  CHECK(emulator.memory().input_bytes == 8);
}

TEST_CASE("a resident array is read when it is first used under its promise") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {2}, "x");
  for (const Backend backend : {Backend::cpu, Backend::emulator}) {
    const Executable exe = compile({x * 2}, {.backend = backend});
    const Array data = f({1, 2}, {2});
    CHECK(exe.run_steps(1, {resident(data)}).outputs[0].same_bits(f({2, 4}, {1, 2})));
    data.as<float>()[0] = 10;  // the promise above is over
    CHECK(exe.run_steps(1, {resident(data)}).outputs[0].same_bits(f({20, 4}, {1, 2})));
    data.as<float>()[0] = 20;  // none was given
    CHECK(exe.run_steps(1, {data}).outputs[0].same_bits(f({40, 4}, {1, 2})));
    data.as<float>()[0] = 30;
    CHECK(exe({data})[0].same_bits(f({60, 4}, {2})));
  }
}

TEST_CASE("fit looks at its data afresh") {
  std::vector<std::map<std::string, Array>> weights;
  for (const Backend backend : {Backend::cpu, Backend::emulator}) {
    GraphScope graph;
    set_seed(1);
    const Tensor x = input(f32, {2});
    Model model(x, Dense(1)(x));
    model.compile({.optimizer = SGD{0.1}, .loss = mse, .backend = backend});
    const Array points = f({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}), values = f({0, 1, 1, 2}, {4, 1});
    model.fit(points, values, {.batch_size = 2, .epochs = 3, .verbose = 0});
    points.as<float>()[0] = 5;
    values.as<float>()[0] = 5;
    model.fit(points, values, {.batch_size = 2, .epochs = 3, .verbose = 0});
    weights.push_back(model.weights());
  }
  for (const auto& [name, value] : weights[0]) CHECK(value.same_bits(weights[1].at(name)));
}
