// The search for a better schedule of one contraction kernel.
#pragma once
#include <array>
#include <memory>
#include <vector>

#include "ir/base/target.h"
#include "ir/kernel/kernel.h"
#include "runtime/host/thread_team.h"

namespace weft::tools {

inline constexpr double kNoise = 0.97;  // a time below this share of another's is less

struct TuneResult {
  CpuSchedule before, after;         // the cost model's, and the fastest found (the same where none was faster)
  double before_s = 0, after_s = 0;  // measured in turn, at the end
  int tried = 0;                     // schedules compiled, the first one included
  bool faster = false;               // by more than noise
};

/// Times schedules of the only kernel of `lone` (as lone_kernel() makes it), for about `seconds`: first packings and
/// splits, then tiles, then blocks, always around the best so far and in the order of the cost model. Throws
/// InternalError when a schedule's results differ in bits from those of the first.
TuneResult tune(const Program& lone, const CpuTarget&, const std::shared_ptr<ThreadTeam>&, double seconds);

/// Seconds of each kernel of a program, of which the least and the first quartile count.
struct ProgramTimes {
  std::vector<std::vector<double>> kernels;  // [kernel][run]
  /// Whether the kernels of `which` (all of them together) take less time here than in `other`, by more than noise.
  bool beat(const ProgramTimes& other, const std::vector<std::size_t>& which, double noise) const;
  double least(const std::vector<std::size_t>& which) const;  ///< each kernel's, summed over these
};
/// Runs two programs of the same inputs and states in turn, for about `seconds`.
std::array<ProgramTimes, 2> race(const std::array<std::shared_ptr<const Program>, 2>&, const CpuTarget&,
                                 const std::shared_ptr<ThreadTeam>&, double seconds);

}  // namespace weft::tools
