// The contract between codegen/ (which makes it) and runtime/ (which runs it, without LLVM).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ir/kernel.h"

namespace weft {

/// One phase of a kernel as machine code: runs units [begin, end). buffers[i] is the base address of Program::buffers[i].
/// `scratch` is private to the thread, 64-byte aligned, KernelCode::scratch_bytes long. Called with FTZ and DAZ set.
using KernelFn = void (*)(std::byte* const* buffers, std::int64_t begin, std::int64_t end, std::byte* scratch);

struct KernelCode {
  KernelFn fn = nullptr;
  std::int64_t units = 0;          // extent of what threads share out; results do not depend on how
  std::int64_t scratch_bytes = 0;
  double cost = 0;                 // estimated cycles of all units: below a threshold one thread runs it alone
  std::int32_t kernel = 0;         // index in Program::kernels
};

/// A compiled program: the phases of all kernels in order, a barrier between each and the next.
struct Image {
  std::shared_ptr<const Program> program;
  std::vector<KernelCode> code;
  std::shared_ptr<void> owner;  // keeps the code pages mapped
  double compile_seconds = 0;   // all of it
  double link_seconds = 0;      // of them, from object code to addresses
};

}  // namespace weft
