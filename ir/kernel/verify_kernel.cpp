// The verifier of lowered programs: runs after lowering and after every pass over kernels. The invariants:
//
// Buffers
//  1. Names are identifiers and unique; types are static, of an allowed size, with no reserved dtype.
//  2. A view's base precedes it and has its dtype and number of elements. A constant has a literal of its type.
//  3. A kernel stores to every temp that has bytes. A temp's offset is a multiple of kCacheLine. In a planned program
//     (arena_bytes > 0) it lies inside the arena, temps that are in use at once (from the first to the last kernel that
//     touches them) share no byte, and the arena is not larger than all temps together.
//  4. `inputs` lists every input and state buffer once and nothing else; `updates` lists states, each at most once;
//     `outputs` lists buffers that are no temps and have been stored, or hold a value from the start.
// Loops
//  15. ir/kernel/verify_loops.cpp.
// Kernels
//  5. Kernel names, and axis names within a kernel, are identifiers and unique. Extents are not negative.
//  6. Expressions and accesses: ir/kernel/verify_exprs.cpp.
//  7. Accumulator numbers are unique, and used only by later stages of their phase, with the stage's dtype.
//  8. A kernel has a phase, a phase a stage. Points, and steps of the points' stages, are few enough to count. The
//     parallel axes of a phase are distinct, and a stage's axes are not among them. What a stage uses mentions no
//     other axis. reduce has an axis and folds with reduce_* (perhaps striped, by tree or, a sum, as a chain) or arg_*.
//     contract sums over an axis or several; it alone has roles, of distinct axes: its left factor does not change with
//     those of n, nor the right one with those of m.
//  9. Stores go to state, output or temp storage of the value's dtype. map and scatter store; scatter numbers, once or
//  (14) twice.
// 10. An affine access without a predicate is in bounds at every point and step.
// 11. What a stage loads from a temp or an output, or scatters to, an earlier kernel, phase or stage has stored: every
//     element that the access may touch (ir/kernel/coverage.h). So has, in the end, every element of an output.
// 12. Schedules: ir/kernel/verify_schedule.cpp.
// 13. A buffer in panels is a state or a temp and no output, its views have its type and panels, and panel_objection()
//     (ir/memory/panels.h) has none.
// 14. Phases and contractions with a chunk: ir/kernel/verify_chunk.cpp.
// Races between points are found by the kernel interpreter, which sees the values of indirect indices.
#include "ir/kernel/verify_kernel.h"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "ir/base/at.h"
#include "ir/base/cache_line.h"
#include "ir/base/lexer.h"
#include "ir/kernel/coverage.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/print_kernel.h"
#include "ir/kernel/verify_exprs.h"

namespace weft {
namespace {

template <class C>
bool has(const C& c, std::int32_t i) {
  return i >= 0 && static_cast<std::size_t>(i) < c.size();
}
constexpr std::int64_t kMaxArena = std::int64_t{1} << 46;  // bytes
constexpr std::int64_t kMaxSteps = std::int64_t{1} << 54;  // of a stage at all points of its phase
constexpr std::size_t kMaxStages = 1 << 8;                 // of a kernel: work grows with stages times expressions

struct Found : Violation {};  // thrown here, caught by find_violation

class ProgramVerifier {
 public:
  explicit ProgramVerifier(const Program& p) : p_(p) {}
  void run();

