// One kernel for each group, built as its kind says; a loop of kernels for a scan.
//
// A scan's body is lowered as a graph of its own. What it carries lies in one buffer each, which its kernels overwrite
// in every turn: new values go to a temporary and are copied in the end, which `order` avoids where it can. Its slices
// are rows of what the scan reads, at the turn; what it stacks, it stores to rows of the results.
#include "passes/kernel/lower.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "ir/base/at.h"
#include "ir/kernel/loops.h"
#include "ir/kernel/verify_kernel.h"
#include "ir/ops/body.h"
#include "passes/graph/stored_values.h"
#include "passes/kernel/order.h"
#include "passes/kernel/value_places.h"

namespace weft {
namespace {

class Lowering final : public ValuePlaces {
 public:
  using ValuePlaces::ValuePlaces;
  void run();

 private:
  // Loops.

  /// The part of the scan's results that output number i of the body is; kNoValue: nothing reads it.
  ValueId result_of(ValueId scan, std::size_t i) const {
    for (ValueId v = 0; v < g.size(); ++v)
      if (g[v].op == Op::result && g[v].operands[0] == scan && g[v].attrs.index() == i) return v;
    return kNoValue;
  }

  /// Copies a value, wherever it is or computed anew, to `to`, or to the turn's row of that.
  void store_value(ValueId v, std::int32_t group, const std::string& name, BufferId to, bool is_stack = false) {
    if (is_empty(g[v].type.shape)) return;
    GroupBuilder b = builder(group);
    b.kernel.name = free_name(name);
    b.kernel.locs |= g[v].locs;
    const std::vector<Index> index = b.axes(g[v].type.shape);
    Phase phase{all_axes(b), {KernelStage{}}};
    phase.stages[0].stores = {{to, is_stack ? in_row(index) : index, b.value(v, index)}};
    p.kernels.push_back(finish(b, std::move(phase)));
  }

  /// The scan of a group: its carries begin as its operands; then its body, turn by turn.
  void make_loop(ValueId scan) {
    const Node& n = g[scan];
    const Body& body = *n.attrs.bodies[0];
    const auto count = static_cast<std::size_t>(n.attrs.scalar(Attr::carries));
    std::vector<BufferId> carried, stacked;
    for (std::size_t i = 0; i < body.outputs.size(); ++i) {
      const ValueId result = result_of(scan, i);
      BufferId to = result == kNoValue ? kNone : buffers[result];
      if (to == kNone && i < count)
        to = add_buffer(Buffer::temp, fmt::format("{}.{}", kernel_name(scan), body.graph->inputs()[i].name),
                        body.inputs[i]);
      (i < count ? carried : stacked).push_back(to);
    }
    for (std::size_t i = 0; i < count; ++i)
      store_value(n.operands[i], n.group, fmt::format("{}.begin{}", kernel_name(scan), i), carried[i]);
    const std::int64_t turns = n.attrs.scalar(Attr::length);
    if (turns == 0) return;
    const std::size_t loop = p.loops.size(), begin = p.kernels.size();
    p.loops.push_back({begin, 0, turns});
    made_.turns.push_back(turns);
    Lowering(*body.graph, large_bytes_, made_, this, scan).run_body(carried, stacked);
    made_.turns.pop_back();
    p.loops[loop].end = p.kernels.size();
    if (p.kernels.size() == begin) p.loops.resize(loop);
    if (made_.turns.empty()) made_.listed += listed_size(p, kMaxListed, begin);
    if (made_.listed > kMaxListed)
      fail(
          "{}: scan: its {}, with those of others, make more than {} kernels and expressions, which compiled code "
          "lists one by one",
          n.locs.str(), counted(turns, "turn"), kMaxListed);
  }

