// Golden PTX of small hand-made device functions: one a group of instructions.
#include "catch.h"
#include "codegen/cache/identity.h"
#include "codegen/device.h"
#include "codegen/gpu/device_builder.h"
#include "golden.h"

using namespace weft;
using codegen::DeviceBuilder;
using codegen::RegisterIds;
using simt::Inst;
using simt::MemoryId;
using simt::RegisterId;

namespace {

/// A function of `threads` threads under construction.
class Device {
 public:
  Device(const std::string& name, int threads) : b(f_, i32) { f_.name = name, f_.threads = threads, f_.blocks = 8; }
  MemoryId global(const std::string& name, DType t, std::int64_t elements, bool read_only) {
    f_.memories.push_back({simt::Memory::global, name, t, elements, 0, read_only});
    return static_cast<MemoryId>(f_.memories.size()) - 1;
  }
  const simt::Function& finish() {
    b.finish();
    simt::verify(f_);
    return f_;
  }

 private:
  simt::Function f_;

 public:
  DeviceBuilder b;
};

constexpr std::int32_t kNoOrigin = kNone;

/// y[i … i+3] = 2 x[i … i+3] + y[i … i+3] where i < 1000: predicated vectors, x through the read-only cache.
simt::Function axpy() {
  Device d("axpy", 64);
  DeviceBuilder& b = d.b;
  const MemoryId x = d.global("x", f32, 1000, true), y = d.global("y", f32, 1000, false);
  const RegisterId i = b.multiply(b.sum(b.multiply(b.block(), 64), b.thread()), 4), inside = b.less(i, 1000);
  const RegisterIds from = b.load(x, i, 4, inside, kNoOrigin), to = b.load(y, i, 4, inside, kNoOrigin);
  const RegisterId two = b.constant(f32, 0x40000000);
  RegisterIds sums;
  for (std::size_t l = 0; l < 4; ++l)
    sums.push_back(b.apply(Op::add, f32, {b.apply(Op::mul, f32, {two, from[l]}), to[l]}));
  b.store(y, i, sums, kNoOrigin, inside);
  return d.finish();
}

/// y[block] = sum of x[block, 0 … 511]: a loop with a variable, shuffles within segments, shared memory, a barrier.
simt::Function row_sum() {
  Device d("row_sum", 64);
  DeviceBuilder& b = d.b;
  const MemoryId x = d.global("x", f32, 8 * 512, true), y = d.global("y", f32, 8, false),
                 part = b.shared("part", f32, 4);
  const RegisterId row = b.multiply(b.block(), 512), sum = b.variable(b.constant(f32, 0));
  b.loop(b.thread(), b.integer(512), 64, [&](RegisterId i) {
    b.set(sum, b.apply(Op::add, f32, {sum, b.load(x, b.sum(row, i), 1, kNone, kNoOrigin)[0]}));
  });
  for (int lanes = 8; lanes > 0; lanes /= 2) b.set(sum, b.apply(Op::add, f32, {sum, b.shuffle_down(sum, lanes, 16)}));
  b.when(b.equal(b.remainder(b.thread(), 16), 0), [&] { b.store(part, b.divide(b.thread(), 16), {sum}, kNoOrigin); });
  b.barrier();
  b.when(b.equal(b.thread(), 0), [&] {
    const RegisterIds p = b.load(part, b.integer(0), 4, kNone, kNoOrigin);
    const RegisterId low = b.apply(Op::add, f32, {p[0], p[1]}), high = b.apply(Op::add, f32, {p[2], p[3]});
    b.store(y, b.block(), {b.apply(Op::add, f32, {low, high})}, kNoOrigin);
  });
  return d.finish();
}

/// Copies through more shared memory than a kernel may declare, the second of two groups predicated.
simt::Function staged_copy() {
  Device d("staged_copy", 32);
  DeviceBuilder& b = d.b;
  constexpr std::int64_t kElements = 16 << 10;
  const MemoryId x = d.global("x", f32, kElements, true), y = d.global("y", f32, kElements, false),
                 stage = b.shared("stage", f32, kElements);
  const RegisterId i = b.multiply(b.thread(), 4), j = b.add(i, 128);
  b.copy_async(stage, i, x, i, 4, kNone, kNoOrigin);
  b.commit_async();
  b.copy_async(stage, j, x, j, 4, b.less(j, 200), kNoOrigin);
  b.commit_async();
  b.wait_async(1);
  b.barrier();
  b.store(y, i, b.load(stage, i, 4, kNone, kNoOrigin), kNoOrigin);
  b.wait_async(0);
  b.barrier();
  b.store(y, j, b.load(stage, j, 4, kNone, kNoOrigin), kNoOrigin);
  return d.finish();
}

/// f64, where subnormals are flushed by code: z = select(x < y, x * y, |x|), and a 64-bit shuffle.
simt::Function doubles() {
  Device d("doubles", 32);
  DeviceBuilder& b = d.b;
  const MemoryId x = d.global("x", f64, 64, true), z = d.global("z", f64, 32, false);
  const RegisterIds v = b.load(x, b.multiply(b.thread(), 2), 2, kNone, kNoOrigin);
  const RegisterId product = b.apply(Op::mul, f64, v), magnitude = b.apply(Op::abs, f64, {v[0]});
  const RegisterId chosen = b.apply(Op::select, f64, {b.apply(Op::lt, boolean, v), product, magnitude});
  b.store(z, b.thread(), {b.shuffle_from(chosen, 0, 32)}, kNoOrigin);
  return d.finish();
}

/// Bytes as words: f32(u8) / 255, |y| and -y of a subnormal kept, x * 1 of one flushed.
simt::Function bytes() {
  Device d("bytes", 32);
  DeviceBuilder& b = d.b;
  const MemoryId x = d.global("x", u8, 128, true), y = d.global("y", f32, 128, false),
                 p = d.global("p", boolean, 128, false);
  const RegisterId i = b.multiply(b.thread(), 4), scale = b.constant(f32, 0x3b808081),
                   one = b.constant(f32, 0x3f800000);
  const RegisterIds v = b.load(x, i, 4, kNone, kNoOrigin), old = b.load(y, i, 4, kNone, kNoOrigin);
  RegisterIds scaled, positive;
  for (std::size_t l = 0; l < 4; ++l) {
    scaled.push_back(b.apply(Op::mul, f32, {b.convert(v[l], f32), scale}));
    positive.push_back(b.apply(Op::gt, boolean, {old[l], b.constant(f32, 0)}));
  }
  scaled[1] = b.apply(Op::abs, f32, {old[1]});
  scaled[2] = b.apply(Op::neg, f32, {old[2]});
  scaled[3] = b.apply(Op::mul, f32, {old[3], one});
  b.store(y, i, scaled, kNoOrigin);
  b.store(p, i, positive, kNoOrigin);
  return d.finish();
}

/// Two products on tensor cores, one after the other.
simt::Function matrices() {
  Device d("matrices", 32);
  DeviceBuilder& b = d.b;
  const MemoryId x = d.global("x", f32, 32 * 16, true), y = d.global("y", f32, 32 * 4, false);
  RegisterIds v;
  for (int i = 0; i < 16; i += 4)
    for (RegisterId e : b.load(x, b.add(b.multiply(b.thread(), 16), i), 4, kNone, kNoOrigin)) v.push_back(e);
  const RegisterIds tf32 = b.mma(Inst::mma_tf32, {v[0], v[1], v[2], v[3], v[4], v[5], v[12], v[13], v[14], v[15]});
  RegisterIds args(v.begin(), v.begin() + 12);
  args.insert(args.end(), tf32.begin(), tf32.end());
  b.store(y, b.multiply(b.thread(), 4), b.mma(Inst::mma_bf16, args), kNoOrigin);
  return d.finish();
}

}  // namespace

TEST_CASE("abs and neg of a subnormal that is stored keep it") {
  const std::string text = emit_ptx({bytes()}, gpu_target("sm_80")).text;
  CHECK(text.find("and.b32 ") != std::string::npos);
  CHECK(text.find("xor.b32 ") != std::string::npos);
  CHECK(text.find("abs.") == std::string::npos);
  CHECK(text.find("neg.") == std::string::npos);
}

TEST_CASE("golden PTX of every group of instructions", "[golden]") {
  if (codegen::generator_identity().find(" llvm 19.") == std::string::npos) {
    WARN("the golden PTX is LLVM 19's: not compared with " << codegen::generator_identity());
    return;
  }
  for (const simt::Function& f : {axpy(), row_sum(), staged_copy(), doubles(), bytes(), matrices()})
    check_golden("ptx/" + f.name, emit_ptx({f}, gpu_target("sm_80")).text);
  const std::string text = emit_ptx({axpy(), doubles()}, gpu_target("sm_80"), true).text;
  check_golden("ptx/persistent", text.substr(0, text.find("// .globl\taxpy")));
}
