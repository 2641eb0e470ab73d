// Runs a compiled function on a team of threads: owns the temporaries of a run, and calls the kernels in order.
#pragma once
#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include <weft/ir/artifact/host_artifact.h>
#include <weft/runtime/host/pace.h>
#include <weft/runtime/host/phase_plan.h>
#include <weft/runtime/host/program_executor.h>
#include <weft/runtime/host/thread_team.h>

namespace weft {

/// One program on one team of threads. Executors that share a team take turns on it; those of small programs, or on a
/// team of one, run on their callers' threads at the same time. Results do not depend on the number of threads.
class Executor final : public ProgramExecutor {
 public:
  /// Allocates everything that memory() reports as the executor's. Throws Error when memory cannot be had,
  /// InternalError when the artefact is malformed (a temporary outside the arena, a launch without code, …).
  Executor(HostArtifact, std::shared_ptr<ThreadTeam>);
  /// With a team of its own; `threads` as for ThreadTeam.
  explicit Executor(HostArtifact, int threads = 0);

  ExecutorMaker maker() const override;
  /// None of the team is woken when all phases are small, or while the caller's thread alone is faster (pace.h). Throws
  /// Error when an index that is checked (HostLaunch::checks) was outside its buffer: outputs and states then hold
  /// anything.
  void run() override;
  /// The same; returns the seconds that each launch took, waiting for all threads included.
  std::vector<double> run_profiled();
  /// In few entries of the team. The other threads wait while `after` runs, with subnormals flushed.
  std::int64_t run_steps(std::int64_t steps, std::span<const StepRows> rows, std::span<const Array> outputs,
                         const AfterStep& after = {}) override;

  const HostArtifact& artifact() const { return plan_->artifact; }
  int threads() const { return plan_->team->size(); }

 private:
  /// What executors of one artefact on one team share.
  struct Plan {
    HostArtifact artifact;
    std::shared_ptr<ThreadTeam> team;
    std::vector<PlannedPhase> phases;
    int width = 1;                    // threads of it that can run at once; 1 where no phase needs the team
    std::int64_t scratch_stride = 0;  // bytes between the scratch areas of two threads
  };
  struct AlignedFree {
    void operator()(std::byte* p) const;
  };
  using Block = std::unique_ptr<std::byte[], AlignedFree>;

  explicit Executor(std::shared_ptr<const Plan>);
  static std::shared_ptr<const Plan> make_plan(HostArtifact, std::shared_ptr<ThreadTeam>);
  static Block allocate(std::int64_t bytes, const char* what);

  void place(BufferId, std::byte* address);
  void bound(BufferId) override;
  void run_phase(const PlannedPhase&, std::byte* const* addresses, std::int64_t begin, std::int64_t end, int thread);
  /// All phases, on a thread of the team, or on the caller's alone.
  void run_share(std::byte* const* addresses, int thread);
  void run_alone(std::byte* const* addresses);
  void clear_faults() { std::ranges::fill(faults_, Fault{}); }
  void report_fault() const;  ///< the first one of the run by the program's order, if there is one

  std::shared_ptr<const Plan> plan_;
  std::vector<std::byte*> addresses_;  // by BufferId: what kernels get; a view has its storage's
  Block arena_, scratch_;
  Pace pace_;
  struct Fault {
    std::size_t launch = 0;
    IndexFault what;
  };
  std::vector<Fault> faults_;  // by thread: the first of a run; empty where no code checks indices
};

}  // namespace weft
