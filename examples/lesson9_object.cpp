// Lesson 9: a model as an object file.
//
// compile_object() makes what a C or C++ program links to run and train a model without weft: one object file that
// needs no library, not even C's, and a header that says how to call it. docs/objects.md is about such programs.
#include <weft/weft.h>

#include <fstream>

using namespace weft;

int main() {
  // 1. A model, trained a little here; the object file begins with the weights and the optimiser's moments of now.
  Dataset all = data::digits({.train_count = 512, .test_count = 1}).train;
  Tensor image = input(f32, {784}, "image");
  Model model(image, Dense(10)(Dense(32, relu)(image)));
  model.compile({.optimizer = Adam{1e-3}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  model.fit(all, {.batch_size = 64, .epochs = 1, .verbose = 0});

  // 2. Two functions, each for 1 and for 64 rows: `predict`, and `step`, which trains on rows and their labels.
  ObjectFile file =
      model.compile_object({.batch = {1, 64}, .training = true, .object = {.name = "digits", .target = "multi"}});
  for (const ObjectFile::Function& f : file.functions) fmt::print("digits_{}\n", f.name);
  // prints: digits_step_1
  // prints: digits_step_64
  // prints: digits_predict_1
  // prints: digits_predict_64

  // 3. What it needs is known: of other code nothing, of memory a state, and a workspace during a call. Both are the
  // caller's.
  fmt::print("undefined symbols: {}, bytes of data that change: {}\n", file.contents.undefined.size(),
             file.contents.writable_bytes);
  // prints: undefined symbols: 0, bytes of data that change: 0
  fmt::print("a state is {} bytes\n", file.state_bytes);
  // prints: a state is

  // 4. `multi` is code for x86-64-v2, -v3 and -v4, of which the processor that runs it takes the best. The results are
  // the same bits on all, and those of this process: a C program may go on training where fit() stopped.
  std::ofstream("digits.o", std::ios::binary) << file.object;
  std::ofstream("digits.h") << file.header;
  std::ofstream("main.c") << file.demo;  // cc main.c digits.o && ./a.out

  // 5. So for any compiled function; it may have states of its own, which calls update.
  Tensor x = placeholder(f32, {4}, "x");
  Tensor level = state(Array::from<float>({0, 0, 0, 0}, {4}), "level");
  Executable smooth = compile({0.9f * level + 0.1f * x}, {.updates = {{level, 0.9f * level + 0.1f * x}}});
  ObjectFile filter = compile_object({{"smooth", smooth}}, {.name = "filter", .target = "x86-64-v2"});
  fmt::print("{}: {} defined symbols\n", filter.contents.format, filter.contents.defined.size());
  // prints: elf64-x86-64: 5 defined symbols

  // 6. A function of sequences as one of a frame at a time, which keeps what it needs of the earlier ones.
  const Tensor sound = placeholder(f32, {1, 64, 1}, "sound");
  const Tensor heard = Conv1D(8, 3, tanh, {.dilation = 4, .padding = Padding::causal})(sound);
  const Executable effect = compile({NamedTensor{"out", Dense(1)(LSTM(8, {.return_sequences = true})(heard))}});
  const ObjectFile stream =
      compile_object({{"effect", effect}}, {.name = "effect", .target = "x86-64-v2", .stream = 1});
  for (const ObjectFile::State& s : stream.states)
    if (s.name.starts_with("effect.")) fmt::print("{}: {}\n", s.name, to_string(s.type));
  // prints: effect.history.0: f32[1,8,1]
  // prints: effect.carry.1: f32[1,8]
  // prints: effect.carry.2: f32[1,8]
}
