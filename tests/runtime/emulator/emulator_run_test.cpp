// The emulator's memory, control flow and collectives on functions built by hand. Each runs on one thread, on several,
// and checked.
#include <cmath>
#include <cstring>
#include <numeric>

#include "catch.h"
#include "emulator_support.h"

using namespace weft;
using simt::Inst;
using test::array_of, test::emulate_on, test::kWays, test::SimtBuilder;

namespace {

template <class T>
std::vector<T> values(const Array& a) {
  const auto v = a.as<T>();
  return {v.begin(), v.end()};
}

}  // namespace

TEST_CASE("emulator: loads and stores of every width, dtype and kind of index, with and without predicates",
          "[emulator]") {
  constexpr int kBlocks = 3, kThreads = 64;
  for (DType t : kAllDTypes)
    for (int width : {1, 2, 4, 8, 16})
      for (DType index : {i32, i64})
        for (bool predicated : {false, true}) {
          if (static_cast<std::size_t>(width) * size_of(t) > 16) continue;
          INFO(name(t) << " " << width << " " << name(index) << " " << predicated);
          const std::int64_t n = kBlocks * kThreads * width;
          SimtBuilder b("copy", kBlocks, kThreads);
          const auto in = b.global("in", t, n, true), out = b.global("out", t, n);
          const auto thread = b.thread(), point = b.add(b.times(b.block(), kThreads), thread);
          const auto first = b.apply(Op::convert, {b.times(point, width)}, index);
          const auto wanted = predicated ? b.compare(Op::ne, b.modulo(thread, 3), b.constant(0)) : kNone;
          const auto stored = predicated ? b.compare(Op::ne, b.modulo(thread, 5), b.constant(0)) : kNone;
          const auto x = b.load(in, first, width, wanted);
          std::vector<simt::RegisterId> xs(static_cast<std::size_t>(width));
          std::iota(xs.begin(), xs.end(), x);
          b.store(out, first, xs, stored);
          Array from({t, {n}}), expected({t, {n}});
          for (std::int64_t i = 0; i < n * static_cast<std::int64_t>(size_of(t)); ++i)
            from.data()[i] = static_cast<std::byte>(t == boolean ? i * 7 % 3 == 0 : i * 31 + 1);
          for (const EmulatorOptions& way : kWays) {
            Array to({t, {n}});
            std::memset(to.data(), t == boolean ? 1 : 0x55, static_cast<std::size_t>(n) * size_of(t));
            std::memcpy(expected.data(), to.data(), static_cast<std::size_t>(n) * size_of(t));
            for (std::int64_t i = 0; i < n; ++i) {
              const auto thread = static_cast<int>(i / width % kThreads);
              if (predicated && thread % 5 == 0) continue;
              std::byte* e = expected.data() + i * static_cast<std::int64_t>(size_of(t));
              std::memcpy(e, from.data() + (e - expected.data()), size_of(t));
              if (predicated && thread % 3 == 0) std::memset(e, 0, size_of(t));
            }
            emulate_on(b.f, {&from, &to}, way);
            CHECK(std::memcmp(to.data(), expected.data(), static_cast<std::size_t>(n) * size_of(t)) == 0);
          }
        }
}

TEST_CASE("emulator: a scattered load of four is a transposition, and so is the store", "[emulator]") {
  SimtBuilder b("scattered", 1, 96);
  const auto in = b.global("in", f32, 4 * 96, true), out = b.global("out", f32, 4 * 96);
  const auto thread = b.thread();
  const auto from = b.times(b.modulo(b.times(thread, 7), 96), 4), to = b.times(b.modulo(b.times(thread, 5), 96), 4);
  const auto x = b.load(in, from, 4);
  b.store(out, to, {x + 3, x, x + 1, x + 2});
  Array y({f32, {4 * 96}}), x0 = array_of(4 * 96, [](int i) { return static_cast<float>(i); });
  emulate_on(b.f, {&x0, &y});
  for (int i = 0; i < 96; ++i)
    for (int k = 0; k < 4; ++k)
      CHECK(y.as<float>()[static_cast<std::size_t>(i * 5 % 96 * 4 + k)] ==
            static_cast<float>(i * 7 % 96 * 4 + (k + 3) % 4));
}

