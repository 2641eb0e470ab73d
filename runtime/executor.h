// Runs a compiled program: binds its inputs and states, owns its temporaries and outputs, and calls its kernels in
// order.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ir/array.h"
#include "ir/image.h"
#include "runtime/phase_plan.h"
#include "runtime/thread_team.h"

namespace weft {

/// What a program needs, in bytes, known before it runs. The executor allocates arena, outputs and scratch; inputs and
/// states belong to whoever binds them; constants to the program.
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

/// One program on one team of threads. Not thread-safe by itself; executors that share a team take turns on it.
/// Results do not depend on the number of threads.
class Executor {
 public:
  /// Allocates everything that memory() reports as the executor's. Throws Error when memory cannot be had,
  /// InternalError when the image is malformed (a temporary outside the arena, a kernel without code, …).
  Executor(Image, std::shared_ptr<ThreadTeam>);
  /// With a team of its own; `threads` as for ThreadTeam.
  explicit Executor(Image image, int threads = 0);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Binds input or state number `position` of Program::inputs to this array's storage (no copy) until it is bound
  /// anew. A state is updated in place, so executors that bind the same array share it. Throws Error unless the array
  /// has exactly the input's type: "input 'image': expected f32[128,784], got f32[64,784]".
  void bind(std::size_t position, Array);
  std::size_t input_count() const { return image_.program->inputs.size(); }

  /// Runs the program once. With a team of several threads none is woken when all phases are small. Throws Error when
  /// an input is not bound, or when a state shares memory with another input.
  void run();
  /// The same; returns the seconds that each KernelCode took (in Image::code's order, waiting for all threads
  /// included).
  std::vector<double> run_profiled();

  /// One row of an array for each step of run_steps().
  struct Rows {
    std::size_t position;  // in Program::inputs; a state that the program updates has no rows
    Array array;           // [steps, …]; a row need be aligned to its elements only
  };
  /// Called after each step, by any thread, while the others wait: everything that the step wrote may be read. False
  /// ends the run there. It runs with subnormals flushed and must not run() anything on this team.
  using AfterStep = std::function<bool(std::int64_t step)>;
  /// The same as `steps` calls of run(), in one entry of the team: at step s, input `position` is row s of its array
  /// (other inputs are what they are bound to), and afterwards row s of outputs[i], [steps, …], is output i. Returns
  /// the number of steps done. Throws as run() does, and when an array has another type than those. `steps` >= 1.
  std::int64_t run_steps(std::int64_t steps, std::span<const Rows> rows, std::span<const Array> outputs,
                         const AfterStep& after = {});

  /// Output number `position` of Program::outputs: a handle to memory that the next run() overwrites. An output that is
  /// an input, a state or a constant of the program is a handle to that.
  Array output(std::size_t position) const;
  std::size_t output_count() const { return image_.program->outputs.size(); }

  const MemoryReport& memory() const { return memory_; }
  const Image& image() const { return image_; }
  int threads() const { return team_->size(); }

 private:
  struct AlignedFree {
    void operator()(std::byte* p) const;
  };
  using Memory = std::unique_ptr<std::byte[], AlignedFree>;
  static Memory allocate(std::int64_t bytes, const char* what);

  void check_image() const;
  void place_buffers();
  void place(BufferId, std::byte* address);
  void check_bindings(std::span<const Rows> rows = {});
  void share(const PlannedPhase&, int thread, std::byte* const* addresses) const;
  template <class F>
  void enter(F&& fn);

  Image image_;
  std::shared_ptr<ThreadTeam> team_;
  MemoryReport memory_;
  std::vector<PlannedPhase> phases_;
  bool all_alone_ = true;  // no phase needs the team
  bool checked_ = false;   // nothing was bound since check_bindings()
  std::vector<std::optional<Array>>
      arrays_;                         // by BufferId: outputs, constants, and the inputs and states that are bound
  std::vector<std::byte*> addresses_;  // by BufferId: what kernels get; a view has its storage's
  std::vector<std::vector<BufferId>> views_;  // by BufferId: the views of a storage
  Memory arena_, scratch_;
  std::int64_t scratch_stride_ = 0;  // bytes between the scratch areas of two threads
};

}  // namespace weft
