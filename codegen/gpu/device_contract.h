// Private to codegen/: a contraction with its prologues and epilogue as one device function.
//
//   z[b, m, n] = sum over k of x[b, m, k] * y[b, k, n]
//
// Each block computes one tile of z. Its threads copy a stage of x and y (the tile's rows and columns, GpuSchedule::k
// products long) into shared memory, evaluating the prologues on the way, while they multiply an earlier stage. Every
// element of z is one chain of fused multiply-adds over k (a chain for each kContractChunk products, added in order);
// on tensor cores (fast numerics) it is what mma.sync sums, chunks added in order all the same.
#pragma once
#include "codegen/gpu/device_phase.h"

namespace weft::codegen {

class DeviceContract : public DevicePhase {
 public:
  /// Of phase 0 of a kernel whose schedule has this tile.
  DeviceContract(const Program&, const Kernel&, const PhaseInfo&, const GpuSchedule&, simt::Function&);
  void emit(const GpuTarget&);

 private:
  /// One operand in shared memory: [free][k] rows (padded against bank conflicts) where memory is contiguous along k,
  /// else [k][free].
  struct Operand {
    ExprId value = kNone;
    AxisId free = kNone;        // m or n
    std::int64_t extent = 0;    // of the free axis
    int span = 0;               // elements of the tile along it
    int threads = 0, each = 0;  // threads along it, elements of each
    bool along_k = false;
    bool async = false;  // copied as it is
    int vector = 1;      // elements copied, and read, at once along the contiguous axis
    int row = 0;         // elements from one row in shared memory to the next
    int group = 1;       // neighbours along the free axis that a thread takes
    int stage = 0;       // elements of one stage
    MemoryId shared = kNone;
    RegisterId first = kNone, rank = kNone;  // of the tile along the free axis; of the thread along it
  };
  void check_tile(const GpuTarget&) const;
  Operand plan(ExprId value, AxisId free) const;
  int operand_lanes(ExprId, AxisId axis, int most) const;
  bool is_plain_load(ExprId) const;
  void place(Operand&, int threads, int each, RegisterId first, RegisterId rank);

  /// A group of elements on its way from global to shared memory.
  struct Pending {
    RegisterId place, predicate;
    RegisterIds values;
  };
  using Pendings = std::vector<Pending>;
  Pendings fetch(const Operand&, RegisterId k0, RegisterId stage);
  void put(const Operand&, const Pendings&);
  RegisterId offset(const Operand&, int i);  // of a thread's element i, from the tile's beginning
  /// Neighbours along n in one row of the tile, and the sums that they have.
  struct Piece {
    RegisterId m, n;
    std::vector<std::size_t> sums;
  };
  std::vector<Piece> pieces();
  void multiply(RegisterId stage, std::int64_t count);
  void multiply_step(RegisterId x_stage, RegisterId y_stage, RegisterId kk, int count);
  std::vector<RegisterIds> fragments(const Operand&, RegisterId stage, RegisterId kk, int count);
  // device_matrix.cpp
  std::vector<Piece> matrix_pieces();
  void multiply_matrices(RegisterId stage, std::int64_t count);
  RegisterIds matrix_fragment(const Operand&, RegisterId stage, RegisterId kk, int number, bool is_x);
  void run_stages();
  void fold_chunk(RegisterId k0);
  void epilogue();

  const KernelStage& stage_;
  AxisId axis_b_, axis_m_, axis_n_, axis_k_;
  std::int64_t B_, M_, N_, K_;
  DType dtype_;
  Numerics numerics_ = Numerics::exact;
  GpuSchedule tile_;
  Operand x_, y_;
  RegisterIds sums_, totals_;  // variables, [tm][tn] (a matrix has 4); totals when K has several chunks
};

}  // namespace weft::codegen
