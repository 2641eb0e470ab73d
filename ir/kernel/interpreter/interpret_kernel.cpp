// Runs kernels naively: the oracle between lowering and code generation. Points of a phase run in lanes, kLanes at a
// time: an expression's values in all lanes make one array, which the graph interpreter's own op functions take. No
// result depends on it, because points are independent; LaneMemory checks that they are.
#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "ir/base/at.h"
#include "ir/base/philox.h"
#include "ir/graph/graph.h"
#include "ir/kernel/interpreter/lane_memory.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/loops.h"
#include "ir/kernel/print_kernel.h"
#include "ir/ops/scalar.h"
#include "ir/ops/sum_order.h"

namespace weft {
namespace {

constexpr std::int64_t kLanes = 256;

/// What a stage needs, found once for each phase.
struct Plan {
  const KernelStage* stage;
  AxisId axis;                         // the innermost that it walks along, or kNone
  std::int64_t steps;                  // its extent; 1 without one, 0 where all sums are empty
  std::vector<AxisId> outer;           // of a contraction: the other axes that it sums over
  std::vector<ExprId> fixed, varying;  // the expressions it uses: evaluated once for all steps, or at each
  std::unordered_map<ExprId, Access> loads;
  std::vector<Access> stores;
};

/// For messages: "k.weft:3:10: error: kernel @k".
std::string place_of(const Kernel& k) {
  return (k.locs.empty() ? "" : k.locs.str() + ": error: ") + "kernel @" + k.name;
}

Plan make_plan(const Program& p, const Kernel& k, const KernelStage& stage) {
  std::vector<AxisId> axes = axes_of(stage);
  const AxisId axis = axes.empty() ? kNone : axes.back();
  if (!axes.empty()) axes.pop_back();
  Plan plan{&stage, axis, axis == kNone ? 1 : at(k.axes, axis).extent, std::move(axes), {}, {}, {}, {}};
  for (AxisId a : plan.outer)
    if (at(k.axes, a).extent == 0) plan.steps = 0;
  const std::vector<bool> used = needed(k, roots_of(stage));
  std::vector<bool> varies(k.exprs.size());
  for (const Store& s : stage.stores)
    plan.stores.push_back(
        {.what = fmt::format("{}: {}", place_of(k), store_text(p, k, s)), .buffer = s.buffer, .index = &s.access});
  for (std::size_t i = 0; i < k.exprs.size(); ++i) {
    if (!used[i]) continue;
    const auto id = static_cast<ExprId>(i);
    const Expr& e = k.exprs[i];
    for (ExprId arg : e.args) varies[i] = varies[i] || at(varies, arg);
    for (const Index& index : e.access) {
      varies[i] = varies[i] || (index.indirect != kNone && at(varies, index.indirect));
      for (const auto& term : index.terms) varies[i] = varies[i] || term.first == axis;
    }
    (varies[i] ? plan.varying : plan.fixed).push_back(id);
    if (e.kind == Expr::load)
      plan.loads[id] = {
          .what = fmt::format("{}: {}", place_of(k), expr_text(p, k, id)), .buffer = e.buffer, .index = &e.access};
  }
  return plan;
}

class PhaseRun {
 public:
  PhaseRun(const Program& p, const Kernel& k, const Phase& phase, const StorageMap& memory)
      : k_(k), phase_(phase), memory_(p, phase, memory), values_(k.exprs.size()) {
    for (const KernelStage& stage : phase.stages) plans_.push_back(make_plan(p, k, stage));
    strip_.axis.resize(k.axes.size());
  }
  void run();

 private:
  void set_lanes(std::int64_t first, std::int64_t count, std::int64_t chunk, std::int64_t offset);
  void run_lanes();
  void enter(Plan&, std::int32_t stage);
  void resolve(Plan&);
  void step_to(const Plan&, std::int64_t step);
  const Array& value(ExprId e) const { return at(values_, e); }

  void map(const Plan&);
  void scatter(const Plan&);
  Array reduce(const Plan&);
  Array arg_reduce(const Plan&);
  Array contract(Plan&);

  Array evaluate(const Plan&, ExprId);
  Array filled(DType t, double v) const { return Array::filled({t, {strip_.count}}, v); }
  Array apply(Op op, DType result, const std::vector<Array>& operands) const {
    const Type type{result, {strip_.count}};
    return info(op).eval({op, operands, Attrs{}, type});
  }

