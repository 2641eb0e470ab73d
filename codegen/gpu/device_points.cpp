// Points over threads. A point without row stages belongs to one thread, which may take several neighbours. One with a
// striped reduction (ir/ops/sum_order.h) belongs to a team: thread j of 16 folds stripe j, the halving tree is four
// shuffles; a team of several 16s folds as many chunks at once, which are a subtree, and combines them through shared
// memory.
#include "codegen/gpu/device_points.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "ir/base/error.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/ops/sum_order.h"

namespace weft::codegen {
namespace {

constexpr int kStripes = kReduceStripes;
constexpr std::int64_t kMostHeld = 8;  // elements of a row in a thread's registers

}  // namespace

PointSchedule schedule_points(const Kernel& kernel, const PhaseInfo& info, int lanes, const GpuTarget& target) {
  PointSchedule s;
  const std::int64_t points = info.points();
  std::int64_t row = 0;  // longest striped reduction
  bool rows = false;
  for (const KernelStage& stage : info.phase.stages) {
    const bool striped =
        stage.kind == KernelStage::reduce && (stage.order == FoldOrder::striped || is_arg_reduce(stage.op));
    rows |= striped && (stage.order == FoldOrder::striped || lane_axis(kernel) == stage.axis);
    if (striped) row = std::max(row, info.extent[static_cast<std::size_t>(stage.axis)]);
  }
  const std::int64_t machine = static_cast<std::int64_t>(target.multiprocessors) * target.threads;
  if (rows) {
    // More threads a row where there are chunks for them and rows alone do not fill the machine.
    s.team = kStripes;
    const std::int64_t chunks = ceil_div(row, kStripedOrder.chunk);
    while (s.team < 512 && s.team / kStripes < chunks && points * s.team < machine) s.team *= 2;
    s.threads = s.team > kStripes ? s.team : 128;
  } else {
    s.lanes = lanes;
    while (s.lanes > 1 && points / s.lanes * 2 < machine) s.lanes /= 2;
  }
  auto of_block = [&] { return static_cast<std::int64_t>(s.threads) / s.team * s.lanes; };
  // Small phases use blocks of one or two warps, so that all multiprocessors take part.
  while (s.threads > std::max(simt::kWarp, s.team) && ceil_div(points, of_block()) < target.multiprocessors)
    s.threads /= 2;
  s.blocks = ceil_div(points, of_block());
  return s;
}

void DevicePoints::emit(const GpuTarget& target) {
  const std::vector<AxisId>& parallel = info_.phase.parallel;
  const AxisId inner = parallel.empty() ? kNone : parallel.back();
  bool stage_axes = false;  // or another reason to take points one by one
  for (const KernelStage& s : info_.phase.stages)
    stage_axes |= s.kind == KernelStage::scatter || (inner != kNone && s.chunk_axis == inner);
  schedule_ = schedule_points(kernel_, info_, inner == kNone || stage_axes ? 1 : vector_lanes(inner, 4), target);
  function_.threads = schedule_.threads;
  function_.blocks = schedule_.blocks;
  const std::int64_t points = info_.points();
  if (points == 0) return b_.finish();

  const std::int64_t teams = schedule_.threads / schedule_.team;  // of a block
  const RegisterId team = b_.divide(b_.thread(), schedule_.team);
  rank_ = b_.remainder(b_.thread(), schedule_.team);
  RegisterId point = b_.sum(b_.multiply(b_.block(), teams), team);
  const std::int64_t all = points / schedule_.lanes;
  if (all % teams != 0) {
    valid_ = b_.less(point, all);
    if (schedule_.team > 1) point = b_.minimum(point, all - 1);
  }
  if (schedule_.lanes > 1) {
    const std::int64_t width = extent(inner) / schedule_.lanes;
    std::vector<AxisId> outer(parallel.begin(), parallel.end() - 1);
    bind_point(outer, b_.divide(point, width));
    const RegisterId group = outer.empty() ? point : b_.remainder(point, width);
    bind(inner, b_.multiply(group, schedule_.lanes), schedule_.lanes);
  } else {
    bind_point(parallel, point);
  }
  auto stages = [&] {
    for (std::size_t s = 0; s < info_.phase.stages.size(); ++s) {
      forget_stored();
      if (schedule_.team > 1) separate_stages(s);
      run_stage(s);
    }
  };
  if (schedule_.team > 1) {
    guard_ = valid_;  // threads without a point follow the last one, for the sake of the collectives
    hold_row();
    stages();
  } else {
    when(valid_, stages);
  }
  b_.finish();
}

/// A row of few elements a thread is loaded and computed once for all stages.
void DevicePoints::hold_row() {
  const AxisId axis = lane_axis(kernel_);
  const bool is_row = std::ranges::any_of(info_.phase.stages, [&](const KernelStage& s) { return axis_of(s) == axis; });
  // A loop over single elements of the row would bind its axis anew.
  const bool one_by_one = std::ranges::any_of(info_.phase.stages, [&](const KernelStage& s) {
    const bool together = s.kind == KernelStage::map ||
                          (s.kind == KernelStage::reduce && (s.order == FoldOrder::striped || is_arg_reduce(s.op)));
    return axis_of(s) == axis && !together;
  });
  if (axis == kNone || !is_row || one_by_one || schedule_.team != kStripes || extent(axis) == 0 ||
      extent(axis) > kMostHeld * kStripes)
    return;
  held_ = axis;
  held_lanes_ = static_cast<int>(ceil_div(extent(axis), kStripes));
  const std::int64_t last = extent(axis) - std::int64_t{held_lanes_ - 1} * kStripes;
  if (last != kStripes) last_inside_ = b_.less(rank_, last);
  if (held_lanes_ == 1) inside_[static_cast<std::size_t>(axis)] = last_inside_;
  bind(axis, rank_, held_lanes_, kStripes);
}

/// A barrier before a stage that touches what another thread of the team may have touched in an earlier one.
void DevicePoints::separate_stages(std::size_t index) {
  Touched now;
  const KernelStage& s = info_.phase.stages[index];
  std::vector<ExprId> roots = {s.predicate, s.value, s.lhs, s.rhs};
  for (const Store& t : s.stores) {
    roots.push_back(t.value);
    for (const Index& i : t.access) roots.push_back(i.indirect);
    now.stored.push_back(storage(program_, t.buffer));
  }
  for (ExprId load : loads_under(kernel_, roots)) now.loaded.push_back(storage(program_, expr(load).buffer));
  auto meet = [](const std::vector<BufferId>& a, const std::vector<BufferId>& b) {
    return std::ranges::any_of(a, [&](BufferId id) { return std::ranges::count(b, id) > 0; });
  };
  if (meet(now.loaded, touched_.stored) || meet(now.stored, touched_.stored) || meet(now.stored, touched_.loaded)) {
    b_.barrier();
    touched_ = {};
  }
  touched_.loaded.insert(touched_.loaded.end(), now.loaded.begin(), now.loaded.end());
  touched_.stored.insert(touched_.stored.end(), now.stored.begin(), now.stored.end());
}

void DevicePoints::run_stage(std::size_t index) {
  switch (info_.phase.stages[index].kind) {
    case KernelStage::map: return run_map(index);
    case KernelStage::scatter: return run_scatter(index);
    default: return run_reduce(index);
  }
}

void DevicePoints::run_map(std::size_t index) {
  const KernelStage& s = info_.phase.stages[index];
  auto stores = [&] {
    std::vector<RegisterIds> all;  // values first: a store may overwrite what another one's value was loaded from
    for (const Store& t : s.stores) all.push_back(values(t.value));
    for (std::size_t i = 0; i < all.size(); ++i)
      store(s.stores[i], info_.store[index][i], info_.store_checks[index][i], all[i]);
  };
  if (schedule_.team == 1) {
    if (s.axis == kNone) return stores();
    return loop(b_.integer(0), b_.integer(extent(s.axis)), 1, [&](RegisterId at) {
      bind(s.axis, at);
      stores();
    });
  }
  if (s.axis == kNone) return when(b_.both(valid_, b_.equal(rank_, 0)), stores);
  if (holds(s.axis)) return when(held_lanes_ == 1 ? b_.both(valid_, last_inside_) : valid_, stores);
  when(valid_, [&] {
    loop(rank_, b_.integer(extent(s.axis)), schedule_.team, [&](RegisterId at) {
      bind(s.axis, at);
      stores();
    });
  });
}

void DevicePoints::run_scatter(std::size_t index) {
  const KernelStage& s = info_.phase.stages[index];
  const Store& t = s.stores[0];
  const MemoryId m = memory(t.buffer);
  const std::int32_t origin = b_.origin(fmt::format("add to {}", b_.memory(m).name));
  when(schedule_.team > 1 ? b_.both(valid_, b_.equal(rank_, 0)) : kNone, [&] {
    loop(b_.integer(0), b_.integer(extent(s.axis)), 1, [&](RegisterId at) {
      if (s.axis != kNone) bind(s.axis, at);
      const RegisterId predicate = s.predicate == kNone ? kNone : value(s.predicate);
      when(predicate, [&] {
        const RegisterId x = value(t.value),
                         place = checked_index(info_.store[index][0], info_.store_checks[index][0], 0);
        const RegisterId old = b_.load(m, place, 1, kNone, origin)[0];
        b_.store(m, place, {b_.apply(Op::add, b_.type(x), {old, x})}, origin);
      });
    });
  });
}

void DevicePoints::run_reduce(std::size_t index) {
  const KernelStage& s = info_.phase.stages[index];
  if (s.kind == KernelStage::reduce && is_arg_reduce(s.op))
    return bind_accumulator(s.result, schedule_.team > 1 ? RegisterIds{arg_reduce_team(s)} : arg_reduce(s));
  if (s.kind == KernelStage::reduce && s.order == FoldOrder::striped) {
    ensure(schedule_.team > 1, "kernel {}: a striped reduction needs a team of threads", kernel_.name);
    return bind_accumulator(s.result, {striped(s)});
  }
  bind_accumulator(s.result, s.kind == KernelStage::contract ? contracted(s) : sequential(s));
}

RegisterIds DevicePoints::fold_runs(const KernelStage& s, std::int64_t n, std::int64_t run, RegisterId begin,
                                    RegisterId end, const RangeFn& fold_run) {
  const DType t = expr(s.value).dtype;
  if (n <= run || is_associative(s.op, t)) return fold_run(begin, end);
  RegisterIds total;
  for (int lane = 0; lane < schedule_.lanes; ++lane) total.push_back(b_.variable(identity(s.op, t)));
  loop(begin, end, run, [&](RegisterId from) {
    const RegisterIds x = fold_run(from, b_.apply(Op::min, b_.type(end), {b_.add(from, run), end}));
    for (std::size_t lane = 0; lane < total.size(); ++lane) b_.set(total[lane], fold(s.op, total[lane], x[lane]));
  });
  return total;
}

/// A binary counter of the chunks so far: where bit k of their number is set, variable k holds the result of 2^k of
/// them. A chunk's result is carried through the variables whose bits it clears, which makes the pairs of the tree.
RegisterIds DevicePoints::fold_tree(std::int64_t n, std::int64_t chunk, RegisterId identity, const RangeFn& fold_chunk,
                                    const CombineFn& combine) {
  if (n <= chunk) return fold_chunk(b_.integer(0), b_.integer(n));
  const std::int64_t chunks = ceil_div(n, chunk);
  const auto levels = static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(chunks)));
  std::vector<RegisterIds> subtree(levels);
  for (RegisterIds& v : subtree)
    for (int lane = 0; lane < schedule_.lanes; ++lane) v.push_back(b_.variable(identity));
  loop(b_.integer(0), b_.integer(n), chunk, [&](RegisterId begin) {
    RegisterIds x;
    for (RegisterId v : fold_chunk(begin, b_.minimum(b_.add(begin, chunk), n))) x.push_back(b_.variable(v));
    const RegisterId number = b_.divide(begin, chunk);
    std::function<void(std::size_t)> carry = [&](std::size_t level) {
      auto keep = [&] {
        for (std::size_t lane = 0; lane < x.size(); ++lane) b_.set(subtree[level][lane], x[lane]);
      };
      if (level + 1 == levels) return keep();  // no later chunk clears this bit
      const RegisterId bit = b_.remainder(b_.divide(number, std::int64_t{1} << level), 2);
      when(b_.equal(bit, 0), keep);
      when(b_.equal(bit, 1), [&] {
        for (std::size_t lane = 0; lane < x.size(); ++lane) b_.set(x[lane], combine(subtree[level][lane], x[lane]));
        carry(level + 1);
      });
    };
    carry(0);
  });
  RegisterIds total;
  for (std::size_t level = 0; level < levels; ++level) {
    if ((chunks >> level & 1) == 0) continue;
    const bool last = total.empty();
    for (std::size_t lane = 0; lane < subtree[level].size(); ++lane) {
      const RegisterId earlier = subtree[level][lane];
      if (last)
        total.push_back(earlier);
      else
        total[lane] = combine(earlier, total[lane]);
    }
  }
  return total;
}

