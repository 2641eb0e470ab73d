// Learning-rate schedules.
#include "frontend/nn/schedules.h"

#include <algorithm>
#include <cmath>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"
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

RateSchedule exponential_decay(double rate, double factor, std::int64_t every, std::source_location where) {
  const LocScope scope(where);
  checked_rate("exponential_decay", rate);
  check_number("exponential_decay", "factor", factor, Domain::not_negative);
  check_count("exponential_decay", "every", every);
  return [=](std::int64_t step) {
    const DefaultFloats floats;
    return rate * std::pow(factor, static_cast<double>(step) / static_cast<double>(every));
  };
}

RateSchedule polynomial_decay(double rate, std::int64_t steps, double last, double power, std::source_location where) {
  const LocScope scope(where);
  checked_rate("polynomial_decay", rate);
  check_count("polynomial_decay", "steps", steps);
  check_number("polynomial_decay", "last", last, Domain::not_negative);
  check_number("polynomial_decay", "power", power, Domain::positive);
  return [=](std::int64_t step) {
    const DefaultFloats floats;
    const double t = static_cast<double>(std::min(step, steps)) / static_cast<double>(steps);
    return last + (rate - last) * std::pow(1 - t, power);
  };
}

RateSchedule piecewise(std::vector<std::int64_t> places, std::vector<double> rates, std::source_location where) {
  const LocScope scope(where);
  for (const double rate : rates) checked_rate("piecewise", rate);
  if (rates.size() != places.size() + 1)
    fail("{}piecewise: {} for {}; expected one rate more than places", where_prefix(),
         counted(static_cast<std::int64_t>(rates.size()), "rate"),
         counted(static_cast<std::int64_t>(places.size()), "place"));
  for (std::size_t k = 0; k < places.size(); ++k)
    if (places[k] <= (k == 0 ? 0 : places[k - 1]))
      fail("{}piecewise: place {} is {}; expected numbers of steps that ascend, from 1 on", where_prefix(), k,
           places[k]);
  return [places = std::move(places), rates = std::move(rates)](std::int64_t step) {
    return rates[static_cast<std::size_t>(std::ranges::upper_bound(places, step) - places.begin())];
  };
}

RateSchedule one_cycle(double peak, std::int64_t steps, double rise, double divisor, double last_divisor,
                       std::source_location where) {
  const LocScope scope(where);
  checked_rate("one_cycle", peak);
  check_count("one_cycle", "steps", steps);
  check_number("one_cycle", "rise", rise, Domain::fraction);
  check_number("one_cycle", "divisor", divisor, Domain::positive);
  check_number("one_cycle", "last_divisor", last_divisor, Domain::positive);
  return [=](std::int64_t step) {
    const DefaultFloats floats;
    const double top = rise * static_cast<double>(steps), first = peak / divisor;
    const double at = static_cast<double>(std::min(step, steps));
    const auto curve = [](double from, double to, double t) {
      return to + (from - to) * 0.5 * (1 + std::cos(3.141592653589793 * t));
    };
    if (at < top) return curve(first, peak, at / top);
    return top == static_cast<double>(steps)
               ? peak
               : curve(peak, first / last_divisor, (at - top) / (static_cast<double>(steps) - top));
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
