// From a traced model to a training step that is ready, for the reference MLP: without and with the object cache.
#include "bench/bench.h"
#include "tools/measure/scratch_cache.h"

namespace weft::bench {
namespace {

/// From the model, which is new each time: one that is compiled is not compiled again.
void prepare(Model model) { model.training_step({{u8, {4096, 784}}}, {{i32, {4096}}}, 128).prepare(128); }
void prepare_repeatedly(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    Model model = mlp();
    state.ResumeTiming();
    prepare(model);
  }
}

void cold(benchmark::State& state) {
  setenv("WEFT_CACHE", "0", 1);
  prepare_repeatedly(state);
}
BENCHMARK(cold)->Unit(benchmark::kMillisecond)->UseRealTime();

void cached(benchmark::State& state) {
  const tools::ScratchCache cache;
  prepare(mlp());
  prepare_repeatedly(state);
}
BENCHMARK(cached)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace weft::bench
