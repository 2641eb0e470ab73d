// Conversion where a state is looked at, or used by a program that wants another order.
#include "frontend/state_value.h"

#include <algorithm>

#include "ir/panels.h"

namespace weft {

Array StateValue::read() const { return from_panels(memory_, panels_); }

void StateValue::write(const Array& rows) {
  ensure(rows.type() == type(), "a state of type {} is set to {}", to_string(type()), to_string(rows.type()));
  const Array ordered = panels_ ? to_panels(rows, panels_) : rows;
  std::copy_n(ordered.data(), ordered.bytes(), memory_.data());
}

const Array& StateValue::storage(std::int64_t panels) {
  if (panels != panels_) {
    memory_ = to_panels(read(), panels);
    panels_ = panels;
  }
  return memory_;
}

}  // namespace weft
