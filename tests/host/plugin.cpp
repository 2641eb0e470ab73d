// weft in a shared library: trains a little, and says whether that was right.
#include <weft/weft.h>

using namespace weft;

namespace {

bool works() {
  const GraphScope scope;
  const Tensor x = placeholder(f32, {64, 64}, "x"), w = parameter({64, 64}, ones());
  const Tensor y = sum(weft::tanh(matmul(x, w)));
  const Executable f = compile({y, grad(y, {w})[0]});
  const auto r = f({Array::filled({f32, {64, 64}}, 0.001)});
  bool failed = false;
  try {
    matmul(x, placeholder(f32, {4}));
  } catch (const Error&) {  // the type of an exception, across libraries
    failed = true;
  }
  return failed && std::abs(r[0].item<float>() - 261.786) < 1e-2 && !f.dump(Stage::assembly).empty();
}

}  // namespace

extern "C" [[gnu::visibility("default")]] bool weft_works() {
  try {
    return works();
  } catch (const Error& e) {
    return fmt::print("{}\n", e.what()), false;
  }
}