TEST_CASE("emulator: loops with common and with own bounds", "[emulator]") {
  struct Row {
    const char* what;
    void (*build)(SimtBuilder&, simt::RegisterId thread, simt::RegisterId sum);
    int (*expected)(int thread);
  };
  using V = simt::RegisterId;
  const Row rows[] = {
      {"the same for all",
       [](SimtBuilder& b, V, V sum) {
         b.loop(b.constant(3), b.constant(20), 4, [&](V i) { b.set(sum, b.add(sum, i)); });
       },
       [](int) { return 3 + 7 + 11 + 15 + 19; }},
      {"unrolled",
       [](SimtBuilder& b, V, V sum) {
         b.loop(
             b.constant(0), b.constant(4), 1, [&](V i) { b.set(sum, b.add(b.times(sum, 2), i)); }, true);
       },
       [](int) { return ((0 * 2 + 1) * 2 + 2) * 2 + 3; }},
      {"no time",
       [](SimtBuilder& b, V, V sum) { b.loop(b.constant(5), b.constant(5), 1, [&](V) { b.set(sum, b.constant(1)); }); },
       [](int) { return 0; }},
      {"own end",
       [](SimtBuilder& b, V thread, V sum) {
         b.loop(b.constant(0), thread, 1, [&](V i) { b.set(sum, b.add(sum, i)); });
       },
       [](int t) { return t * (t - 1) / 2; }},
      {"own start",
       [](SimtBuilder& b, V thread, V sum) {
         b.loop(thread, b.constant(40), 3, [&](V i) { b.set(sum, b.add(sum, i)); });
       },
       [](int t) {
         int sum = 0;
         for (int i = t; i < 40; i += 3) sum += i;
         return sum;
       }},
      {"own ends, nested",
       [](SimtBuilder& b, V thread, V sum) {
         const V end = b.modulo(thread, 7);
         b.loop(b.constant(0), end, 1, [&](V i) {
           b.loop(i, end, 2, [&](V j) { b.set(sum, b.add(b.times(sum, 3), j)); });
           b.loop(b.constant(0), b.constant(2), 1, [&](V j) { b.set(sum, b.add(sum, j)); });
         });
       },
       [](int t) {
         int sum = 0;
         for (int i = 0; i < t % 7; ++i) {
           for (int j = i; j < t % 7; j += 2) sum = sum * 3 + j;
           for (int j = 0; j < 2; ++j) sum += j;
         }
         return sum;
       }},
      {"i64, under a condition",
       [](SimtBuilder& b, V thread, V sum) {
         b.when(b.compare(Op::gt, thread, b.constant(30)), [&] {
           b.loop(b.constant(std::int64_t{1}), b.apply(Op::convert, {thread}, i64), 2,
                  [&](V i) { b.set(sum, b.add(sum, b.apply(Op::convert, {i}, i32))); });
         });
       },
       [](int t) {
         int sum = 0;
         for (int i = 1; t > 30 && i < t; i += 2) sum += i;
         return sum;
       }},
      {"two variables that follow each other",
       [](SimtBuilder& b, V thread, V sum) {
         const V next = b.variable(b.constant(1));
         b.loop(b.constant(0), b.modulo(thread, 20), 1, [&](V) {
           const V both = b.add(sum, next), old = b.plus(next, 0);
           b.set(next, both);
           b.set(sum, old);
         });
       },
       [](int t) {
         int a = 0, b = 1;
         for (int i = 0; i < t % 20; ++i) a = std::exchange(b, a + b);
         return a;
       }},
      {"two variables that follow each other, as often for all",
       [](SimtBuilder& b, V thread, V sum) {
         const V next = b.variable(b.modulo(thread, 5));
         b.loop(b.constant(0), b.constant(11), 1, [&](V) {
           const V both = b.add(sum, next), old = b.plus(next, 0);
           b.set(next, both);
           b.set(sum, old);
         });
       },
       [](int t) {
         int a = 0, b = t % 5;
         for (int i = 0; i < 11; ++i) a = std::exchange(b, a + b);
         return a;
       }},
      {"the condition changes what it looks at",
       [](SimtBuilder& b, V thread, V sum) {
         b.loop(b.constant(0), b.constant(10), 1, [&](V i) {
           b.when(b.compare(Op::lt, sum, thread), [&] {
             b.set(sum, b.add(b.add(sum, i), sum));
             b.when(b.compare(Op::gt, i, b.constant(3)), [&] { b.set(sum, b.plus(sum, 1)); });
           });
         });
       },
       [](int t) {
         int sum = 0;
         for (int i = 0; i < 10; ++i)
           if (sum < t) sum += i + sum + (i > 3);
         return sum;
       }},
  };
  for (const Row& row : rows)
    for (const EmulatorOptions& way : kWays) {
      INFO(row.what);
      SimtBuilder b("sums", 1, 64);
      const auto out = b.global("out", i32, 64);
      const auto thread = b.thread(), sum = b.variable(b.constant(0));
      row.build(b, thread, sum);
      b.store(out, thread, sum);
      Array y({i32, {64}});
      emulate_on(b.f, {&y}, way);
      CHECK(y.same_bits(array_of(64, row.expected)));
    }
}

