// What the emulator's handlers work on: the state of one block, and where to find the handler of an instruction.
#pragma once
#include <string>
#include <vector>

#include <weft/ir/base/at.h>
#include <weft/ir/base/native_fma.h>
#include <weft/runtime/emulator/emulator_code.h>

namespace weft::emulator {

class Checker;

/// Asynchronous copies that have not taken effect: they do so as late as they may, so that a missing wait shows.
struct PendingCopies {
  struct Copy {
    std::byte* to;
    const std::byte* from;  // null: zeros
    const Step* step;
    std::int32_t thread, bytes;
    std::int64_t element;  // of the shared array
  };
  std::vector<Copy> copies;
  std::vector<std::size_t> groups;  // ends of the groups that were closed and not waited for
};

/// Runs blocks of one function, one after another. One machine for each host thread.
struct Machine {
  struct alignas(kLine) Line {
    std::byte bytes[kLine];
  };
  const Code* code = nullptr;
  std::byte* frame = nullptr;    // in frame_lines
  std::vector<std::byte*> data;  // of each memory
  std::uint32_t pc = 0;          // the step after this one
  std::int32_t block = 0;
  PendingCopies pending;
  Checker* checker = nullptr;      // null: bounds only
  bool active[simt::kMaxThreads];  // scratch: threads that are here and whose predicate is true
  std::vector<Line> frame_lines, shared_lines;

  /// Prepares for a function whose global memories, in order, lie at `globals`.
  void enter(const Code&, const std::vector<std::byte*>& globals, Checker*);
  void run_block(std::int32_t number);

  template <class T>
  T* values(Slot p) {
    return reinterpret_cast<T*>(frame + p);
  }
  const simt::Function& function() const { return *code->function; }
};

/// Calls f(i) for i = 0 … n-1, vectorised. Slots that f reads and writes are the same one or do not overlap.
template <class F>
void for_lanes(int n, F f) {
  with_native_fma([=] {
    const F g = f;  // copies that no store can reach
    const int end = n;
#pragma GCC ivdep
    for (int i = 0; i < end; ++i) g(i);
  });
}

/// `kernel @contract2, phase 0 (mlp.cpp:12)`: where a complaint begins.
std::string place_of(const simt::Function&);
/// `loads %a[17] (load %t49[m, k])`, for messages.
std::string what_it_does(const simt::Function&, const simt::Inst&);

// Handlers. Slots, unless said otherwise: at[0] the result, at[1] … the arguments.
Handler apply_handler(Op, DType operand, DType result);  // `operand` as for eval_scalar
Handler constant_handler(DType);
Handler copy_handler(DType);   // result = argument, where `mask` is true
Handler splat_handler(DType);  // spreads element 0 of at[0] over the others
void thread_numbers(const Step&, Machine&);
void block_number(const Step&, Machine&);
Handler load_handler(DType, DType index, int width);   // at[0] the index, at[1] the predicate, results in Code::slots
Handler store_handler(DType, DType index, int width);  // at[0] the index, at[1] the predicate, values in Code::slots
Handler copy_async_handler(DType index, DType source_index);  // at[0], at[1] the indices, at[2] the predicate
void commit_async(const Step&, Machine&);
void wait_async(const Step&, Machine&);
void barrier(const Step&, Machine&);
Handler shuffle_handler(simt::Inst::Kind, DType);
void mma_tf32(const Step&, Machine&);  // results, then arguments in Code::slots, as for mma_bf16
void mma_bf16(const Step&, Machine&);
// Control flow. A loop's at[]: counter, start, end, and its own mask when threads leave it one by one.
Handler loop_begin_handler(DType, bool varying);
Handler loop_end_handler(DType, bool varying);
void when_uniform(const Step&, Machine&);  // at[0] the condition
void when_varying(const Step&, Machine&);  // at[0] its own mask, at[1] the condition

}  // namespace weft::emulator
