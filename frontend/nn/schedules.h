// Learning-rate schedules: functions of the step, evaluated on the host and handed to the step as a state, so that a
// change of rate compiles nothing.
#pragma once
#include <cstdint>
#include <functional>
#include <type_traits>
#include <vector>

#include <weft/frontend/tensor/handle.h>
#include <weft/frontend/tensor/here.h>

namespace weft {

/// The learning rate at a step (0, 1, …). A number converts to the constant schedule; Error unless it is finite and at
/// least 0, as a schedule's rates must be when they are used.
class RateSchedule {
 public:
  RateSchedule(double rate, WEFT_HERE);
  template <class F>
  requires std::is_invocable_r_v<double, const F&, std::int64_t> RateSchedule(F f, WEFT_HERE)
      : fn_(callable(std::move(f), "RateSchedule", where)) {}
  double operator()(std::int64_t step) const { return fn_ ? fn_(step) : rate_; }

 private:
  double rate_ = 0;
  std::function<double(std::int64_t)> fn_;
};

/// rate * factor^(step / every), the exponent rounded down.
/// Rates and factor: finite, 0 or more; steps: at least 1. Error otherwise, here and below.
RateSchedule step_decay(double rate, double factor, std::int64_t every, WEFT_HERE);
/// rate * factor^(step / every).
RateSchedule exponential_decay(double rate, double factor, std::int64_t every, WEFT_HERE);
/// From `rate` to `last` in `steps` as (1 - t)^power of the way that is left, then constant. Power: above 0.
RateSchedule polynomial_decay(double rate, std::int64_t steps, double last = 0, double power = 1, WEFT_HERE);
/// rates[k] from the k-th of the places on, which ascend; there is one rate more than places.
RateSchedule piecewise(std::vector<std::int64_t> places, std::vector<double> rates, WEFT_HERE);
/// Of Smith and Topin, 2019: from peak / divisor up to `peak` in the first `rise` of the steps, and down to
/// peak / divisor / last_divisor in the others, each along half a cosine, then constant. Rise: in [0, 1]; divisors:
/// above 0.
RateSchedule one_cycle(double peak, std::int64_t steps, double rise = 0.3, double divisor = 25,
                       double last_divisor = 1e4, WEFT_HERE);
/// From `rate` down to `last` along half a cosine in `steps`, then constant.
RateSchedule cosine_decay(double rate, std::int64_t steps, double last = 0, WEFT_HERE);
/// Linear: after(steps) * (step + 1) / steps for the first `steps`, then `after`.
RateSchedule warm_up(std::int64_t steps, RateSchedule after, WEFT_HERE);

}  // namespace weft