TEST_CASE("emulator: shuffles within segments", "[emulator]") {
  for (DType t : {i32, i64, f32, f64})
    for (int width : {2, 4, 8, 16, 32})
      for (int lane : {0, 1, width / 2, width - 1}) {
        INFO(name(t) << " " << width << " " << lane);
        SimtBuilder b("shuffles", 1, 96);
        const auto down = b.global("down", t, 96), from = b.global("from", t, 96);
        const auto thread = b.thread(), x = b.apply(Op::convert, {thread}, t);
        b.store(down, thread, b.shuffle_down(x, lane, width));
        b.store(from, thread, b.shuffle_from(x, lane, width));
        Array y({t, {96}}), z({t, {96}}), expected_y({t, {96}}), expected_z({t, {96}});
        visit_dtype(t, [&](auto zero) {
          using T = decltype(zero);
          for (int i = 0; i < 96; ++i) {
            expected_y.as<T>()[static_cast<std::size_t>(i)] = static_cast<T>(i % width + lane < width ? i + lane : i);
            expected_z.as<T>()[static_cast<std::size_t>(i)] = static_cast<T>(i / width * width + lane);
          }
        });
        emulate_on(b.f, {&y, &z});
        CHECK(y.same_bits(expected_y));
        CHECK(z.same_bits(expected_z));
      }
}

TEST_CASE("emulator: a block's sum by warps and shared memory", "[emulator]") {
  constexpr int kBlocks = 5, kThreads = 256;
  SimtBuilder b("sum", kBlocks, kThreads);
  const auto in = b.global("in", i64, kBlocks * kThreads, true), out = b.global("out", i64, kBlocks);
  const auto partial = b.shared("partial", i64, kThreads / 32);
  const auto thread = b.thread(), block = b.block();
  const auto sum = b.variable(b.load(in, b.add(b.times(block, kThreads), thread)));
  for (int lanes = 16; lanes; lanes /= 2) b.set(sum, b.add(sum, b.shuffle_down(sum, lanes)));
  b.when(b.compare(Op::eq, b.modulo(thread, 32), b.constant(0)), [&] { b.store(partial, b.over(thread, 32), sum); });
  b.barrier();
  b.when(b.compare(Op::eq, thread, b.constant(0)), [&] {
    const auto total = b.variable(b.constant(std::int64_t{0}));
    b.loop(b.constant(0), b.constant(kThreads / 32), 1,
           [&](auto i) { b.set(total, b.add(total, b.load(partial, i))); });
    b.store(out, block, total);
  });
  Array x = array_of(kBlocks * kThreads, [](int i) { return std::int64_t{i} * i; });
  const Array expected = array_of(kBlocks, [&](int block) {
    const auto v = x.as<std::int64_t>().subspan(static_cast<std::size_t>(block * kThreads), kThreads);
    return std::accumulate(v.begin(), v.end(), std::int64_t{0});
  });
  for (const EmulatorOptions& way : kWays) {
    Array y({i64, {kBlocks}});
    emulate_on(b.f, {&x, &y}, way);
    CHECK(y.same_bits(expected));
  }
}

