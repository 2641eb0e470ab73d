// The value of a state. Its elements lie in memory as the program that used them last wants them; whoever looks at them
// from outside sees row-major order.
#pragma once
#include <weft/ir/array.h>

namespace weft {

class StateValue {
 public:
  explicit StateValue(Array rows) : memory_(std::move(rows)) {}
  const Type& type() const { return memory_.type(); }
  Array read() const;             ///< a copy, row-major
  void write(const Array& rows);  ///< of the same type
  /// The memory itself, in panels of that width (0: row-major), for a program to read and update in place. It stays
  /// this memory, in this order, until storage() is asked for another width. Panels as in ir/panels.h.
  const Array& storage(std::int64_t panels);

 private:
  Array memory_;
  std::int64_t panels_ = 0;
};

}  // namespace weft
