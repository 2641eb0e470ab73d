// Kernels that are one another's copies on other buffers, as the layers of a deep model are: compiled once.
#pragma once
#include <vector>

#include "ir/kernel.h"

namespace weft::codegen {

struct Copy {
  std::int32_t of = kNone;  // the earlier kernel whose code does; kNone: this kernel has code of its own
  std::vector<std::pair<BufferId, BufferId>> buffers;  // (buffer of `of`, the buffer here in its place)
};
/// One entry for each kernel. Two kernels are copies when they differ in names, provenance and the identity of buffers
/// only.
std::vector<Copy> find_copies(const Program&);

}  // namespace weft::codegen
