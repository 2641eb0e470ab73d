// The roofs that a kernel is held to, measured by the process that runs it: the bandwidth of a copy, and the rates of
// multiply-adds, divisions and square roots, in the registers of a target that this machine runs.
#pragma once
#include <cstdint>
#include <memory>

#include "ir/base/array.h"
#include "ir/base/target.h"
#include "ir/graph/graph.h"
#include "runtime/host/thread_team.h"

namespace weft::bench {

/// A STREAM-like copy between two arrays on a team of threads. It counts each byte read and each byte written once, as
/// the kernels' bytes are counted.
class Copy {
 public:
  /// `bytes`: of both arrays together, what the kernel beside it touches.
  Copy(std::shared_ptr<ThreadTeam>, const CpuTarget&, std::int64_t bytes);
  /// Seconds for one copy, the mean of as many as take about 100 microseconds.
  /// `streaming`: stores that pass by the caches, so that lines are not read before they are overwritten.
  double seconds(bool streaming);
  std::int64_t bytes() const { return 2 * half_; }

 private:
  std::shared_ptr<ThreadTeam> team_;
  CpuTarget target_;
  std::int64_t half_;
  Array from_, to_;
};

/// Vector operations, counted in elements, by the unit that they need.
struct Work {
  double multiply = 0;  // mul, fma
  double other = 0;     // add, compare, select, bits, integer operations: any vector unit may take them
  double div = 0, sqrt = 0;
};

/// The arithmetic of a graph if each of its values is computed once. Elementary functions count the operations of their
/// polynomials (ir/ops/approx.h) and of their special cases.
Work work_of(const Graph&);

/// Elements a second on `threads` threads, f32: multiply-adds, operations of all kinds together (measured with
/// additions of integers), divisions, square roots.
struct Rates {
  double multiply = 0, all = 0, div = 0, sqrt = 0;
};
const Rates& rates(int threads, const CpuTarget&);

/// Seconds below which no arrangement of the work can come: the busiest unit's. Divisions and roots share one.
double seconds(const Work&, const Rates&);

}  // namespace weft::bench
