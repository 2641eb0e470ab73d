// Planted bugs: each kind of mistake in device code that the emulator finds, as it says it, beside the function without
// the mistake, which passes.
#include "catch.h"
#include "emulator_support.h"
#include "error_of.h"

using namespace weft;
using simt::MemoryId, simt::RegisterId;
using test::emulate_on, test::SimtBuilder;

namespace {

constexpr int kBlocks = 2, kThreads = 64;

/// What the bugs are planted in: 64 threads in 2 blocks, with these memories.
struct Plot {
  SimtBuilder b{"plot", kBlocks, kThreads};
  MemoryId in = b.global("in", f32, kBlocks* kThreads, true);  // 0
  MemoryId out = b.global("out", f32, kBlocks* kThreads);
  MemoryId narrow = b.global("narrow", f32, kThreads);  // fewer elements than there are threads
  MemoryId tile = b.shared("tile", f32, kThreads);
  RegisterId t = b.thread(), block = b.block();
  RegisterId point = b.add(b.times(block, kThreads), t);
  RegisterId next = b.modulo(b.plus(t, 1), kThreads), one = b.constant(1.0f);

  RegisterId first() { return b.compare(Op::eq, t, b.constant(0)); }
  void store_tile(RegisterId x) {
    b.origin("stage %x[k]");
    b.store(tile, t, x);
  }
  RegisterId load_next() {
    b.origin("load %x[k + 1]");
    return b.load(tile, next);
  }
  void store_out(RegisterId x) {
    b.origin("store %y[m]");
    b.store(out, point, x);
  }
};

struct Bug {
  const char* what;
  void (*plant)(Plot&, bool planted);
  const char* message;  // after "internal error: device @plot, phase 0 (model.cpp:12:3): "
  bool found_unchecked = false;
};

const Bug kBugs[] = {
    {"missing barrier: write, then read",
     [](Plot& p, bool planted) {
       p.store_tile(p.one);
       if (!planted) p.b.barrier();
       p.store_out(p.load_next());
     },
     "race on shared %tile[1]: thread 0 of block 0 in interval 0 loads (load %x[k + 1]); "
     "thread 1 of block 0 in interval 0 stores (stage %x[k]); no barrier between them"},
    {"missing barrier: read, then write",
     [](Plot& p, bool planted) {
       p.store_tile(p.one);
       p.b.barrier();
       const RegisterId x = p.load_next();
       if (!planted) p.b.barrier();
       p.store_tile(x);
       p.store_out(x);
     },
     "race on shared %tile[0]: thread 0 of block 0 in interval 1 stores (stage %x[k]); "
     "thread 63 of block 0 in interval 1 loads (load %x[k + 1]); no barrier between them"},
    {"missing barrier round a loop",
     [](Plot& p, bool planted) {
       const RegisterId sum = p.b.variable(p.one);
       p.b.loop(p.b.constant(0), p.b.constant(3), 1, [&](RegisterId) {
         p.store_tile(sum);
         p.b.barrier();
         p.b.set(sum, p.b.add(sum, p.load_next()));
         if (!planted) p.b.barrier();
       });
       p.store_out(sum);
     },
     "race on shared %tile[0]: thread 0 of block 0 in interval 1 stores (stage %x[k]); "
     "thread 63 of block 0 in interval 1 loads (load %x[k + 1]); no barrier between them"},
    {"several readers before the write: another one than the writer is named",
     [](Plot& p, bool planted) {
       p.b.when(p.first(), [&] { p.b.store(p.tile, p.t, p.one); });
       p.b.barrier();
       const RegisterId all = p.b.load(p.tile, p.b.constant(0));
       if (!planted) p.b.barrier();
       p.b.when(p.first(), [&] { p.b.store(p.tile, p.t, all); });
       p.store_out(all);
     },
     "race on shared %tile[0]: thread 0 of block 0 in interval 1 stores (store %tile[%0] = %13); "
     "thread 1 of block 0 in interval 1 loads (%13: f32 = load %tile[%12]); no barrier between them"},
    {"race within a warp: neighbours exchange without a barrier",
     [](Plot& p, bool planted) {
       const RegisterId pair = p.b.apply(Op::bit_xor, {p.t, p.b.constant(1)});
       p.store_tile(p.one);
       if (!planted) p.b.barrier();
       p.b.origin("load %x[pair]");
       p.store_out(p.b.load(p.tile, pair));
     },
     "race on shared %tile[1]: thread 0 of block 0 in interval 0 loads (load %x[pair]); "
     "thread 1 of block 0 in interval 0 stores (stage %x[k]); no barrier between them"},
    {"two threads store to one element",
     [](Plot& p, bool planted) {
       p.b.origin("store %x[k / 2]");
       p.b.store(p.tile, p.b.over(p.t, planted ? 2 : 1), p.one);
     },
     "race on shared %tile[0]: thread 1 of block 0 in interval 0 stores (store %x[k / 2]); "
     "thread 0 of block 0 in interval 0 stores (store %x[k / 2]); no barrier between them"},
    {"blocks store to one element",
     [](Plot& p, bool planted) {
       p.b.origin("store %y[k]");
       p.b.store(p.out, planted ? p.t : p.point, p.one);
     },
     "race on global %out[0]: thread 0 of block 1 in interval 0 stores (store %y[k]); "
     "thread 0 of block 0 in interval 0 stores (store %y[k]); nothing orders blocks"},
    {"a block reads what another one stored",
     [](Plot& p, bool planted) {
       p.store_out(p.one);
       p.b.barrier();
       const RegisterId from =
           p.b.apply(Op::rem, {p.b.plus(p.point, planted ? 64 : 0), p.b.constant(kBlocks * kThreads)});
       p.b.origin("load %y[n]");
       // The first block does not read, else the second one would be the one that stores too late.
       p.b.when(p.b.compare(Op::eq, p.block, p.b.constant(1)), [&] { p.b.load(p.out, from); });
     },
     "race on global %out[0]: thread 0 of block 1 in interval 1 loads (load %y[n]); "
     "thread 0 of block 0 in interval 0 stores (store %y[m]); nothing orders blocks"},
    {"a block stores what another one has read",
     [](Plot& p, bool planted) {
       p.b.when(p.b.compare(Op::eq, p.block, p.b.constant(0)), [&] {
         p.b.origin("load %y[n]");
         p.b.load(p.out, planted ? p.b.plus(p.t, 64) : p.t);
       });
       p.b.barrier();
       p.store_out(p.one);
     },
     "race on global %out[64]: thread 0 of block 1 in interval 1 stores (store %y[m]); "
     "thread 0 of block 0 in interval 0 loads (load %y[n]); nothing orders blocks"},
    {"threads of a block race on global memory",
     [](Plot& p, bool planted) {
       p.store_out(p.one);
       if (!planted) p.b.barrier();
       p.b.origin("load %y[m + 1]");
       p.b.load(p.out, p.b.add(p.b.times(p.block, kThreads), p.next));
     },
     "race on global %out[1]: thread 0 of block 0 in interval 0 loads (load %y[m + 1]); "
     "thread 1 of block 0 in interval 0 stores (store %y[m]); no barrier between them"},
    {"missing wait_async",
     [](Plot& p, bool planted) {
       p.b.origin("fetch %x[k]");
       p.b.copy_async(p.tile, p.t, p.in, p.t);
       p.b.commit_async();
       if (!planted) p.b.wait_async(0);
       p.b.barrier();
       p.store_out(p.load_next());
     },
     "missing wait_async for shared %tile[1]: thread 0 of block 0 in interval 1 loads (load %x[k + 1]); "
     "thread 1 of block 0 in interval 0 copies to it (fetch %x[k])"},
    {"a wait that leaves the group that is read",
     [](Plot& p, bool planted) {
       for (int i = 0; i < 2; ++i) {
         const RegisterId at = p.b.over(p.t, 2);  // half a tile each time, by the threads of even number
         const RegisterId even = p.b.compare(Op::eq, p.b.modulo(p.t, 2), p.b.constant(0));
         p.b.when(even, [&] {
           p.b.origin("fetch %x[k]");
           p.b.copy_async(p.tile, p.b.plus(at, 32 * i), p.in, p.t);
         });
         p.b.commit_async();
       }
       p.b.wait_async(planted ? 1 : 0);
       p.b.barrier();
       p.store_out(p.load_next());
     },
     "missing wait_async for shared %tile[32]: thread 31 of block 0 in interval 1 loads (load %x[k + 1]); "
     "thread 0 of block 0 in interval 0 copies to it (fetch %x[k])"},
    {"a copy that no group closed",
     [](Plot& p, bool planted) {
       p.b.origin("fetch %x[k]");
       p.b.copy_async(p.tile, p.t, p.in, p.t);
       if (!planted) p.b.commit_async();
       p.b.wait_async(0);
       p.b.origin("load %x[k]");
       p.b.load(p.tile, p.t);
     },
     "missing wait_async for shared %tile[0]: thread 0 of block 0 in interval 0 loads (load %x[k]); "
     "thread 0 of block 0 in interval 0 copies to it (fetch %x[k])"},
    {"missing barrier after wait_async",
     [](Plot& p, bool planted) {
       p.b.origin("fetch %x[k]");
       p.b.copy_async(p.tile, p.t, p.in, p.t);
       p.b.commit_async();
       p.b.wait_async(0);
       if (!planted) p.b.barrier();
       p.store_out(p.load_next());
     },
     "race on shared %tile[1]: thread 0 of block 0 in interval 0 loads (load %x[k + 1]); "
     "thread 1 of block 0 in interval 0 stores (fetch %x[k]); no barrier between them"},
    {"a copy into a buffer that others still read",
     [](Plot& p, bool planted) {
       p.store_tile(p.one);
       p.b.barrier();
       p.load_next();
       if (!planted) p.b.barrier();
       p.b.origin("fetch %x[k]");
       p.b.copy_async(p.tile, p.t, p.in, p.t);
     },
     "race on shared %tile[0]: thread 0 of block 0 in interval 1 stores (fetch %x[k]); "
     "thread 63 of block 0 in interval 1 loads (load %x[k + 1]); no barrier between them"},
    {"uninitialised shared read",
     [](Plot& p, bool planted) {
       p.b.when(p.b.compare(Op::lt, p.t, p.b.constant(planted ? 40 : 64)), [&] { p.store_tile(p.one); });
       p.b.barrier();
       p.store_out(p.load_next());
     },
     "uninitialised shared %tile[40]: thread 39 of block 0 in interval 1 loads (load %x[k + 1])"},
    {"shared memory does not outlive its block",
     [](Plot& p, bool planted) {
       const RegisterId zero = p.b.compare(Op::eq, p.block, p.b.constant(0));
       if (planted)
         p.b.when(zero, [&] { p.store_tile(p.one); });
       else
         p.store_tile(p.one);
       p.b.barrier();
       p.store_out(p.load_next());
     },
     "uninitialised shared %tile[1]: thread 0 of block 1 in interval 1 loads (load %x[k + 1])"},
    {"load out of bounds of global memory",
     [](Plot& p, bool planted) {
       p.b.origin("load %w[m]");
       p.store_out(p.b.load(p.narrow, planted ? p.point : p.t));
     },
     "index 64 of %narrow is outside its 64 elements: thread 0 of block 1: load %w[m]", true},
    {"store out of bounds of global memory",
     [](Plot& p, bool planted) {
       p.b.origin("store %w[m]");
       p.b.when(p.b.compare(Op::eq, p.block, p.b.constant(0)),
                [&] { p.b.store(p.narrow, p.b.plus(p.t, planted ? -7 : 0), p.one); });
     },
     "index -7 of %narrow is outside its 64 elements: thread 0 of block 0: store %w[m]", true},
    {"load out of bounds of shared memory, where a predicate does not say no",
     [](Plot& p, bool planted) {
       p.store_tile(p.one);
       p.b.barrier();
       const RegisterId beside = p.b.plus(p.t, 1);
       const RegisterId inside = p.b.compare(Op::lt, beside, p.b.constant(planted ? 65 : 64));
       p.b.origin("load %x[k + 1]");
       p.b.load(p.tile, beside, 1, inside);
     },
     "index 64 of %tile is outside its 64 elements: thread 63 of block 0: load %x[k + 1]", true},
    {"store out of bounds of shared memory, by one thread",
     [](Plot& p, bool planted) {
       p.b.origin("store %x[k]");
       p.b.when(p.first(), [&] { p.b.store(p.tile, p.b.constant(planted ? 64 : 63), p.one); });
     },
     "index 64 of %tile is outside its 64 elements: thread 0 of block 0: store %x[k]", true},
    {"an index that all threads share, out of bounds",
     [](Plot& p, bool planted) {
       p.b.when(p.b.compare(Op::gt, p.t, p.b.constant(4)), [&] {
         p.b.origin("load %w[0]");
         p.b.load(p.narrow, p.b.constant(planted ? 64 : 63));
       });
     },
     "index 64 of %narrow is outside its 64 elements: thread 5 of block 0: load %w[0]", true},
    {"copy from outside of global memory",
     [](Plot& p, bool planted) {
       p.b.origin("fetch %w[m]");
       p.b.copy_async(p.tile, p.t, p.narrow, p.b.plus(p.t, planted ? 1 : 0));
     },
     "index 64 of %narrow is outside its 64 elements: thread 63 of block 0: fetch %w[m]", true},
    {"copy to outside of shared memory",
     [](Plot& p, bool planted) {
       p.b.origin("fetch %w[m]");
       p.b.copy_async(p.tile, p.b.plus(p.t, planted ? 1 : 0), p.narrow, p.t);
     },
     "index 64 of %tile is outside its 64 elements: thread 63 of block 0: fetch %w[m]", true},
    {"misaligned vector",
     [](Plot& p, bool planted) {
       const RegisterId at = p.b.times(p.b.modulo(p.t, 8), planted ? 2 : 4);
       p.b.origin("load %x[4 k]");
       p.b.load(p.in, at, 4);
     },
     "index 2 of %in is not a multiple of the 4 elements that it moves: thread 1 of block 0: load %x[4 k]", true},
    {"a vector that reaches over the end",
     [](Plot& p, bool planted) {
       p.b.when(p.first(), [&] {
         p.b.origin("load %w[4 k]");
         p.b.load(p.narrow, p.b.constant(planted ? 64 : 60), 4);
       });
     },
     "index 64 of %narrow is outside its 64 elements: thread 0 of block 0: load %w[4 k]", true},
};

std::string finding(const Bug& bug, bool planted, EmulatorOptions options) {
  Plot p;
  bug.plant(p, planted);
  Array in({f32, {kBlocks * kThreads}}), out({f32, {kBlocks * kThreads}}), narrow({f32, {kThreads}});
  INFO(print(p.b.f));
  try {
    emulate_on(p.b.f, {&in, &out, &narrow}, options);
  } catch (const InternalError& e) {
    return e.what();
  }
  return "nothing";
}

}  // namespace

