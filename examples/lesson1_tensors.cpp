// Lesson 1: tensors and compile().
//
// A Tensor holds no numbers. It is a value in a graph that your program is writing down: every operator adds a node,
// works out its type at once, and computes nothing. compile() then turns the graph into machine code, and *that* is
// called with numbers.
//
// Each `// prints:` comment is checked when the tests run, so what it says is what you get.
#include <weft/weft.h>

using namespace weft;

int main() {
  // 1. Write a function down. A placeholder is an argument of exactly this shape.
  Tensor x = placeholder(f32, {2, 3}, "x");
  Tensor w = placeholder(f32, {3, 2}, "w");
  Tensor y = relu(matmul(x, w) - 1);  // numbers and smaller shapes are broadcast, as in NumPy
  fmt::print("y is {}\n", y.str());   // prints: y is f32[2,2] (…lesson1_tensors.cpp:16:

  // 2. Compile it. Arguments are the inputs in order of creation; results come back as a list of arrays.
  Executable f = compile({y});
  Array a = Array::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  Array b = Array::from<float>({1, 0, 0, 1, -1, 0}, {3, 2});
  Array result = f({a, b})[0];
  for (float v : result.as<float>()) fmt::print("{} ", v);  // prints: 0 1 0 4
  fmt::print("\n");

  // 3. An input() describes one sample: a batch extent, printed `?`, is put in front of its shape. One graph then serves
  //    every batch size; each size is compiled when it is first used.
  Tensor image = input(f32, {3}, "image");
  Executable norm = compile({sqrt(sum(square(image), -1))});
  fmt::print("image is {}\n", to_string(image.type()));  // prints: image is f32[?,3]
  Array batch = Array::from<float>({3, 4, 0, 0, 5, 12}, {2, 3});
  Array lengths = norm({batch})[0];
  for (float v : lengths.as<float>()) fmt::print("{} ", v);  // prints: 5 13
  fmt::print("\n");

  // 4. Mistakes are reported where you made them: your file, your line, the shapes, and where those came from.
  try {
    matmul(x, image);
  } catch (const Error& error) {
    fmt::print("{}\n", error.what());  // prints: lesson1_tensors.cpp:39:…matmul: inner extents differ: 3 and ?
  }
}
