// Streams: what comes out frame by frame is what comes out of the whole sequence, bit for bit.
#include "passes/transform/stream.h"

#include <cstring>

#include "catch.h"
#include "error_of.h"
#include "ir/graph/body.h"
#include "ir/graph/build.h"
#include "passes/graph/fold.h"
#include "random_graph.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr std::int64_t kFrames = 24, kChannels = 3;

/// Builds what the input x: f32[1,24,3] becomes; time is axis 1.
struct Row {
  const char* name;
  ValueId (*build)(Builder& b, ValueId x);
};

ValueId weight(Builder& b, const Shape& shape) {
  Array w(Type{f32, shape});
  float next = 0.3f;
  for (float& v : w.as<float>()) v = next = 3.7f * next * (1 - next) - 0.1f;
  return b.constant(w);
}

/// A convolution along time, with `low` zeros before it: [1,n,c] -> [1,n + low - (taps - 1) * dilation,filters].
ValueId conv(Builder& b, ValueId x, std::int64_t taps, std::int64_t dilation, std::int64_t low, std::int64_t high = 0) {
  if (low + high > 0) x = b.pad(x, b.scalar(f32, 0), {0, low, 0}, {0, high, 0});
  const ValueId w = b.window(x, {1}, {taps}, {}, {dilation});  // [1,n,c,taps]
  return b.contract(w, weight(b, {kChannels, taps, kChannels}), {2, 3}, {0, 1});
}
ValueId causal(Builder& b, ValueId x, std::int64_t taps, std::int64_t dilation) {
  return conv(b, x, taps, dilation, (taps - 1) * dilation);
}
ValueId relu(Builder& b, ValueId x) { return b.op(Op::max, {x, b.like(x, 0)}); }
ValueId cut(Builder& b, ValueId x, std::int64_t first, std::int64_t limit) {
  return b.slice(x, {0, first, 0}, {1, limit, kChannels}, {1, 1, 1});
}
ValueId frames_first(Builder& b, ValueId x) { return b.reshape(x, {b.type(x).shape[1], kChannels}); }

/// s = 0.5 s + x, along axis 0 of x; the s of all turns.
ValueId leaky(Builder& b, ValueId x, ValueId first, bool reverse) {
  Graph body;
  body.name = "turn";
  const LocSet here = LocSet::of(std::source_location::current());
  const ValueId s = body.input("s", Type{f32, {kChannels}}, InputKind::data, here),
                t = body.input("t", Type{f32, {kChannels}}, InputKind::data, here);
  Builder inner{body, here};
  const ValueId sum = inner.add(inner.mul(s, inner.like(s, 0.5)), t);
  body.output("s", sum), body.output("y", sum);
  Attrs attrs{
      {Attr::carries, {1}}, {Attr::slices, {1}}, {Attr::length, {b.type(x).shape[0]}}, {Attr::reverse, {reverse}}};
  attrs.bodies = {make_body(std::move(body))};
  return b.op(Op::result, {b.op(Op::scan, {first, x}, attrs)}, Attrs::index(1));
}
ValueId leaky(Builder& b, ValueId x, double first = 0) {
  return leaky(b, x, b.fill(Type{f32, {kChannels}}, first), false);
}