  /// One turn. New values of what is carried are copied where all else is done.
  void run_body(const std::vector<BufferId>& carried, const std::vector<BufferId>& stacked) {
    const std::size_t count = carried.size();
    const std::vector<BufferId> next = place_carries(carried);
    copy_viewed_inputs();
    place_stacks(stacked);
    place_others();
    const auto group_of = [&](ValueId v) { return g[v].group == kNoGroup ? kOwnGroup : kNoGroup; };
    std::set<std::size_t> is_stored;
    for (std::size_t i = 0; i < stacked.size(); ++i) {
      const ValueId v = g.outputs()[count + i].id;
      if (stacked[i] == kNone || buffers[v] == stacked[i] || is_piece(v)) continue;
      if (is_computed(v))
        also_[v].push_back(stacked[i]);
      else if (const std::int32_t with = map_over(g[v].type.shape); g[v].op == Op::input && with != kNoGroup)
        beside_[with].push_back({v, stacked[i]}), is_stored.insert(i);
    }
    make_kernels();
    for (std::size_t i = 0; i < stacked.size(); ++i) {
      const ValueId v = g.outputs()[count + i].id;
      const bool is_there =
          stacked[i] == kNone || buffers[v] == stacked[i] || also_.contains(v) || is_stored.contains(i);
      if (!is_there) store_value(v, group_of(v), fmt::format("{}stack{}", prefix_, i), stacked[i], true);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const ValueId v = g.outputs()[i].id;
      if (next[i] != kNone && buffers[v] != next[i])
        store_value(v, group_of(v), fmt::format("{}next{}", prefix_, i), next[i]);
    }
    for (std::size_t i = 0; i < count; ++i)
      if (next[i] != kNone) copy(next[i], carried[i], g[g.outputs()[i].id].locs);
  }
  static constexpr std::int32_t kOwnGroup = -2;  // of a kernel that computes what no other does

  /// An input that is read under a shape which only memory in one piece can have.
  void copy_viewed_inputs() {
    for (ValueId v = 0; v < g.size(); ++v) {
      if (!wants_memory(g, v, large)) continue;
      ValueId x = g[v].operands[0];
      while (g[x].op == Op::reshape && !stored[x]) x = g[x].operands[0];
      if (g[x].op != Op::input || buffers[x] != kNone) continue;
      const BufferId own = add_temp(x);
      store_value(x, kOwnGroup, fmt::format("{}copy{}", prefix_, x), own);
      buffers[x] = own;
    }
  }

  /// A kernel without anchors over that shape.
  std::int32_t map_over(const Shape& shape) const {
    const auto found = std::ranges::find_if(
        g.groups(), [&](const Group& group) { return group.kind == Group::map && group.domain == shape; });
    return found == g.groups().end() ? kNoGroup : static_cast<std::int32_t>(found - g.groups().begin());
  }

  std::map<ValueId, std::vector<BufferId>> also_;  // the stacks in which a value is stored besides
  std::map<std::int32_t, std::vector<std::pair<ValueId, BufferId>>> beside_;  // inputs that a group's kernel stacks

  Kernel finish(GroupBuilder& b, Phase phase) {
    b.kernel.phases.push_back(std::move(phase));
    return std::move(b.kernel);
  }

  GroupBuilder builder(std::int32_t group) {
    GroupBuilder b(g, group, *this);
    for (const std::int64_t turns : made_.turns) b.axis("t", turns);
    b.kernel.turns = static_cast<int>(made_.turns.size());
    return b;
  }
  /// All but those that count turns.
  std::vector<AxisId> all_axes(const GroupBuilder& b) {
    std::vector<AxisId> axes;
    for (AxisId a = b.kernel.turns; a < static_cast<AxisId>(b.kernel.axes.size()); ++a) axes.push_back(a);
    return axes;
  }

  Store store(GroupBuilder& b, ValueId v, const std::vector<Index>& index) {
    std::vector<Index> there = index;
    const BufferId buffer = locate(b, v, there);
    return {buffer, std::move(there), b.value(v, index)};
  }
  /// Adds the stores of a value, at `index` of its own shape, or of the domain, which differs from that by unit axes.
  void add_stores(GroupBuilder& b, KernelStage& stage, ValueId v, const std::vector<Index>& index) {
    stage.stores.push_back(store(b, v, index));
    if (const auto also = also_.find(v); also != also_.end())
      for (const BufferId stack : also->second) stage.stores.push_back({stack, in_row(index), b.value(v, index)});
  }
  void add_stores(GroupBuilder& b, KernelStage& stage, ValueId v, const Shape& domain,
                  const std::vector<Index>& index) {
    add_stores(b, stage, v, b.reshaped(g[v].type.shape, domain, index));
  }

