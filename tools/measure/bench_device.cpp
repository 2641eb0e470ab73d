// Times launches on a device by themselves: no array crosses from or to the host meanwhile.
#include "tools/measure/bench_device.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "codegen/device.h"
#include "compiler/compilation.h"
#include "frontend/executable/compile.h"
#include "frontend/nn/activations.h"
#include "runtime/device/device_executor.h"
#include "tools/support/io.h"

namespace weft::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 5;              // of a measurement; the fastest counts
constexpr double kLeastSeconds = 0.01;  // of a round
constexpr int kMostRepeats = 1024;      // of a function in a graph
constexpr std::int64_t kCopyBytes = 512 << 20, kSmallCopyBytes = 1 << 16;

/// Seconds of one of the `repeats` that a call of `body` does: as many calls a round as take long enough.
template <class F>
double seconds_of(Device& device, int repeats, F&& body) {
  auto round = [&](int calls) {
    device.synchronize();
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) body();
    device.synchronize();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const double once = round(1);
  const int calls = once >= kLeastSeconds ? 1 : static_cast<int>(kLeastSeconds / std::max(once, 1e-6)) + 1;
  double best = once;
  for (int r = 0; r < kRounds; ++r) best = std::min(best, round(calls) / calls);
  return best / repeats;
}

double copy_seconds(const std::shared_ptr<Device>& device, std::int64_t bytes) {
  const DeviceBlock from(device, bytes), to(device, bytes);
  const std::vector<std::byte> zeros(static_cast<std::size_t>(bytes));
  device->upload(from.address(), zeros.data(), bytes);
  return seconds_of(*device, 1, [&] { device->copy(to.address(), from.address(), bytes); });
}

/// A program's launches with its buffers on the device, each in a block of its own.
class Launches {
 public:
  Launches(std::shared_ptr<Device> device, DeviceArtifact artifact)
      : device_(std::move(device)), artifact_(std::make_shared<const DeviceArtifact>(std::move(artifact))) {
    loaded_ = device_->load(artifact_);
    const BufferTable& p = *artifact_->memory;
    std::vector<DeviceAddress> address(p.buffers.size());
    for (std::size_t i = 0; i < p.buffers.size(); ++i) {
      const Buffer& b = p.buffers[i];
      if (b.kind == Buffer::view) continue;
      address[i] = allocate(byte_size(b.type));
      const Array values = b.literal ? *b.literal : operand(b.type);
      device_->upload(address[i], values.data(), static_cast<std::int64_t>(values.bytes()));
    }
    for (const DeviceLaunch& l : artifact_->launches) {
      std::vector<DeviceAddress>& globals = globals_.emplace_back();
      for (const BufferId id : l.buffers) globals.push_back(address[static_cast<std::size_t>(storage(p, id))]);
    }
  }
  void run() {
    for (std::size_t i = 0; i < globals_.size(); ++i) loaded_->launch(i, globals_[i]);
  }
  /// Of one run among many that a graph holds.
  double seconds(int repeats) {
    const auto graph = device_->record([&] {
      for (int r = 0; r < repeats; ++r) run();
    });
    return seconds_of(*device_, repeats, [&] { graph->launch(); });
  }
  /// Of one step among many of the persistent entry.
  double persistent_seconds(int steps) {
    std::vector<std::int64_t> table(2);  // the counter of arrivals, and what aligns the rows
    for (const auto& globals : globals_)
      for (const DeviceAddress a : globals) table.insert(table.end(), {static_cast<std::int64_t>(a), 0});
    const auto bytes = static_cast<std::int64_t>(table.size() * sizeof(std::int64_t));
    const DeviceAddress at = allocate(bytes);
    return seconds_of(*device_, steps, [&] {
      device_->upload(at, reinterpret_cast<const std::byte*>(table.data()), bytes);
      loaded_->launch_persistent(at + 2 * sizeof(std::int64_t), at, steps);
    });
  }
  std::int64_t blocks() const { return artifact_->launches[0].blocks; }

 private:
  /// Small numbers of both signs, the same in every run.
  static Array operand(const Type& type) {
    Array a(type);
    if (type.dtype != f32) return a;
    std::uint32_t state = 1;
    for (float& v : a.as<float>()) {
      state = state * 1664525 + 1013904223;
      v = static_cast<float>(static_cast<std::int32_t>(state >> 8) - (1 << 23)) * 0x1p-23F;
    }
    return a;
  }
  DeviceAddress allocate(std::int64_t bytes) { return blocks_.emplace_back(device_, bytes).address(); }

  std::shared_ptr<Device> device_;
  std::vector<DeviceBlock> blocks_;
  std::shared_ptr<const DeviceArtifact> artifact_;
  std::unique_ptr<DeviceProgram> loaded_;
  std::vector<std::vector<DeviceAddress>> globals_;  // of each launch
};

using Trace = std::function<Tensor()>;

std::shared_ptr<const Program> program_of(const Trace& trace, const GpuTarget& target) {
  GraphScope scope;
  // The interpreter's executable compiles nothing: only its graph is wanted.
  const Executable f = compile({trace()}, {.backend = Backend::interpreter, .numerics = target.numerics});
  PipelineOptions options;
  options.numerics = target.numerics;
  return Compilation(f.graph(), {Machine::gpu, {}, target}, options).program();
}

struct Result {
  std::string name;
  Numerics numerics = Numerics::exact;
  double seconds = 0, flops = 0, bytes = 0;
  double of_copy = 0;  // its rate of bytes over that of a copy
};

