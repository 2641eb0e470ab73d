// Reference semantics of each op, naive on purpose: the oracle that everything compiled must equal in bits. The numerics contract
// (order of sums, flushed subnormals, NaN rules) is written down in ir/README.md and implemented here first.
#pragma once
#include <algorithm>

#include <weft/ir/op.h>

namespace weft {

namespace eval {
Array input(const EvalArgs&);        // never called: the interpreter binds inputs
Array constant(const EvalArgs&);
Array iota(const EvalArgs&);
Array random(const EvalArgs&);
Array size(const EvalArgs&);
Array unary(const EvalArgs&);
Array binary(const EvalArgs&);
Array compare(const EvalArgs&);
Array select(const EvalArgs&);
Array fma(const EvalArgs&);
Array convert(const EvalArgs&);
Array broadcast(const EvalArgs&);
Array reshape(const EvalArgs&);
Array transpose(const EvalArgs&);
Array slice(const EvalArgs&);
Array pad(const EvalArgs&);
Array concat(const EvalArgs&);
Array gather(const EvalArgs&);
Array scatter_add(const EvalArgs&);
Array reduce(const EvalArgs&);
Array arg_reduce(const EvalArgs&);
Array contract(const EvalArgs&);
}  // namespace eval

/// Lengths at which a sum is split into chunks whose partial results are combined in order: part of the numerics contract.
inline constexpr std::int64_t kContractChunk = 1024;  // products in one fma chain of a contraction
inline constexpr std::int64_t kStripedChunk = 4096;   // elements in one chunk of a reduction over the last axis
inline constexpr int kReduceStripes = 16;             // stripes of a reduction over the last axis
inline constexpr std::int64_t kSequentialChunk = 256; // the shortest chunk of a reduction over another axis, and the most chunks

/// Elements in one chunk of a reduction of n elements.
constexpr std::int64_t reduce_chunk(std::int64_t n, bool striped) {
  return striped ? kStripedChunk : std::max(kSequentialChunk, (n + kSequentialChunk - 1) / kSequentialChunk);
}

/// Flushes subnormal inputs and results to zero for the life of the object, on this thread (x86: FTZ and DAZ).
class FlushSubnormals {
 public:
  FlushSubnormals();
  ~FlushSubnormals();
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
  unsigned saved_;
};

}  // namespace weft