 private:
  template <class... Args>
  [[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) const {
    throw Found{{.kernel = kernel_, .what = fmt::format(format, std::forward<Args>(args)...)}};
  }
  void check_buffers();
  void check_interface();
  void check_outputs();
  void check_arena() const;

  void check_kernel(const Kernel&);
  void check_access(const Kernel&, BufferId, const std::vector<Index>&, const std::string& what) const;

  void check_phase(const Kernel&, const Phase&, std::unordered_set<std::int32_t>& results);
  void check_stage(const Kernel&, const KernelStage&, const std::string& what) const;
  void check_roles(const Kernel&, const KernelStage&, const std::string& what) const;
  void check_stores(const Kernel&, const KernelStage&, const std::string& what) const;
  void check_uses(const Kernel&, const KernelStage&, const std::string& what);
  void check_in_scope(const Kernel&, const Index&, const std::string& what) const;
  void check_bounds(const Kernel&, BufferId, const std::vector<Index>&, bool predicated, const std::string& what) const;
  void check_stored(const Kernel&, BufferId, const std::vector<Index>&, const std::string& what) const;
  std::optional<Box> unstored(BufferId, std::optional<Box>) const;
  void touch(BufferId root);

  const Program& p_;
  std::int32_t kernel_ = kNone;
  std::vector<BufferId> root_;                               // of each buffer
  std::vector<Coverage> stored_;                             // by root: what holds a value
  std::vector<std::pair<std::int32_t, std::int32_t>> live_;  // by root: first and last kernel that touches it, or kNone
  // Of the phase that is being checked:
  std::vector<bool> scope_;                          // by axis: has a value in the current stage
  bool runs_ = false;                                // no axis in scope is empty
  std::unordered_map<std::int32_t, DType> visible_;  // accumulators so far
  std::vector<std::uint32_t> seen_;                  // by expression: the last stage that used it
  std::uint32_t stages_ = 0;
};

void ProgramVerifier::run() {
  if (!is_identifier(p_.name)) broken("the program's name '{}' is not an identifier", p_.name);
  check_buffers();
  check_interface();
  std::unordered_set<std::string_view> names;
  for (const Kernel& k : p_.kernels) {
    ++kernel_;
    if (!is_identifier(k.name)) broken("the name '{}' is not an identifier", k.name);
    if (!names.insert(k.name).second) broken("an earlier kernel has the same name");
  }
  if (const std::optional<Violation> v = find_loop_violation(p_)) throw Found{*v};
  for (kernel_ = 0; has(p_.kernels, kernel_); ++kernel_) check_kernel(at(p_.kernels, kernel_));
  kernel_ = kNone;
  check_outputs();
  check_arena();
}

void ProgramVerifier::check_buffers() {
  std::unordered_set<std::string_view> names;
  for (std::size_t i = 0; i < p_.buffers.size(); ++i) {
    const Buffer& b = p_.buffers[i];
    if (!is_name(b.name)) broken("buffer name {} is no name: expected text in UTF-8, not empty", name_text(b.name));
    if (!names.insert(b.name).second) broken("two buffers are named %{}", b.name);
    if (is_reserved(b.type.dtype)) broken("buffer %{}: dtype {} is reserved", b.name, name(b.type.dtype));
    try {
      byte_size(b.type);
    } catch (const Error& e) {
      broken("buffer %{}: {}", b.name, e.what());
    }
    if ((b.kind == Buffer::constant) != (b.literal != nullptr) || (b.literal && !(b.literal->type() == b.type)))
      broken("buffer %{}: {} a literal of type {}", b.name, b.kind == Buffer::constant ? "needs" : "has no use for",
             to_string(b.type));
    if (b.kind == Buffer::view) {
      if (b.base < 0 || static_cast<std::size_t>(b.base) >= i) broken("view %{}: its base does not precede it", b.name);
      const Type& base = at(p_.buffers, b.base).type;
      if (base.dtype != b.type.dtype || element_count(base.shape) != element_count(b.type.shape))
        broken("view %{} is {}, its base {}: expected the same dtype and number of elements", b.name, to_string(b.type),
               to_string(base));
    }
    root_.push_back(b.kind == Buffer::view ? at(root_, b.base) : static_cast<BufferId>(i));
    stored_.emplace_back(b.kind == Buffer::input || b.kind == Buffer::state || b.kind == Buffer::constant);
  }
  live_.assign(p_.buffers.size(), {kNone, kNone});
}

void ProgramVerifier::check_interface() {
  std::vector<bool> listed(p_.buffers.size()), updated(p_.buffers.size());
  for (BufferId id : p_.inputs) {
    if (!has(p_.buffers, id)) broken("input {} is no buffer", id);
    const Buffer& b = at(p_.buffers, id);
    if (b.kind != Buffer::input && b.kind != Buffer::state)
      broken("%{} is listed as an input, but is a {} buffer", b.name, kBufferKinds[b.kind]);
    if (listed[static_cast<std::size_t>(id)]) broken("%{} is listed twice as an input", b.name);
    listed[static_cast<std::size_t>(id)] = true;
  }
  for (std::size_t i = 0; i < p_.buffers.size(); ++i)
    if ((p_.buffers[i].kind == Buffer::input || p_.buffers[i].kind == Buffer::state) && !listed[i])
      broken("{} buffer %{} is not listed as an input", kBufferKinds[p_.buffers[i].kind], p_.buffers[i].name);
  for (BufferId id : p_.updates) {
    if (!has(p_.buffers, id) || at(p_.buffers, id).kind != Buffer::state) broken("update {} is no state buffer", id);
    if (updated[static_cast<std::size_t>(id)]) broken("%{} is updated twice", at(p_.buffers, id).name);
    updated[static_cast<std::size_t>(id)] = true;
  }
}

void ProgramVerifier::check_outputs() {
  for (BufferId id : p_.outputs) {
    if (!has(p_.buffers, id)) broken("output {} is no buffer", id);
    const BufferId root = at(root_, id);
    if (at(p_.buffers, root).kind == Buffer::temp) broken("output %{} is a temp", at(p_.buffers, id).name);
    if (const auto hole = unstored(id, {}))
      broken("output %{}: no kernel stores its elements {}", at(p_.buffers, id).name, to_string(*hole));
    if (!p_.kernels.empty()) at(live_, root).second = static_cast<std::int32_t>(p_.kernels.size() - 1);
  }
}

// Temps in the order of their first use, against those that are still in use: these are disjoint, so neighbours decide.
void ProgramVerifier::check_arena() const {
  std::vector<std::vector<BufferId>> starts(p_.kernels.size()), ends(p_.kernels.size());
  std::int64_t needed = 0;  // by all temps side by side, or kMaxArena where that is less
  for (std::size_t i = 0; i < p_.buffers.size(); ++i) {
    const Buffer& b = p_.buffers[i];
    if (b.kind != Buffer::temp) continue;
    const std::int64_t size = byte_size(b.type);
    needed = std::min(needed + whole_lines(std::min(size, kMaxArena)), kMaxArena);
    if (b.offset < 0 || b.offset % kCacheLine != 0)
      broken("temp %{}: offset {} is not a multiple of {}", b.name, b.offset, kCacheLine);
    if (size != 0 && live_[i].first == kNone) broken("temp %{}: no kernel stores to it", b.name);
    if (p_.arena_bytes == 0) continue;
    if (b.offset > p_.arena_bytes || size > p_.arena_bytes - b.offset)
      broken("temp %{}: {} bytes at offset {} do not fit the arena of {}", b.name, size, b.offset, p_.arena_bytes);
    if (size == 0) continue;
    at(starts, live_[i].first).push_back(static_cast<BufferId>(i));
    at(ends, live_[i].second).push_back(static_cast<BufferId>(i));
  }
  if (p_.arena_bytes < 0 || p_.arena_bytes > kMaxArena)
    broken("the arena's size {} is negative or too large", p_.arena_bytes);
  if (p_.arena_bytes > needed)
    throw Found{{.what = fmt::format("an arena of {} bytes, where all temps together need {}", p_.arena_bytes, needed),
                 .of_arena = true}};
  std::map<std::int64_t, BufferId> in_use;  // by offset
  for (std::size_t k = 0; k < p_.kernels.size(); ++k) {
    for (BufferId id : starts[k]) {
      const Buffer& b = at(p_.buffers, id);
      const auto clash = [&](BufferId other) {
        broken("temps %{} and %{} share bytes while both are in use, at kernel @{}", at(p_.buffers, other).name, b.name,
               p_.kernels[k].name);
      };
      const auto next = in_use.lower_bound(b.offset);
      if (next != in_use.end() && next->first < b.offset + byte_size(b.type)) clash(next->second);
      if (next != in_use.begin())
        if (const auto& [offset, id_before] = *std::prev(next);
            offset + byte_size(at(p_.buffers, id_before).type) > b.offset)
          clash(id_before);
      in_use.emplace(b.offset, id);
    }
    for (BufferId id : ends[k]) in_use.erase(at(p_.buffers, id).offset);
  }
}

void ProgramVerifier::check_kernel(const Kernel& k) {
  if (k.axes.size() > kMaxAxes) broken("{} axes, more than {}", k.axes.size(), kMaxAxes);
  std::unordered_set<std::string_view> names;
  for (const Axis& a : k.axes) {
    if (!is_identifier(a.name)) broken("axis name '{}' is not an identifier", a.name);
    if (!names.insert(a.name).second) broken("two axes are named {}", a.name);
    if (a.extent < 0 || a.extent > kMaxPoints) broken("axis {}: extent {} is negative or too large", a.name, a.extent);
  }
  try {
    check_exprs(p_, k);
  } catch (const Error& e) {
    broken("{}", e.what());
  }
  seen_.assign(k.exprs.size(), 0);
  stages_ = 0;
  std::size_t stages = 0;
  for (const Phase& phase : k.phases) stages += phase.stages.size();
  if (stages > kMaxStages) broken("{} stages, more than {}", stages, kMaxStages);
  std::unordered_set<std::int32_t> results;
  if (k.phases.empty()) broken("has no phase");
  for (const Phase& phase : k.phases) check_phase(k, phase, results);
}

void ProgramVerifier::check_access(const Kernel& k, BufferId buffer, const std::vector<Index>& access,
                                   const std::string& what) const {
  try {
    weft::check_access(p_, k, buffer, access, static_cast<ExprId>(k.exprs.size()), what);
  } catch (const Error& e) {
    broken("{}", e.what());
  }
}

void ProgramVerifier::check_phase(const Kernel& k, const Phase& phase, std::unordered_set<std::int32_t>& results) {
  scope_.assign(k.axes.size(), false);
  visible_.clear();
  if (phase.stages.empty()) broken("a phase has no stage");
  std::int64_t points = 1;
  bool empty = false;
  for (AxisId a = 0; a < k.turns; ++a) {
    scope_[static_cast<std::size_t>(a)] = true;
    empty |= at(k.axes, a).extent == 0;
  }
  for (AxisId a : phase.parallel) {
    if (!has(k.axes, a)) broken("parallel axis {} does not exist", a);
    if (a < k.turns) broken("axis {} counts turns, and cannot be parallel", at(k.axes, a).name);
    if (at(scope_, a)) broken("axis {} is parallel twice", at(k.axes, a).name);
    scope_[static_cast<std::size_t>(a)] = true;
    // Empty axes count as one: code generation multiplies the extents of the others.
    empty |= at(k.axes, a).extent == 0;
    if (points > kMaxPoints / std::max<std::int64_t>(1, at(k.axes, a).extent))
      broken("a phase has more than {} points", kMaxPoints);
    points *= std::max<std::int64_t>(1, at(k.axes, a).extent);
  }
  for (const KernelStage& stage : phase.stages) {
    std::string what = stage_text(p_, k, stage);
    what = what.substr(0, what.find('\n'));
    check_stage(k, stage, what);
    std::int64_t steps = points;
    runs_ = !empty;
    for (AxisId a : axes_of(stage)) {
      const std::int64_t extent = at(k.axes, a).extent;
      if (extent > kMaxSteps / steps) broken("{}: more than {} steps in all", what, kMaxSteps);
      steps *= std::max<std::int64_t>(1, extent);
      runs_ &= extent > 0;
      scope_[static_cast<std::size_t>(a)] = true;
    }
    check_uses(k, stage, what);
    for (AxisId a : axes_of(stage)) scope_[static_cast<std::size_t>(a)] = false;
    for (const Store& s : stage.stores) {
      touch(at(root_, s.buffer));
      if (!runs_ || stage.kind == KernelStage::scatter) continue;
      if (const std::optional<Box> box = stored_box(k, s.access))
        at(stored_, at(root_, s.buffer)).store(at(p_.buffers, s.buffer).type.shape, *box);
    }
    if (stage.result == kNone) continue;
    if (!results.insert(stage.result).second) broken("{}: accumulator %a{} has a value already", what, stage.result);
    const bool arg = is_arg_reduce(stage.op);
    const ExprId source = stage.kind == KernelStage::contract ? stage.lhs : stage.value;
    visible_.emplace(stage.result, stage.kind == KernelStage::reduce && arg ? i32 : at(k.exprs, source).dtype);
  }
}

void ProgramVerifier::check_stage(const Kernel& k, const KernelStage& stage, const std::string& what) const {
  const bool contract = stage.kind == KernelStage::contract, reduce = stage.kind == KernelStage::reduce;
  if (contract && stage.axis != kNone) broken("{}: its axes are those of its roles", what);
  for (AxisId a : axes_of(stage)) {
    if (!has(k.axes, a)) broken("{}: axis {} does not exist", what, a);
    if (a < k.turns) broken("{}: the axis counts turns", what);
    if (at(scope_, a)) broken("{}: the axis is parallel in the same phase", what);
  }
  const auto check_value = [&](ExprId e, bool wanted) {
    if (wanted ? !has(k.exprs, e) : e != kNone)
      broken("{}: {} expression {}", what, wanted ? "has no" : "has no use for", e);
  };
  check_value(stage.value, reduce);
  check_value(stage.lhs, contract);
  check_value(stage.rhs, contract);
  if ((stage.result >= 0) != (contract || reduce)) broken("{}: accumulator number {}", what, stage.result);
  if ((contract || reduce) && axes_of(stage).empty()) broken("{}: needs an axis", what);
  const bool ordered = stage.order != FoldOrder::sequential;
  if (static_cast<std::size_t>(stage.order) >= std::size(kFoldOrders)) broken("{}: no such order", what);
  if (ordered && !reduce) broken("{}: only a reduce is {}", what, name_of(stage.order));
  if (stage.order == FoldOrder::chain && stage.op != Op::reduce_sum) broken("{}: only a sum is a chain", what);
  if (reduce) {
    const bool known = static_cast<int>(stage.op) < kOpCount && info(stage.op).cls == OpClass::reduce;
    const DType t = at(k.exprs, stage.value).dtype;
    if (!known || !in_set(t, info(stage.op).dtypes)) broken("{}: does not fold {}", what, name(t));
    const bool arg = is_arg_reduce(stage.op);
    if (ordered && arg) broken("{}: arg_max and arg_min have one order", what);
    if (arg && at(k.axes, stage.axis).extent > std::numeric_limits<std::int32_t>::max())
      broken("{}: the axis is too long for i32", what);
  }
  if (contract) {
    const DType t = at(k.exprs, stage.lhs).dtype;
    if (t != at(k.exprs, stage.rhs).dtype) broken("{}: the factors differ in dtype", what);
    if (!in_set(t, info(Op::contract).dtypes)) broken("{}: does not take {}", what, name(t));
  }
  check_roles(k, stage, what);
  check_stores(k, stage, what);
}

void ProgramVerifier::check_roles(const Kernel& k, const KernelStage& stage, const std::string& what) const {
  const Roles& roles = stage.roles;
  if (roles == Roles{}) return;
  if (stage.kind != KernelStage::contract) broken("{}: only a contraction has roles", what);
  std::vector<bool> seen(k.axes.size());
  const auto take = [&](const std::vector<AxisId>& axes, bool parallel) {
    for (AxisId a : axes) {
      if (!has(k.axes, a)) broken("{}: axis {} does not exist", what, a);
      if (parallel && !at(scope_, a)) broken("{}: axis {} of its roles is not parallel", what, at(k.axes, a).name);
      if (at(seen, a)) broken("{}: axis {} has two roles", what, at(k.axes, a).name);
      seen[static_cast<std::size_t>(a)] = true;
    }
  };
  for (const auto& [name, role] : kRoles) take(roles.*role, true);
  take(roles.k, false);
  const auto check_factor = [&](ExprId factor, std::string_view side, const std::vector<AxisId>& axes, char role) {
    const std::vector<bool> used = needed(k, {factor});
    for (std::size_t e = 0; e < used.size(); ++e)
      for (const Index& index : k.exprs[e].access)
        for (const auto& [axis, coefficient] : index.terms)
          if (used[e] && std::ranges::count(axes, axis))
            broken("{}: the {} factor changes with {}, {}", what, side, role, at(k.axes, axis).name);
  };
  check_factor(stage.lhs, "left", roles.n, 'n');
  check_factor(stage.rhs, "right", roles.m, 'm');
}

void ProgramVerifier::check_stores(const Kernel& k, const KernelStage& stage, const std::string& what) const {
  const bool scatter = stage.kind == KernelStage::scatter;
  if (scatter ? stage.stores.empty() : stage.stores.empty() != (stage.kind != KernelStage::map))
    broken("{}: {} stores", what, stage.stores.size());
  if (stage.predicate != kNone &&
      (!scatter || !has(k.exprs, stage.predicate) || at(k.exprs, stage.predicate).dtype != boolean))
    broken("{}: expression {} cannot be its predicate", what, stage.predicate);
  for (const Store& s : stage.stores) {
    if (!has(k.exprs, s.value)) broken("{}: expression {} does not exist", what, s.value);
    check_access(k, s.buffer, s.access, what);
    const Buffer& b = at(p_.buffers, s.buffer);
    const Buffer& owner = at(p_.buffers, at(root_, s.buffer));
    if (owner.kind == Buffer::input || owner.kind == Buffer::constant)
      broken("{}: stores to the {} buffer %{}", what, kBufferKinds[owner.kind], owner.name);
    const DType t = at(k.exprs, s.value).dtype;
    if (t != b.type.dtype) broken("{}: stores {} to %{}, which is {}", what, name(t), b.name, to_string(b.type));
    if (scatter && !in_set(t, info(Op::scatter_add).dtypes)) broken("{}: cannot add {}", what, name(t));
  }
}

// Whatever the stage evaluates: axes in scope, accumulators visible, accesses in bounds, storage that holds a value.
void ProgramVerifier::check_uses(const Kernel& k, const KernelStage& stage, const std::string& what) {
  ++stages_;
  std::vector<ExprId> pending;
  const auto use = [&](ExprId e) {
    if (e == kNone || at(seen_, e) == stages_) return;
    at(seen_, e) = stages_;
    pending.push_back(e);
  };
  for (ExprId e : {stage.predicate, stage.value, stage.lhs, stage.rhs}) use(e);
  for (const Store& s : stage.stores) {
    use(s.value);
    for (const Index& index : s.access) {
      check_in_scope(k, index, what);
      use(index.indirect);
    }
    check_bounds(k, s.buffer, s.access, stage.predicate != kNone, what);
    if (stage.kind == KernelStage::scatter && runs_) check_stored(k, s.buffer, s.access, what);
  }
  while (!pending.empty()) {
    const ExprId id = pending.back();
    pending.pop_back();
    const Expr& e = at(k.exprs, id);
    for (ExprId arg : e.args) use(arg);
    if (e.kind == Expr::accumulator) {
      const auto it = visible_.find(e.result);
      if (it == visible_.end()) broken("{}: uses %a{} before a stage of the phase has set it", what, e.result);
      if (it->second != e.dtype) broken("{}: accumulator %a{} is {}", expr_text(p_, k, id), e.result, name(it->second));
    }
    if (e.kind != Expr::load && e.kind != Expr::index) continue;
    const std::string place = fmt::format("{}: in {}", what, expr_text(p_, k, id));
    for (const Index& index : e.access) {
      check_in_scope(k, index, place);
      use(index.indirect);
    }
    if (e.kind == Expr::index) continue;
    check_bounds(k, e.buffer, e.access, !e.args.empty(), place);
    if (runs_) check_stored(k, e.buffer, e.access, place);
    touch(at(root_, e.buffer));
  }
}

void ProgramVerifier::check_in_scope(const Kernel& k, const Index& index, const std::string& what) const {
  for (const auto& [axis, coefficient] : index.terms)
    if (!at(scope_, axis)) broken("{}: axis {} has no value here", what, at(k.axes, axis).name);
}

void ProgramVerifier::check_bounds(const Kernel& k, BufferId buffer, const std::vector<Index>& access, bool predicated,
                                   const std::string& what) const {
  if (!runs_ || predicated) return;
  const Shape& shape = at(p_.buffers, buffer).type.shape;
  for (int d = 0; d < shape.rank(); ++d) {
    const Index& index = at(access, d);
    if (index.indirect != kNone) continue;
    const auto [low, high] = affine_range(k, index);
    if (low < 0 || high >= shape[d])
      broken("{}: index {} covers [{}, {}], outside dimension {} of {}", what, index_text(k, index), low, high, d,
             to_string(shape));
  }
}

void ProgramVerifier::check_stored(const Kernel& k, BufferId id, const std::vector<Index>& access,
                                   const std::string& what) const {
  const Buffer& b = at(p_.buffers, id);
  if (const auto hole = unstored(id, touched_box(k, access, b.type.shape)))
    broken("{}: nothing has been stored yet in the elements {} of %{}", what, to_string(*hole), b.name);
}

/// Elements of the box, or of the whole buffer, that hold no value.
std::optional<Box> ProgramVerifier::unstored(BufferId id, std::optional<Box> box) const {
  const Shape& shape = at(p_.buffers, id).type.shape;
  if (!box) {
    box.emplace();
    for (std::int64_t extent : shape) box->emplace_back(0, extent);
  }
  return at(stored_, at(root_, id)).hole(shape, *box);
}

void ProgramVerifier::touch(BufferId root) {
  auto& [first, last] = live_[static_cast<std::size_t>(root)];
  if (first == kNone) first = kernel_;
  last = kernel_;
}

}  // namespace

std::optional<Violation> find_violation(const Program& p) {
  try {
    ProgramVerifier(p).run();
  } catch (const Found& found) {
    return found;
  }
  if (std::optional<Violation> v = find_schedule_violation(p)) return v;
  if (std::optional<Violation> v = find_chunk_violation(p)) return v;
  return find_panel_violation(p);
}

void verify(const Program& p) {
  if (const std::optional<Violation> v = find_violation(p))
    ensure(false, "verify: {}: {}",
           v->kernel == kNone ? "program @" + p.name : "kernel @" + p.kernels[static_cast<std::size_t>(v->kernel)].name,
           v->what);
}

}  // namespace weft