/// One run or chunk, folded in order by each thread for its own lanes.
RegisterIds DevicePoints::chunk_in_order(const KernelStage& s, RegisterId begin, RegisterId end) {
  const bool contract = s.kind == KernelStage::contract;
  const DType t = expr(contract ? s.lhs : s.value).dtype;
  const RegisterId start = contract ? b_.constant(t, 0) : identity(s.op, t, s.order);
  RegisterIds acc;
  for (int lane = 0; lane < schedule_.lanes; ++lane) acc.push_back(b_.variable(start));
  loop(begin, end, 1, [&](RegisterId at) {
    bind_point(axes_of(s), at);
    for (int lane = 0; lane < schedule_.lanes; ++lane) {
      const RegisterId a = acc[static_cast<std::size_t>(lane)];
      b_.set(a,
             contract ? multiply_add(value(s.lhs, lane), value(s.rhs, lane), a) : fold(s.op, a, value(s.value, lane)));
    }
  });
  return acc;
}

RegisterIds DevicePoints::sequential(const KernelStage& s) {
  const std::int64_t n = extent(s.axis);
  const ReduceOrder order = reduce_order(s, n);
  const CombineFn combine = [&](RegisterId earlier, RegisterId later) { return fold(s.op, earlier, later); };
  const RegisterId none = identity(s.op, expr(s.value).dtype, s.order);
  const RangeFn run = [&](RegisterId begin, RegisterId end) { return chunk_in_order(s, begin, end); };
  const RangeFn chunk = [&](RegisterId begin, RegisterId end) {
    return fold_runs(s, std::min(n, order.chunk), order.run, begin, end, run);
  };
  return fold_tree(n, order.chunk, none, chunk, combine);
}

