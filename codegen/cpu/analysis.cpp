// Linear forms, dependences and the merging of parallel axes.
#include "codegen/cpu/analysis.h"

#include <algorithm>

#include "ir/base/at.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/unproven.h"
#include "ir/memory/panels.h"
#include "ir/ops/scalar.h"

namespace weft::codegen {
namespace {

Linear linearise(const std::vector<Index>& access, const Dims& strides, std::size_t axes) {
  Linear l;
  l.coefficient.assign(axes, 0);
  for (std::size_t d = 0; d < access.size(); ++d) {
    const std::int64_t stride = strides[static_cast<int>(d)];
    l.offset += stride * access[d].offset;
    for (auto [axis, c] : access[d].terms) l.coefficient[static_cast<std::size_t>(axis)] += stride * c;
    if (access[d].indirect != kNone) l.indirect.emplace_back(stride, access[d].indirect);
  }
  return l;
}

Linear linearise(const std::vector<Index>& access, const Buffer& buffer, std::size_t axes) {
  Linear l = linearise(access, storage_strides(buffer), axes);
  if (buffer.panels) {
    l.panel_axis = access.back().terms[0].first;
    l.panel_width = buffer.panels;
    l.panel_gap = panel_gap(buffer);
  }
  return l;
}

template <class F>
void for_each_access(PhaseInfo& info, const Kernel& kernel, F&& f) {
  for (std::size_t e = 0; e < kernel.exprs.size(); ++e)
    if (info.used[e] && !info.access[e].coefficient.empty()) f(info.access[e]);
  for (auto& stage : info.store)
    for (Linear& l : stage) f(l);
  for (auto& checks : info.load_checks)
    for (IndexCheck& c : checks) f(c.index);
  for (auto& stage : info.store_checks)
    for (auto& checks : stage)
      for (IndexCheck& c : checks) f(c.index);
}

/// Folds axes of the list, the first of which is the outermost, into the ones that follow them.
void merge_axes(PhaseInfo& info, const Kernel& kernel, std::vector<AxisId>& axes) {
  const auto counts_chunks = [&](AxisId a) {
    return std::ranges::any_of(info.phase.stages, [&](const KernelStage& s) { return s.chunk_axis == a; });
  };
  auto extent = [&](AxisId a) -> std::int64_t& { return info.extent[static_cast<std::size_t>(a)]; };
  for (std::size_t i = axes.size(); i-- > 1;) {
    const AxisId outer = axes[i - 1], inner = axes[i];
    if (counts_chunks(outer) || counts_chunks(inner)) continue;
    bool linear = true;
    for_each_access(info, kernel, [&](Linear& l) {
      linear &= l.coefficient[static_cast<std::size_t>(outer)] ==
                extent(inner) * l.coefficient[static_cast<std::size_t>(inner)];
      linear &= l.panel_axis == kNone || (l.panel_axis != outer && l.panel_axis != inner);
    });
    // An axis of one point has no coefficient worth keeping; the other then carries the whole index.
    if (!linear && extent(outer) != 1 && extent(inner) != 1) continue;
    const bool keep_outer = !linear && extent(inner) == 1;
    const AxisId kept = keep_outer ? outer : inner, gone = keep_outer ? inner : outer;
    if (keep_outer) {  // the place of `inner` (lanes run there) is taken over by the coefficients of `outer`
      for_each_access(info, kernel, [&](Linear& l) {
        l.coefficient[static_cast<std::size_t>(inner)] = l.coefficient[static_cast<std::size_t>(outer)];
        l.coefficient[static_cast<std::size_t>(outer)] = 0;
        if (l.panel_axis == outer || l.panel_axis == inner) l.panel_axis = l.panel_axis == outer ? inner : kNone;
      });
      extent(inner) = extent(outer);
      extent(outer) = 1;
    } else {
      for_each_access(info, kernel, [&](Linear& l) {
        l.coefficient[static_cast<std::size_t>(gone)] = 0;
        if (l.panel_axis == gone) l.panel_axis = kNone;
      });
      extent(kept) *= extent(gone);
      extent(gone) = 1;
    }
    axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(i) - 1);
  }
}

void find_dependences(PhaseInfo& info, const Program& program, const Kernel& kernel) {
  const std::vector<BufferId> stored = touched(program, kernel, info.phase).stores;
  info.depends.assign(kernel.exprs.size(), {});
  for (std::size_t i = 0; i < kernel.exprs.size(); ++i) {
    const Expr& e = kernel.exprs[i];
    Dependence& d = info.depends[i];
    auto take = [&](ExprId arg) {
      const Dependence& a = info.depends[static_cast<std::size_t>(arg)];
      d.axes |= a.axes, d.accumulator |= a.accumulator, d.pinned |= a.pinned;
    };
    for (ExprId arg : e.args) take(arg);
    for (std::size_t a = 0; a < info.access[i].coefficient.size(); ++a)
      if (info.access[i].coefficient[a]) d.axes |= std::uint64_t{1} << a;
    for (const IndexCheck& c : info.load_checks[i])
      for (std::size_t a = 0; a < c.index.coefficient.size(); ++a)
        if (c.index.coefficient[a]) d.axes |= std::uint64_t{1} << a;
    for (auto [stride, arg] : info.access[i].indirect) take(arg);
    if (e.kind == Expr::accumulator) d.accumulator = true;
    if (e.kind == Expr::load && std::count(stored.begin(), stored.end(), storage(program, e.buffer))) d.pinned = true;
  }
}

/// The checks of a program whose indices need any.
void find_checks(PhaseInfo& info, const Program& program, const Kernel& kernel, std::int32_t phase) {
  info.load_checks.resize(kernel.exprs.size());
  for (const KernelStage& s : info.phase.stages) info.store_checks.emplace_back(s.stores.size());
  if (!program.check_indices) return;
  const std::vector<UnprovenIndex> unproven = unproven_indices(program, kernel);
  info.checks = !unproven.empty();
  for (std::size_t i = 0; i < unproven.size(); ++i) {
    const UnprovenIndex& u = unproven[i];
    const bool is_load = u.load != kNone;
    if (is_load ? !info.used[static_cast<std::size_t>(u.load)] : u.phase != phase) continue;
    const Store* store = is_load ? nullptr : &at(at(info.phase.stages, u.stage).stores, u.store);
    const auto& access = is_load ? at(kernel.exprs, u.load).access : store->access;
    const Shape& shape = at(program.buffers, is_load ? at(kernel.exprs, u.load).buffer : store->buffer).type.shape;
    auto& checks = is_load ? at(info.load_checks, u.load) : at(at(info.store_checks, u.stage), u.store);
    checks.push_back({linearise({at(access, u.dimension)}, Dims{1}, kernel.axes.size()), shape[u.dimension],
                      static_cast<std::int64_t>(i)});
  }
}

/// A size of at least `bytes` at whose multiples no two of four rows are near each other modulo 4 KiB: there, a load
/// waits for stores that are still on their way to another page.
std::int64_t apart_in_l1(std::int64_t bytes) {
  constexpr std::int64_t kPage = 4096, kApart = kPage / 4 + kCacheLine;
  return bytes + ((kApart - bytes) % kPage + kPage) % kPage;
}

/// The operands of an expression, indices included.
template <class F>
void for_each_operand(const PhaseInfo& info, const Kernel& kernel, std::size_t e, F&& f) {
  for (ExprId arg : kernel.exprs[e].args) f(arg);
  for (auto [stride, arg] : info.access[e].indirect) f(arg);
}

}  // namespace

