// One kernel for each group, built as its kind says.
#include "passes/kernel/lower.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "passes/graph/stored_values.h"
#include "passes/kernel/group_builder.h"
#include "passes/kernel/order.h"

namespace weft {
namespace {

struct Lowering final : BufferMap {
  const Graph& g;
  const std::vector<bool> large, stored, concats;
  Program p;
  std::vector<BufferId> buffers;  // of values that are in memory
  std::vector<BufferId> news;     // of each update: the temporary of the state's new value

  Lowering(const Graph& graph, std::int64_t large_bytes)
      : g(graph),
        large(large_values(graph, large_bytes)),
        stored(stored_values(graph, large)),
        concats(stored_concats(graph)),
        buffers(graph.size(), kNone),
        news(graph.updates().size(), kNone) {
    p.name = g.name;
  }

  std::set<std::string> names_;
  BufferId add_buffer(Buffer b) {
    while (!names_.insert(b.name).second) b.name += '_';  // an output may be called like an input
    p.buffers.push_back(std::move(b));
    return static_cast<BufferId>(p.buffers.size() - 1);
  }
  BufferId add_buffer(Buffer::Kind kind, std::string name, const Type& type) {
    Buffer b;
    b.kind = kind;
    b.name = std::move(name);
    b.type = type;
    return add_buffer(std::move(b));
  }

  BufferId add_view(BufferId base, std::string name, const Type& type) {
    Buffer b;
    b.kind = Buffer::view;
    b.base = base;
    b.name = std::move(name);
    b.type = type;
    return add_buffer(std::move(b));
  }
  /// Where the new value of an update goes, until all is computed.
  BufferId add_new_value(std::size_t update) {
    const Buffer& old = p.buffers[static_cast<std::size_t>(p.updates[update])];
    return news[update] = add_buffer(Buffer::temp, old.name + ".new", Type(old.type));
  }

  /// kNone: v is computed by the group itself, or wherever it is read.
  BufferId buffer_of(ValueId v, std::int32_t group) {
    const Node& n = g[v];
    if (n.op == Op::input) return buffers[v];
    if (stored[v] && n.group != group) return buffers[v];
    if (n.op == Op::constant && n.attrs.literal->size() != 1) return constant(v);
    return wants_memory(g, v, large) ? reshape_view(v) : kNone;
  }

  BufferId constant(ValueId v) {
    if (buffers[v] == kNone || stored[v]) {  // a stored constant's own buffer is where it is copied to
      Buffer b;
      b.kind = Buffer::constant;
      b.name = fmt::format("c{}", v);
      b.type = g[v].type;
      b.literal = g[v].attrs.literal;
      const BufferId id = add_buffer(std::move(b));
      if (stored[v]) return id;
      buffers[v] = id;
    }
    return buffers[v];
  }

  std::vector<BufferId> views_ = std::vector<BufferId>(g.size(), kNone);
  BufferId reshape_view(ValueId v) {
    if (views_[v] != kNone) return views_[v];
    const BufferId base = buffer_of(g[v].operands[0], kNoGroup);
    ensure(base != kNone, "reshape {} of a value that is not in memory", v);
    return views_[v] = add_view(base, fmt::format("v{}", v), g[v].type);
  }

  /// An output that is another shape of a value: the kernel of that value stores it there.
  std::vector<bool> under_shape_ = std::vector<bool>(g.size(), false);
  void store_under_shape(ValueId output) {
    if (g[output].op != Op::reshape) return;
    const ValueId v = g[output].operands[0];
    if (!stored[v] || buffers[v] != kNone || g[v].group == kNoGroup || g[v].group == g[output].group) return;
    buffers[v] = add_view(buffers[output], fmt::format("t{}", v), g[v].type);
    under_shape_[output] = true;
  }

