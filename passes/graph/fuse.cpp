// Greedy fusion in one forward walk.
//
// Kinds of kernel, by what anchors them:
//   map       elementwise over its domain (the shape of its values)
//   reduce    reductions over one axis of its domain, and elementwise values of the domain ("full") or of the domain
//   without that
//             axis ("outer"): softmax, layer norm and cross-entropy are one such kernel each
//   contract  a contraction and the elementwise values of its result's shape: bias, activation, mask, the optimiser
//   scatter   an indexed accumulation by itself
//   concat    a concat that is stored, by itself
//   scan      a scan by itself: its body is fused as a graph of its own
// Leaves, views and cheap elementwise values belong to no group until the end: each consumer computes them for itself,
// which makes them prologues of the kernels that read them.
//
// Reductions that do not feed one another share a kernel when they fold the same axis of the same domain and read one
// full-size value in common, as the gradients of a layer norm's scale and shift do: memory is read once. What a value
// is read from are its `streams`, inherited from its operands, so that such a kernel is found by a look-up.
//
// Why no cycle between groups can arise: a node joins the highest-numbered group that it depends on, or one with a
// higher number, new or (a sibling reduction) not, so that every edge between groups leads from a lower number to a
// higher one.
#include "passes/graph/fuse.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <unordered_map>

#include "ir/graph/body.h"
#include "passes/graph/stored_values.h"

namespace weft {
namespace {

// The size of a kernel. Larger ones read and write less memory, but LLVM takes super-linear time for one function:
// bench/graph_size.cpp's fan_out takes 73 us a node with at most 96 evaluated nodes a kernel, 64 with 384, 94 with
// 1200 and 367 with 4000.
constexpr int kMaxGroup = 96;   // nodes placed in one kernel
constexpr int kMaxExprs = 384;  // nodes that it evaluates: those, and what they need that no kernel stores
constexpr int kCheap = 8;       // a value of several consumers that costs more than this is stored, not repeated
constexpr std::int64_t kLongRow = 4096;  // a single row longer than this is left to a kernel of its own
constexpr std::size_t kMaxStreams = 4;   // of a value: more are not remembered
constexpr std::size_t kFewStreams = 2;   // that a reduction reads rather than one value stored for it

/// The values of v's shape in memory that computing v reads.
struct Streams {
  std::array<ValueId, kMaxStreams> ids;
  std::size_t count = 0;
  void add(ValueId v) {
    if (std::find(begin(), end(), v) == end() && count < kMaxStreams) ids[count++] = v;
  }
  const ValueId* begin() const { return ids.data(); }
  const ValueId* end() const { return begin() + count; }
};

/// What reads a value.
struct Readers {
  std::uint32_t folding = 0;  // bit a: a reduction over axis a
  bool storing = false;       // a contraction or scatter, or the caller: they need it in memory
  bool others = false;
};

struct Fuser {
  using enum Group::Kind;
  struct GroupState : Group {
    int size = 0;
    int exprs = 0;          // size, and the ungrouped nodes that the members need
    bool reshaped = false;  // some member has the domain's extents with other unit axes
  };

  const Graph& g;
  std::vector<std::vector<ValueId>> uses;
  std::vector<GroupState> groups;
  std::vector<std::int32_t> group, latest;  // latest[v]: the highest group that v is in or depends on
  std::vector<bool> outer;                  // member of a reduce group without the folded axis
  std::vector<int> cost, weight;            // of an ungrouped value with its ungrouped operands: instructions, nodes
  std::vector<int> again;                   // instructions that a grouped value costs outside its group
  std::vector<Streams> streams;
  std::vector<Readers> readers;
  std::vector<bool> result;  // output or update, or read by the body of a scan
  const std::vector<bool> large, concats, windowed;
  using Reduces = std::map<std::pair<ValueId, int>, std::int32_t>;  // (value, axis) -> reduce group
  Reduces reducing;                                                 // the group that reduces the value
  Reduces reading;  // the group that reads the value for a reduction, other than an arg-reduction
  std::unordered_map<std::int32_t, std::int32_t> next;  // full group -> map group of what no longer fitted in it