TEST_CASE("emulator: asynchronous copies take effect when they are waited for", "[emulator]") {
  // Row by row, two buffers: while one is added, the next row is on its way. The last copy is of zeros.
  constexpr int kRows = 6, kThreads = 64;
  SimtBuilder b("rows", 1, kThreads);
  const auto in = b.global("in", f32, kRows * kThreads, true), out = b.global("out", f32, kThreads);
  const auto buffer = b.shared("buffer", f32, 2 * kThreads);
  const auto thread = b.thread(), sum = b.variable(b.constant(0.0f));
  const auto fetch = [&](simt::RegisterId row) {
    const auto wanted = b.compare(Op::lt, row, b.constant(kRows));
    const auto source = b.add(b.times(row, kThreads), thread);
    b.copy_async(buffer, b.add(b.times(b.modulo(row, 2), kThreads), thread), in, source, 1, wanted);
    b.commit_async();
  };
  fetch(b.constant(0));
  b.loop(b.constant(0), b.constant(kRows), 1, [&](auto row) {
    fetch(b.plus(row, 1));
    b.wait_async(1);
    b.barrier();
    const auto other = b.apply(Op::sub, {b.constant(kThreads - 1), thread});
    b.set(sum, b.add(sum, b.load(buffer, b.add(b.times(b.modulo(row, 2), kThreads), other))));
    b.barrier();
  });
  b.wait_async(0);
  b.barrier();
  b.set(sum, b.add(sum, b.load(buffer, thread)));  // the row beyond: zeros
  b.store(out, thread, sum);
  Array x = array_of(kRows * kThreads, [](int i) { return static_cast<float>(i % 97); });
  const Array expected = array_of(kThreads, [&](int t) {
    float sum = 0;
    for (int row = 0; row < kRows; ++row)
      sum += x.as<float>()[static_cast<std::size_t>(row * kThreads + kThreads - 1 - t)];
    return sum;
  });
  for (const EmulatorOptions& way : kWays) {
    Array y({f32, {kThreads}});
    emulate_on(b.f, {&x, &y}, way);
    CHECK(y.same_bits(expected));
  }
  // Without a wait, what was there before is read: undefined, so NaN.
  SimtBuilder hasty("hasty", 1, 32);
  const auto from = hasty.global("from", f32, 32, true), to = hasty.global("to", f32, 32),
             place = hasty.shared("place", f32, 32);
  hasty.copy_async(place, hasty.thread(), from, hasty.thread());
  hasty.commit_async();
  hasty.store(to, hasty.thread(), hasty.load(place, hasty.thread()));
  Array one = array_of(32, [](int) { return 1.0f; }), y({f32, {32}});
  emulate_on(hasty.f, {&one, &y});
  CHECK(std::isnan(y.as<float>()[0]));
}