std::int64_t PhaseInfo::points() const {
  std::int64_t n = 1;
  for (AxisId a : phase.parallel) n *= extent[static_cast<std::size_t>(a)];
  return n;
}

std::int64_t PhaseInfo::steps(const KernelStage& s) const {
  std::int64_t n = 1;
  for (AxisId a : axes_of(s)) n *= extent[static_cast<std::size_t>(a)];
  return n;
}

double PhaseInfo::terms(const KernelStage& s) const {
  const std::int64_t n = steps(s);
  return static_cast<double>(s.chunk_axis == kNone ? n : std::min(n, kContractChunk));
}

namespace {

/// All but the dependences, which are those of the axes that are left when some are merged.
PhaseInfo linear_forms(const Program& program, const Kernel& kernel, const Phase& phase, AxisId lane_axis) {
  ensure(kernel.axes.size() <= 64, "kernel {} has {} axes, more than 64", kernel.name, kernel.axes.size());
  PhaseInfo info;
  info.phase = phase;
  for (const Axis& a : kernel.axes) info.extent.push_back(a.extent);
  info.access.resize(kernel.exprs.size());
  for (std::size_t i = 0; i < kernel.exprs.size(); ++i) {
    const Expr& e = kernel.exprs[i];
    if (e.kind == Expr::load) info.access[i] = linearise(e.access, at(program.buffers, e.buffer), kernel.axes.size());
    if (e.kind == Expr::index) info.access[i] = linearise(e.access, Dims{1}, kernel.axes.size());
  }
  info.used = needed(kernel, roots_of(phase));
  for (const KernelStage& s : phase.stages) {
    std::vector<Linear>& stores = info.store.emplace_back();
    for (const Store& t : s.stores)
      stores.push_back(linearise(t.access, at(program.buffers, t.buffer), kernel.axes.size()));
  }
  find_checks(info, program, kernel, static_cast<std::int32_t>(&phase - kernel.phases.data()));
  std::vector<AxisId>& parallel = info.phase.parallel;
  if (auto at = std::find(parallel.begin(), parallel.end(), lane_axis); at != parallel.end() && phase.chunk == 0)
    std::rotate(at, at + 1, parallel.end());
  const auto wide = std::ranges::find_if(parallel, [&](AxisId a) { return at(kernel.axes, a).extent > 1; });
  if (wide != parallel.end()) info.slowest = *wide;
  return info;
}

}  // namespace