  Fuser(const Graph& graph, std::int64_t large_bytes)
      : g(graph),
        uses(users(graph)),
        group(graph.size(), kNoGroup),
        latest(graph.size(), kNoGroup),
        outer(graph.size(), false),
        cost(graph.size(), 0),
        weight(graph.size(), 0),
        again(graph.size(), 0),
        streams(graph.size()),
        readers(graph.size()),
        result(graph.size(), false),
        large(large_values(graph, large_bytes)),
        concats(stored_concats(graph)),
        windowed(read_by_windows(graph)) {
    for (const Output& o : g.outputs()) result[o.id] = true;
    for (const Update& u : g.updates()) result[u.value] = true;
    for (ValueId v = 0; v < g.size(); ++v)
      for (const ValueId o : read_by_turns(g, v)) result[o] = true;
    for (ValueId v = 0; v < g.size(); ++v) {
      readers[v].storing |= result[v];
      if (concats[v])
        for (ValueId o : g[v].operands) readers[without_unit_axes(g, o)].storing = true;
      for (ValueId o : g[v].operands) switch (info(g[v].op).cls) {
          case OpClass::contract:
          case OpClass::control:
          case OpClass::scatter: readers[o].storing = true; break;
          case OpClass::reduce: readers[o].folding |= 1u << g[v].attrs.axis(); break;
          default: readers[o].others = true;
        }
    }
  }

  const Shape& shape(ValueId v) const { return g[v].type.shape; }

  void place(ValueId v, std::int32_t in, bool is_outer = false) {
    group[v] = latest[v] = in;
    outer[v] = is_outer;
    GroupState& s = groups[static_cast<std::size_t>(in)];
    ++s.size, ++s.exprs;
    for (ValueId o : g[v].operands) s.exprs += weight[o];
    cost[v] = weight[v] = 0;
  }
  bool is_full(std::int32_t in) const {
    const GroupState& s = groups[static_cast<std::size_t>(in)];
    return s.size >= kMaxGroup || s.exprs >= kMaxExprs;
  }
  std::int32_t open(Group::Kind kind, const Shape& domain, int axis = -1) {
    groups.push_back({{.kind = kind, .domain = domain, .axis = axis}});
    return static_cast<std::int32_t>(groups.size() - 1);
  }

  /// A broadcast along the folded axis of an outer value of group `in`.
  bool is_row_broadcast(ValueId v, std::int32_t in) const {
    const GroupState& s = groups[static_cast<std::size_t>(in)];
    if (g[v].op != Op::broadcast || s.kind != reduce || !(shape(v) == s.domain)) return false;
    const ValueId source = g[v].operands[0];
    if (group[source] != in || !outer[source]) return false;
    Dims axes = Dims::iota(s.domain.rank());
    axes.erase(s.axis);
    return g[v].attrs[Attr::axes] == axes;
  }

  /// The value that v is under another shape, through reshapes that only add or drop unit axes.
  ValueId unreshaped(ValueId v) const {
    while (group[v] == kNoGroup && is_unit_reshape(g, v)) v = g[v].operands[0];
    return v;
  }

  /// Every operand of v is at hand in a register when group `in` evaluates v (as outer or full value), or lies in
  /// memory by then.
  bool operands_at_hand(ValueId v, std::int32_t in, bool is_outer) const {
    return std::ranges::all_of(g[v].operands, [&](ValueId o) {
      if (group[o] == in) return outer[o] == is_outer;
      if (groups[static_cast<std::size_t>(in)].kind != reduce && group[unreshaped(o)] == in) return true;
      return latest[o] < in || (!is_outer && is_row_broadcast(o, in));
    });
  }

