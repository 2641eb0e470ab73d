// Expressions of a phase as device code: addresses, loads and stores of neighbours, elementwise ops lane by lane.
#include <algorithm>
#include <cstring>

#include "codegen/gpu/device_phase.h"
#include "ir/base/error.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/print_kernel.h"
#include "ir/ops/scalar.h"

namespace weft::codegen {

DType index_type(const Program& p, const Kernel& k) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  auto small = [&](BufferId id) { return element_count(p.buffers[static_cast<std::size_t>(id)].type.shape) < kMost; };
  bool all = true;
  for_each_access(k, [&](BufferId id, const std::vector<Index>&, ExprId) { all &= small(id); });
  for (const Phase& phase : k.phases) {
    std::int64_t points = 1;
    for (AxisId a : phase.parallel) {
      points *= k.axes[static_cast<std::size_t>(a)].extent;
      all &= points < kMost / 64;  // lanes and the threads of a last block included
    }
  }
  for (const Axis& a : k.axes) all &= a.extent < kMost / 64;
  return all ? i32 : i64;
}

DevicePhase::DevicePhase(const Program& program, const Kernel& kernel, const PhaseInfo& info, simt::Function& function)
    : program_(program),
      kernel_(kernel),
      info_(info),
      function_(function),
      b_(function, index_type(program, kernel)),
      inside_(kernel.axes.size(), kNone),
      coordinate_(kernel.axes.size(), kNone) {}

template <class F>
void DevicePhase::forget(F&& condition) {
  std::erase_if(known_, [&](const auto& entry) { return condition(entry.first, entry.second); });
}

void DevicePhase::forget_stored() {
  forget([&](ExprId e, const Known&) { return info_.depends[static_cast<std::size_t>(e)].pinned; });
}

void DevicePhase::bind(AxisId axis, RegisterId coordinate, int lanes, std::int64_t stride) {
  forget([&](ExprId e, const Known&) { return info_.depends_on(e, axis); });
  if (lane_axis_ == axis) lane_axis_ = kNone, lanes_ = 1;
  if (lanes > 1) lane_axis_ = axis, lanes_ = lanes, lane_stride_ = stride;
  coordinate_[static_cast<std::size_t>(axis)] = coordinate;
}

void DevicePhase::bind_accumulator(std::int32_t result, RegisterIds v) {
  forget([&](ExprId e, const Known&) { return info_.depends[static_cast<std::size_t>(e)].accumulator; });
  accumulators_vary_ = v.size() > 1;
  accumulator_[result] = std::move(v);
}

void DevicePhase::bind_point(const std::vector<AxisId>& axes, RegisterId point) {
  for (std::size_t i = axes.size(); i-- > 0;) {
    bind(axes[i], i ? b_.remainder(point, extent(axes[i])) : point);
    if (i) point = b_.divide(point, extent(axes[i]));
  }
}

void DevicePhase::loop(RegisterId begin, RegisterId end, std::int64_t step, const std::function<void(RegisterId)>& body,
                       bool unroll) {
  const int depth = b_.depth();
  b_.loop(begin, end, step, body, unroll);
  forget([&](ExprId, const Known& k) { return k.level > depth; });
}

void DevicePhase::when(RegisterId condition, const std::function<void()>& body) {
  const int depth = b_.depth();
  b_.when(condition, body);
  forget([&](ExprId, const Known& k) { return k.level > depth; });
}

MemoryId DevicePhase::memory(BufferId id) { return b_.global(program_, id, !is_stored(id)); }

bool DevicePhase::is_stored(BufferId id) const {
  return std::ranges::count(touched(program_, kernel_, info_.phase).stores, storage(program_, id)) > 0;
}

RegisterId DevicePhase::index(const Linear& l, int lane, DType t) {
  struct Term {
    int level;
    RegisterId v;
    std::int64_t factor;
  };
  std::vector<Term> terms;
  std::int64_t offset = l.offset;
  for (std::size_t a = 0; a < l.coefficient.size(); ++a) {
    if (!l.coefficient[a]) continue;
    ensure(coordinate_[a] != kNone, "kernel {}: an access uses axis {} outside of it", kernel_.name,
           kernel_.axes[a].name);
    terms.push_back({b_.level(coordinate_[a]), coordinate_[a], l.coefficient[a]});
    if (static_cast<AxisId>(a) == lane_axis_) offset += lane * lane_stride_ * l.coefficient[a];
  }
  for (auto [stride, indirect] : l.indirect) {
    const RegisterId v = value(indirect, lane);
    terms.push_back({b_.level(v), v, stride});
  }
  // From the outermost level inwards, so that partial sums leave the loops in which they do not change.
  std::stable_sort(terms.begin(), terms.end(), [](const Term& x, const Term& y) { return x.level < y.level; });
  RegisterId sum = b_.constant(t, 0);
  for (const Term& term : terms) sum = b_.sum(sum, b_.multiply(b_.convert(term.v, t), term.factor));
  return b_.add(sum, offset);
}

