// Models of sequences as objects that take a few frames a call, with the bits of the whole sequence.
#include "catch.h"
#include "compiler/linked_object.h"
#include "error_of.h"
#include "frontend/executable/object.h"
#include "frontend/nn/activations.h"
#include "frontend/nn/convolution.h"
#include "frontend/nn/layers.h"
#include "frontend/nn/recurrent.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// A stack of gated causal convolutions with residuals (van den Oord et al. 2016, arXiv:1609.03499): [1,n,1] ->
/// [1,n,1].
Tensor wavenet(const Tensor& audio) {
  Tensor x = Dense(6)(audio);
  Tensor skipped;
  for (const std::int64_t dilation : {1, 2, 4, 8, 1, 2}) {
    const ConvLayerOptions options{.dilation = dilation, .padding = Padding::causal};
    const Tensor gated = tanh(Conv1D(6, 2, linear, options)(x)) * sigmoid(Conv1D(6, 2, linear, options)(x));
    const Tensor skip = Dense(6)(gated);
    skipped = skipped.defined() ? skipped + skip : skip;
    x = x + skip;
  }
  return Dense(1)(relu(skipped));
}

/// As for guitar amplifiers (Wright et al. 2020): an LSTM and the dry signal.
Tensor amplifier(const Tensor& audio) { return audio + Dense(1)(LSTM(8, {.return_sequences = true})(audio)); }

}  // namespace

TEST_CASE("WaveNet and an LSTM as streams give the bits of the whole sequence") {
  constexpr std::int64_t kFrames = 60;
  for (Tensor (*model)(const Tensor&) : {wavenet, amplifier}) {
    GraphScope graph;
    set_seed(3);
    const Tensor audio = placeholder(f32, {1, kFrames, 1}, "audio");
    const Executable whole = compile({NamedTensor{"out", model(audio)}});
    Array x(Type{f32, {1, kFrames, 1}});
    float next = 0.3f;
    for (float& v : x.as<float>()) v = 2 * (next = 3.9f * next * (1 - next)) - 1;
    const Array expected = whole({x})[0];
    for (const std::int64_t frames : {1, 4, 20}) {
      CAPTURE(frames);
      const ObjectFile file =
          compile_object({{"f", whole}}, {.name = "s", .tasks = 2, .stream = 1, .frames = {frames}});
      CHECK(file.contents.undefined.empty());
      const LinkedObject object(file, "s");
      REQUIRE(object.init() == 0);
      Array found(expected.type());
      for (std::int64_t t = 0; t < kFrames; t += frames)
        REQUIRE(object.call(0, {x.data() + 4 * t}, {found.data() + 4 * t}) == 0);
      CHECK(found.same_bits(expected));
    }
  }
}

TEST_CASE("streams of one frame and of several go on with each other, and begin anew") {
  constexpr std::int64_t kFrames = 12;
  GraphScope graph;
  set_seed(4);
  const Tensor audio = placeholder(f32, {1, kFrames, 1}, "audio");
  const Executable whole = compile({NamedTensor{"out", wavenet(audio)}});
  Array x(Type{f32, {1, kFrames, 1}});
  for (std::size_t t = 0; t < kFrames; ++t) x.as<float>()[t] = 0.1f * static_cast<float>(t) - 0.5f;
  const Array expected = whole({x})[0];
  const LinkedObject object(compile_object({{"f", whole}}, {.name = "s", .stream = 1, .frames = {1, 4}}), "s");
  REQUIRE(object.init() == 0);
  for (int sequence = 0; sequence < 2; ++sequence) {
    Array found(expected.type());
    std::int64_t t = 0;
    for (const std::int64_t frames : {1, 4, 1, 1, 4, 1}) {
      REQUIRE(object.call(frames == 1 ? 0 : 1, {x.data() + 4 * t}, {found.data() + 4 * t}) == 0);
      t += frames;
    }
    CHECK(found.same_bits(expected));
    REQUIRE(reinterpret_cast<std::int32_t (*)(void*)>(object.symbol("restart"))(object.state()) == 0);
  }
}

TEST_CASE("an error of a stream names the user's line") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {1, 8, 2}, "x");
  const Executable f = compile({x - mean(x, {1})});
  const std::string message = error_of([&] { compile_object({{"f", f}}, {.stream = 1}); });
  CHECK(message.find("stream_object_test.cpp:") != std::string::npos);
  CHECK(message.find("stream: reduce_sum: it is over all frames") != std::string::npos);
}