  Kernel map_kernel(GroupBuilder& b, std::int32_t group, const Shape& domain, const std::vector<ValueId>& outs) {
    const auto index = b.axes(domain);
    Phase phase{all_axes(b), {KernelStage{}}};
    for (ValueId v : outs) add_stores(b, phase.stages[0], v, domain, index);
    for (const auto& [v, stack] : beside_[group])
      phase.stages[0].stores.push_back({stack, in_row(index), b.value(v, index)});
    return finish(b, std::move(phase));
  }

  /// The operands of a concat that no other kernel has stored there, those of one length in one kernel.
  void concat_kernels(std::int32_t group, ValueId v) {
    constexpr std::size_t kMost = 32;  // operands of a kernel
    const int axis = g[v].attrs.axis();
    std::map<std::int64_t, std::vector<std::pair<ValueId, std::int64_t>>> by_length;  // (operand, where it begins)
    std::int64_t begin = 0;
    for (const ValueId o : g[v].operands) {
      const std::int64_t length = g[o].type.shape[axis];
      const auto piece = pieces_.find(without_unit_axes(g, o));
      const bool is_there =
          piece != pieces_.end() && piece->second.whole == v && piece->second.as == o && piece->second.begin == begin;
      if (!is_there && !is_empty(g[o].type.shape)) by_length[length].emplace_back(o, begin);
      begin += length;
    }
    int number = 0;
    for (const auto& [length, operands] : by_length)
      for (std::size_t first = 0; first < operands.size(); first += kMost) {
        GroupBuilder b = builder(group);
        b.kernel.name = kernel_name(v);
        if (number++ > 0) b.kernel.name += fmt::format("_{}", number);
        b.kernel.locs |= g[v].locs;
        const std::vector<Index> index = b.axes(g[operands[0].first].type.shape);
        Phase phase{all_axes(b), {}};
        for (std::size_t i = first; i < std::min(first + kMost, operands.size()); ++i) {
          std::vector<Index> there = index;
          there[static_cast<std::size_t>(axis)].offset += operands[i].second;
          const BufferId buffer = locate(b, v, there);
          KernelStage stage;
          stage.stores = {{buffer, std::move(there), b.value(operands[i].first, index)}};
          phase.stages.push_back(std::move(stage));
        }
        p.kernels.push_back(finish(b, std::move(phase)));
      }
  }

  /// Reductions over one axis of a domain, then the stores of that domain, then those of the domain without the axis.
  Kernel reduce_kernel(GroupBuilder& b, const Shape& domain, int axis, const std::vector<ValueId>& members,
                       const std::vector<ValueId>& outs) {
    auto full = b.axes(domain);
    if (domain[axis] == 1) full[static_cast<std::size_t>(axis)] = axis_index(b.axis("r", 1));
    const AxisId folded = full[static_cast<std::size_t>(axis)].terms[0].first;
    auto outer = full;
    outer.erase(outer.begin() + axis);
    Phase phase;
    for (AxisId a : all_axes(b))
      if (a != folded) phase.parallel.push_back(a);
    std::int32_t results = 0;
    for (ValueId v : members) {
      if (info(g[v].op).cls != OpClass::reduce) continue;
      KernelStage s;
      s.kind = KernelStage::reduce;
      s.axis = folded;
      s.result = results++;
      s.op = g[v].op;
      if (axis == domain.rank() - 1 && !is_arg_reduce(s.op)) s.order = FoldOrder::striped;
      s.value = b.value(g[v].operands[0], full);
      phase.stages.push_back(s);
      b.bind_accumulator(v, outer, s.result);
    }
    KernelStage in_row, once;
    in_row.axis = folded;
    for (ValueId v : outs) {
      const bool is_full = g[v].type.shape == domain;
      add_stores(b, is_full ? in_row : once, v, is_full ? full : outer);
    }
    if (!in_row.stores.empty()) phase.stages.push_back(in_row);
    if (!once.stores.empty()) phase.stages.push_back(once);
    return finish(b, std::move(phase));
  }

