// The text of device code, and where shared arrays lie.
#include "catch.h"
#include "simt_builder.h"

using namespace weft;
using simt::Inst;
using test::SimtBuilder;

TEST_CASE("device code prints: every kind of instruction") {
  SimtBuilder b("all", 64, 128);
  b.f.kernel = 3;
  b.f.phase = 1;
  const auto image = b.global("image", f32, 100352, true), out = b.global("out", f32, 512);
  const auto tile = b.shared("tile", f32, 1024);
  const auto thread = b.thread(), block = b.block(), four = b.constant(4), zero = b.constant(0);
  const auto index = b.mul(thread, four), in_range = b.compare(Op::lt, index, b.constant(512));
  b.origin("load %t49[m, k]");
  const auto x = b.load(image, index, 4, in_range);
  b.origin("stage %image[m, k]");
  b.copy_async(tile, index, image, index, 4, in_range);
  b.commit_async();
  b.wait_async(1);
  b.barrier();
  const auto sum = b.variable(x);
  b.loop(
      zero, four, 2,
      [&](auto i) { b.when(in_range, [&] {
                      b.set(sum, b.apply(Op::fma, {x, b.load(tile, i), sum}));
                    }); }, true);
  b.loop(block, four, 1, [&](auto) {});
  const auto down = b.shuffle_down(sum, 16), from = b.shuffle_from(down, 0, 8);
  const auto d = b.mma(Inst::mma_tf32, {x, x, x, x, sum, sum, down, down, down, down});
  b.mma(Inst::mma_bf16, std::vector<simt::RegisterId>(16, d));
  b.store(out, index, {x, from}, in_range);
  b.origin("store %y[m]");
  b.store(out, thread, from);
  CHECK(print(b.f) == R"(device @all blocks=64 threads=128 kernel=3 phase=1 { // model.cpp:12:3
  global %image: f32[100352] buffer=0 read_only
  global %out: f32[512] buffer=1
  shared %tile: f32[1024]
  %0: i32 = thread
  %1: i32 = block
  %2: i32 = constant 4
  %3: i32 = constant 0
  %4: i32 = mul %0, %2
  %5: i32 = constant 512
  %6: bool = lt %4, %5
  %7, %8, %9, %10: f32 = load.4 %image[%4] if %6  ; load %t49[m, k]
  copy_async.4 %tile[%4] = %image[%4] if %6  ; stage %image[m, k]
  commit_async
  wait_async 1
  barrier
  %11: f32 = variable %7
  loop unroll %12: i32 = %3 to %2 step 2 {
    when %6 {
      %13: f32 = load %tile[%12]
      %14: f32 = fma %7, %13, %11
      set %11 = %14
    }
  }
  loop %15: i32 = %1 to %2 step 1 {
  }
  %16: f32 = shuffle_down.32 %11, 16
  %17: f32 = shuffle_from.8 %16, 0
  %18, %19, %20, %21: f32 = mma_tf32 [%7, %7, %7, %7] * [%11, %11] + [%16, %16, %16, %16]
  %22, %23, %24, %25: f32 = mma_bf16 [%18, %18, %18, %18, %18, %18, %18, %18] * [%18, %18, %18, %18] + [%18, %18, %18, %18]
  store.2 %out[%4] = %7, %17 if %6
  store %out[%0] = %17  ; store %y[m]
}
)");
  verify(b.f);
}

TEST_CASE("device code that breaks every rule still prints") {
  simt::Function f;
  f.memories.push_back({});
  for (int kind = Inst::constant; kind <= Inst::mma_bf16; ++kind)
    f.body.insts.push_back(
        {.kind = static_cast<Inst::Kind>(kind), .memory = 7, .source = -3, .predicate = 99, .origin = 5});
  CHECK(print(f).find("store %?7[%?] =  if %99\n") != std::string::npos);
}

TEST_CASE("shared arrays lie one after the other, each at a multiple of 16 bytes") {
  SimtBuilder b("layout");
  CHECK(shared_layout(b.f) == std::vector<std::int64_t>{0});
  b.shared("a", u8, 17);
  b.global("x", f32, 1000);
  b.shared("b", f64, 2);
  b.shared("c", f32, 1);
  CHECK(shared_layout(b.f) == std::vector<std::int64_t>{0, 32, 48, 64});
}