void print(const Result& r, const std::string& device, bool json) {
  if (!json)
    return print_line(fmt::format("{:<34} {:<5} {:>12.3f} us {:>10.1f} GFLOP/s {:>9.1f} GB/s{}", r.name,
                                  name(r.numerics), r.seconds * 1e6, r.flops / r.seconds * 1e-9,
                                  r.bytes / r.seconds * 1e-9,
                                  r.of_copy > 0 ? fmt::format("  {:.2f} of a copy", r.of_copy) : ""));
  nlohmann::ordered_json line;
  line["op"] = r.name;
  line["device"] = device;
  line["numerics"] = name(r.numerics);
  line["us"] = r.seconds * 1e6;
  line["gflops"] = r.flops / r.seconds * 1e-9;
  line["gb_s"] = r.bytes / r.seconds * 1e-9;
  if (r.of_copy > 0) line["of_copy"] = r.of_copy;
  print_line(line.dump());
}

struct Product {
  std::int64_t m, n, k;
};
constexpr Product kProducts[] = {{512, 512, 512}, {1024, 1024, 1024}, {4096, 4096, 4096}, {8192, 8192, 8192},
                                 {128, 512, 784}, {128, 256, 512},    {128, 10, 256},     {128, 256, 10},
                                 {256, 10, 128},  {128, 512, 256},    {512, 256, 128},    {784, 512, 128}};
constexpr Product kSmallProducts[] = {{64, 64, 64}, {128, 10, 256}};

struct Stream {
  const char* name;
  Tensor (*f)(const Tensor&);
};
// clang-format off
constexpr Stream kStreams[] = {
  {"x * 2 + 1",  [](const Tensor& x) { return x * 2 + 1; }},
  {"gelu",       [](const Tensor& x) { return gelu(x); }},
  {"tanh chain", [](const Tensor& x) { return tanh(x * 0.5 + 1) * x; }},
  {"softmax",    [](const Tensor& x) { return softmax(x); }},
  {"layer norm", [](const Tensor& x) { return layer_norm(x); }},
};
// clang-format on

/// Repeats that make a graph long enough to time, and no longer.
int repeats_for(double flops, double bytes, bool small) {
  if (small) return 1;
  const double guess = std::max(flops / 2e13, bytes / 2e12) + 2e-6;
  return std::clamp(static_cast<int>(kLeastSeconds / guess), 1, kMostRepeats);
}

}  // namespace

void bench_limits(const Placement& place, bool small, bool json) {
  const std::shared_ptr<PlacedDevice> on = device_at(place);
  Device& device = *on->device;
  const int nodes = small ? 8 : kMostRepeats;
  const DeviceCodegenOptions options{.ptx = place.backend == Backend::cuda, .persistent = true};
  auto add_one = [&](std::int64_t n) {
    const Trace trace = [n] { return placeholder(f32, {n}, "x") + 1; };
    return compile_device(*program_of(trace, on->target), on->target, options);
  };
  Launches launches(on->device, add_one(1));
  const double launch = seconds_of(device, nodes, [&] {
    for (int i = 0; i < nodes; ++i) launches.run();
  });
  print({"launch of one thread's work", Numerics::exact, launch}, device.name(), json);
  print({"the same as a node of a graph", Numerics::exact, launches.seconds(nodes)}, device.name(), json);
  print({"… as a step of a persistent kernel", Numerics::exact, launches.persistent_seconds(nodes)}, device.name(),
        json);
  Launches wide(on->device, add_one(std::int64_t{on->target.multiprocessors} * 256));
  print({fmt::format("… of {} blocks, with a grid barrier", wide.blocks()), Numerics::exact,
         wide.persistent_seconds(nodes)},
        device.name(), json);
  for (const std::int64_t bytes : {std::int64_t{4} << 10, std::int64_t{16} << 20, kCopyBytes}) {
    if (small && bytes > kSmallCopyBytes) break;
    const double seconds = copy_seconds(on->device, bytes);
    print({fmt::format("copy of {} KiB", bytes >> 10), Numerics::exact, seconds, 0, 2.0 * static_cast<double>(bytes)},
          device.name(), json);
  }
}

void bench_ops(const Placement& place, bool small, bool json) {
  const std::shared_ptr<PlacedDevice> on = device_at(place);
  Device& device = *on->device;
  auto time = [&](const std::string& name, Numerics numerics, const Trace& trace, double flops, double bytes,
                  double copy_rate) {
    GpuTarget target = on->target;
    target.numerics = numerics;
    Launches launches(on->device,
                      compile_device(*program_of(trace, target), target, {.ptx = place.backend == Backend::cuda}));
    Result r{name, numerics, launches.seconds(repeats_for(flops, bytes, small)), flops, bytes};
    if (copy_rate > 0) r.of_copy = bytes / r.seconds / copy_rate;
    print(r, device.name(), json);
  };
  for (const auto [m, n, k] : small ? std::span<const Product>(kSmallProducts) : std::span<const Product>(kProducts))
    for (const Numerics numerics : {Numerics::exact, Numerics::fast, Numerics::bf16}) {
      const Trace product = [&] { return matmul(placeholder(f32, {m, k}, "x"), placeholder(f32, {k, n}, "y")); };
      const double flops = 2.0 * static_cast<double>(m * n) * static_cast<double>(k);
      time(fmt::format("contract {}x{}x{}", m, n, k), numerics, product, flops,
           4.0 * static_cast<double>(m * k + k * n + m * n), 0);
    }
  const std::int64_t copied = small ? kSmallCopyBytes : kCopyBytes, columns = 1024, rows = copied / 4 / columns;
  const double bytes = 2.0 * static_cast<double>(copied), rate = bytes / copy_seconds(on->device, copied);
  for (const Stream& s : kStreams)
    time(
        fmt::format("{} [{}, {}]", s.name, rows, columns), Numerics::exact,
        [&] {
          return s.f(placeholder(f32, {rows, columns}, "x"));
        },
        0, bytes, rate);
}

}  // namespace weft::tools
