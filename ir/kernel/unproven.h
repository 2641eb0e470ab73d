// Indices that the verifier cannot prove to be inside their buffer: whether they are is known when the kernel runs.
#pragma once
#include <string>
#include <vector>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// One dimension of an access: of expression `load`, or of a store of a phase's stage. It is indirect, or a predicate
/// stands before an affine index that would leave the buffer.
struct UnprovenIndex {
  ExprId load = kNone;
  std::int32_t phase = kNone, stage = kNone, store = kNone;
  int dimension = 0;
  friend bool operator==(const UnprovenIndex&, const UnprovenIndex&) = default;
};
/// Those of a kernel that verify() accepts, in a fixed order: their position is the number by which compiled code
/// reports one.
std::vector<UnprovenIndex> unproven_indices(const Program&, const Kernel&);

/// What a run that finds an index outside its buffer reports: "k.weft:3:10: error: kernel @k: …", with the access,
/// dimension and extent. Where the index is known, ", found N" follows.
std::string out_of_bounds_text(const Program&, const Kernel&, const UnprovenIndex&);

}  // namespace weft
