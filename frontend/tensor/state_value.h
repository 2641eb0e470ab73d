// The value of a state. Its elements lie in memory as the program that used them last wants them; whoever looks at them
// from outside sees row-major order. Calls that use it hold it: alone if they write it, together if they only read it.
#pragma once
#include <span>

#include <weft/frontend/tensor/fair_mutex.h>
#include <weft/ir/base/array.h>

namespace weft {

class StateValue {
 public:
  /// A copy of `rows`, in memory that a compiled program may store to.
  explicit StateValue(const Array& rows) : memory_(rows.clone()) {}
  const Type& type() const { return memory_.type(); }
  /// A copy, row-major. Waits for calls that write the state; in a callback of such a call it does not.
  Array read() const;
  /// Copies rows of the same type. Waits for calls that use the state, likewise.
  void write(const Array& rows);

 private:
  friend class HeldStates;
  void hold(std::int64_t panels, bool alone);
  void let_go(bool alone);
  Array rows() const;
  void set_rows(const Array&);

  mutable FairMutex mutex_;
  Array memory_;
  std::int64_t panels_ = 0;
};

/// How a call uses a state.
struct StateUse {
  StateValue* state = nullptr;
  std::int64_t panels = 0;  // the width that it wants the memory in (0: row-major; ir/memory/panels.h)
  bool writes = false;
};
/// The order in which calls take states, so that none wait for each other in a circle.
void sort_by_lock_order(std::span<StateUse>);

/// The states of a call, held for the life of the object.
class HeldStates {
 public:
  /// Waits until all may be used so. `uses` are sorted, each state once; they outlive the object.
  explicit HeldStates(std::span<const StateUse> uses);
  ~HeldStates();
  HeldStates(const HeldStates&) = delete;
  HeldStates& operator=(const HeldStates&) = delete;

  /// The memory itself, for a program to read, and to update in place if the use says so. It stays this memory, in this
  /// order, until another order is asked for.
  const Array& memory(const StateValue& state) const { return state.memory_; }
  Array read(const StateValue& state) const { return state.rows(); }  ///< as StateValue::read()
  /// As StateValue::write(), of a state that the call writes.
  void write(StateValue& state, const Array& rows) const { state.set_rows(rows); }

  /// While it lives, this thread runs a callback of the call: it may look at the call's states, which others may not.
  class Callback {
   public:
    explicit Callback(const HeldStates& states);
    ~Callback();
    Callback(const Callback&) = delete;
    Callback& operator=(const Callback&) = delete;
    static bool active();  ///< whether this thread is in one
  };

 private:
  friend class StateValue;
  void release();
  const StateUse* find(const StateValue&) const;
  static thread_local const HeldStates* of_callback_;

  std::span<const StateUse> uses_;
};

}  // namespace weft