RegisterIds DevicePoints::contracted(const KernelStage& s) {
  const std::int64_t n = info_.steps(s);
  if (s.chunk_axis != kNone && n > kContractChunk) {
    const RegisterId begin = b_.multiply(coordinate(s.chunk_axis), kContractChunk);
    return chunk_in_order(s, begin, b_.minimum(b_.add(begin, kContractChunk), n));
  }
  RegisterIds total = chunk_in_order(s, b_.integer(0), b_.integer(std::min(n, kContractChunk)));
  if (n > kContractChunk)
    loop(b_.integer(kContractChunk), b_.integer(n), kContractChunk, [&](RegisterId begin) {
      const RegisterIds x = chunk_in_order(s, begin, b_.minimum(b_.add(begin, kContractChunk), n));
      for (std::size_t lane = 0; lane < total.size(); ++lane)
        b_.set(total[lane], b_.apply(Op::add, b_.type(x[lane]), {total[lane], x[lane]}));
    });
  return total;
}

RegisterId DevicePoints::move_down(RegisterId v, int lanes, int width) {
  const DType t = b_.type(v);
  if (size_of(t) >= 4) return b_.shuffle_down(v, lanes, width);
  return b_.convert(b_.shuffle_down(b_.convert(v, i32), lanes, width), t);
}

