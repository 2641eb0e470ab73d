// Private to codegen/: phases whose points run one by one: elementwise chains, reductions, rows of several stages.
#pragma once
#include "codegen/gpu/device_phase.h"

namespace weft::codegen {

/// How points are laid out over threads.
struct PointSchedule {
  int threads = 256;  // of a block
  int team = 1;       // threads that share a point: 1, or a multiple of 16 up to a block for rows
  int lanes = 1;      // neighbours along the innermost parallel axis that one thread takes (team 1)
  std::int64_t blocks = 1;
};
PointSchedule schedule_points(const Kernel&, const PhaseInfo&, int lanes, const GpuTarget&);

class DevicePoints : public DevicePhase {
 public:
  using DevicePhase::DevicePhase;
  void emit(const GpuTarget&);

 private:
  void run_stage(std::size_t stage);
  void run_map(std::size_t stage);
  void run_scatter(std::size_t stage);
  void run_reduce(std::size_t stage);
  using RangeFn = std::function<RegisterIds(RegisterId begin, RegisterId end)>;
  using CombineFn = std::function<RegisterId(RegisterId earlier, RegisterId later)>;
  /// Folds [begin, end), a range of n elements at most, run by run, and what they give in order; as one run where that
  /// gives the same bits.
  RegisterIds fold_runs(const KernelStage&, std::int64_t n, std::int64_t run, RegisterId begin, RegisterId end,
                        const RangeFn&);
  /// Folds the chunks of [0, n) and combines them by the contract's tree.
  RegisterIds fold_tree(std::int64_t n, std::int64_t chunk, RegisterId identity, const RangeFn&, const CombineFn&);
  RegisterIds sequential(const KernelStage&);
  RegisterIds contracted(const KernelStage&);
  RegisterIds chunk_in_order(const KernelStage&, RegisterId begin, RegisterId end);
  RegisterId striped(const KernelStage&);
  RegisterId striped_chunk(const KernelStage&, RegisterId begin, RegisterId end);
  RegisterId across_teams(const KernelStage&, MemoryId shared, RegisterId begin, RegisterId result);
  RegisterId halving_tree(const KernelStage&, RegisterId stripe);
  RegisterId arg_reduce_team(const KernelStage&);
  RegisterIds arg_reduce(const KernelStage&);
  RegisterId move_down(RegisterId, int lanes, int width);
  RegisterId from_first(RegisterId, int width);
  void separate_stages(std::size_t stage);
  void hold_row();
  bool holds(AxisId axis) const { return axis == held_ && axis != kNone; }

  PointSchedule schedule_;
  RegisterId rank_ = kNone;   // of the thread in its team
  AxisId held_ = kNone;       // a row axis so short that each thread keeps its elements of it in registers
  int held_lanes_ = 0;        // of them: at rank, rank + 16, …
  RegisterId valid_ = kNone;  // whether the team has a point (kNone: certainly)
  struct Touched {
    std::vector<BufferId> loaded, stored;  // since the last barrier
  } touched_;
};

}  // namespace weft::codegen
