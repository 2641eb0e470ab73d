// From a traced model to a training step that is ready, for the reference MLP: without and with the object cache.
#include "bench/bench.h"
#include "tools/scratch_cache.h"

namespace weft::bench {
namespace {

void compile_step(benchmark::State& state) {
  for (auto _ : state) {
    Model model = mlp();
    const Executable step = model.training_step({{u8, {4096, 784}}}, {{i32, {4096}}}, 128);
    step.prepare(128);
  }
}

void cold(benchmark::State& state) {
  setenv("WEFT_CACHE", "0", 1);
  compile_step(state);
}
BENCHMARK(cold)->Unit(benchmark::kMillisecond)->UseRealTime();

void cached(benchmark::State& state) {
  const tools::ScratchCache cache;
  mlp().training_step({{u8, {4096, 784}}}, {{i32, {4096}}}, 128).prepare(128);
  compile_step(state);
}
BENCHMARK(cached)->Unit(benchmark::kMillisecond)->UseRealTime();

/// What both have in common and is no compilation: the model with its initial weights.
void build_model(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(mlp());
}
BENCHMARK(build_model)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace weft::bench
