// Runs a compiled program on a team of threads: owns its temporaries, and calls its kernels in order.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include <weft/ir/image.h>
#include <weft/runtime/phase_plan.h>
#include <weft/runtime/program_executor.h>
#include <weft/runtime/thread_team.h>

namespace weft {

/// One program on one team of threads. Executors that share a team take turns on it.
/// Results do not depend on the number of threads.
class Executor final : public ProgramExecutor {
 public:
  /// Allocates everything that memory() reports as the executor's. Throws Error when memory cannot be had,
  /// InternalError when the image is malformed (a temporary outside the arena, a kernel without code, …).
  Executor(Image, std::shared_ptr<ThreadTeam>);
  /// With a team of its own; `threads` as for ThreadTeam.
  explicit Executor(Image image, int threads = 0);

  /// With a team of several threads none is woken when all phases are small.
  void run() override;
  /// The same; returns the seconds that each KernelCode took (in Image::code's order, waiting for all threads
  /// included).
  std::vector<double> run_profiled();
  /// In one entry of the team. The other threads wait while `after` runs, with subnormals flushed.
  std::int64_t run_steps(std::int64_t steps, std::span<const StepRows> rows, std::span<const Array> outputs,
                         const AfterStep& after = {}) override;

  const Image& image() const { return image_; }
  int threads() const { return team_->size(); }

 private:
  struct AlignedFree {
    void operator()(std::byte* p) const;
  };
  using Memory = std::unique_ptr<std::byte[], AlignedFree>;
  static Memory allocate(std::int64_t bytes, const char* what);

  void check_code() const;
  void place_buffers();
  void place(BufferId, std::byte* address);
  void bound(BufferId) override;
  void share(const PlannedPhase&, int thread, std::byte* const* addresses) const;
  template <class F>
  void enter(F&& fn);

  Image image_;
  std::shared_ptr<ThreadTeam> team_;
  std::vector<PlannedPhase> phases_;
  bool all_alone_ = true;              // no phase needs the team
  std::vector<std::byte*> addresses_;  // by BufferId: what kernels get; a view has its storage's
  Memory arena_, scratch_;
  std::int64_t scratch_stride_ = 0;  // bytes between the scratch areas of two threads
};

}  // namespace weft