TEST_CASE("emulator: planted bugs are found and named", "[emulator]") {
  for (const Bug& bug : kBugs) {
    INFO(bug.what);
    const std::string message = std::string("internal error: device @plot, phase 0 (model.cpp:12:3): ") + bug.message;
    CHECK(finding(bug, true, {.check = true}) == message);
    CHECK(finding(bug, false, {.check = true}) == "nothing");
    CHECK(finding(bug, false, {.threads = 1}) == "nothing");
    CHECK(finding(bug, true, {.threads = 1}) == (bug.found_unchecked ? message : "nothing"));
  }
}

TEST_CASE("emulator: views of one storage race as one", "[emulator]") {
  for (bool planted : {false, true}) {
    SimtBuilder b("views", 1, 32);
    const auto bytes = b.global("bytes", u8, 128), words = b.global("words", f32, 32);
    const auto t = b.thread();
    b.origin("store %words[k]");
    b.store(words, t, b.constant(1.0f));
    if (!planted) b.barrier();
    b.origin("load %bytes[2 k + 3]");
    b.load(bytes, b.plus(b.times(t, 2), 3));
    Array storage({f32, {32}});
    std::string found = "nothing";
    try {
      emulate_on(b.f, {&storage, &storage}, {.check = true});
    } catch (const InternalError& e) {
      found = e.what();
    }
    CHECK(found == (planted ? "internal error: device @views, phase 0 (model.cpp:12:3): race on global %bytes[7]: "
                              "thread 2 of block 0 in "
                              "interval 0 loads (load %bytes[2 k + 3]); thread 1 of block 0 in interval 0 stores "
                              "(store %words[k]); no "
                              "barrier between them"
                            : "nothing"));
  }
}