  /// A value that is stored as a piece of a concat, from `begin` on along its axis. `as` is the concat's operand: the
  /// value, with other unit axes perhaps.
  struct Piece {
    ValueId whole = kNoValue, as = kNoValue;
    std::int64_t begin = 0;
  };
  std::map<ValueId, Piece> pieces_;
  /// plain[v]: whoever reads v does so at indices that are axes and offsets, unguarded. Of others the verifier could
  /// not tell that they keep to a piece.
  std::vector<bool> read_plainly(const std::vector<std::vector<ValueId>>& uses) const {
    std::vector<bool> plain(g.size(), true);
    for (ValueId v = static_cast<ValueId>(g.size()); v-- > 0;)
      plain[v] = std::ranges::all_of(uses[v], [&](ValueId u) {
        const Op op = g[u].op;
        const bool is_plain = info(op).cls != OpClass::view || op == Op::broadcast || op == Op::transpose ||
                              op == Op::slice || concats[u] ||
                              (op == Op::reshape && is_affine_reshape(g[v].type.shape, g[u].type.shape));
        return is_plain && info(op).cls != OpClass::scatter && (stored[u] || plain[u]);
      });
    return plain;
  }
  void find_pieces() {
    if (std::ranges::none_of(concats, std::identity())) return;
    const auto uses = users(g);
    const std::vector<bool> plain = read_plainly(uses);
    for (ValueId v = 0; v < g.size(); ++v) {
      if (!concats[v] || !stored[v] || g[v].group == kNoGroup) continue;
      std::int64_t begin = 0;
      for (const ValueId as : g[v].operands) {
        const ValueId piece = without_unit_axes(g, as);
        const Node& n = g[piece];
        const bool is_computed = n.group != kNoGroup && n.group != g[v].group && n.op != Op::constant &&
                                 info(n.op).cls != OpClass::scatter && stored[piece] && buffers[piece] == kNone;
        const bool is_viewed = std::ranges::any_of(uses[piece], [&](ValueId u) { return wants_memory(g, u, large); });
        if (is_computed && !is_viewed && plain[piece] && !is_empty(n.type.shape))
          pieces_.try_emplace(piece, Piece{v, as, begin});
        begin += g[as].type.shape[g[v].attrs.axis()];
      }
    }
  }
  /// Where a stored value lies: itself, or the concat that it is a piece of. `index` becomes that of the element there.
  BufferId locate(ElementBuilder& b, ValueId v, std::vector<Index>& index) const {
    for (auto it = pieces_.find(v); it != pieces_.end(); it = pieces_.find(v)) {
      index = b.reshaped(g[it->second.as].type.shape, g[v].type.shape, index);
      v = it->second.whole;
      index[static_cast<std::size_t>(g[v].attrs.axis())].offset += it->second.begin;
    }
    return buffers[v];
  }
  BufferId place_of(ElementBuilder& b, ValueId v, std::int32_t group, std::vector<Index>& index) override {
    return g[v].group != group && pieces_.contains(v) ? locate(b, v, index) : buffer_of(v, group);
  }

  void make_buffers() {
    for (const Input& i : g.inputs()) {
      buffers[i.id] = add_buffer(i.kind == InputKind::state ? Buffer::state : Buffer::input, i.name, g[i.id].type);
      p.inputs.push_back(buffers[i.id]);
    }
    // An output that a kernel computes is stored where it belongs at once; a second name for it is a copy.
    for (const Output& o : g.outputs()) {
      const BufferId b = add_buffer(Buffer::output, o.name, g[o.id].type);
      p.outputs.push_back(b);
      if (stored[o.id] && buffers[o.id] == kNone) buffers[o.id] = b, store_under_shape(o.id);
    }
    for (std::size_t i = 0; i < g.updates().size(); ++i) {
      const Update& u = g.updates()[i];
      p.updates.push_back(buffers[u.state]);
      if (stored[u.value] && buffers[u.value] == kNone) buffers[u.value] = add_new_value(i);
    }
    find_pieces();
    for (ValueId v = 0; v < g.size(); ++v)
      if (stored[v] && buffers[v] == kNone && !pieces_.contains(v))
        buffers[v] = add_buffer(Buffer::temp, fmt::format("t{}", v), g[v].type);
  }

  static bool is_empty(const Shape& s) { return std::ranges::count(s, 0) > 0; }

  Kernel finish(GroupBuilder& b, Phase phase) {
    b.kernel.phases.push_back(std::move(phase));
    return std::move(b.kernel);
  }

  std::vector<AxisId> all_axes(const GroupBuilder& b) {
    std::vector<AxisId> axes;
    for (AxisId a = 0; a < static_cast<AxisId>(b.kernel.axes.size()); ++a) axes.push_back(a);
    return axes;
  }

  Store store(GroupBuilder& b, ValueId v, const std::vector<Index>& index) {
    std::vector<Index> there = index;
    const BufferId buffer = locate(b, v, there);
    return {buffer, std::move(there), b.value(v, index)};
  }
  /// The same for a value whose shape differs from the kernel's domain by unit axes.
  Store store(GroupBuilder& b, ValueId v, const Shape& domain, const std::vector<Index>& index) {
    return store(b, v, b.reshaped(g[v].type.shape, domain, index));
  }

