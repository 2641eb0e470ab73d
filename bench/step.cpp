// The training step of the reference MLP at several batch sizes.
#include "bench/bench.h"

namespace weft::bench {
namespace {

constexpr std::int64_t kSamples = 4096;
const Type kImages{u8, {kSamples, 784}}, kLabels{i32, {kSamples}};

void train_step(benchmark::State& state) {
  const std::int64_t batch = state.range(0);
  Model model = mlp();
  const Executable step = model.training_step({kImages}, {kLabels}, batch);
  Array indices(Type{i32, {batch}});
  for (std::int64_t i = 0; i < batch; ++i)
    indices.as<std::int32_t>()[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i * 31 % kSamples);
  time_calls(state, step, {Array(kImages), Array(kLabels), indices}, 0, 0);
  state.counters["samples/s"] =
      benchmark::Counter(static_cast<double>(batch), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(train_step)->Arg(32)->Arg(128)->Arg(512)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace weft::bench
