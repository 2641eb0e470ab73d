// Device code: what every thread of a GPU launch does, as a tree of instructions. One Function comes from one phase of
// a kernel; codegen/ turns it into PTX through LLVM, and the emulator runs the very same instructions on the host.
//
// Meaning: a launch runs `blocks` blocks of `threads` threads. All threads of a block run the body; 32 consecutive ones
// are a warp. Threads of a block share the shared arrays, whose contents are undefined at first. Two accesses of one
// element, one of them a store, by different threads need a barrier between them; there is none across blocks, so what
// a launch stores may be loaded in it only by the thread that stored it or, past a barrier, by threads of its block.
// Barriers, shuffles, matrix products and asynchronous groups are collectives: all threads of the block must reach them
// together, so they stand only where control flow is the same for the whole block (verify() proves that).
// Arithmetic is that of ir/ops/scalar.h, subnormals flushed: the same bits as the interpreter. Arithmetic that leads to
// an index does not wrap, so that code generation may split constants off it.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <weft/ir/base/loc.h>
#include <weft/ir/memory/buffer.h>
#include <weft/ir/ops/op.h>

namespace weft::simt {

using RegisterId = std::int32_t;  // of a variable of each thread
using MemoryId = std::int32_t;
inline constexpr int kWarp = 32;
inline constexpr int kMaxThreads = 1024;  // of a block

/// A range of memory, indexed by element.
struct Memory {
  enum Space : std::uint8_t { global, shared } space = global;
  std::string name;
  DType dtype = f32;
  std::int64_t elements = 0;
  BufferId buffer = kNone;  // global: the buffer of the program
  bool read_only = false;   // global: no store of this function goes to its storage, under this or any other name
};

struct Region;

struct Inst {
  enum Kind : std::uint8_t {
    // pure: one result
    constant,      // `bits`, the value in its dtype (low bytes)
    thread,        // i32: number of the thread in its block
    block,         // i32: number of the block
    apply,         // `op` of args: any elementwise op, or random of (key, step, index: i64)
    shuffle_down,  // args[0] of the thread `bits` lanes above, in the same segment of `width` lanes; its own value
                   // where
                   // that is outside the segment. 32- or 64-bit dtypes
    shuffle_from,  // args[0] of lane `bits` of the same segment of `width` lanes
    // memory; args[0] is the index of the first of `width` (1, 2, 4, 8, 16) neighbours, a multiple of `width`.
    // `predicate` (unless kNone): memory is touched only where it is true.
    load,        // results result … result+width-1: memory[args[0] + i]; 0 where the predicate is false
    store,       // memory[args[0] + i] = args[1 + i]
    copy_async,  // memory[args[0] + i] = source[args[1] + i] (0 where the predicate is false); memory is shared, source
                 // is global; 4, 8 or 16 bytes in all. Visible to this thread after wait_async, to others after the
                 // barrier that follows it
    commit_async,  // closes a group of copies
    wait_async,    // until at most `bits` of the groups that this thread closed are unfinished
    barrier,       // all threads of the block
    // mutable variables
    variable,  // result = args[0], of its dtype; may be set
    set,       // variable args[0] = args[1]
    // control
    loop,  // for (result = args[0]; result < args[1]; result += bits) body. `unroll`: code is repeated, bounds are
           // constants
    when,  // if (args[0]) body
    // matrix product of a warp: results result … +3 = a * b + c on tensor cores; fragments as PTX's mma.sync lays them
    mma_tf32,  // m16n8k8:  args a0 … a3, b0, b1, c0 … c3, f32, a and b rounded to tf32 (nearest, ties away)
    mma_bf16,  // m16n8k16: args a0 … a7, b0 … b3, c0 … c3, f32, a and b rounded to bf16 (nearest even); a register of
               // the fragment is two neighbours
  };
  Kind kind = constant;
  Op op = Op::constant;
  std::uint8_t width = 1;
  bool unroll = false;
  DType dtype = f32;  // of the results
  MemoryId memory = kNone, source = kNone;
  RegisterId result = kNone, predicate = kNone;
  std::uint64_t bits = 0;
  std::vector<RegisterId> args;
  std::shared_ptr<Region> body;  // loop, when
  std::int32_t origin = kNone;   // index in Function::origins: what it does in the user's terms
};

struct Region {
  std::vector<Inst> insts;
};

struct Function {
  std::string name;
  std::int32_t kernel = 0, phase = 0;  // in Program::kernels, Kernel::phases
  std::int64_t blocks = 0;             // 0: nothing to do
  int threads = 0;                     // a multiple of kWarp, at most kMaxThreads
  std::vector<Memory> memories;
  std::vector<DType> types;  // of each value
  Region body;
  std::vector<std::string> origins;  // "load %t49[m, k]"
  LocSet locs;                       // of the kernel
  /// Of a program with indices to check: index -1 - i of a global memory stands for one outside its buffer, and this is
  /// what to say of it (ir/kernel/unproven.h). An emulator does; a GPU faults.
  std::vector<std::string> checks;

  DType type(RegisterId v) const { return types[static_cast<std::size_t>(v)]; }
};

/// The place of each shared array (in the order of `memories`, which may hold global ones between them) in bytes, each
/// a multiple of 16, and as the last element their end.
std::vector<std::int64_t> shared_layout(const Function&);

/// `device @contract2 blocks=64 threads=128 { … }`
std::string print(const Function&);
std::string print(const std::vector<Function>&);  ///< a blank line behind each

/// Throws InternalError naming the function, the instruction and the broken invariant (listed in
/// ir/simt/verify_simt.cpp).
void verify(const Function&);

}  // namespace weft::simt
