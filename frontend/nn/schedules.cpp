// Learning-rate schedules.
#include "frontend/nn/schedules.h"

#include <algorithm>
#include <cmath>

#include "ir/base/error.h"
#include "ir/base/float_environment.h"

namespace weft {
namespace {

void require_steps(const char* schedule, std::int64_t steps) {
  if (steps < 1) fail("{}: {} steps; expected at least 1", schedule, steps);
}

}  // namespace

RateSchedule step_decay(double rate, double factor, std::int64_t every) {
  require_steps("step_decay", every);
  return [=](std::int64_t step) {
    const DefaultFloats floats;
    return rate * std::pow(factor, static_cast<double>(step / every));
  };
}

RateSchedule cosine_decay(double rate, std::int64_t steps, double last) {
  require_steps("cosine_decay", steps);
  return [=](std::int64_t step) {
    const DefaultFloats floats;
    const double t = static_cast<double>(std::min(step, steps)) / static_cast<double>(steps);
    return last + (rate - last) * 0.5 * (1 + std::cos(3.141592653589793 * t));
  };
}

RateSchedule warm_up(std::int64_t steps, RateSchedule after) {
  require_steps("warm_up", steps);
  return [=](std::int64_t step) {
    const DefaultFloats floats;
    return step < steps ? after(steps) * static_cast<double>(step + 1) / static_cast<double>(steps) : after(step);
  };
}

}  // namespace weft