  const Kernel& k_;
  const Phase& phase_;
  LaneMemory memory_;
  std::vector<Plan> plans_;
  Strip strip_;
  LaneValues values_;
  std::unordered_map<std::int32_t, Array> accumulators_;
};

void PhaseRun::run() {
  std::int64_t points = 1;
  for (AxisId a : phase_.parallel) points *= at(k_.axes, a).extent;
  // Lanes are chunks, of one point each where the phase has none; only the last chunk is shorter than others.
  const std::int64_t chunk = std::max<std::int64_t>(1, phase_.chunk), chunks = (points + chunk - 1) / chunk;
  for (std::int64_t first = 0; first < chunks; first += kLanes)
    for (std::int64_t i = 0; i < chunk; ++i) {
      const std::int64_t have_point = std::max<std::int64_t>(0, (points - i + chunk - 1) / chunk);
      const std::int64_t count = std::min(kLanes, have_point - first);
      if (count <= 0) break;
      set_lanes(first, count, chunk, i);
      run_lanes();
    }
}

void PhaseRun::run_lanes() {
  accumulators_.clear();
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(plans_.size()); ++i) {
    Plan& plan = at(plans_, i);
    const KernelStage& stage = *plan.stage;
    enter(plan, i);
    switch (stage.kind) {
      case KernelStage::map: map(plan); break;
      case KernelStage::scatter: scatter(plan); break;
      case KernelStage::contract: accumulators_[stage.result] = contract(plan); break;
      case KernelStage::reduce:
        accumulators_[stage.result] = is_arg_reduce(stage.op) ? arg_reduce(plan) : reduce(plan);
        break;
    }
  }
}

void PhaseRun::set_lanes(std::int64_t first, std::int64_t count, std::int64_t chunk, std::int64_t offset) {
  strip_.first = first;
  strip_.count = count;
  strip_.chunk = chunk;
  strip_.offset = offset;
  std::int64_t inner = 1;  // points from one value of the axis to the next
  for (std::size_t i = phase_.parallel.size(); i-- > 0;) {
    const std::int64_t extent = at(k_.axes, phase_.parallel[i]).extent;
    std::vector<std::int64_t>& values = at(strip_.axis, phase_.parallel[i]);
    values.resize(static_cast<std::size_t>(count));
    for (std::int64_t l = 0; l < count; ++l) values[static_cast<std::size_t>(l)] = strip_.point(l) / inner % extent;
    inner *= extent;
  }
}

void PhaseRun::enter(Plan& plan, std::int32_t stage) {
  strip_.stage = stage;
  strip_.stage_axis = plan.axis;
  for (AxisId a : plan.outer) at(strip_.axis, a).assign(static_cast<std::size_t>(strip_.count), 0);
  resolve(plan);
}

// Fixes the stage's accesses to these lanes and evaluates what its innermost axis does not change.
void PhaseRun::resolve(Plan& plan) {
  strip_.step = plan.steps == 1 ? 0 : Strip::kEveryStep;
  if (plan.steps == 0) return;
  for (auto& [id, access] : plan.loads) memory_.resolve(access, strip_);
  for (Access& access : plan.stores) memory_.resolve(access, strip_);
  for (ExprId e : plan.fixed) at(values_, e) = evaluate(plan, e);
}

void PhaseRun::step_to(const Plan& plan, std::int64_t step) {
  strip_.step = step;
  for (ExprId e : plan.varying) at(values_, e) = evaluate(plan, e);
}

void PhaseRun::map(const Plan& plan) {
  for (std::int64_t step = 0; step < plan.steps; ++step) {
    step_to(plan, step);  // all values are known before the first store
    for (std::size_t i = 0; i < plan.stores.size(); ++i)
      memory_.store(plan.stores[i], strip_, values_, value(plan.stage->stores[i].value), nullptr, false);
  }
}

void PhaseRun::scatter(const Plan& plan) {
  const Array* mask = nullptr;
  const bool ends_run = plan.stores.size() > 1 && strip_.offset % kRun == 0;
  for (std::int64_t step = 0; ends_run && step < plan.steps; ++step) {
    step_to(plan, step);
    const Array run = memory_.peek(plan.stores[0], strip_, values_, mask);
    const Array sum = memory_.peek(plan.stores[1], strip_, values_, mask);
    memory_.store(plan.stores[1], strip_, values_, apply(Op::add, run.dtype(), {sum, run}), mask, true);
    memory_.store(plan.stores[0], strip_, values_, Array(run.type()), mask, true);
  }
  for (std::int64_t step = 0; step < plan.steps; ++step) {
    step_to(plan, step);
    if (plan.stage->predicate != kNone) mask = &value(plan.stage->predicate);
    const Array& x = value(plan.stage->stores[0].value);
    const Array old = memory_.peek(plan.stores[0], strip_, values_, mask);
    memory_.store(plan.stores[0], strip_, values_, apply(Op::add, x.dtype(), {old, x}), mask, true);
  }
}

Array PhaseRun::reduce(const Plan& plan) {
  const KernelStage& stage = *plan.stage;
  const DType t = at(k_.exprs, stage.value).dtype;
  const auto combine = [&](const Array& x, const Array& y) { return apply(fold_op(stage.op), t, {x, y}); };
  Array identity(Type{t, {strip_.count}});
  visit_dtype(t, [&](auto zero) {
    std::ranges::fill(identity.as<decltype(zero)>(), reduce_identity<decltype(zero)>(stage.op, stage.order));
  });
  const std::vector<Array> stripes(stage.order == FoldOrder::striped ? kReduceStripes : 1, identity);
  const ReduceOrder order = reduce_order(stage, plan.steps);
  std::vector<Array> subtrees;  // results of 2^k chunks each, one for each bit of the number of chunks so far
  const auto combine_last = [&] {
    const Array last = subtrees.back();
    subtrees.pop_back();
    subtrees.back() = combine(subtrees.back(), last);
  };
  for (std::int64_t begin = 0, chunks = 0; begin < plan.steps; begin += order.chunk) {
    const std::int64_t end = std::min(begin + order.chunk, plan.steps);
    std::vector<Array> totals = stripes, run = stripes;
    for (std::int64_t i = begin; i < end; ++i) {
      step_to(plan, i);
      Array& stripe = run[static_cast<std::size_t>(i) % run.size()];
      stripe = combine(stripe, value(stage.value));
      if ((i + 1 - begin) % order.run != 0 && i + 1 != end) continue;
      for (std::size_t s = 0; s < run.size(); ++s) totals[s] = combine(totals[s], run[s]);
      run = stripes;
    }
    for (std::size_t half = totals.size() / 2; half > 0; half /= 2)
      for (std::size_t i = 0; i < half; ++i) totals[i] = combine(totals[i], totals[i + half]);
    subtrees.push_back(totals[0]);
    ++chunks;
    for (std::int64_t pairs = chunks; pairs % 2 == 0; pairs /= 2) combine_last();
  }
  while (subtrees.size() > 1) combine_last();
  return subtrees.empty() ? identity : subtrees[0];
}

Array PhaseRun::arg_reduce(const Plan& plan) {
  const Op better = *info(plan.stage->op).traits.better;
  Array best, where = filled(i32, 0);
  for (std::int64_t i = 0; i < plan.steps; ++i) {
    step_to(plan, i);
    const Array& x = value(plan.stage->value);
    if (i == 0) best = x;
    const Array wins = apply(better, boolean, {x, best});
    best = apply(Op::select, x.dtype(), {wins, x, best});
    where = apply(Op::select, i32, {wins, filled(i32, static_cast<double>(i)), where});
  }
  return where;
}

Array PhaseRun::contract(Plan& plan) {
  const KernelStage& stage = *plan.stage;
  const DType t = at(k_.exprs, stage.lhs).dtype;
  std::int64_t products = plan.steps;
  for (AxisId a : plan.outer) products *= at(k_.axes, a).extent;
  const auto step_to_product = [&](std::int64_t number, bool enters) {  // a run of the innermost axis, or a chunk
    std::int64_t rest = number / plan.steps;
    if (!plan.outer.empty() && (enters || number % plan.steps == 0)) {
      for (std::size_t i = plan.outer.size(); i-- > 0;) {
        const std::int64_t extent = at(k_.axes, plan.outer[i]).extent;
        std::ranges::fill(at(strip_.axis, plan.outer[i]), rest % extent);
        rest /= extent;
      }
      resolve(plan);
    }
    step_to(plan, number % plan.steps);
  };
  const auto chunk_from = [&](std::int64_t begin) {
    Array sum = filled(t, 0);
    for (std::int64_t i = begin; i < std::min(begin + kContractChunk, products); ++i) {
      step_to_product(i, i == begin);
      const Array &x = value(stage.lhs), &y = value(stage.rhs);
      sum = is_float(t) ? apply(Op::fma, t, {x, y, sum}) : apply(Op::add, t, {sum, apply(Op::mul, t, {x, y})});
    }
    return sum;
  };
  Array total = filled(t, 0);
  if (stage.chunk_axis != kNone) {  // the lanes are of few chunks
    const std::vector<std::int64_t> chunks = at(strip_.axis, stage.chunk_axis);
    for (std::size_t l = 0; l < chunks.size(); ++l) {
      if (l > 0 && chunks[l] == chunks[l - 1]) continue;
      const Array sum = chunk_from(chunks[l] * kContractChunk);
      const std::size_t size = size_of(t);
      for (std::size_t i = l; i < chunks.size() && chunks[i] == chunks[l]; ++i)
        std::memcpy(total.data() + i * size, sum.data() + i * size, size);
    }
    return total;
  }
  for (std::int64_t begin = 0; begin < products; begin += kContractChunk)
    total = begin == 0 ? chunk_from(0) : apply(Op::add, t, {total, chunk_from(begin)});
  return total;
}

Array PhaseRun::evaluate(const Plan& plan, ExprId id) {
  const Expr& e = at(k_.exprs, id);
  const auto count = static_cast<std::size_t>(strip_.count);
  switch (e.kind) {
    case Expr::load:
      return memory_.load(plan.loads.at(id), strip_, values_, e.args.empty() ? nullptr : &value(e.args[0]));
    case Expr::accumulator: return accumulators_.at(e.result);
    case Expr::index: return Array::from(index_values(e.access[0], strip_, values_), {strip_.count});
    case Expr::constant: {
      Array a(Type{e.dtype, {strip_.count}});
      const std::size_t size = size_of(e.dtype);
      for (std::size_t l = 0; l < count; ++l) std::memcpy(a.data() + l * size, &e.bits, size);
      return a;
    }
    case Expr::apply: break;
  }
  std::vector<Array> args;
  for (ExprId arg : e.args) args.push_back(value(arg));
  if (e.op != Op::random) return apply(e.op, e.dtype, args);
  Array a(Type{i32, {strip_.count}});
  const auto key = args[0].as<std::int64_t>(), step = args[1].as<std::int64_t>(), index = args[2].as<std::int64_t>();
  for (std::size_t l = 0; l < count; ++l)
    a.as<std::int32_t>()[l] = static_cast<std::int32_t>(random_word(key[l], step[l], index[l]));
  return a;
}

/// Storage whose elements read as NaN, -1, 255 or an error (bool) until something is stored there.
Array poisoned(const Type& type) {
  Array a(type);
  std::memset(a.data(), 0xff, a.bytes());
  return a;
}

}  // namespace

