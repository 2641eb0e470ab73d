// Conversion where a state is looked at, or used by a program that wants another order; and who may use it meanwhile.
#include "frontend/tensor/state_value.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <shared_mutex>

#include "ir/memory/panels.h"

namespace weft {

thread_local const HeldStates* HeldStates::of_callback_ = nullptr;

Array StateValue::rows() const { return from_panels(memory_, panels_); }

void StateValue::set_rows(const Array& rows) {
  ensure(rows.type() == type(), "a state of type {} is set to {}", to_string(type()), to_string(rows.type()));
  const Array ordered = panels_ ? to_panels(rows, panels_) : rows;
  std::copy_n(ordered.data(), ordered.bytes(), memory_.data());
}

Array StateValue::read() const {
  if (const HeldStates* held = HeldStates::of_callback_; held && held->find(*this)) return rows();
  const std::shared_lock lock(mutex_);
  return rows();
}

void StateValue::write(const Array& rows) {
  if (const HeldStates* held = HeldStates::of_callback_)
    if (const StateUse* use = held->find(*this)) {
      if (!use->writes) fail("a callback of a call sets a state that the call reads; expected one that it updates");
      return set_rows(rows);
    }
  const std::lock_guard lock(mutex_);
  set_rows(rows);
}

/// Waits for others, and brings the memory into the order asked for.
void StateValue::hold(std::int64_t panels, bool alone) {
  for (;;) {
    if (!alone) {
      mutex_.lock_shared();
      if (panels == panels_) return;
      mutex_.unlock_shared();
    }
    std::unique_lock lock(mutex_);
    if (panels != panels_) {
      memory_ = to_panels(rows(), panels);
      panels_ = panels;
    }
    if (alone) return static_cast<void>(lock.release());
  }
}

void StateValue::let_go(bool alone) { alone ? mutex_.unlock() : mutex_.unlock_shared(); }

void sort_by_lock_order(std::span<StateUse> uses) { std::ranges::sort(uses, std::less<>{}, &StateUse::state); }

HeldStates::HeldStates(std::span<const StateUse> uses) : uses_(uses.first(0)) {
  try {
    for (const StateUse& use : uses) {
      use.state->hold(use.panels, use.writes);
      uses_ = uses.first(uses_.size() + 1);
    }
  } catch (...) {
    release();
    throw;
  }
}

void HeldStates::release() {
  for (const StateUse& use : uses_) use.state->let_go(use.writes);
}

HeldStates::~HeldStates() { release(); }

const StateUse* HeldStates::find(const StateValue& state) const {
  const auto use = std::ranges::find(uses_, &state, &StateUse::state);
  return use == uses_.end() ? nullptr : &*use;
}

HeldStates::Callback::Callback(const HeldStates& states) { of_callback_ = &states; }
HeldStates::Callback::~Callback() { of_callback_ = nullptr; }
bool HeldStates::Callback::active() { return of_callback_ != nullptr; }

}  // namespace weft
