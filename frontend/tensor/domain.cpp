// Errors about numbers outside of their domains.
#include "frontend/tensor/domain.h"

#include "frontend/tensor/node.h"

namespace weft {
namespace {

struct Row {
  const char* expected;
  bool (*holds)(double);
};
constexpr Row kRows[] = {
    {"a finite value of f32", [](double) { return true; }},
    {"a finite number, 0 or more", [](double v) { return v >= 0; }},
    {"a finite number above 0", [](double v) { return v > 0; }},
    {"a number in [0, 1]", [](double v) { return v >= 0 && v <= 1; }},
    {"a number in [0, 1)", [](double v) { return v >= 0 && v < 1; }},
};

}  // namespace

void check_number(std::string_view owner, std::string_view option, double value, Domain domain) {
  const Row& row = kRows[static_cast<std::size_t>(domain)];
  if (!is_finite_f32(value) || !row.holds(value))
    fail("{}{}: {} is {}; expected {}", where_prefix(), owner, option, plain_nan(value), row.expected);
}

void check_count(std::string_view owner, std::string_view option, std::int64_t value, std::int64_t least) {
  if (value < least) fail("{}{}: {} is {}; expected at least {}", where_prefix(), owner, option, value, least);
}

double checked_rate(std::string_view owner, double rate) {
  check_number(owner, "the learning rate", rate, Domain::not_negative);
  return rate;
}

}  // namespace weft