RegisterId DevicePhase::checked_index(const Linear& l, const std::vector<IndexCheck>& checks, int lane) {
  const DType t = b_.index_type();
  RegisterId place = index(l, lane, t);
  for (const IndexCheck& c : checks) {
    const RegisterId i = index(c.index, lane, i64);
    const RegisterId inside =
        b_.both(b_.apply(Op::ge, boolean, {i, b_.constant(i64, 0)}),
                b_.apply(Op::lt, boolean, {i, b_.constant(i64, static_cast<std::uint64_t>(c.extent))}));
    place = b_.apply(Op::select, t, {inside, place, b_.constant(t, static_cast<std::uint64_t>(-1 - c.number))});
  }
  return place;
}

int DevicePhase::lanes_of(ExprId e) const {
  const bool by_sums = accumulators_vary_ && info_.depends[static_cast<std::size_t>(e)].accumulator;
  return lane_axis_ != kNone && (by_sums || info_.depends_on(e, lane_axis_)) ? lanes_ : 1;
}

/// The condition under which a load may touch memory.
RegisterId DevicePhase::bounds(ExprId load) {
  RegisterId all = is_stored(expr(load).buffer) ? guard_ : kNone;
  for (std::size_t a = 0; a < inside_.size(); ++a)
    if (inside_[a] != kNone && info_.depends_on(load, static_cast<AxisId>(a))) all = b_.both(all, inside_[a]);
  return all;
}

DevicePhase::Known DevicePhase::load(ExprId id) {
  const Expr& e = expr(id);
  const Linear& l = info_.access[static_cast<std::size_t>(id)];
  const MemoryId m = memory(e.buffer);
  const std::int32_t origin = b_.origin("load " + access_text(program_, kernel_, e.buffer, e.access));
  const RegisterId guard = bounds(id);
  const int lanes = lanes_of(id);
  auto predicate = [&](int lane) {
    const RegisterId known = b_.both(guard, lanes > 1 ? exists(lane, lanes) : kNone);
    return e.args.empty() ? known : b_.both(known, value(e.args[0], lane));
  };
  const int most = 16 / static_cast<int>(size_of(e.dtype));
  const bool predicates_vary = !e.args.empty() && lanes_of(e.args[0]) > 1;
  const auto& checks = info_.load_checks[static_cast<std::size_t>(id)];
  const bool together = lanes > 1 && lane_stride_ == 1 && !predicates_vary && checks.empty() &&
                        l.coefficient[static_cast<std::size_t>(lane_axis_)] == 1 &&
                        are_neighbours(l, lane_axis_, std::min(lanes, most));
  const int step = together ? std::min(lanes, most) : 1;
  RegisterIds out;
  int level = 0;
  for (int lane = 0; lane < lanes; lane += step) {
    const RegisterIds some = b_.load(m, checked_index(l, checks, lane), step, predicate(lane), origin);
    out.insert(out.end(), some.begin(), some.end());
    level = std::max(level, b_.level(some[0]));
  }
  return {out, level};
}

DevicePhase::Known DevicePhase::compute(ExprId id) {
  const Expr& e = expr(id);
  if (e.kind == Expr::load) return load(id);
  const int lanes = lanes_of(id);
  RegisterIds out;
  int level = 0;
  auto add = [&](RegisterId v) {
    out.push_back(v);
    level = std::max(level, b_.level(v));
  };
  if (e.kind == Expr::index) {
    for (int lane = 0; lane < lanes; ++lane) add(index(info_.access[static_cast<std::size_t>(id)], lane, i64));
    return {out, level};
  }
  std::vector<RegisterIds> args;
  std::size_t width = 1;
  for (ExprId a : e.args) {
    args.push_back(values(a));
    width = std::max(width, args.back().size());
  }
  for (std::size_t lane = 0; lane < width; ++lane) {
    RegisterIds x;
    for (const RegisterIds& a : args) x.push_back(at_lane(a, static_cast<int>(lane)));
    add(b_.apply(e.op, e.dtype, std::move(x)));
  }
  return {out, level};
}

