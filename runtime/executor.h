// Runs a compiled program: binds its inputs and states, owns its temporaries and outputs, and calls its kernels in
// order.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "ir/array.h"
#include "ir/image.h"
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

  /// Runs the program once. Throws Error when an input is not bound, or when a state shares memory with another input.
  void run();
  /// The same; returns the seconds that each KernelCode took (in Image::code's order, waiting for all threads
  /// included).
  std::vector<double> run_profiled();

  /// Output number `position` of Program::outputs: a handle to memory that the next run() overwrites. An output that is
  /// an input, a state or a constant of the program is a handle to that.
  Array output(std::size_t position) const;
  std::size_t output_count() const { return image_.program->outputs.size(); }

  const MemoryReport& memory() const { return memory_; }
  const Image& image() const { return image_; }
  int threads() const { return team_->size(); }

 private:
  struct Step {        // a phase that has work
    std::size_t code;  // index in Image::code
    bool alone;        // thread 0 runs all of it
    bool barrier;      // threads meet after it
  };
  struct AlignedFree {
    void operator()(std::byte* p) const;
  };
  using Memory = std::unique_ptr<std::byte[], AlignedFree>;
  static Memory allocate(std::int64_t bytes, const char* what);

  void check_image() const;
  void plan_steps();
  void place_buffers();
  void place(BufferId, std::byte* address);
  void check_bindings();
  void share(const Step&, int thread) const;

  Image image_;
  std::shared_ptr<ThreadTeam> team_;
  MemoryReport memory_;
  std::vector<Step> steps_;
  bool all_alone_ = true;  // no step needs the team
  bool checked_ = false;   // nothing was bound since check_bindings()
  std::vector<std::optional<Array>>
      arrays_;                         // by BufferId: outputs, constants, and the inputs and states that are bound
  std::vector<std::byte*> addresses_;  // by BufferId: what kernels get; a view has its storage's
  std::vector<std::vector<BufferId>> views_;  // by BufferId: the views of a storage
  Memory arena_, scratch_;
  std::int64_t scratch_stride_ = 0;  // bytes between the scratch areas of two threads
};

}  // namespace weft
