// Kernels that are one another's copies on other buffers, as the layers of a deep model and the steps of an unrolled
// one are: compiled once.
#pragma once
#include <vector>

#include "ir/kernel.h"

namespace weft::codegen {

struct Copy {
  struct Place {
    BufferId there, here;  // the buffer of `of`, and the buffer here in its place
    std::int64_t bytes;    // from the beginning of `here`
    friend bool operator==(const Place&, const Place&) = default;
  };
  std::int32_t of = kNone;    // the earlier kernel whose code does; kNone: this kernel has code of its own
  std::vector<Place> places;  // one for each buffer that the kernel touches
};
/// One entry for each kernel. Two kernels are copies when they differ in names, provenance, the identity of buffers and
/// where in each buffer they begin only. Time is linear in the size of the program.
std::vector<Copy> find_copies(const Program&);

}  // namespace weft::codegen