  bool try_join(ValueId v) {
    const std::int32_t in = latest[v];
    if (in == kNoGroup) return false;
    const GroupState& s = groups[static_cast<std::size_t>(in)];
    if (s.kind == scatter || s.kind == concat || s.kind == scan || is_full(in)) return false;
    bool is_outer = false;
    const bool same = s.kind == reduce ? shape(v) == s.domain : squeezed(shape(v)) == squeezed(s.domain);
    if (!same) {
      Shape without = s.domain;
      if (s.kind != reduce) return false;
      without.erase(s.axis);
      if (!(shape(v) == without)) return false;
      is_outer = true;
    }
    if (!operands_at_hand(v, in, is_outer)) return false;
    for (ValueId o : g[v].operands)  // the broadcast of a row's value, or the value under another shape
      for (; group[o] != in && latest[o] == in; o = g[o].operands[0]) place(o, in);
    groups[static_cast<std::size_t>(in)].reshaped |= !is_outer && !(shape(v) == s.domain);
    place(v, in, is_outer);
    return true;
  }

  /// The axis that group `in` folds or may come to fold, as a bit.
  std::uint32_t folded_axis(std::int32_t in) const {
    const GroupState& s = groups[static_cast<std::size_t>(in)];
    if (s.kind != reduce && s.kind != map) return 0;
    const int axis = s.kind == reduce ? s.axis : s.domain.rank() - 1;
    return axis < 0 ? 0 : 1u << axis;
  }

  /// v, of group `in`, lies in memory whatever other groups make of it: one of them needs it, and not cheaply.
  bool surely_stored(ValueId v, std::int32_t in) const {
    const Readers& r = readers[v];
    return r.storing || (again[v] > kRecomputeCost && (r.folding & ~folded_axis(in)) != 0);
  }

  void find_streams(ValueId v) {
    const Node& n = g[v];
    const std::int32_t in = group[v];
    if (in != kNoGroup) {
      again[v] = is_anchor(n.op) ? kRecomputeCost + 1 : element_cost(n);
      for (ValueId o : n.operands)
        if (group[o] == in && outer[o] == outer[v]) again[v] = std::min(again[v] + again[o], kRecomputeCost + 1);
    }
    const bool read_itself = is_given(n.op) || is_anchor(n.op) || readers[v].storing ||
                             (in != kNoGroup && again[v] > kRecomputeCost) ||
                             (info(n.op).cls == OpClass::view && n.op != Op::broadcast) ||
                             (n.op == Op::constant && n.attrs.literal->size() > 1);
    if (read_itself) return streams[v].add(v);
    for (ValueId o : n.operands)
      if (shape(o) == shape(v))
        for (ValueId s : streams[o]) streams[v].add(s);
  }

  /// v, which could join the group that it depends on, is read by reductions over another axis only: they compute it
  /// from a few values that are in memory anyway, and nothing is stored for them.
  bool is_left_to_reductions(ValueId v) const {
    const std::int32_t in = latest[v];
    const Readers& r = readers[v];
    if (in == kNoGroup || r.storing || r.others || !r.folding || (r.folding & folded_axis(in)) ||
        !(groups[static_cast<std::size_t>(in)].domain == shape(v)))
      return false;
    int instructions = element_cost(g[v]);
    Streams read;
    for (ValueId o : g[v].operands) {
      instructions += group[o] == kNoGroup ? cost[o] : again[o];
      if (group[o] == in && again[o] > kRecomputeCost && !surely_stored(o, in)) return false;
      for (ValueId s : streams[o]) read.add(s);
    }
    return instructions <= kCheap && read.count <= kFewStreams;
  }

  /// A kernel that v may join without depending on it: one that reduces x already, or one that reads what x is read
  /// from. An arg-reduction walks its axis by itself and gains nothing from what others read.
  std::int32_t find_reduce(ValueId v, ValueId x, int axis) const {
    auto find = [&](const Reduces& known, ValueId read) {
      const auto it = known.find({read, axis});
      return it != known.end() && latest[v] < it->second && !is_full(it->second) ? it->second : kNoGroup;
    };
    std::int32_t in = find(reducing, x);
    if (!is_arg_reduce(g[v].op))
      for (const ValueId* s = streams[x].begin(); in == kNoGroup && s != streams[x].end(); ++s) in = find(reading, *s);
    return in;
  }