PhaseInfo analyse(const Program& program, const Kernel& kernel, const Phase& phase, AxisId lane_axis, bool merge) {
  PhaseInfo info = linear_forms(program, kernel, phase, lane_axis);
  if (merge) merge_axes(info, kernel, info.phase.parallel);
  find_dependences(info, program, kernel);
  return info;
}

PhaseInfo analyse_contraction(const Program& program, const Kernel& kernel, const Phase& phase) {
  PhaseInfo info = linear_forms(program, kernel, phase, role_axes(kernel).n);
  Roles& roles = info.phase.stages[0].roles;
  for (std::vector<AxisId>* role : {&roles.b, &roles.m, &roles.k}) {
    const std::vector<AxisId> before = *role;
    merge_axes(info, kernel, *role);
    std::erase_if(info.phase.parallel,
                  [&](AxisId a) { return std::ranges::count(before, a) > 0 && std::ranges::count(*role, a) == 0; });
  }
  find_dependences(info, program, kernel);
  return info;
}

bool is_along_row(const PhaseInfo& info, const Kernel& kernel, std::size_t stage) {
  const KernelStage& s = info.phase.stages[stage];
  if (s.kind != KernelStage::scatter || s.axis == kNone || s.axis != lane_axis(kernel)) return false;
  const Linear& to = info.store[stage][0];
  return s.predicate == kNone && info.store_checks[stage][0].empty() && to.panel_axis == kNone &&
         to.coefficient[static_cast<std::size_t>(s.axis)] == 1 &&
         std::ranges::none_of(to.indirect, [&](const auto& i) { return info.depends_on(i.second, s.axis); });
}

bool is_associative(Op reduce, DType t) { return !is_float(t) || info(fold_op(reduce)).traits.associates; }

std::vector<ExprId> loads_under(const Kernel& kernel, const std::vector<ExprId>& roots) {
  std::vector<ExprId> loads;
  for_each_load(kernel, roots, [&](BufferId, const std::vector<Index>&, ExprId load) { loads.push_back(load); });
  std::ranges::reverse(loads);
  return loads;
}