Evaluation interpret(const Program& p, std::span<const Array> inputs) {
  verify(p);
  if (inputs.size() != p.inputs.size())
    fail("program @{} takes {}, found {}", p.name, counted(p.inputs.size(), "input"), inputs.size());
  std::vector<Array> storage(p.buffers.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Buffer& b = at(p.buffers, p.inputs[i]);
    if (!(inputs[i].type() == b.type))
      fail("program @{}: input '{}' is {}, found {}", p.name, b.name, to_string(b.type), to_string(inputs[i].type()));
    at(storage, p.inputs[i]) = b.kind == Buffer::state ? inputs[i].clone() : inputs[i];
  }
  const Array arena = poisoned({u8, {p.arena_bytes}});
  StorageMap memory;
  for (std::size_t i = 0; i < p.buffers.size(); ++i) {
    const Buffer& b = p.buffers[i];
    const bool in_arena = b.kind == Buffer::temp && p.arena_bytes > 0;
    if (b.kind == Buffer::constant) storage[i] = *b.literal;
    if (b.kind == Buffer::temp && !in_arena) storage[i] = poisoned(b.type);
    if (b.kind == Buffer::output) storage[i] = b.type.dtype == boolean ? Array(b.type) : poisoned(b.type);
    const bool view = b.kind == Buffer::view;
    memory.root.push_back(view ? at(memory.root, b.base) : static_cast<BufferId>(i));
    memory.data.push_back(view ? at(memory.data, b.base) : in_arena ? arena.data() + b.offset : storage[i].data());
  }

  {
    const FlushSubnormals flush;
    for_each_run(p, [&](std::size_t number, std::span<const std::int64_t> turns) {
      const Kernel k = at_turn(p.kernels[number], turns);
      for (const Phase& phase : k.phases) PhaseRun(p, k, phase, memory).run();
    });
  }

  const auto result = [&](BufferId id) {
    Array a(at(p.buffers, id).type);
    std::memcpy(a.data(), at(memory.data, id), a.bytes());
    return a;
  };
  Evaluation e;
  for (BufferId id : p.outputs) e.outputs.push_back(result(id));
  for (BufferId id : p.updates) e.states.push_back(result(id));
  return e;
}

}  // namespace weft