  void place_in_reduce(ValueId v, ValueId x, int axis, std::int32_t in) {
    reducing[{x, axis}] = in;
    if (!is_arg_reduce(g[v].op))
      for (ValueId s : streams[x]) reading[{s, axis}] = in;
    place(v, in, true);
  }

  void place_reduce(ValueId v) {
    const ValueId x = g[v].operands[0];
    const int axis = g[v].attrs.axis();
    const std::int64_t rows = shape(x)[axis] ? element_count(shape(v)) : 0;
    // Join the group that computes the operand, when it runs row by row or can.
    if (const std::int32_t in = latest[x]; in != kNoGroup) {
      GroupState& s = groups[static_cast<std::size_t>(in)];
      const bool full = (group[x] == in && !outer[x]) || is_row_broadcast(x, in);
      const bool room = !is_full(in) && shape(x) == s.domain && full;
      const bool last = axis == s.domain.rank() - 1;
      if (room && s.kind == map && !s.reshaped && last && (rows >= 8 || shape(x)[axis] <= kLongRow))
        s.kind = reduce, s.axis = axis;
      if (room && s.kind == reduce && s.axis == axis) {
        if (group[x] != in) place(x, in);
        return place_in_reduce(v, x, axis, in);
      }
    }
    std::int32_t in = find_reduce(v, x, axis);
    if (in == kNoGroup) in = open(reduce, shape(x), axis);
    place_in_reduce(v, x, axis, in);
  }

  /// A recent map of v's shape that v does not depend on: what needs both then finds them in one kernel.
  std::int32_t find_map(ValueId v) const {
    constexpr std::int32_t kRecent = 8;
    const auto count = static_cast<std::int32_t>(groups.size());
    for (std::int32_t in = count - 1; in >= std::max(0, count - kRecent) && in > latest[v]; --in) {
      const GroupState& s = groups[static_cast<std::size_t>(in)];
      if (s.kind == map && s.domain == shape(v) && !is_full(in)) return in;
    }
    return kNoGroup;
  }

  /// A map group for v alone, or with others of its shape. Where v comes too late for the group that it depends on, it
  /// shares the next one with the others of its shape: a value with thousands of readers gets few kernels.
  void place_in_map(ValueId v) {
    const std::int32_t before = latest[v];
    if (before == kNoGroup || !is_full(before)) {
      const std::int32_t sibling = find_map(v);
      return place(v, sibling != kNoGroup ? sibling : open(map, shape(v)));
    }
    std::int32_t& in = next.try_emplace(before, kNoGroup).first->second;
    if (in == kNoGroup || is_full(in) || !(groups[static_cast<std::size_t>(in)].domain == shape(v)) ||
        groups[static_cast<std::size_t>(in)].kind != map)
      in = open(map, shape(v));
    place(v, in);
  }

  bool must_be_in_memory(ValueId v) const {
    if (result[v]) return true;
    if (large[v]) return false;
    if (windowed[v] && takes_work(g[v])) return true;
    return std::ranges::any_of(uses[v], [&](ValueId u) {
      if (g[u].op == Op::reshape) return wants_memory(g, u, large);
      // Repeating something costly for every element of a larger shape; a scalar is computed once outside the loops.
      return g[u].op == Op::broadcast && shape(v).rank() > 0 && cost[v] > kCheap;
    });
  }

  void place_node(ValueId v) {
    const Node& n = g[v];
    for (ValueId o : n.operands) latest[v] = std::max(latest[v], latest[o]);
    switch (info(n.op).cls) {
      case OpClass::contract: return place(v, open(contract, n.type.shape));
      case OpClass::scatter: return place(v, open(scatter, n.type.shape));
      case OpClass::reduce: return place_reduce(v);
      case OpClass::elementwise:
        if (!is_left_to_reductions(v) && try_join(v)) return;
        break;
      case OpClass::leaf:
        if (n.op == Op::input) return;
        break;
      case OpClass::view:
        if (concats[v]) return place(v, open(concat, n.type.shape));
        break;
      case OpClass::control:
        if (n.op == Op::result) return;
        if (n.op == Op::scan) return place(v, open(scan, {n.attrs.scalar(Attr::length)}));
        fail("{}: {} holds a function; the pass 'inline' runs before", n.locs.str(), name(n.op));
    }
    cost[v] = element_cost(n);
    weight[v] = 1;
    for (ValueId o : n.operands) cost[v] += cost[o], weight[v] += weight[o];
    const bool shared =
        uses[v].size() > 1 && cost[v] > kCheap && shape(v).rank() > 0 && n.op != Op::random && !large[v];
    if (must_be_in_memory(v) || shared || cost[v] > kMaxVirtualCost || weight[v] > kMaxVirtual) place_in_map(v);
  }

