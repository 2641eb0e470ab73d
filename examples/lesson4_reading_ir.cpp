// Lesson 4: reading the IR, stage by stage.
//
// Nothing that weft does to a program is hidden: each stage prints as text. This lesson follows one training step of a
// tiny classifier through them. `weft dump mlp --emit …` does the same for the built-in model, and `weft opt` reads the
// text back.
#include <weft/weft.h>

using namespace weft;

namespace {

std::size_t count(const std::string& text, std::string_view word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++n;
  return n;
}

}  // namespace

int main() {
  Tensor x = placeholder(f32, {64, 20}, "x");
  Tensor label = placeholder(i32, {64}, "label");
  Tensor w = parameter({20, 4}, glorot_uniform(), "w");
  Tensor b = parameter({4}, zeros(), "b");
  Tensor loss = mean(softmax_cross_entropy(matmul(x, w) + b, label));
  std::vector<Tensor> g = grad(loss, {w, b});
  Executable step = compile({{"loss", loss}}, {.updates = {{w, w - 0.1 * g[0]}, {b, b - 0.1 * g[1]}}, .name = "step"});

  // Stage 1, the graph as traced: one line a value, `%name = op operands {attributes} : type`. `state %w` is kept
  // between calls, `update %w = …` says what it holds afterwards.
  std::string graph = step.dump(Stage::graph);
  fmt::print("--- graph\n{}\n", graph);
  // prints: func @step(
  // prints: state %w: f32[20,4]
  // prints: contract
  // prints: update %w =

  // Stage 2, optimised: the same function after simplification and fusion. Each `kernel` is a group of nodes that run
  // as one loop nest, with only its results in memory.
  std::string optimized = step.dump(Stage::optimized);
  fmt::print("--- optimized\n{}\n", optimized);
  // prints: --- optimized
  // prints: kernel @

  // Stage 3, the kernel IR: named axes, loads and stores with affine indices, phases, and the schedule chosen for this
  // CPU.
  std::string kernels = step.dump(Stage::kernels);
  fmt::print("--- kernels\n{}\n", kernels);
  // prints: --- kernels

  // Stages 4 and 5 are LLVM IR and the machine's own assembly; too long to print here.
  std::string assembly = step.dump(Stage::assembly);
  fmt::print("{} lines of LLVM IR, {} lines of assembly, {} fused multiply-adds\n", count(step.dump(Stage::llvm), "\n"),
             count(assembly, "\n"), count(assembly, "fmadd"));
  // prints: lines of LLVM IR

  // Memory is planned before the first run.
  const MemoryReport memory = step.memory();
  fmt::print("memory: {} bytes of states, {} of temporaries\n", memory.state_bytes, memory.arena_bytes);
  // prints: memory: 336 bytes of states
}