const Row kRows[] = {
    {"a dense layer",
     [](Builder& b, ValueId x) {
       const ValueId y = b.contract(x, weight(b, {kChannels, 5}), {2}, {0});
       return b.add(y, b.broadcast(weight(b, {5}), b.type(y).shape, {2}));
     }},
    {"a causal convolution", [](Builder& b, ValueId x) { return causal(b, x, 3, 2); }},
    {"two, with a residual and a gate",
     [](Builder& b, ValueId x) {
       const ValueId y = b.mul(b.op(Op::tanh, {causal(b, x, 2, 1)}), b.op(Op::exp, {causal(b, x, 2, 4)}));
       return b.add(causal(b, y, 3, 3), x);
     }},
    {"a window that is larger than the frames before it", [](Builder& b, ValueId x) { return causal(b, x, 3, 11); }},
    {"padding whose value is changed before the window",
     [](Builder& b, ValueId x) {
       const ValueId padded = b.pad(x, b.scalar(f32, 0.25), {0, 4, 0}, {0, 0, 0});
       return conv(b, b.op(Op::exp, {b.mul(padded, b.like(padded, 0.5))}), 3, 2, 0);
     }},
    {"windows without padding come late",
     [](Builder& b, ValueId x) {
       const ValueId y = relu(b, conv(b, x, 3, 2, 0));
       return b.add(conv(b, y, 2, 1, 0), cut(b, x, 5, kFrames));
     }},
    {"windows that look ahead come late",
     [](Builder& b, ValueId x) { return conv(b, conv(b, x, 3, 1, 1, 1), 5, 1, 2, 2); }},
    {"padding of what comes late",
     [](Builder& b, ValueId x) {
       const ValueId late = b.pad(conv(b, x, 4, 1, 0), b.scalar(f32, 9), {0, 2, 0}, {0, 5, 0});
       return conv(b, late, 2, 3, 1);
     }},
    {"two paddings of one value",
     [](Builder& b, ValueId x) {
       const auto later = [&](double v) {
         return cut(b, b.pad(x, b.scalar(f32, v), {0, 1, 0}, {0, 0, 0}), 0, kFrames);
       };
       return b.op(Op::concat, {later(1), later(2), conv(b, x, 2, 1, 1), later(1)}, Attrs::axis(2));
     }},
    {"differences",
     [](Builder& b, ValueId x) {
       const ValueId before = cut(b, b.pad(x, b.scalar(f32, 1), {0, 1, 0}, {0, 0, 0}), 0, kFrames);
       return b.sub(x, before);
     }},
    {"differences of what comes late",
     [](Builder& b, ValueId x) { return b.sub(cut(b, x, 3, kFrames), cut(b, x, 1, kFrames - 2)); }},
    {"concat before",
     [](Builder& b, ValueId x) {
       return conv(b, b.op(Op::concat, {b.fill({f32, {1, 2, kChannels}}, -1), x}, Attrs::axis(1)), 3, 1, 0);
     }},
    {"concat of channels, one of them later",
     [](Builder& b, ValueId x) {
       return b.op(Op::concat, {x, causal(b, x, 2, 2), b.fill({f32, {1, kFrames, 2}}, 7)}, Attrs::axis(2));
     }},
    {"time along other axes",
     [](Builder& b, ValueId x) {
       const ValueId t = b.transpose(x, {1, 2, 0});                           // [n,c,1]
       const ValueId y = b.contract(weight(b, {4, kChannels}), t, {1}, {1});  // [4,n,1]
       return b.add(y, b.broadcast(b.reshape(b.reduce(Op::reduce_max, b.transpose(t, {2, 0, 1}), 2), {kFrames}),
                                   {4, kFrames, 1}, {1}));
     }},
    {"a matrix for each frame",
     [](Builder& b, ValueId x) {
       const ValueId t = frames_first(b, x),
                     fixed = b.broadcast(weight(b, {kChannels, 2}), {kFrames, kChannels, 2}, {1, 2});
       const ValueId one = b.contract(t, fixed, {1}, {1}, {0}, {0});
       return b.contract(b.reshape(one, {kFrames, 2, 1}), b.reshape(t, {kFrames, 1, kChannels}), {2}, {1}, {0}, {0});
     }},
    {"a table",
     [](Builder& b, ValueId x) {
       const ValueId k = b.convert(b.mul(x, b.like(x, 3)), i32);
       return b.op(Op::gather, {weight(b, {2, 4, 2}), k}, Attrs::axis(1));  // [2,1,n,c,2]
     }},
    {"chosen channels",
     [](Builder& b, ValueId x) {
       return b.op(Op::gather, {x, b.constant(Array::from<std::int32_t>({2, 0, 2, 1}, {2, 2}))}, Attrs::axis(2));
     }},
    {"the largest channel", [](Builder& b, ValueId x) { return b.reduce(Op::arg_max, x, 2); }},
    {"a loop over frames", [](Builder& b, ValueId x) { return leaky(b, frames_first(b, x), 0.75); }},
    {"two loops around a convolution",
     [](Builder& b, ValueId x) {
       const ValueId y = b.reshape(leaky(b, frames_first(b, x)), {1, kFrames, kChannels});
       return leaky(b, frames_first(b, causal(b, y, 3, 2)), 1.0);
     }},
};

struct Streaming {
  Graph whole;
  Streamed stream;
};
Streaming streaming(ValueId (*build)(Builder&, ValueId), std::int64_t frames) {
  Graph g;
  g.name = "f";
  const LocSet here = LocSet::of(std::source_location::current());
  const ValueId x = g.input("x", Type{f32, {1, kFrames, kChannels}}, InputKind::data, here);
  Builder b{g, here};
  g.output("y", build(b, x));
  return {g, stream(g, 1, frames)};
}

int time_axis(const Shape& whole, const Shape& part) {
  for (int i = 0; i < whole.rank(); ++i)
    if (whole[i] != part[i]) return i;
  return -1;
}