  /// The walk: topological, by the number of anchors on the longest path to a node. What depends on inputs and states
  /// alone (a learning rate, a decayed weight) thus comes before every anchor, so that any kernel may read it.
  std::vector<ValueId> by_depth() const {
    std::vector<int> depth(g.size(), 0);
    std::vector<ValueId> order(g.size());
    std::iota(order.begin(), order.end(), ValueId{0});
    for (ValueId v = 0; v < g.size(); ++v) {
      for (ValueId o : g[v].operands) depth[v] = std::max(depth[v], depth[o]);
      depth[v] += is_anchor(g[v].op);
    }
    std::ranges::stable_sort(order, {}, [&](ValueId v) { return depth[v]; });
    return order;
  }

  /// An ungrouped value that only one group reads is shown inside it.
  void adopt() {
    for (ValueId v = static_cast<ValueId>(g.size()); v-- > 0;) {
      if (group[v] != kNoGroup || is_given(g[v].op) || uses[v].empty()) continue;
      const std::int32_t in = group[uses[v][0]];
      if (in != kNoGroup && latest[v] < in && std::ranges::all_of(uses[v], [&](ValueId u) { return group[u] == in; }))
        group[v] = in;
    }
  }

  Graph rebuild() const {
    // Groups in number order, each followed by the ungrouped values that need it.
    std::vector<ValueId> order;
    Rewriter rw(g);
    order = rw.live();
    auto key = [&](ValueId v) { return group[v] != kNoGroup ? 2 * group[v] : 2 * latest[v] + 1; };
    std::ranges::stable_sort(order, {}, key);
    std::vector<std::int32_t> number(groups.size(), kNoGroup);
    for (ValueId v : order) {
      const ValueId id = rw.copy(v);
      if (group[v] == kNoGroup) continue;
      std::int32_t& n = number[static_cast<std::size_t>(group[v])];
      const GroupState& s = groups[static_cast<std::size_t>(group[v])];
      if (n == kNoGroup) {
        const bool row = s.kind == reduce && s.axis == s.domain.rank() - 1;
        Group made = s;
        made.name = fmt::format("{}{}",
                                row                ? "row"
                                : s.kind == reduce ? "column"
                                                   : name(s.kind),
                                rw.graph().groups().size());
        n = rw.graph().add_group(std::move(made));
      }
      rw.graph().set_group(id, n);
    }
    return rw.finish();
  }
};

}  // namespace

Graph fuse(const Graph& graph, std::int64_t large_bytes) {
  if (!graph.groups().empty()) return graph;
  const Graph g = remove_dead(graph);
  Fuser f(g, large_bytes);
  for (ValueId v : f.by_depth()) f.place_node(v), f.find_streams(v);
  f.adopt();
  return f.rebuild();
}

Graph without_groups(const Graph& g) {
  Graph out;
  out.name = g.name;
  std::vector<ValueId> map(g.size(), kNoValue);
  for (const Input& i : g.inputs()) map[i.id] = out.input(i.name, g[i.id].type, i.kind, g[i.id].locs);
  BodyRewriter bodies(without_groups);
  for (ValueId id = 0; id < g.size(); ++id) {
    if (g[id].op == Op::input) continue;
    Node n = g[id];
    n.attrs = bodies(std::move(n.attrs));
    map[id] = copy_node(out, n, map);
  }
  for (const Output& o : g.outputs()) out.output(o.name, map[o.id]);
  for (const Update& u : g.updates()) out.update(map[u.state], map[u.value]);
  return out;
}

}  // namespace weft
