// Private to codegen/: one phase of a kernel as a device function. The counterpart of emit.h's PhaseEmitter for GPUs.
//
// A value is one RegisterId, or `lanes` of them: a thread's neighbours along the lane axis.
#pragma once
#include <unordered_map>
#include <vector>

#include "codegen/cpu/analysis.h"
#include "codegen/gpu/device_builder.h"
#include "ir/base/target.h"

namespace weft::codegen {

class DevicePhase {
 public:
  DevicePhase(const Program&, const Kernel&, const PhaseInfo&, simt::Function&);

 protected:
  // -- axes and expressions (device_expr.cpp)
  /// Several lanes: the axis has coordinate, coordinate + stride, …
  void bind(AxisId, RegisterId coordinate, int lanes = 1, std::int64_t stride = 1);
  void bind_accumulator(std::int32_t result, RegisterIds);
  /// The value in each lane, or one value where all lanes have the same.
  const RegisterIds& values(ExprId);
  RegisterId value(ExprId e, int lane = 0) { return at_lane(values(e), lane); }
  static RegisterId at_lane(const RegisterIds& v, int lane) {
    return v.size() == 1 ? v[0] : v[static_cast<std::size_t>(lane)];
  }
  /// Stores at the bound axes; lanes that are neighbours in memory at once.
  void store(const Store&, const Linear&, const std::vector<IndexCheck>&, const RegisterIds&);
  RegisterId index(const Linear&, int lane, DType);
  /// The same, or an index that says which check of the access fails (simt::Function::checks).
  RegisterId checked_index(const Linear&, const std::vector<IndexCheck>&, int lane);
  MemoryId memory(BufferId);
  bool is_stored(BufferId) const;  ///< whether the phase stores to its storage
  /// Neighbours along `axis` that every load and store can take at once, at most `most`: a divisor of the extent.
  int vector_lanes(AxisId axis, int most) const;
  /// Whether `lanes` neighbours along `axis` are neighbours in memory too, the first at a multiple of `lanes`, or one
  /// and the same element.
  bool are_neighbours(const Linear&, AxisId axis, int lanes) const;
  RegisterId coordinate(AxisId a) const { return coordinate_[static_cast<std::size_t>(a)]; }  ///< that it is bound to
  /// Binds the axes to the coordinates of point number `point`, the last one innermost.
  void bind_point(const std::vector<AxisId>&, RegisterId point);

  // -- regions: values that live in them are forgotten behind them
  void loop(RegisterId begin, RegisterId end, std::int64_t step, const std::function<void(RegisterId)>& body,
            bool unroll = false);
  void when(RegisterId condition, const std::function<void()>& body);
  void forget_stored();  ///< values loaded from what the phase stores

  std::int64_t extent(AxisId a) const { return a == kNone ? 1 : info_.extent[static_cast<std::size_t>(a)]; }
  const Expr& expr(ExprId e) const { return kernel_.exprs[static_cast<std::size_t>(e)]; }
  RegisterId identity(Op reduce, DType, FoldOrder = FoldOrder::sequential);
  RegisterId fold(Op reduce, RegisterId acc, RegisterId x);
  /// acc = x * y + acc: fused for floats, wrapping for integers.
  RegisterId multiply_add(RegisterId x, RegisterId y, RegisterId acc);

  const Program& program_;
  const Kernel& kernel_;
  const PhaseInfo& info_;
  simt::Function& function_;
  DeviceBuilder b_;
  RegisterId guard_ = kNone;  // unless kNone: what the phase stores may be loaded only where this is true
  /// Unless kNone: a load that depends on the axis touches memory only where this is true.
  std::vector<RegisterId> inside_;
  RegisterId last_inside_ = kNone;  // unless kNone: the last lane exists only where this is true

 private:
  struct Known {
    RegisterIds values;
    int level;
  };
  RegisterId bounds(ExprId load);
  RegisterId exists(int lane, int lanes) const { return lane + 1 == lanes && lanes == lanes_ ? last_inside_ : kNone; }
  Known compute(ExprId);
  Known load(ExprId);
  template <class F>
  void forget(F&& condition);
  int lanes_of(ExprId) const;

  std::vector<RegisterId> coordinate_;
  AxisId lane_axis_ = kNone;
  int lanes_ = 1;
  std::int64_t lane_stride_ = 1;
  bool accumulators_vary_ = false;  // among lanes
  std::unordered_map<ExprId, Known> known_;
  std::unordered_map<std::int32_t, RegisterIds> accumulator_;
};

/// The dtype in which a phase's elements can be numbered: i32 where no buffer has 2^31 of them.
DType index_type(const Program&, const Kernel&);

}  // namespace weft::codegen