/// Elements of frame `t` along an axis.
std::vector<std::byte> frame(const Array& a, int axis, std::int64_t t) {
  Shape before(std::span(a.shape().begin(), static_cast<std::size_t>(axis)));
  const std::int64_t outer = element_count(before), n = a.shape()[axis];
  const std::int64_t inner = static_cast<std::int64_t>(a.bytes()) / (outer * n);
  std::vector<std::byte> bytes;
  for (std::int64_t o = 0; o < outer; ++o) {
    const std::byte* first = a.data() + (o * n + t) * inner;
    bytes.insert(bytes.end(), first, first + inner);
  }
  return bytes;
}

}  // namespace

TEST_CASE("a stream gives the frames of the whole sequence, bit for bit") {
  for (const Row& row : kRows)
    for (const std::int64_t frames : {1, 2, 5, 8}) {
      CAPTURE(row.name, frames);
      const auto [whole, s] = streaming(row.build, frames);
      verify(s.graph);
      CAPTURE(print(whole), print(s.graph));
      const std::vector<Array> inputs = random_inputs(whole, 11, Values::tame);
      const Array expected = interpret(whole, inputs).outputs[0];
      std::vector<Array> now;
      for (const Input& in : s.graph.inputs())
        now.push_back(in.kind == InputKind::state ? s.initial.at(in.name) : Array(s.graph[in.id].type));
      std::int64_t compared = 0;
      for (std::int64_t first = 0; first + frames <= kFrames; first += frames) {
        for (std::int64_t t = 0; t < frames; ++t)
          std::memcpy(now[0].data() + t * kChannels * 4, inputs[0].data() + (first + t) * kChannels * 4, kChannels * 4);
        const Evaluation e = interpret(s.graph, now);
        const int axis = time_axis(expected.shape(), e.outputs[0].shape());
        REQUIRE(axis >= 0);
        for (std::int64_t t = 0; t < frames; ++t) {
          const std::int64_t at = first + t - s.latency[0];
          if (at < 0 || at >= expected.shape()[axis]) continue;
          CHECK(frame(e.outputs[0], axis, t) == frame(expected, axis, at));
          ++compared;
        }
        for (std::size_t u = 0; u < s.graph.updates().size(); ++u)
          for (std::size_t i = 0; i < now.size(); ++i)
            if (s.graph.inputs()[i].id == s.graph.updates()[u].state) now[i] = e.states[u];
      }
      CHECK(compared >= kFrames - frames - s.latency[0]);
    }
}

TEST_CASE("how late a stream is, and what it keeps") {
  const auto of = [](ValueId (*build)(Builder&, ValueId)) { return streaming(build, 1).stream; };
  const Streamed late = of([](Builder& b, ValueId x) { return conv(b, conv(b, x, 3, 1, 1, 1), 5, 1, 2, 2); });
  CHECK(late.latency == std::vector<std::int64_t>{3});
  const Streamed shared = of([](Builder& b, ValueId x) {
    const ValueId p = b.pad(x, b.scalar(f32, 2), {0, 4, 0}, {0, 0, 0});
    return b.add(b.op(Op::exp, {conv(b, p, 3, 2, 0)}), conv(b, p, 3, 2, 0));
  });
  CHECK(shared.latency == std::vector<std::int64_t>{0});
  REQUIRE(shared.initial.size() == 1);  // one for both windows
  const auto& [name, value] = *shared.initial.begin();
  CHECK(name == "f.history.0");
  CHECK(value.same_bits(Array::filled({f32, {1, 4, kChannels}}, 2)));
}