const RegisterIds& DevicePhase::values(ExprId id) {
  const Expr& e = expr(id);
  if (e.kind == Expr::accumulator) return accumulator_.at(e.result);
  if (const auto it = known_.find(id); it != known_.end()) return it->second.values;
  if (e.kind == Expr::constant) return known_[id] = {{b_.constant(e.dtype, e.bits)}, 0}, known_[id].values;
  Known k = compute(id);
  return known_.insert_or_assign(id, std::move(k)).first->second.values;
}

void DevicePhase::store(const Store& s, const Linear& l, const std::vector<IndexCheck>& checks, const RegisterIds& v) {
  const MemoryId m = memory(s.buffer);
  const std::int32_t origin = b_.origin(store_text(program_, kernel_, s));
  const int most = 16 / static_cast<int>(size_of(b_.memory(m).dtype));
  const std::int64_t stride = lane_axis_ == kNone ? 0 : l.coefficient[static_cast<std::size_t>(lane_axis_)];
  bool varies = stride != 0;
  for (auto [factor, indirect] : l.indirect) varies |= lanes_of(indirect) > 1;
  for (const IndexCheck& c : checks)
    varies |= lane_axis_ != kNone && c.index.coefficient[static_cast<std::size_t>(lane_axis_)] != 0;
  const int lanes = lane_axis_ != kNone && varies ? lanes_ : 1;
  const bool together = lanes > 1 && lane_stride_ == 1 && stride == 1 && checks.empty() &&
                        are_neighbours(l, lane_axis_, std::min(lanes, most));
  const int step = together ? std::min(lanes, most) : 1;
  for (int lane = 0; lane < lanes; lane += step) {
    RegisterIds some;
    // All lanes at one place: the last one stays.
    for (int i = 0; i < step; ++i) some.push_back(at_lane(v, lanes == 1 ? static_cast<int>(v.size()) - 1 : lane + i));
    b_.store(m, checked_index(l, checks, lane), some, origin, lanes > 1 ? exists(lane + step - 1, lanes) : kNone);
  }
}

bool DevicePhase::are_neighbours(const Linear& l, AxisId axis, int lanes) const {
  const std::int64_t along = l.coefficient[static_cast<std::size_t>(axis)];
  bool aligned = along == 1 && l.offset % lanes == 0, fixed = along == 0;
  for (std::size_t a = 0; a < l.coefficient.size(); ++a)
    aligned &= static_cast<AxisId>(a) == axis || l.coefficient[a] % lanes == 0;
  for (auto [stride, indirect] : l.indirect) {
    const bool varies = info_.depends_on(indirect, axis);
    aligned &= !varies && stride % lanes == 0;
    fixed &= !varies;
  }
  return aligned || fixed;
}

int DevicePhase::vector_lanes(AxisId axis, int most) const {
  for (int lanes = most; lanes > 1; lanes /= 2) {
    bool all = extent(axis) % lanes == 0;
    for (std::size_t e = 0; e < kernel_.exprs.size() && all; ++e)
      if (info_.used[e] && kernel_.exprs[e].kind == Expr::load) all &= are_neighbours(info_.access[e], axis, lanes);
    for (const auto& stage : info_.store)
      for (const Linear& l : stage)
        all &= are_neighbours(l, axis, lanes) && l.coefficient[static_cast<std::size_t>(axis)] != 0;
    if (all) return lanes;
  }
  return 1;
}

RegisterId DevicePhase::fold(Op reduce, RegisterId acc, RegisterId x) {
  return b_.apply(fold_op(reduce), b_.type(acc), {acc, x});
}

RegisterId DevicePhase::identity(Op reduce, DType t, FoldOrder order) {
  return visit_dtype(
      t, [&](auto zero) { return b_.constant(t, to_scalar_bits(reduce_identity<decltype(zero)>(reduce, order))); });
}

RegisterId DevicePhase::multiply_add(RegisterId x, RegisterId y, RegisterId acc) {
  const DType t = b_.type(acc);
  if (is_float(t)) return b_.apply(Op::fma, t, {x, y, acc});
  return b_.apply(Op::add, t, {acc, b_.apply(Op::mul, t, {x, y})});
}

}  // namespace weft::codegen
