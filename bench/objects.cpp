// Object files beside compiled functions in one process: the same bits after an epoch, time of a step, latency of a
// call.
//   bench_objects epoch [TARGET…]   trains the reference MLP on MNIST by fit() and by each object
//   bench_objects latency [CALLS]   one row through it: percentiles, alone and four instances at once
#include <dlfcn.h>
#include <weft/weft.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "runtime/files/safetensors.h"

namespace weft::bench {
namespace {

using Clock = std::chrono::steady_clock;
double us_since(Clock::time_point t) { return std::chrono::duration<double, std::micro>(Clock::now() - t).count(); }

const std::filesystem::path kFolder = std::filesystem::temp_directory_path() / fmt::format("weft-objects-{}", getpid());

/// An object in this process, as `cc -shared` links it.
class Linked {
 public:
  explicit Linked(const ObjectFile& file) : file_(file) {
    static int count = 0;
    const std::string stem = (kFolder / fmt::format("m{}", count++)).string();
    std::ofstream(stem + ".o", std::ios::binary) << file.object;
    if (std::system(fmt::format("cc -shared -nostdlib -o {0}.so {0}.o", stem).c_str()) != 0)
      fail("cannot link {}.o", stem);
    library_ = dlopen((stem + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library_) fail("{}", dlerror());
  }
  template <class F>
  F* function(const std::string& name) const {
    return reinterpret_cast<F*>(dlsym(library_, ("m_" + name).c_str()));
  }
  const ObjectFile& file() const { return file_; }

 private:
  ObjectFile file_;
  void* library_;
};
using Init = std::int32_t(void*);
using Read = std::int32_t(const void*, std::int32_t, void*);
using Call = std::int32_t(void*, const void*, const void*, void*);

Array lines(std::int64_t bytes) { return Array(Type{u8, {std::max<std::int64_t>(bytes, 64)}}); }

/// The states after an epoch, by name, and the median time of a step in ms.
std::pair<std::map<std::string, Array>, double> epoch(const Linked& object, const Dataset& d, std::int64_t batch) {
  const ObjectFile& file = object.file();
  const Array state = lines(file.state_bytes),
              workspace =
                  lines(std::ranges::max(file.functions, {}, &ObjectFile::Function::workspace_bytes).workspace_bytes);
  const std::int64_t n = d.x.shape()[0], pixels = d.x.size() / n;
  Array image(Type{f32, {batch, pixels}});
  float loss = 0;
  std::vector<double> times;
  if (object.function<Init>("init")(state.data()) != 0) fail("init");
  for (std::int64_t begin = 0; begin < n; begin += batch) {
    const std::int64_t rows = std::min(batch, n - begin);
    const std::uint8_t* from = d.x.as<std::uint8_t>().data() + begin * pixels;
    for (std::int64_t i = 0; i < rows * pixels; ++i)
      image.as<float>()[static_cast<std::size_t>(i)] = static_cast<float>(from[i]) * static_cast<float>(1.0 / 255);
    const void* in[] = {image.data(), d.y.as<std::int32_t>().data() + begin};
    void* out[] = {&loss, nullptr};
    Call* step = object.function<Call>(fmt::format("step_{}", rows));
    const auto start = Clock::now();
    if (step(state.data(), in, out, workspace.data()) != 0) fail("step");
    times.push_back(us_since(start) / 1e3);
  }
  std::map<std::string, Array> states;
  for (std::size_t i = 0; i < file.states.size(); ++i) {
    Array value(file.states[i].type);
    if (object.function<Read>("read")(state.data(), static_cast<std::int32_t>(i), value.data()) != 0) fail("read");
    states.emplace(file.states[i].name, value);
  }
  std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
  return {states, times[times.size() / 2]};
}

void compare_epoch(const std::vector<std::string>& targets) {
  constexpr std::int64_t kBatch128 = 128;
  const Dataset d = data::mnist().train;
  const std::int64_t rest = d.x.shape()[0] % kBatch128;
  std::vector<std::int64_t> batches{kBatch128};
  if (rest > 0) batches.push_back(rest);
  Model model = mlp(0, {.loss = softmax_cross_entropy, .metrics = {accuracy}, .threads = 1});
  std::vector<Linked> objects;
  for (const std::string& target : targets)
    objects.emplace_back(
        model.compile_object({.batch = batches, .training = true, .object = {.name = "m", .target = target}}));
  const History history = model.fit(d, {.batch_size = kBatch128, .epochs = 1, .shuffle = false, .verbose = 0});
  const std::string saved = (kFolder / "fit.safetensors").string();
  model.save(saved);
  const Checkpoint expected = load_safetensors(saved);
  fmt::print("fit: {} rows, {:.3f} ms a step, 1 thread\n", d.x.shape()[0], history.step_ms[0]);
  for (std::size_t t = 0; t < targets.size(); ++t) {
    const auto [states, ms] = epoch(objects[t], d, kBatch128);
    std::size_t same = 0, other = 0;
    std::string differ;
    for (const NamedArray& a : expected.arrays) {
      const auto found = states.find(a.name);
      if (found == states.end())
        ++other;
      else if (found->second.same_bits(a.value))
        ++same;
      else
        differ += " " + a.name;
    }
    const ObjectContents& c = objects[t].file().contents;
    fmt::print(
        "{}: {:.3f} ms a step, {:.3f} of fit's; {} arrays of the checkpoint have the same bits, {} are not in the "
        "object, these differ:{}; code {} bytes, undefined {}\n",
        targets[t], ms, ms / history.step_ms[0], same, other, differ.empty() ? " none" : differ, c.code_bytes,
        c.undefined.size());
  }
}

void print_percentiles(const std::string& what, std::vector<float> us) {
  std::ranges::sort(us);
  const auto at = [&](double p) { return us[static_cast<std::size_t>(p * static_cast<double>(us.size() - 1))]; };
  fmt::print("{}: p50 {:.2f} us, p99 {:.2f}, p99.9 {:.2f}, most {:.1f}\n", what, at(0.5), at(0.99), at(0.999),
             us.back());
}

void latency(std::int64_t calls) {
  const Model model = mlp(0, {.loss = softmax_cross_entropy, .metrics = {accuracy}, .threads = 1});
  const Linked object(model.compile_object({.object = {.name = "m"}}));
  Array image(Type{f32, {1, 784}});
  for (std::int64_t i = 0; i < 784; ++i) image.as<float>()[static_cast<std::size_t>(i)] = static_cast<float>(i % 7) / 7;
  Call* predict = object.function<Call>("predict");
  const auto run = [&] {
    const Array state = lines(object.file().state_bytes), workspace = lines(object.file().functions[0].workspace_bytes);
    object.function<Init>("init")(state.data());
    float scores[10];
    const void* in[] = {image.data()};
    void* out[] = {scores};
    std::vector<float> us(static_cast<std::size_t>(calls));
    for (float& t : us) {
      const auto start = Clock::now();
      predict(state.data(), in, out, workspace.data());
      t = static_cast<float>(us_since(start));
    }
    return us;
  };
  print_percentiles("object", run());
  std::vector<std::vector<float>> of(4);
  {
    std::vector<std::jthread> threads;
    const auto start = Clock::now();
    for (auto& us : of) threads.emplace_back([&] { us = run(); });
    threads.clear();
    fmt::print("4 instances on 4 threads: {:.0f} calls/s\n", 4e6 * static_cast<double>(calls) / us_since(start));
  }
  for (const auto& us : of) print_percentiles("  one of them", us);
}

int main_of(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  std::filesystem::create_directories(kFolder);
  if (what == "epoch") {
    std::vector<std::string> targets(argv + 2, argv + argc);
    compare_epoch(targets.empty() ? std::vector<std::string>{"native", "x86-64-v2", "multi"} : targets);
  } else if (what == "latency") {
    latency(argc > 2 ? std::atoll(argv[2]) : 1'000'000);
  } else {
    fmt::print(stderr, "bench_objects epoch [TARGET…] | latency [CALLS]\n");
    return 2;
  }
  std::filesystem::remove_all(kFolder);
  return 0;
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) { return weft::bench::main_of(argc, argv); }
