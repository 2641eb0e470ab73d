// Learning-rate schedules.
#include "frontend/nn/schedules.h"

#include <algorithm>
#include <cmath>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/trace.h"

namespace weft {

RateSchedule::RateSchedule(double rate, std::source_location where) : rate_(rate) {
  const LocScope scope(where);
  checked_rate("RateSchedule", rate);
}

RateSchedule step_decay(double rate, double factor, std::int64_t every, std::source_location where) {
  const LocScope scope(where);
  checked_rate("step_decay", rate);
  check_number("step_decay", "factor", factor, Domain::not_negative);
  check_count("step_decay", "every", every);
  return [=](std::int64_t step) {
    const DefaultFloats floats;
    return rate * std::pow(factor, static_cast<double>(step / every));
  };
}

RateSchedule cosine_decay(double rate, std::int64_t steps, double last, std::source_location where) {
  const LocScope scope(where);
  checked_rate("cosine_decay", rate);
  check_count("cosine_decay", "steps", steps);
  check_number("cosine_decay", "last", last, Domain::not_negative);
  return [=](std::int64_t step) {
    const DefaultFloats floats;
    const double t = static_cast<double>(std::min(step, steps)) / static_cast<double>(steps);
    return last + (rate - last) * 0.5 * (1 + std::cos(3.141592653589793 * t));
  };
}

RateSchedule warm_up(std::int64_t steps, RateSchedule after, std::source_location where) {
  const LocScope scope(where);
  check_count("warm_up", "steps", steps);
  return [=](std::int64_t step) {
    const DefaultFloats floats;
    return step < steps ? after(steps) * static_cast<double>(step + 1) / static_cast<double>(steps) : after(step);
  };
}

}  // namespace weft
