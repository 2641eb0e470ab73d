// The verifier of device code: each invariant of ir/simt/verify_simt.cpp, broken; and what control flow it takes to be
// the same for all threads.
#include "catch.h"
#include "ir/simt/simt_inst.h"
#include "simt_builder.h"

using namespace weft;
using simt::Function, simt::Inst, simt::kWarp, simt::RegisterId;
using test::SimtBuilder;

namespace {

std::string verify_error(const Function& f) {
  try {
    verify(f);
  } catch (const InternalError& e) {
    return e.what();
  }
  return "";
}

/// A function to which a mistake is added. Values: %0 thread, %1 = 4, %2 x, %3 %0 < %1, %4 variable, %5 i64, %6 u8.
struct Sample {
  SimtBuilder b{"sample", 8, 64};
  simt::MemoryId in = b.global("in", f32, 512, true), out = b.global("out", f32, 512),
                 words = b.global("words", i32, 64, true), tile = b.shared("tile", f32, 64);
  RegisterId thread = b.thread(), four = b.constant(4), x = b.load(in, thread), less = b.compare(Op::lt, thread, four),
             variable = b.variable(x), wide = b.apply(Op::convert, {thread}, i64),
             byte = b.apply(Op::convert, {thread}, u8);
};

struct Broken {
  const char* message;  // after "internal error: verify: device @sample: "
  void (*damage)(Sample&);
};

const Broken kBroken[] = {
    // 1, 2: the function and its memories
    {"-1 blocks", [](Sample& s) { s.b.f.blocks = -1; }},
    {"2147483648 blocks", [](Sample& s) { s.b.f.blocks = std::int64_t{1} << 31; }},
    {"0 threads, expected a multiple of 32 up to 1024", [](Sample& s) { s.b.f.threads = 0; }},
    {"48 threads, expected a multiple of 32 up to 1024", [](Sample& s) { s.b.f.threads = 48; }},
    {"1056 threads, expected a multiple of 32 up to 1024", [](Sample& s) { s.b.f.threads = 1056; }},
    {"memory name '2x' is not an identifier", [](Sample& s) { s.b.shared("2x", f32, 1); }},
    {"two memories are named %in", [](Sample& s) { s.b.shared("in", f32, 1); }},
    {"memory %h: dtype bf16 is reserved", [](Sample& s) { s.b.shared("h", bf16, 1); }},
    {"memory %n: -1 elements", [](Sample& s) { s.b.global("n", f32, -1); }},
    {"memory %tile: a shared array belongs to no buffer and is not read-only",
     [](Sample& s) { s.b.f.memories[3].read_only = true; }},
    {"memory %tile: a shared array belongs to no buffer and is not read-only",
     [](Sample& s) { s.b.f.memories[3].buffer = 2; }},
    {"232464 bytes of shared memory, at most 232448 are allowed",
     [](Sample& s) { s.b.shared("s", f32, 58112 - 64 + 1); }},
    {"memory %s: 1099511627776 elements are shared", [](Sample& s) { s.b.shared("s", u8, std::int64_t{1} << 40); }},
    // 3, 4: values
    {"a value has the reserved dtype f16", [](Sample& s) { s.b.f.types.push_back(f16); }},
    {"%7: i32 = add %0, %99: value 99 does not exist",
     [](Sample& s) {
       s.b.emit({.kind = Inst::apply, .op = Op::add, .dtype = i32, .args = {s.thread, 99}});
     }},
    {"%7: i32 = add %0, %7: %7 is used before its definition",
     [](Sample& s) {
       s.b.emit({.kind = Inst::apply, .op = Op::add, .dtype = i32, .args = {s.thread, 7}});
     }},
    {"store %out[%7] = %2: %7 is used outside the region of its definition",
     [](Sample& s) {
       RegisterId inner = kNone;
       s.b.when(s.less, [&] { inner = s.b.plus(s.thread, 1) - 1; });
       s.b.store(s.out, inner, s.x);
     }},
    {"store %out[%8] = %2: %8 is used outside the region of its definition",
     [](Sample& s) {
       RegisterId inner = kNone;
       const RegisterId zero = s.b.constant(0);
       s.b.loop(zero, s.four, 1, [&](RegisterId counter) { inner = counter; });
       s.b.store(s.out, inner, s.x);
     }},
    {"%0: i32 = block: %0 is defined twice",
     [](Sample& s) {
       s.b.block();
       s.b.f.body.insts.back().result = 0;
     }},
    {"%7: i32 = block: the type of %7 is f32",
     [](Sample& s) {
       s.b.block();
       s.b.f.types[7] = f32;
     }},
    {"%9: i32 = block: value 9 does not exist",
     [](Sample& s) {
       s.b.block();
       s.b.f.body.insts.back().result = 9;
     }},
    {"%7, %8: f32 = load.2 %in[%0]: value 8 does not exist",
     [](Sample& s) {
       s.b.load(s.in, s.thread, 2);
       s.b.f.types.pop_back();
     }},
    {"set %2 = %2: %2 is not a variable", [](Sample& s) { s.b.set(s.x, s.x); }},
    {"set %4 = %0: the value %0 is i32, expected f32", [](Sample& s) { s.b.set(s.variable, s.thread); }},
    {"set %7 = %1: %7 bounds a loop around",
     [](Sample& s) {
       const RegisterId end = s.b.variable(s.four);
       s.b.loop(s.thread, end, 1, [&](RegisterId) { s.b.set(end, s.four); });
     }},
    // 5: form
    {"barrier.2: width 2", [](Sample& s) { s.b.emit({.kind = Inst::barrier, .width = 2}); }},
    {"%7, %8, %9: f32 = load.3 %in[%0]: width 3", [](Sample& s) { s.b.load(s.in, s.thread, 3); }},
    {"set %4 = %?: 1 argument, expected 2", [](Sample& s) { s.b.emit({.kind = Inst::set, .args = {s.variable}}); }},
    {"store.2 %out[%0] = %2: 2 arguments, expected 3",
     [](Sample& s) {
       s.b.store(s.out, s.thread, s.x);
       s.b.f.body.insts.back().width = 2;
     }},
    {"when %3: it has no body", [](Sample& s) { s.b.emit({.kind = Inst::when, .args = {s.less}}); }},
    {"barrier: it has a body",
     [](Sample& s) { s.b.emit({.kind = Inst::barrier, .body = std::make_shared<simt::Region>()}); }},
    {"barrier if %3: it accesses no memory", [](Sample& s) { s.b.emit({.kind = Inst::barrier, .predicate = s.less}); }},
    {"barrier: it accesses no memory", [](Sample& s) { s.b.emit({.kind = Inst::barrier, .memory = 0}); }},
    {"barrier: it has no result",
     [](Sample& s) {
       s.b.emit({.kind = Inst::barrier});
       s.b.f.body.insts.back().result = 0;
     }},
    {"barrier: only loops are unrolled", [](Sample& s) { s.b.emit({.kind = Inst::barrier, .unroll = true}); }},
    {"%7: f32 = load %in[%0]: it has no source",
     [](Sample& s) {
       s.b.load(s.in, s.thread);
       s.b.f.body.insts.back().source = 0;
     }},
    {"%7: f32 = load %in[%0]: origin 3 does not exist",
     [](Sample& s) {
       s.b.load(s.in, s.thread);
       s.b.f.body.insts.back().origin = 3;
     }},
    // 6: elementwise ops
    {"%7: i64 = thread: expected i32", [](Sample& s) { s.b.emit({.kind = Inst::thread, .dtype = i64}); }},
    {"%7: f32 = add %0, %1: expected i32",
     [](Sample& s) {
       s.b.apply(Op::add, {s.thread, s.four}, f32);
     }},
    {"%7: i32 = lt %0, %1: expected bool",
     [](Sample& s) {
       s.b.apply(Op::lt, {s.thread, s.four}, i32);
     }},
    {"%7: i32 = exp %0: does not take i32; it takes f32, f64", [](Sample& s) { s.b.apply(Op::exp, {s.thread}); }},
    {"%7: f32 = contract %2, %2: contract is not elementwise",
     [](Sample& s) {
       s.b.apply(Op::contract, {s.x, s.x});
     }},
    {"%7: f32 = add %2: takes 2 arguments, found 1", [](Sample& s) { s.b.apply(Op::add, {s.x}); }},
    {"%7: i32 = random %5, %5: random takes key, step and index, each i64",
     [](Sample& s) {
       s.b.apply(Op::random, {s.wide, s.wide}, i32);
     }},
    // 7: memory
    {"%7: f32 = load %?9[%0]: memory 9 does not exist",
     [](Sample& s) {
       s.b.load(s.in, s.thread);
       s.b.f.body.insts.back().memory = 9;
     }},
    {"%7: f32 = load %in[%6]: index %6 is u8, expected i32 or i64", [](Sample& s) { s.b.load(s.in, s.byte); }},
    {"%7: f32 = load %in[%0] if %1: the predicate %1 is i32, expected bool",
     [](Sample& s) { s.b.load(s.in, s.thread, 1, s.four); }},
    {"%7, %8, %9, %10, %11, %12, %13, %14: f32 = load.8 %in[%0]: 32 bytes at once, at most 16 are allowed",
     [](Sample& s) { s.b.load(s.in, s.thread, 8); }},
    {"%7: i32 = load %in[%0]: expected f32",
     [](Sample& s) { s.b.emit({.kind = Inst::load, .dtype = i32, .memory = s.in, .args = {s.thread}}); }},
    {"store %in[%0] = %2: %in is read-only", [](Sample& s) { s.b.store(s.in, s.thread, s.x); }},
    {"store %out[%0] = %0: the value %0 is i32, expected f32", [](Sample& s) { s.b.store(s.out, s.thread, s.thread); }},
    {"copy_async %out[%0] = %in[%0]: a copy goes from global to shared memory",
     [](Sample& s) { s.b.copy_async(s.out, s.thread, s.in, s.thread); }},
    {"copy_async %tile[%0] = %words[%0]: a copy from i32 to f32",
     [](Sample& s) { s.b.copy_async(s.tile, s.thread, s.words, s.thread); }},
    {"copy_async %tile[%0] = %?9[%0]: memory 9 does not exist",
     [](Sample& s) { s.b.copy_async(s.tile, s.thread, 9, s.thread); }},
    {"copy_async.2 %t[%0] = %g[%0]: 2 bytes, expected 4, 8 or 16",
     [](Sample& s) {
       const auto g = s.b.global("g", u8, 64), t = s.b.shared("t", u8, 64);
       s.b.copy_async(t, s.thread, g, s.thread, 2);
     }},
    // 8: shuffles
    {"%7: f32 = shuffle_down %2, 0: width 1, expected 2 to 32", [](Sample& s) { s.b.shuffle_down(s.x, 0, 1); }},
    {"%7: f32 = shuffle_down.64 %2, 1: width 64, expected 2 to 32", [](Sample& s) { s.b.shuffle_down(s.x, 1, 64); }},
    {"%7: f32 = shuffle_from.8 %2, 8: lane 8 of segments of 8", [](Sample& s) { s.b.shuffle_from(s.x, 8, 8); }},
    {"%7: u8 = shuffle_from.32 %6, 1: u8 is not shuffled: expected 4 or 8 bytes",
     [](Sample& s) { s.b.shuffle_from(s.byte, 1); }},
    {"%7: f32 = shuffle_from.32 %0, 1: the value %0 is i32, expected f32",
     [](Sample& s) {
       s.b.shuffle_from(s.x, 1);
       s.b.f.body.insts.back().args = {s.thread};
     }},
    // 9: loops, matrix products, waits
    {"loop %7: u8 = %6 to %6 step 1: the counter is u8, expected i32 or i64",
     [](Sample& s) { s.b.loop(s.byte, s.byte, 1, [](RegisterId) {}); }},
    {"loop %7: i32 = %0 to %5 step 1: the bound %5 is i64, expected i32",
     [](Sample& s) { s.b.loop(s.thread, s.wide, 1, [](RegisterId) {}); }},
    {"loop %7: i32 = %0 to %1 step 0: step 0", [](Sample& s) { s.b.loop(s.thread, s.four, 0, [](RegisterId) {}); }},
    {"loop %7: i32 = %0 to %1 step -1: step -1", [](Sample& s) { s.b.loop(s.thread, s.four, -1, [](RegisterId) {}); }},
    {"loop %7: i32 = %0 to %1 step 4294967296: step 4294967296",
     [](Sample& s) { s.b.loop(s.thread, s.four, std::int64_t{1} << 32, [](RegisterId) {}); }},
    {"loop unroll %7: i32 = %0 to %1 step 1: it is to be unrolled, but a bound is not constant",
     [](Sample& s) {
       s.b.loop(
           s.thread, s.four, 1, [](RegisterId) {}, true);
     }},
    {"when %0: the condition %0 is i32, expected bool", [](Sample& s) { s.b.when(s.thread, [] {}); }},
    {"%7: f32 = variable %0: the initial value %0 is i32, expected f32",
     [](Sample& s) { s.b.emit({.kind = Inst::variable, .dtype = f32, .args = {s.thread}}); }},
    {"wait_async 4294967296: 4294967296 groups",
     [](Sample& s) { s.b.emit({.kind = Inst::wait_async, .bits = std::uint64_t{1} << 32}); }},
    {"%7, %8, %9, %10: f32 = mma_tf32 [%0, %0, %0, %0] * [%0, %0] + [%0, %0, %0, %0]: the operand %0 is i32, expected "
     "f32",
     [](Sample& s) { s.b.mma(Inst::mma_tf32, std::vector<RegisterId>(10, s.thread)); }},
    {"%7, %8, %9, %10: f32 = mma_bf16 [%2, %2, %2, %2, %2, %2, %2, %2] * [%2, %2, %?, %?] + [%?, %?, %?, %?]: 10 "
     "arguments, expected 16",
     [](Sample& s) { s.b.mma(Inst::mma_bf16, std::vector<RegisterId>(10, s.x)); }},
    // 10: collectives
    {"barrier: threads may have parted at: when %3", [](Sample& s) { s.b.when(s.less, [&] { s.b.barrier(); }); }},
    {"wait_async 0: threads may have parted at: loop %7: i32 = %1 to %0 step 1",
     [](Sample& s) { s.b.loop(s.four, s.thread, 1, [&](RegisterId) { s.b.wait_async(0); }); }},
    {"commit_async: threads may have parted at: when %3",
     [](Sample& s) { s.b.when(s.less, [&] { s.b.commit_async(); }); }},
    {"%7: f32 = shuffle_down.32 %2, 1: threads may have parted at: when %3",
     [](Sample& s) { s.b.when(s.less, [&] { s.b.shuffle_down(s.x, 1); }); }},
    {"%7, %8, %9, %10: f32 = mma_tf32 [%2, %2, %2, %2] * [%2, %2] + [%2, %2, %2, %2]: threads may have parted at: when "
     "%3",
     [](Sample& s) { s.b.when(s.less, [&] { s.b.mma(Inst::mma_tf32, std::vector<RegisterId>(10, s.x)); }); }},
};

}  // namespace

