// Windows of runs, judged by their means.
#include "runtime/host/pace.h"

#include <algorithm>

namespace weft {

void Pace::record(double seconds) {
  if (is_fixed()) return;
  if (together_ && (quickest_ == 0 || seconds < quickest_)) quickest_ = seconds;
  window_ += seconds;
  ++runs_;
  if (window_ < kWindow) return;
  const double mean = window_ / runs_;
  left_ -= window_;
  window_ = 0;
  runs_ = 0;
  judge(mean);
}

void Pace::judge(double mean) {
  if (trial_) {
    trial_ = false;
    const bool better = mean < 0.9 * mean_;
    patience_ = better ? kShortest : std::min(2 * patience_, kLongest);
    other_ = better ? mean_ : mean;
    left_ = patience_;
    if (!better) together_ = !together_;
    return;
  }
  if (left_ > 0) return;
  // A run alone takes at most `width_` times that of a team that nobody disturbs.
  const double alone = other_ > 0               ? std::min(other_, quickest_ * width_)
                       : mean * width_ < kCheap ? 0
                                                : quickest_ * width_;
  if (together_ && mean < 0.75 * alone) return;
  trial_ = true;
  mean_ = mean;
  together_ = !together_;
}

}  // namespace weft
