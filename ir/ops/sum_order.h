// Where the reference interpreter, and so everything compiled, cuts its sums: part of the numerics contract, which is
// written down in ir/README.md.
#pragma once
#include <cstdint>

#include <weft/ir/base/float_environment.h>
#include <weft/ir/ops/op.h>

namespace weft {

inline constexpr std::int64_t kContractChunk = 1024;  // products in one fma chain of a contraction
inline constexpr int kReduceStripes = 16;             // stripes of a reduction over the last axis

/// Where a reduction is cut, part of the numerics contract (ir/README.md, "Reduction"): a run is one chain, a chunk is
/// a chain of the results of its runs, and the results of chunks are the leaves of a tree.
struct ReduceOrder {
  std::int64_t run, chunk;  // elements; a chunk holds whole runs
};
inline constexpr std::int64_t kRun = 16;           // elements in a run, of one stripe where there are stripes
inline constexpr std::int64_t kReduceChunk = 256;  // and in a chunk
inline constexpr ReduceOrder kStripedOrder = {kRun * kReduceStripes, kReduceChunk * kReduceStripes};
inline constexpr ReduceOrder kTreeOrder = {1, 1};  // every element is a leaf
/// Of n elements over an axis that is not the last one. What is added up for one training step, over a batch of no more
/// than 128, is one run.
constexpr ReduceOrder sequential_order(std::int64_t n) { return {n <= 128 ? 128 : kRun, kReduceChunk}; }

/// In which order a stage of a kernel folds its elements.
enum class FoldOrder : std::uint8_t {
  sequential,  // runs, chunks and the tree over those
  striped,     // stripes of the last axis, then as above
  tree,        // the tree alone: the elements are the results of chunks
  chain,       // one after the other, from the first on: the elements are the sums of a contraction's chunks
};
/// Where a fold of n elements is cut.
constexpr ReduceOrder reduce_order(FoldOrder order, std::int64_t n) {
  switch (order) {
    case FoldOrder::striped: return kStripedOrder;
    case FoldOrder::tree: return kTreeOrder;
    case FoldOrder::chain: return {(n / kRun + 1) * kRun, (n / kRun + 1) * kRun};  // one run, longer than n
    case FoldOrder::sequential: break;
  }
  return sequential_order(n);
}

}  // namespace weft