RegisterId DevicePoints::from_first(RegisterId v, int width) {
  const DType t = b_.type(v);
  if (size_of(t) >= 4) return b_.shuffle_from(v, 0, width);
  return b_.convert(b_.shuffle_from(b_.convert(v, i32), 0, width), t);
}

/// In thread 0 of 16: stripes[i] = fold(stripes[i], stripes[i + half]) for half = 8, 4, 2, 1.
RegisterId DevicePoints::halving_tree(const KernelStage& s, RegisterId stripe) {
  for (int half = kStripes / 2; half > 0; half /= 2) stripe = fold(s.op, stripe, move_down(stripe, half, kStripes));
  return stripe;
}

RegisterId DevicePoints::striped_chunk(const KernelStage& s, RegisterId begin, RegisterId end) {
  if (holds(s.axis)) {
    RegisterId acc = identity(s.op, expr(s.value).dtype);
    for (int lane = 0; lane < held_lanes_; ++lane) {
      const RegisterId folded = fold(s.op, acc, value(s.value, lane));
      const bool partly = lane + 1 == held_lanes_ && last_inside_ != kNone;
      acc = partly ? b_.apply(Op::select, b_.type(acc), {last_inside_, folded, acc}) : folded;
    }
    return halving_tree(s, acc);
  }
  const RangeFn run = [&](RegisterId from, RegisterId to) {
    const RegisterId acc = b_.variable(identity(s.op, expr(s.value).dtype));
    loop(b_.sum(from, b_.remainder(rank_, kStripes)), to, kStripes, [&](RegisterId at) {
      bind(s.axis, at);
      b_.set(acc, fold(s.op, acc, value(s.value)));
    });
    return RegisterIds{acc};
  };
  return halving_tree(s, fold_runs(s, extent(s.axis), kStripedOrder.run, begin, end, run)[0]);
}

