// Private to codegen/: functions that put a kernel's buffers in place. A kernel is compiled for buffers numbered from
// 0; in a program they have other numbers. A thunk is a KernelFn that gathers them into a table of the kernel's own and
// calls it.
#pragma once
#include <span>
#include <vector>

#include "ir/artifact/host_artifact.h"

namespace weft::codegen {

struct Thunk {
  KernelFn target = nullptr;
  std::span<const Argument> arguments;  // the table that the target takes
};

/// x86-64 code of its own pages, which are writable while they are filled, then executable, never both.
class Thunks {
 public:
  /// Throws Error when there is no memory for them.
  explicit Thunks(std::span<const Thunk>);
  ~Thunks();
  Thunks(const Thunks&) = delete;
  Thunks& operator=(const Thunks&) = delete;
  const std::vector<KernelFn>& functions() const { return functions_; }  ///< one for each thunk

 private:
  void* pages_ = nullptr;
  std::size_t bytes_ = 0;
  std::vector<KernelFn> functions_;
};

}  // namespace weft::codegen
