// What executors of a compiled function have in common, whatever machine runs it: the arrays that its inputs and states are bound
// to, the outputs, and the checks of all of them.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <weft/ir/base/array.h>
#include <weft/ir/memory/buffer.h>

namespace weft {

/// What a program needs, in bytes, known before it runs. The executor allocates arena, outputs and scratch; inputs and
/// states belong to whoever binds them; constants to the program. (A device has memory of its own for all of them.)
struct MemoryReport {
  std::int64_t arena_bytes = 0;  // temporaries, at the offsets that plan_memory chose
  std::int64_t state_bytes = 0;
  std::int64_t input_bytes = 0;
  std::int64_t output_bytes = 0;
  std::int64_t scratch_bytes = 0;  // of all threads
  std::int64_t constant_bytes = 0;
  std::int64_t total() const {
    return arena_bytes + state_bytes + input_bytes + output_bytes + scratch_bytes + constant_bytes;
  }
};

/// One row of an array for each step of run_steps().
struct StepRows {
  std::size_t position;  // in BufferTable::inputs; a state that the program updates has no rows
  Array array;           // [steps, …]; a row need be aligned to its elements only
};

/// Row `s` of [steps, …], in its storage, aligned to its elements only: to be read, not to be bound.
inline Array row_of(const Array& rows, std::int64_t s) {
  Shape shape = rows.shape();
  shape.erase(0);
  return rows.view_rows(s, s + 1).reshaped(shape);
}

/// Called after each step, on any thread: everything that the step wrote may be read. False ends the run there. It must
/// not run() anything on the same machine.
using AfterStep = std::function<bool(std::int64_t step)>;

/// The contents of an array, as its owner names them. Binding an array under a version that new_version() gave is a
/// promise: as long as that version is in use, the elements stay as they are. A device then uploads them once.
using ArrayVersion = std::uint64_t;
inline constexpr ArrayVersion kMayChange = 0;  ///< no promise: looked at in every run
ArrayVersion new_version();                    ///< one that was never given before; thread-safe

class ProgramExecutor;
using ExecutorMaker = std::function<std::unique_ptr<ProgramExecutor>()>;

/// One program on one machine, with memory for one run at a time. Not thread-safe: calls that overlap have one each.
class ProgramExecutor {
 public:
  virtual ~ProgramExecutor() = default;
  ProgramExecutor(const ProgramExecutor&) = delete;
  ProgramExecutor& operator=(const ProgramExecutor&) = delete;

  /// Makes executors of the same code, with memory of their own and nothing bound; empty where the machine runs one
  /// call at a time anyway. May be called on several threads at once. It throws Error when memory cannot be had.
  virtual ExecutorMaker maker() const { return {}; }

  /// Binds input or state number `position` of BufferTable::inputs to this array's storage (no copy) until it is bound
  /// anew. A state is updated in place, so executors that bind the same array share it; where the program has it in
  /// panels (ir/memory/panels.h), so must the array. `version` is for inputs.
  /// Throws Error unless the array has exactly the input's type: "input 'image': expected f32[128,784], got f32[64]".
  /// An input need be aligned to its elements only, a state (which is stored to) to kCacheLine.
  void bind(std::size_t position, Array, ArrayVersion version = kMayChange);
  std::size_t input_count() const { return table_->inputs.size(); }
  /// The panels that each input or state is stored in (0: row-major), by position.
  std::vector<std::int64_t> input_panels() const;

  /// Runs the program once. Throws Error when an input is not bound, or when a state shares memory with another input.
  virtual void run() = 0;

  using Rows = StepRows;
  /// The same as `steps` calls of run(), to the bit: at step s, input `position` is row s of its array (other inputs
  /// are what they are bound to), and afterwards row s of outputs[i], [steps, …], is output i. Returns the number of
  /// steps done. Throws as run() does, and when an array has another type than those. `steps` >= 1.
  virtual std::int64_t run_steps(std::int64_t steps, std::span<const StepRows> rows, std::span<const Array> outputs,
                                 const AfterStep& after = {}) = 0;

  /// Output number `position` of BufferTable::outputs: a handle to memory that the next run() overwrites. An output that is
  /// an input, a state or a constant of the program is a handle to that.
  Array output(std::size_t position) const;
  /// All outputs, each in memory of its own that no later run touches. Throws Error when memory cannot be had.
  std::vector<Array> take_outputs();
  std::size_t output_count() const { return table_->outputs.size(); }

  const MemoryReport& memory() const { return memory_; }

 protected:
  /// Throws InternalError when the table is malformed (a temporary outside the arena, …).
  static void check_table(const BufferTable&);
  /// Allocates the outputs. Throws as check_table() does.
  explicit ProgramExecutor(std::shared_ptr<const BufferTable>);

  const BufferTable& table() const { return *table_; }
  const Buffer& at(BufferId id) const { return table_->buffers[static_cast<std::size_t>(id)]; }
  const std::optional<Array>& array(BufferId id) const { return arrays_[static_cast<std::size_t>(id)]; }
  ArrayVersion version(BufferId id) const { return versions_[static_cast<std::size_t>(id)]; }
  const std::vector<BufferId>& views(BufferId storage) const { return views_[static_cast<std::size_t>(storage)]; }

  /// Throws Error unless every input and state is bound, or has rows, and no state overlaps another of them.
  void check_bindings(std::span<const StepRows> rows = {});
  /// Throws Error unless rows and outputs have the types that run_steps() says.
  void check_steps(std::int64_t steps, std::span<const StepRows> rows, std::span<const Array> outputs) const;

  MemoryReport memory_;

 private:
  virtual void bound(BufferId) {}  // called by bind()
  std::shared_ptr<const BufferTable> table_;
  bool checked_ = false;  // nothing was bound since check_bindings()
  std::vector<std::optional<Array>>
      arrays_;                          // by BufferId: outputs, constants, and the inputs and states that are bound
  std::vector<ArrayVersion> versions_;  // by BufferId
  std::vector<std::vector<BufferId>> views_;  // by BufferId: the views of a storage
};

}  // namespace weft