/// The team's chunks from `begin` on, of which each 16 threads bring one in the first of them: a subtree, in all
/// threads that are first in a warp. One that does not exist brings the identity, which changes nothing.
RegisterId DevicePoints::across_teams(const KernelStage& s, MemoryId shared, RegisterId begin, RegisterId result) {
  const int at_once = schedule_.team / kStripes;
  const std::int32_t origin = b_.origin("partial results of chunks");
  // Two sets of places in turn, so that one barrier a round is enough.
  const RegisterId round = b_.divide(begin, kStripedOrder.chunk * at_once);
  const RegisterId first = b_.multiply(b_.remainder(round, 2), at_once);
  when(b_.equal(b_.remainder(rank_, kStripes), 0),
       [&] { b_.store(shared, b_.sum(first, b_.divide(rank_, kStripes)), {result}, origin); });
  b_.barrier();
  RegisterId x = b_.load(shared, b_.sum(first, b_.remainder(rank_, at_once)), 1, kNone, origin)[0];
  for (int lanes = 1; lanes < at_once; lanes *= 2) x = fold(s.op, x, move_down(x, lanes, at_once));
  return x;
}

RegisterId DevicePoints::striped(const KernelStage& s) {
  const std::int64_t n = extent(s.axis), chunk = kStripedOrder.chunk;
  const int at_once = n <= chunk ? 1 : schedule_.team / kStripes;
  const MemoryId shared =
      at_once == 1 ? kNone : b_.shared(fmt::format("partial{}", s.result), expr(s.value).dtype, 2 * at_once);
  const RangeFn subtree = [&](RegisterId begin, RegisterId end) {
    if (at_once == 1) return RegisterIds{striped_chunk(s, begin, end)};
    const RegisterId own = b_.sum(begin, b_.multiply(b_.divide(rank_, kStripes), chunk));
    return RegisterIds{across_teams(s, shared, begin, striped_chunk(s, own, b_.minimum(b_.add(own, chunk), n)))};
  };
  const CombineFn combine = [&](RegisterId earlier, RegisterId later) { return fold(s.op, earlier, later); };
  const RegisterId total = fold_tree(n, chunk * at_once, identity(s.op, expr(s.value).dtype), subtree, combine)[0];
  return from_first(total, at_once == 1 ? kStripes : at_once);
}

