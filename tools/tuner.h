// The search for a better schedule of one contraction kernel.
#pragma once
#include <memory>

#include "ir/kernel.h"
#include "ir/target.h"
#include "runtime/thread_team.h"

namespace weft::tools {

struct TuneResult {
  Schedule before, after;            // the cost model's, and the fastest found (the same where none was faster)
  double before_s = 0, after_s = 0;  // measured in turn, at the end
  int tried = 0;                     // schedules compiled, the first one included
  bool faster = false;               // by more than noise
};

/// Times schedules of the only kernel of `lone` (as lone_kernel() makes it), for about `seconds`: first packings and
/// splits, then tiles, then blocks, always around the best so far and in the order of the cost model. Throws
/// InternalError when a schedule's results differ in bits from those of the first.
TuneResult tune(const Program& lone, const Target&, const std::shared_ptr<ThreadTeam>&, double seconds);

/// The least seconds that each of two programs of the same inputs and states takes, measured in turn for about
/// `seconds`.
std::pair<double, double> compare_times(std::shared_ptr<const Program>, std::shared_ptr<const Program>, const Target&,
                                        const std::shared_ptr<ThreadTeam>&, double seconds);

}  // namespace weft::tools
