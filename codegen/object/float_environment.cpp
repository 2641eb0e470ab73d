// The floating-point environment of kernels, on each architecture: round to nearest, trap nothing, flush subnormals.
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsAArch64.h>
#include <llvm/IR/IntrinsicsARM.h>
#include <llvm/IR/IntrinsicsX86.h>

#include "codegen/object/emit_object.h"

namespace weft::codegen {
namespace {

constexpr std::uint32_t kMxcsr = 0x9fc0;          // all exceptions masked, FTZ, DAZ
constexpr std::uint32_t kFlushToZero = 1u << 24;  // AArch64's FPCR and Arm's FPSCR
constexpr std::uint32_t kNearest = 1;             // of llvm.set.rounding

bool is(const CpuTarget& target, std::string_view architecture) { return target.triple.starts_with(architecture); }

}  // namespace

llvm::Value* set_floats(ObjectBuilder& b, const CpuTarget& target) {
  if (target.is_x86()) {
    llvm::Value *saved = b.CreateAlloca(b.getInt32Ty()), *wanted = b.CreateAlloca(b.getInt32Ty());
    b.CreateIntrinsic(llvm::Intrinsic::x86_sse_stmxcsr, {}, {saved});
    b.CreateStore(b.getInt32(kMxcsr), wanted);
    b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {wanted});
    return saved;
  }
  if (is(target, "aarch64")) {
    llvm::Value* saved = b.CreateIntrinsic(llvm::Intrinsic::aarch64_get_fpcr, {}, {});
    b.CreateIntrinsic(llvm::Intrinsic::aarch64_set_fpcr, {}, {b.getInt64(kFlushToZero)});
    return saved;
  }
  if (is(target, "thumb")) {
    llvm::Value* saved = b.CreateIntrinsic(llvm::Intrinsic::arm_get_fpscr, {}, {});
    b.CreateIntrinsic(llvm::Intrinsic::arm_set_fpscr, {}, {b.getInt32(kFlushToZero)});
    return saved;
  }
  llvm::Value* saved = b.CreateIntrinsic(llvm::Intrinsic::get_rounding, {}, {});
  b.CreateIntrinsic(llvm::Intrinsic::set_rounding, {}, {b.getInt32(kNearest)});
  return saved;
}

void restore_floats(ObjectBuilder& b, const CpuTarget& target, llvm::Value* saved) {
  llvm::Intrinsic::ID id = llvm::Intrinsic::set_rounding;
  if (target.is_x86()) id = llvm::Intrinsic::x86_sse_ldmxcsr;
  if (is(target, "aarch64")) id = llvm::Intrinsic::aarch64_set_fpcr;
  if (is(target, "thumb")) id = llvm::Intrinsic::arm_set_fpscr;
  b.CreateIntrinsic(id, {}, {saved});
}

}  // namespace weft::codegen