/// best = x[0]; best = x[i] where x[i] is better, for i in order.
RegisterIds DevicePoints::arg_reduce(const KernelStage& s) {
  const Op better = *info(s.op).traits.better;
  RegisterIds best, where;
  if (extent(s.axis) == 0) return {b_.constant(i32, 0)};
  bind(s.axis, b_.integer(0));
  for (int lane = 0; lane < schedule_.lanes; ++lane) {
    best.push_back(b_.variable(value(s.value, lane)));
    where.push_back(b_.variable(b_.constant(i32, 0)));
  }
  loop(b_.integer(1), b_.integer(extent(s.axis)), 1, [&](RegisterId at) {
    bind(s.axis, at);
    for (std::size_t lane = 0; lane < best.size(); ++lane) {
      const RegisterId x = value(s.value, static_cast<int>(lane));
      const RegisterId wins = b_.apply(better, boolean, {x, best[lane]});
      b_.set(best[lane], b_.apply(Op::select, b_.type(x), {wins, x, best[lane]}));
      b_.set(where[lane], b_.apply(Op::select, i32, {wins, b_.convert(at, i32), where[lane]}));
    }
  });
  return where;
}

/// The same for 16 threads. Each finds the first best number of its stripe (`where` < 0: none yet); of two, the better
/// one wins, and of equal ones the first. A NaN wins only as x[0], which nothing is better than.
RegisterId DevicePoints::arg_reduce_team(const KernelStage& s) {
  const Op better = *info(s.op).traits.better;
  const std::int64_t n = extent(s.axis);
  const RegisterId zero = b_.constant(i32, 0);
  if (n == 0) return zero;
  const DType t = expr(s.value).dtype;
  auto either = [&](RegisterId p, RegisterId q) { return b_.apply(Op::bit_or, boolean, {p, q}); };
  const RegisterId best = b_.variable(b_.constant(t, 0)),
                   where = b_.variable(b_.constant(i32, static_cast<std::uint64_t>(-1)));
  auto take = [&](RegisterId wins, RegisterId x, RegisterId at) {
    b_.set(best, b_.apply(Op::select, t, {wins, x, best}));
    b_.set(where, b_.apply(Op::select, i32, {wins, at, where}));
  };
  auto consider = [&](RegisterId x, RegisterId at, RegisterId exists) {
    const RegisterId number = b_.apply(Op::eq, boolean, {x, x}), none = b_.less(where, 0);
    const RegisterId wins = b_.both(b_.apply(Op::logical_not, boolean, {none}), b_.apply(better, boolean, {x, best}));
    take(b_.both(exists, either(b_.both(number, none), wins)), x, b_.convert(at, i32));
  };
  if (holds(s.axis))
    for (int lane = 0; lane < held_lanes_; ++lane)
      consider(value(s.value, lane), b_.add(rank_, std::int64_t{lane} * kStripes),
               lane + 1 == held_lanes_ ? last_inside_ : kNone);
  else
    loop(b_.remainder(rank_, kStripes), b_.integer(n), kStripes, [&](RegisterId at) {
      bind(s.axis, at);
      consider(value(s.value), at, kNone);
    });
  for (int half = kStripes / 2; half > 0; half /= 2) {
    const RegisterId x = move_down(best, half, kStripes), at = move_down(where, half, kStripes);
    const RegisterId there = b_.apply(Op::ge, boolean, {at, zero});
    const RegisterId sooner = b_.both(b_.apply(Op::eq, boolean, {x, best}), b_.apply(Op::lt, boolean, {at, where}));
    const RegisterId wins = either(b_.less(where, 0), either(b_.apply(better, boolean, {x, best}), sooner));
    take(b_.both(there, wins), x, at);
  }
  if (!holds(s.axis)) bind(s.axis, b_.integer(0));
  const RegisterId x0 = value(s.value);  // where it counts: in thread 0
  const RegisterId starts = b_.apply(Op::eq, boolean, {x0, x0});
  const RegisterId found = b_.both(starts, b_.apply(Op::ge, boolean, {where, zero}));
  return from_first(b_.apply(Op::select, i32, {found, where, zero}), kStripes);
}

}  // namespace weft::codegen