  Kernel contract_kernel(GroupBuilder& b, ValueId v, const std::vector<ValueId>& outs) {
    const Node& n = g[v];
    const Shape &x = g[n.operands[0]].type.shape, &y = g[n.operands[1]].type.shape;
    const Dims &lhs = n.attrs[Attr::lhs], &rhs = n.attrs[Attr::rhs];
    const Dims &lb = n.attrs[Attr::lhs_batch], &rb = n.attrs[Attr::rhs_batch];
    KernelStage sum;
    sum.kind = KernelStage::contract;
    std::vector<Index> at_x(static_cast<std::size_t>(x.rank())), at_y(static_cast<std::size_t>(y.rank())), out;
    // The axes of a role: one for each of the axes `from` of an operand that is longer than 1, and for a lone summed
    // one.
    const auto role = [&](std::string_view name, const Shape& shape, const Dims& from) {
      const auto has_axis = [&](std::int64_t d) {
        return shape[static_cast<int>(d)] != 1 || (name == "k" && from.rank() == 1);
      };
      const bool is_list = std::ranges::count_if(from, has_axis) > 1;
      std::vector<Index> index;
      std::vector<AxisId> axes;
      for (const std::int64_t d : from) {
        if (has_axis(d))
          axes.push_back(
              b.axis(is_list ? fmt::format("{}{}", name, axes.size()) : std::string(name), shape[static_cast<int>(d)]));
        index.push_back(has_axis(d) ? axis_index(axes.back()) : constant_index(0));
      }
      if (axes.empty() && name != "b") axes.push_back(b.axis(std::string(name), 1));
      return std::pair{axes, index};
    };
    const auto place = [&](std::vector<Index>& at, const Dims& axes, const std::vector<Index>& index) {
      for (int i = 0; i < axes.rank(); ++i) at[static_cast<std::size_t>(axes[i])] = index[static_cast<std::size_t>(i)];
    };
    const Dims m = free_axes(x.rank(), lhs, lb), free = free_axes(y.rank(), rhs, rb);
    const auto [b_axes, at_b] = role("b", x, lb);
    const auto [m_axes, at_m] = role("m", x, m);
    const auto [n_axes, at_n] = role("n", y, free);
    const auto [k_axes, at_k] = role("k", x, lhs);
    place(at_x, lb, at_b), place(at_x, m, at_m), place(at_x, lhs, at_k);
    place(at_y, rb, at_b), place(at_y, free, at_n), place(at_y, rhs, at_k);
    for (const auto& at : {at_b, at_m, at_n}) out.insert(out.end(), at.begin(), at.end());
    sum.roles = {b_axes, m_axes, n_axes, k_axes};
    Phase phase;
    for (const auto& axes : {b_axes, m_axes, n_axes})
      phase.parallel.insert(phase.parallel.end(), axes.begin(), axes.end());
    sum.result = 0;
    sum.lhs = b.value(n.operands[0], at_x);
    sum.rhs = b.value(n.operands[1], at_y);
    phase.stages.push_back(sum);
    b.bind_accumulator(v, out, 0);
    KernelStage epilogue;
    for (ValueId o : outs) add_stores(b, epilogue, o, n.type.shape, out);
    phase.stages.push_back(epilogue);
    return finish(b, std::move(phase));
  }