TEST_CASE("emulator: matrix products of warps in PTX's fragment layouts", "[emulator]") {
  struct Row {
    Inst::Kind kind;
    int k;
    float tiny;  // what rounding to the operands' type drops from 1 + tiny, and keeps of 1 + 2 tiny
  };
  for (const Row& row : {Row{Inst::mma_tf32, 8, 0x1p-12f}, Row{Inst::mma_bf16, 16, 0x1p-9f}}) {
    const bool tf32 = row.kind == Inst::mma_tf32;
    SimtBuilder b("product", 1, 64);  // two warps; the second one's product is twice the first one's
    const auto A = b.global("a", f32, 16 * row.k, true), B = b.global("b", f32, row.k * 8, true);
    const auto C = b.global("c", f32, 16 * 8, true), D = b.global("d", f32, 2 * 16 * 8);
    const auto lane = b.modulo(b.thread(), 32), warp = b.over(b.thread(), 32);
    const auto group = b.over(lane, 4), number = b.modulo(lane, 4);
    const auto scale = b.apply(Op::convert, {b.plus(warp, 1)}, f32);
    std::vector<simt::RegisterId> args, cells;
    // Written out from the tables of the PTX manual.
    const auto a_at = [&](simt::RegisterId r, simt::RegisterId c) {
      args.push_back(b.mul(scale, b.load(A, b.add(b.times(r, row.k), c))));
    };
    const auto b_at = [&](simt::RegisterId r, simt::RegisterId c) {
      args.push_back(b.load(B, b.add(b.times(r, 8), c)));
    };
    if (tf32) {
      for (int i = 0; i < 4; ++i) a_at(b.plus(group, i % 2 ? 8 : 0), b.plus(number, i >= 2 ? 4 : 0));
      for (int i = 0; i < 2; ++i) b_at(b.plus(number, i ? 4 : 0), group);
    } else {
      for (int i = 0; i < 8; ++i) {
        const bool upper = i < 2 || (i >= 4 && i < 6);
        a_at(b.plus(group, upper ? 0 : 8), b.plus(b.times(number, 2), (i & 1) + (i >= 4 ? 8 : 0)));
      }
      for (int i = 0; i < 4; ++i) b_at(b.plus(b.times(number, 2), (i & 1) + (i >= 2 ? 8 : 0)), group);
    }
    for (int i = 0; i < 4; ++i)
      cells.push_back(b.add(b.times(b.plus(group, i >= 2 ? 8 : 0), 8), b.plus(b.times(number, 2), i & 1)));
    for (simt::RegisterId cell : cells) args.push_back(b.mul(scale, b.load(C, cell)));
    const auto d = b.mma(row.kind, args);
    for (int i = 0; i < 4; ++i) b.store(D, b.add(b.times(warp, 128), cells[static_cast<std::size_t>(i)]), d + i);
    // Small integers: every order of additions is exact. The tail of each operand is lost in rounding.
    Array x =
        array_of(16 * row.k, [&](int i) { return static_cast<float>(i * 5 % 13 + 16) * (1 + (i % 2 ? row.tiny : 0)); });
    Array y = array_of(row.k * 8, [&](int i) { return static_cast<float>(i * 7 % 11 - 5); });
    Array c = array_of(16 * 8, [](int i) { return static_cast<float>(i); });
    const Array expected = array_of(2 * 16 * 8, [&](int i) {
      const int warp = i / 128, r = i % 128 / 8, column = i % 8;
      float sum = c.as<float>()[static_cast<std::size_t>(i % 128)];
      for (int k = 0; k < row.k; ++k)
        sum +=
            static_cast<float>((r * row.k + k) * 5 % 13 + 16) * y.as<float>()[static_cast<std::size_t>(k * 8 + column)];
      return sum * static_cast<float>(warp + 1);
    });
    for (const EmulatorOptions& way : kWays) {
      Array out({f32, {2 * 16 * 8}});
      emulate_on(b.f, {&x, &y, &c, &out}, way);
      CHECK(out.same_bits(expected));
    }
  }
}

TEST_CASE("emulator: nothing runs without blocks", "[emulator]") {
  SimtBuilder b("nothing", 0, 32);
  b.store(b.global("y", i32, 0), b.thread(), b.thread());
  emulate(b.f, std::vector<std::byte*>{nullptr});
}