TEST_CASE("device verifier: each invariant") {
  CHECK(verify_error(Sample().b.f) == "");
  for (const Broken& broken : kBroken) {
    Sample s;
    broken.damage(s);
    CHECK(verify_error(s.b.f) == std::string("internal error: verify: device @sample: ") + broken.message);
  }
  Sample s;
  s.b.f.name = "a b";
  CHECK(verify_error(s.b.f) == "internal error: verify: device @a b: the name is not an identifier");
}

TEST_CASE("device verifier: barriers stand where a block's threads stay together") {
  struct Row {
    const char* what;
    void (*build)(SimtBuilder&, simt::MemoryId sizes, RegisterId thread);
    bool together;
  };
  const Row rows[] = {
      {"a constant bound",
       [](SimtBuilder& b, simt::MemoryId, RegisterId) {
         b.loop(b.constant(0), b.constant(4), 1, [&](RegisterId) { b.barrier(); });
       },
       true},
      {"the block's number",
       [](SimtBuilder& b, simt::MemoryId, RegisterId) {
         b.when(b.compare(Op::lt, b.plus(b.block(), 3), b.constant(7)), [&] { b.barrier(); });
       },
       true},
      {"a load that all threads share",
       [](SimtBuilder& b, simt::MemoryId sizes, RegisterId) {
         b.loop(b.constant(0), b.load(sizes, b.block()), 1, [&](RegisterId) { b.barrier(); });
       },
       true},
      {"a load that they do not share",
       [](SimtBuilder& b, simt::MemoryId sizes, RegisterId thread) {
         b.loop(b.constant(0), b.load(sizes, thread), 1, [&](RegisterId) { b.barrier(); });
       },
       false},
      {"a predicate that they do not share",
       [](SimtBuilder& b, simt::MemoryId sizes, RegisterId thread) {
         const RegisterId zero = b.constant(0);
         b.loop(zero, b.load(sizes, zero, 1, b.compare(Op::eq, thread, zero)), 1, [&](RegisterId) { b.barrier(); });
       },
       false},
      {"a shuffled value",
       [](SimtBuilder& b, simt::MemoryId, RegisterId) {
         b.loop(b.constant(0), b.shuffle_down(b.constant(1), 1), 1, [&](RegisterId) { b.barrier(); });
       },
       false},
      {"a variable that is the same for all",
       [](SimtBuilder& b, simt::MemoryId, RegisterId) {
         const RegisterId n = b.variable(b.constant(0));
         b.loop(b.constant(0), b.constant(4), 1, [&](RegisterId i) {
           b.when(b.compare(Op::lt, n, i), [&] { b.barrier(); });
           b.set(n, b.add(n, i));
         });
       },
       true},
      {"a variable that is set later in a loop to what varies",
       [](SimtBuilder& b, simt::MemoryId, RegisterId thread) {
         const RegisterId n = b.variable(b.constant(0));
         b.loop(b.constant(0), b.constant(4), 1, [&](RegisterId i) {
           b.when(b.compare(Op::lt, n, i), [&] { b.barrier(); });
           b.set(n, thread);
         });
       },
       false},
      {"a variable that only some threads set",
       [](SimtBuilder& b, simt::MemoryId, RegisterId thread) {
         const RegisterId n = b.variable(b.constant(0));
         b.when(b.compare(Op::lt, thread, b.constant(7)), [&] { b.set(n, b.constant(1)); });
         b.when(b.compare(Op::eq, n, b.constant(1)), [&] { b.barrier(); });
       },
       false},
      {"a variable of those threads",
       [](SimtBuilder& b, simt::MemoryId sizes, RegisterId thread) {
         b.when(b.compare(Op::lt, thread, b.constant(7)), [&] {
           const RegisterId n = b.variable(b.constant(0));
           b.set(n, b.constant(1));
           b.loop(b.constant(0), n, 1, [&](RegisterId i) { b.load(sizes, i); });
         });
       },
       true},
      {"below a condition that parts",
       [](SimtBuilder& b, simt::MemoryId, RegisterId thread) {
         b.when(b.compare(Op::lt, thread, b.constant(7)),
                [&] { b.loop(b.constant(0), b.constant(4), 1, [&](RegisterId) { b.barrier(); }); });
       },
       false},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    SimtBuilder b("together", 4, 64);
    row.build(b, b.global("sizes", i32, 64, true), b.thread());
    const std::string error = verify_error(b.f);
    INFO(error);
    CHECK((error == "") == row.together);
    CHECK((error.find("threads may have parted") != std::string::npos) == !row.together);
  }
}

TEST_CASE("device code: each kind of instruction has its row") {
  for (int kind = Inst::constant; kind <= Inst::mma_bf16; ++kind)
    CHECK(info(static_cast<Inst::Kind>(kind)).kind == kind);
  CHECK(simt::result_count({.kind = Inst::load, .width = 4}) == 4);
  CHECK(simt::result_count({.kind = Inst::store, .width = 4}) == 0);
}