  Kernel map_kernel(GroupBuilder& b, const Shape& domain, const std::vector<ValueId>& outs) {
    const auto index = b.axes(domain);
    Phase phase{all_axes(b), {KernelStage{}}};
    for (ValueId v : outs) phase.stages[0].stores.push_back(store(b, v, domain, index));
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
        GroupBuilder b(g, group, *this);
        b.kernel.name = g.groups()[static_cast<std::size_t>(group)].name;
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
  Kernel loop_kernel(GroupBuilder& b, const Shape& domain, int axis, const std::vector<ValueId>& members,
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
      s.striped = axis == domain.rank() - 1 && !is_arg_reduce(s.op);
      s.value = b.value(g[v].operands[0], full);
      phase.stages.push_back(s);
      b.bind_accumulator(v, outer, s.result);
    }
    KernelStage in_row, once;
    in_row.axis = folded;
    for (ValueId v : outs) {
      const bool is_full = g[v].type.shape == domain;
      (is_full ? in_row : once).stores.push_back(store(b, v, is_full ? full : outer));
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
    ensure(lb.rank() <= 1 && lhs.rank() <= 1 && x.rank() - lb.rank() - lhs.rank() <= 1 &&
               y.rank() - rb.rank() - rhs.rank() <= 1,
           "contraction of {} and {} is not canonical", to_string(x), to_string(y));
    KernelStage sum;
    sum.kind = KernelStage::contract;
    std::vector<Index> at_x(static_cast<std::size_t>(x.rank())), at_y(static_cast<std::size_t>(y.rank())), out;
    Phase phase;
    if (lb.rank()) {
      const AxisId batch = b.axis("b", x[static_cast<int>(lb[0])]);
      at_x[static_cast<std::size_t>(lb[0])] = at_y[static_cast<std::size_t>(rb[0])] = axis_index(batch);
      out.push_back(axis_index(batch));
      phase.parallel.push_back(batch);
      sum.roles.b = {batch};
    }
    auto free_axis = [&](const Shape& shape, const Dims& folded, const Dims& batch, std::vector<Index>& at,
                         const char* name) {
      AxisId a = kNone;
      for (int d = 0; d < shape.rank(); ++d)
        if (!folded.contains(d) && !batch.contains(d)) {
          a = b.axis(name, shape[d]);
          at[static_cast<std::size_t>(d)] = axis_index(a);
          out.push_back(axis_index(a));
        }
      if (a == kNone) a = b.axis(name, 1);
      phase.parallel.push_back(a);
      return a;
    };
    sum.roles.m = {free_axis(x, lhs, lb, at_x, "m")};
    sum.roles.n = {free_axis(y, rhs, rb, at_y, "n")};
    const AxisId k = b.axis("k", lhs.rank() ? x[static_cast<int>(lhs[0])] : 1);
    if (lhs.rank()) at_x[static_cast<std::size_t>(lhs[0])] = at_y[static_cast<std::size_t>(rhs[0])] = axis_index(k);
    sum.roles.k = {k};
    sum.result = 0;
    sum.lhs = b.value(n.operands[0], at_x);
    sum.rhs = b.value(n.operands[1], at_y);
    phase.stages.push_back(sum);
    b.bind_accumulator(v, out, 0);
    KernelStage epilogue;
    for (ValueId o : outs) epilogue.stores.push_back(store(b, o, n.type.shape, out));
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
    std::vector<ValueId> outs;
    for (ValueId v : members)
      if (stored[v] && !under_shape_[v] && !is_empty(g[v].type.shape)) outs.push_back(v);
    if (outs.empty()) return;
    const Group& what = g.groups()[static_cast<std::size_t>(group)];
    if (what.kind == Group::concat) return concat_kernels(group, outs[0]);
    GroupBuilder b(g, group, *this);
    b.kernel.name = what.name;
    for (ValueId v : members) b.kernel.locs |= g[v].locs;
    const auto anchor = [&] { return *std::ranges::find_if(members, [&](ValueId v) { return is_anchor(g[v].op); }); };
    p.kernels.push_back(what.kind == Group::contract  ? contract_kernel(b, anchor(), outs)
                        : what.kind == Group::loop    ? loop_kernel(b, what.domain, what.axis, members, outs)
                        : what.kind == Group::scatter ? scatter_kernel(b, anchor())
                                                      : map_kernel(b, what.domain, outs));
  }

  std::set<std::string> kernel_names_;  // once all groups have theirs
  void copy(ValueId v, BufferId to) { copy(buffers[v], to, g[v].locs); }
  void copy(BufferId from, BufferId to, LocSet locs) {
    if (is_empty(p.buffers[static_cast<std::size_t>(to)].type.shape)) return;
    Kernel k = copy_kernel(p, from, to, locs);
    while (!kernel_names_.insert(k.name).second) k.name += '_';
    p.kernels.push_back(std::move(k));
  }

  Program run() {
    make_buffers();
    std::vector<std::vector<ValueId>> members(g.groups().size());
    for (ValueId v = 0; v < g.size(); ++v)
      if (g[v].group != kNoGroup) members[static_cast<std::size_t>(g[v].group)].push_back(v);
    for (std::size_t i = 0; i < members.size(); ++i) make_kernel(static_cast<std::int32_t>(i), members[i]);
    for (const Kernel& k : p.kernels) kernel_names_.insert(k.name);
    for (std::size_t i = 0; i < g.outputs().size(); ++i)
      if (buffers[g.outputs()[i].id] != p.outputs[i]) copy(g.outputs()[i].id, p.outputs[i]);
    for (std::size_t i = 0; i < g.updates().size(); ++i)
      if (news[i] == kNone) copy(g.updates()[i].value, add_new_value(i));
    for (std::size_t i = 0; i < g.updates().size(); ++i) copy(news[i], p.updates[i], g[g.updates()[i].value].locs);
    return std::move(p);
  }
};

}  // namespace

Program lower(const Graph& g, std::int64_t large_bytes) { return Lowering(g, large_bytes).run(); }

}  // namespace weft
