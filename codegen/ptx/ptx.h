// Private to codegen/: device code as LLVM IR for NVPTX.
#pragma once
#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>
#include <vector>

#include "codegen/cpu/emit.h"
#include "codegen/device.h"
#include "ir/base/target.h"
#include "ir/simt/simt.h"

namespace weft::codegen {

inline constexpr std::int64_t kStaticShared = 48 << 10;  // bytes of shared memory that need no opting in
inline constexpr unsigned kGlobalSpace = 1, kSharedSpace = 3, kConstSpace = 4;  // LLVM's numbers on NVPTX

/// LLVM's back end for a GPU: strict about floating point (nothing fused). Initialises LLVM's NVPTX target on first
/// use. Thread-safe; the machine itself belongs to one thread.
std::unique_ptr<llvm::TargetMachine> make_target_machine(const GpuTarget&);

/// Replaces float arithmetic by the machine's own operations: rounded once, never fused, subnormals flushed as
/// ir/ops/scalar.h says, and opaque to LLVM's algebra (ptx_exact.cpp).
void make_arithmetic_exact(llvm::Function&);
/// Moves what emit_opaque() made to the constant bank, under names that begin with `prefix`.
void place_opaque_constants(llvm::Module&, const std::string& prefix);

/// What the body of a device function runs on.
struct DeviceFrame {
  Value* block = nullptr;        // i32
  std::vector<Value*> memories;  // of each memory: the address of its first element
  /// Read-only memories do not change while the launch runs, so that loads may pass by the coherent caches.
  bool invariant = true;
  int barrier = 0;  // the hardware's barrier that stands for the block's
};

/// Emits the body of a device function where the builder stands, which afterwards stands behind it. Every thread below
/// Function::threads of a block runs it.
class DeviceEmitter {
 public:
  DeviceEmitter(Builder&, const simt::Function&, DeviceFrame);
  void run() { region(f_.body); }

 private:
  using Inst = simt::Inst;
  void region(const simt::Region&);
  // Instructions (device_to_llvm.cpp)
  void constant(const Inst&);
  void thread(const Inst&);
  void block(const Inst&);
  void apply(const Inst&);
  void shuffle(const Inst&);
  void barrier(const Inst&);
  void variable(const Inst&);
  void set(const Inst&);
  void loop(const Inst&);
  void unrolled(const Inst&, std::int64_t begin, std::int64_t end);
  void when(const Inst&);
  void mma_tf32(const Inst&);
  void mma_bf16(const Inst&);
  void matrix_product(const Inst&, llvm::Intrinsic::ID, Values args);
  // Memory (ptx_memory.cpp)
  void load(const Inst&);
  void store(const Inst&);
  void copy_async(const Inst&);
  void commit_async(const Inst&);
  void wait_async(const Inst&);
  /// memory[index], where index is a value of the function.
  Value* address(simt::MemoryId, simt::RegisterId index);
  struct Split {
    Value* variable;  // null: none
    std::int64_t constant;
  };
  Split split(Value* index);

  Value* value(simt::RegisterId);
  void define(simt::RegisterId id, Value* v) { values_[static_cast<std::size_t>(id)] = v; }
  /// condition ? body() : 0 of `type`.
  Value* guarded(Value* condition, llvm::Type* type, llvm::function_ref<Value*()> body);
  void guarded(Value* condition, llvm::function_ref<void()> body);
  llvm::BasicBlock* new_block(const char* name);
  llvm::Type* type_of(simt::RegisterId v) { return register_type(b_, f_.type(v)); }
  const simt::Memory& memory(simt::MemoryId m) const { return f_.memories[static_cast<std::size_t>(m)]; }

  using Emit = void (DeviceEmitter::*)(const Inst&);
  struct Row {
    Inst::Kind kind;
    Emit emit;
  };
  static const Row kRows[];

  Builder& b_;
  const simt::Function& f_;
  DeviceFrame frame_;
  std::vector<Value*> values_;  // a variable's is its place on the stack, which LLVM then promotes
  llvm::DenseMap<Value*, Split> split_;
};

// Entries (ptx_launch.cpp)
/// The block's shared memory: `bytes` of it, or, beyond what a kernel may declare, what the launch asks for; null for
/// 0.
llvm::GlobalVariable* shared_block(llvm::Module&, const std::string& entry, std::int64_t bytes);
/// A kernel entry for blocks of exactly `threads` threads, where the builder then stands.
llvm::Function* open_entry(llvm::Module&, Builder&, const std::string& entry, llvm::ArrayRef<llvm::Type*> parameters,
                           int threads);
/// The address of each memory of a function: its place in the block's shared memory, or what `global` says.
std::vector<Value*> memory_addresses(Builder&, const simt::Function&, Value* shared,
                                     llvm::function_ref<Value*(const simt::Memory&)> global);

/// A module with one entry that runs the function: `entry`(address of each global memory).
std::unique_ptr<llvm::Module> emit_launch(llvm::LLVMContext&, const simt::Function&, const std::string& entry,
                                          const llvm::DataLayout&);
/// A module with the entry that codegen/device.h calls persistent (ptx_persistent.cpp).
std::unique_ptr<llvm::Module> emit_persistent(llvm::LLVMContext&, const std::vector<simt::Function>&,
                                              const PersistentEntry&, const llvm::DataLayout&);

}  // namespace weft::codegen
