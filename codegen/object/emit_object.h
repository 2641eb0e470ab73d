// Private to codegen/object/: the pieces of an object's module.
#pragma once
#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <string>
#include <vector>

#include "codegen/object.h"

namespace weft::codegen {

using ObjectBuilder = llvm::IRBuilder<>;

/// A function of the module, with its builder at the entry. `exported`: other programs see it.
llvm::Function* begin_function(llvm::Module&, ObjectBuilder&, llvm::Type* result, const std::string& name,
                               llvm::ArrayRef<llvm::Type*> parameters, bool exported);
/// for (i = 0; i < end; i += step) body(i)
void for_range(ObjectBuilder&, llvm::Value* end, std::int64_t step, llvm::function_ref<void(llvm::Value*)> body);
/// Returns `fault` from a function that gives a fault, where the condition holds.
void return_if(ObjectBuilder&, llvm::Value* condition, ObjectFault fault);
/// Pointer + bytes.
llvm::Value* offset(ObjectBuilder&, llvm::Value* pointer, std::int64_t bytes);
/// Whether the pointer is null or no multiple of kCacheLine.
llvm::Value* is_misplaced(ObjectBuilder&, llvm::Value* pointer);
/// Bytes in the file that nobody changes, aligned to kCacheLine; equal ones are one.
llvm::Constant* constant_bytes(llvm::Module&, std::string_view bytes);
/// void copy(to, from, i64 bytes), which does not overlap.
llvm::Function* copy_function(llvm::Module&);

// float_environment.cpp
/// Sets the environment that kernels run in; returns what restore_floats() puts back.
llvm::Value* set_floats(ObjectBuilder&, const CpuTarget&);
void restore_floats(ObjectBuilder&, const CpuTarget&, llvm::Value* saved);

// levels.cpp
/// i32 level(void): the last level that this machine can run, -1 when it can run none.
llvm::Function* level_function(llvm::Module&, const std::vector<CpuTarget>& levels);

// emit_state.cpp
/// init, restart, read, write and supported.
void emit_state_functions(llvm::Module&, const ObjectModule&, std::uint64_t id);
/// Returns from a function that gives a fault unless init() has made this state; gives its level, i32.
llvm::Value* checked_level(ObjectBuilder&, const ObjectModule&, llvm::Value* state, std::uint64_t id);

// emit_function.cpp
/// A function with what it launches, by level: artefacts whose kernels are functions of the module, and their plans.
struct PlannedFunction {
  const ObjectFunction* function;
  std::vector<HostArtifact> artifacts;
  std::vector<std::vector<PlannedPhase>> plans;
};
ObjectCode::Function emit_function(llvm::Module&, const ObjectModule&, const PlannedFunction&, std::uint64_t id);

}  // namespace weft::codegen