double point_cost(const PhaseInfo& info, const Kernel& kernel) {
  double total = 0;
  for (const KernelStage& s : info.phase.stages) {
    std::vector<ExprId> values = {s.predicate, s.value, s.lhs, s.rhs};
    for (const Store& t : s.stores) values.push_back(t.value);
    const std::vector<bool> seen = needed(kernel, values);
    const std::vector<AxisId> axes = axes_of(s);
    double inner = static_cast<double>(s.stores.size()) + 1, outer = 0;
    for (std::size_t i = kernel.exprs.size(); i-- > 0;) {
      if (!seen[i]) continue;
      const Expr& e = kernel.exprs[i];
      const double cost = e.kind == Expr::apply ? weft::info(e.op).cost : e.kind == Expr::load ? 1 : 0;
      const bool varies =
          std::ranges::any_of(axes, [&](AxisId a) { return info.depends_on(static_cast<ExprId>(i), a); });
      (axes.empty() || varies ? inner : outer) += cost;
    }
    total += outer + inner * info.terms(s);
  }
  return total;
}

std::vector<KeptRow> kept_rows(const PhaseInfo& info, const Kernel& kernel, AxisId axis, int width,
                               std::int64_t bytes) {
  constexpr double kWorthKeeping = 10;  // instructions: a division; a store and a load of L1 or L2 take less
  const std::size_t n = kernel.exprs.size();
  const std::int64_t row = (info.extent[static_cast<std::size_t>(axis)] + width - 1) / width * width;
  std::vector<KeptRow> kept;
  std::int64_t used = 0;
  // From results to operands, so that the outermost of nested values is kept; what only it needs is then not repeated.
  for (std::size_t e = n; e-- > 0;) {
    const Dependence& d = info.depends[e];
    if (kernel.exprs[e].kind != Expr::apply || !(d.axes >> axis & 1) || d.pinned) continue;
    std::size_t first = info.phase.stages.size();
    int readers = 0;
    for (std::size_t s = 0; s < info.phase.stages.size(); ++s) {
      const KernelStage& stage = info.phase.stages[s];
      std::vector<bool> needed(n, false);
      auto need = [&](ExprId id) {
        if (id != kNone) needed[static_cast<std::size_t>(id)] = true;
      };
      for (const Store& t : stage.stores) need(t.value);
      for (ExprId id : {stage.predicate, stage.value, stage.lhs, stage.rhs}) need(id);
      for (std::size_t i = n; i-- > e;)  // operands of kept values are needed only where those are first computed
        if (const auto at = std::find_if(kept.begin(), kept.end(),
                                         [&](const KeptRow& k) { return k.value == static_cast<ExprId>(i); });
            needed[i] && (at == kept.end() || at->first_stage == s))
          for_each_operand(info, kernel, i, need);
      if (!needed[e]) continue;
      first = std::min(first, s);
      ++readers;
    }
    if (readers < 2) continue;
    std::vector<bool> part(n, false);
    part[e] = true;
    double cost = 0;
    for (std::size_t i = e + 1; i-- > 0;) {
      if (!part[i] || !(info.depends[i].axes >> axis & 1)) continue;
      if (kernel.exprs[i].kind == Expr::apply) cost += weft::info(kernel.exprs[i].op).cost;
      for_each_operand(info, kernel, i, [&](ExprId arg) { part[static_cast<std::size_t>(arg)] = true; });
    }
    const std::int64_t size = apart_in_l1(row * static_cast<std::int64_t>(size_of(kernel.exprs[e].dtype)));
    if (cost < kWorthKeeping || used + size > bytes) continue;
    kept.push_back({static_cast<ExprId>(e), first, used, size});
    used += size;
  }
  return kept;
}