TEST_CASE("what cannot be streamed is refused, by name") {
  const auto error = [](ValueId (*build)(Builder&, ValueId)) {
    const std::string message = error_of([&] { streaming(build, 1); });
    return message.substr(std::min(message.find("stream: "), message.size()));  // behind the line
  };
  CHECK(error([](Builder& b, ValueId x) { return b.reduce(Op::reduce_sum, x, 1); }) ==
        "stream: reduce_sum: it is over all frames");
  CHECK(error([](Builder& b, ValueId x) { return b.contract(x, x, {2}, {2}); }) ==
        "stream: contract: each frame meets all others");
  CHECK(error([](Builder& b, ValueId x) {
          return b.contract(x, weight(b, {kFrames, 2}), {1}, {0});
        }) == "stream: contract: it sums over all frames");
  CHECK(error([](Builder& b, ValueId x) {
          return b.op(Op::reverse, {x}, {{Attr::axes, {1}}});
        }) == "stream: reverse: time runs backwards");
  CHECK(error([](Builder& b, ValueId x) { return b.window(x, {1}, {2}, {2}); }) ==
        "stream: window: it gives one frame of 2; expected stride 1 along time");
  CHECK(error([](Builder& b, ValueId x) {
          return b.slice(x, {0, 0, 0}, {1, kFrames, 3}, {1, 3, 1});
        }) == "stream: slice: it takes one frame of 3; all are needed");
  CHECK(error([](Builder& b, ValueId x) { return b.reshape(x, {kFrames * kChannels}); }) ==
        "stream: reshape: time, axis 1 of [1,24,3], is no axis of [72]");
  CHECK(error([](Builder& b, ValueId x) {
          return b.add(x, b.broadcast(weight(b, {kFrames}), {1, kFrames, 3}, {1}));
        }).starts_with("stream: add: it takes f32[24] of constant, whose values differ from frame to frame"));
  CHECK(error([](Builder& b, ValueId x) {
          return b.add(x, b.op(Op::iota, {}, Attrs::axis(1), b.type(x)));
        }).starts_with("stream: add: it takes f32[1,24,3] of iota"));
  CHECK(error([](Builder& b, ValueId x) {  // padded once for two windows
          return conv(b, relu(b, conv(b, x, 3, 1, 6)), 3, 2, 0);
        })
            .starts_with("stream: window: it reaches back to frames before the first one"));
  CHECK(error([](Builder& b, ValueId x) {
          return b.op(Op::concat, {x, x}, Attrs::axis(1));
        }) == "stream: concat: it lays sequences end to end");
  CHECK(error([](Builder& b, ValueId x) {
          return leaky(b, frames_first(b, x), b.fill({f32, {kChannels}}, 0), true);
        }) == "stream: scan: it runs from the last frame to the first");
  CHECK(error([](Builder& b, ValueId x) {
          return leaky(b, b.reshape(b.transpose(conv(b, x, 3, 1, 0), {1, 0, 2}), {kFrames - 2, kChannels}));
        }) == "stream: scan: it begins 2 frames after the first one");
  CHECK(
      error([](Builder& b, ValueId x) {
        const ValueId y = leaky(b, frames_first(b, x));
        return b.op(Op::result, {b.node(y).operands[0]}, Attrs::index(0));
      }) ==
      "stream: result: it is what the loop ends with, after all frames; expected a result for each (return_sequences)");
  CHECK(error([](Builder& b, ValueId) { return weight(b, {3}); }) ==
        "stream: the output 'y' does not depend on the frames");

  CHECK(error([](Builder& b, ValueId x) {
          return b.sub(x, b.broadcast(cut(b, x, 0, 1), b.type(x).shape, {0, 1, 2}));
        }) == "stream: slice: 1 of the frames is left; expected all");
  CHECK(error([](Builder& b, ValueId x) {
          return b.pad(cut(b, x, 0, 20), b.scalar(f32, 0), {0, 0, 0}, {0, 4, 0});
        }) == "stream: pad: it puts something in place of the last frames");
  CHECK(error([](Builder& b, ValueId x) {
          return b.op(Op::concat, {cut(b, x, 0, 20), b.fill({f32, {1, 4, kChannels}}, 0)}, Attrs::axis(1));
        }) == "stream: concat: it puts something in place of the last frames");
  const auto of = [](const char* text, int axis = 0, std::int64_t frames = 1) {
    return error_of([&] { stream(parse_graph(text, "t"), axis, frames); });
  };
  const char* simple = "func @f(%x: f32[4,2]) { %0 = exp %x : f32[4,2] return %0 }";
  CHECK(of(simple, 2) == "stream: no input of @f has an axis 2");
  CHECK(of(simple, -1) == "stream: axis -1; expected 0 or more");
  CHECK(of(simple, 0, 0) == "stream: 0 frames; expected 1 to 1048576");
  CHECK(of(simple, 0, 1) == "no error");
  CHECK(of("func @f(%x: f32[?time,2]) { %0 = exp %x : f32[?time,2] return %0 }") == "no error");
  CHECK(of("func @f(%x: f32[?n]) { %0 = size %x {axis=0} : i64[] %1 = convert %0 : f32[] %2 = broadcast %1 {axes=[]} : "
           "f32[?n] %3 = div %x, %2 : f32[?n] return %3 }") == "stream: @f depends on how many frames there are, ?n");
  CHECK(of("func @f(%x: f32[1,2]) { %0 = exp %x : f32[1,2] return %0 }")
            .starts_with("stream: axis 0 of the inputs has 1 frames"));
  CHECK(of("func @f(%x: f32[4], %y: f32[5]) { %0 = exp %x : f32[4] %1 = exp %y : f32[5] return %0, %1 }") ==
        "stream: axis 0 of the input 'y' is 5, that of another one 4; expected as many frames of each");
  CHECK(of("func @f(%x: f32[4], state %s: f32[4]) { update %s = %x return %x }") ==
        "stream: @f updates states; expected a function of its inputs");
}