  Kernel scatter_kernel(GroupBuilder& b, ValueId v) {
    const Node& n = g[v];
    const Shape &x = n.type.shape, &k = g[n.operands[1]].type.shape;
    const auto axis = static_cast<std::size_t>(n.attrs.axis());
    ensure(k.rank() == 1, "scatter_add with indices of rank {} is not canonical", k.rank());
    auto index = b.axes(x);
    Phase copy{all_axes(b), {KernelStage{}}};
    copy.stages[0].stores.push_back({buffers[v], index, b.value(n.operands[0], index)});
    b.kernel.phases.push_back(std::move(copy));

    Phase add;
    for (std::size_t d = 0; d < index.size(); ++d)
      if (d != axis && !index[d].terms.empty()) add.parallel.push_back(index[d].terms[0].first);
    KernelStage s;
    s.kind = KernelStage::scatter;
    s.axis = b.axis("u", k[0]);
    auto from = index;
    from[axis] = axis_index(s.axis);
    ExprId row = b.value(n.operands[1], {axis_index(s.axis)});
    if (g[n.operands[1]].type.dtype != i64) row = b.op(Op::convert, i64, {row});
    s.predicate = b.in_range(row, x[static_cast<int>(axis)]);
    auto to = index;
    to[axis] = {{}, 0, row};
    s.stores.push_back({buffers[v], to, b.value(n.operands[2], from)});
    add.stages.push_back(std::move(s));
    return finish(b, std::move(add));
  }

  void make_kernel(std::int32_t group, const std::vector<ValueId>& members) {
    const Group& what = g.groups()[static_cast<std::size_t>(group)];
    if (what.kind == Group::scan)
      return make_loop(*std::ranges::find_if(members, [&](ValueId v) { return g[v].op == Op::scan; }));
    std::vector<ValueId> outs;
    for (ValueId v : members)
      if (stored[v] && !under_shape_[v] && !is_empty(g[v].type.shape)) outs.push_back(v);
    if (outs.empty() && !beside_.contains(group)) return;
    if (what.kind == Group::concat) return concat_kernels(group, outs[0]);
    GroupBuilder b = builder(group);
    b.kernel.name = prefix_ + what.name;
    for (ValueId v : members) b.kernel.locs |= g[v].locs;
    const auto anchor = [&] { return *std::ranges::find_if(members, [&](ValueId v) { return is_anchor(g[v].op); }); };
    p.kernels.push_back(what.kind == Group::contract  ? contract_kernel(b, anchor(), outs)
                        : what.kind == Group::reduce  ? reduce_kernel(b, what.domain, what.axis, members, outs)
                        : what.kind == Group::scatter ? scatter_kernel(b, anchor())
                                                      : map_kernel(b, group, what.domain, outs));
  }

  /// Of a kernel that is no group's.
  std::string free_name(std::string name) {
    while (!made_.kernel_names.insert(name).second) name += '_';
    return name;
  }
  void copy(ValueId v, BufferId to) { copy(buffers[v], to, g[v].locs); }
  void copy(BufferId from, BufferId to, LocSet locs) {
    if (is_empty(p.buffers[static_cast<std::size_t>(to)].type.shape)) return;
    Kernel k = copy_kernel(p, from, to, locs, made_.turns);
    k.name = free_name(k.name);
    p.kernels.push_back(std::move(k));
  }

  void make_kernels() {
    for (const Group& group : g.groups()) made_.kernel_names.insert(prefix_ + group.name);
    std::vector<std::vector<ValueId>> members(g.groups().size());
    for (ValueId v = 0; v < g.size(); ++v)
      if (g[v].group != kNoGroup) members[static_cast<std::size_t>(g[v].group)].push_back(v);
    for (std::size_t i = 0; i < members.size(); ++i) make_kernel(static_cast<std::int32_t>(i), members[i]);
  }
};

void Lowering::run() {
  p.name = g.name;
  make_buffers();
  make_kernels();
  for (std::size_t i = 0; i < g.outputs().size(); ++i)
    if (buffers[g.outputs()[i].id] != p.outputs[i]) copy(g.outputs()[i].id, p.outputs[i]);
  for (std::size_t i = 0; i < g.updates().size(); ++i)
    if (news[i] == kNone) copy(g.updates()[i].value, add_new_value(i));
  for (std::size_t i = 0; i < g.updates().size(); ++i) copy(news[i], p.updates[i], g[g.updates()[i].value].locs);
}

}  // namespace

Program lower(const Graph& g, std::int64_t large_bytes) {
  Lowered made;
  Lowering(g, large_bytes, made).run();
  return std::move(made.program);
}

}  // namespace weft