namespace {

/// Registers that the code of an op takes beside those of its operands and its result; none known: it is long.
std::optional<int> temporaries(Op op, DType t, bool with_constant) {
  switch (op) {
    case Op::max:
    case Op::min: return with_constant ? 1 : 2;  // comparisons, for NaN
    case Op::neg:
    case Op::abs: return 1;  // the bit of the sign
    case Op::div: return is_float(t) ? std::optional(0) : std::nullopt;
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::fma:
    case Op::sqrt:
    case Op::eq:
    case Op::ne:
    case Op::lt:
    case Op::le:
    case Op::gt:
    case Op::ge:
    case Op::select:
    case Op::stop_gradient:
    case Op::logical_not: return 0;
    default: return {};
  }
}

}  // namespace

std::optional<int> registers_needed(const PhaseInfo& info, const Kernel& kernel, std::size_t first, AxisId lane_axis,
                                    std::size_t element, bool broadcasts) {
  const std::size_t n = kernel.exprs.size();
  std::vector<std::size_t> order, stage_of(n, 0);  // as expressions are computed; the first stage that needs one
  std::vector<int> uses(n, 0);                     // still to come
  auto registers = [&](std::size_t e) {
    return std::max(1, static_cast<int>(size_of(kernel.exprs[e].dtype) / element));
  };
  std::vector<bool> held(n, false);  // in registers until its last use
  int live = 0, most = 0;
  auto use = [&](ExprId o) {
    const auto e = static_cast<std::size_t>(o);
    if (--uses[e] == 0 && held[e]) held[e] = false, live -= registers(e);
  };

  for (std::size_t s = first; s < info.phase.stages.size(); ++s) {
    const KernelStage& stage = info.phase.stages[s];
    if (stage.kind != KernelStage::map || stage.axis != kNone) return {};
    std::vector<bool> needed(n, false);
    auto need = [&](ExprId e) { needed[static_cast<std::size_t>(e)] = true; };
    for (const Store& t : stage.stores) need(t.value), ++uses[static_cast<std::size_t>(t.value)];
    for (std::size_t e = n; e-- > 0;)
      if (needed[e] && stage_of[e] == 0) for_each_operand(info, kernel, e, need);
    for (std::size_t e = 0; e < n; ++e) {
      if (!needed[e] || stage_of[e] > 0) continue;
      stage_of[e] = s;
      order.push_back(e);
      for_each_operand(info, kernel, e, [&](ExprId o) { ++uses[static_cast<std::size_t>(o)]; });
    }
  }

  std::size_t next = 0;
  for (std::size_t s = first; s < info.phase.stages.size(); ++s) {
    for (; next < order.size() && stage_of[order[next]] == s; ++next) {
      const std::size_t at = order[next];
      const Expr& e = kernel.exprs[at];
      if (e.kind == Expr::index) return {};
      if (e.kind == Expr::constant) continue;
      int extra = 0;
      if (e.kind == Expr::load) {
        const Linear& a = info.access[at];
        const std::int64_t step = a.coefficient[static_cast<std::size_t>(lane_axis)];
        if (!e.args.empty() || !a.indirect.empty() || step < 0 || step > 1) return {};
        if (uses[at] == 1) continue;  // an operand in memory
      } else if (e.kind == Expr::apply) {
        bool constant = false;
        for (ExprId o : e.args) {
          const auto arg = static_cast<std::size_t>(o);
          const bool one_for_all = kernel.exprs[arg].kind != Expr::load ||
                                   info.access[arg].coefficient[static_cast<std::size_t>(lane_axis)] == 0;
          constant |= kernel.exprs[arg].kind == Expr::constant;
          if (!held[arg] && one_for_all && !broadcasts) extra += registers(arg);
        }
        const auto own = temporaries(e.op, kernel.exprs[static_cast<std::size_t>(e.args.back())].dtype, constant);
        if (!own) return {};
        extra += *own * registers(at);
      }
      most = std::max(most, live + extra);
      for_each_operand(info, kernel, at, use);
      held[at] = true, live += registers(at);
      most = std::max(most, live);
    }
    for (const Store& t : info.phase.stages[s].stores) use(t.value);  // once all are computed
  }
  return most;
}

}  // namespace weft::codegen
