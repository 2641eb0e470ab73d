// Bodies are compared by adding the nodes of one to the graph of the other, where equal nodes are one.
#include "passes/graph/share.h"

#include <algorithm>
#include <deque>
#include <map>

#include "ir/graph/body.h"
#include "ir/graph/build.h"
#include "passes/graph/stored_values.h"

namespace weft {
namespace {

constexpr int kCheap = 2;  // instructions that follow a contraction before its result is stacked

/// A scan that is made: its body grows while later ones are looked at.
struct Made {
  const Node* node = nullptr;
  Graph body;
  std::vector<ValueId> outputs;                            // in the body: carries, then what is stacked
  std::vector<std::string> names;                          // of the outputs
  std::vector<std::pair<Made*, std::size_t>> more_slices;  // results of others that it reads beside its own slices
  ValueId id = kNoValue;                                   // in the new graph

  std::size_t carries() const { return static_cast<std::size_t>(node->attrs.scalar(Attr::carries)); }
  std::size_t slices() const { return static_cast<std::size_t>(node->attrs.scalar(Attr::slices)); }
  std::int64_t length() const { return node->attrs.scalar(Attr::length); }

  void give(ValueId v, std::string name) {
    while (std::ranges::count(names, name)) name += '_';
    outputs.push_back(v);
    names.push_back(std::move(name));
  }
  /// The number of the result that stacks a value of the body.
  std::size_t stack(ValueId v, const std::string& name) {
    const auto stacked = outputs.begin() + static_cast<std::ptrdiff_t>(carries());
    const auto number = static_cast<std::size_t>(std::find(stacked, outputs.end(), v) - outputs.begin());
    if (number == outputs.size()) give(v, name);
    return number;
  }
  std::vector<bool> live() const {
    std::vector<bool> live(body.size());
    for (const ValueId v : outputs) live[v] = true;
    for (ValueId v = static_cast<ValueId>(body.size()); v-- > 0;)
      if (live[v])
        for (const ValueId o : body[v].operands) live[o] = true;
    return live;
  }
};

class Sharing {
 public:
  explicit Sharing(const Graph& g) : g_(g), rw_(g) {}

  Graph run() {
    for (const ValueId id : rw_.live())
      if (g_[id].op == Op::scan && !join(id)) begin(id);
    for (const ValueId id : rw_.live()) {
      const Node& n = g_[id];
      if (n.op == Op::scan) {
        Made& m = *of_.at(id);
        if (m.node == &n) m.id = make(m);
      } else if (const auto scan = n.op == Op::result ? of_.find(n.operands[0]) : of_.end(); scan != of_.end()) {
        rw_.set(id, result(*scan->second, numbers_.at(n.operands[0])[n.attrs.index()], n.locs));
      } else {
        rw_.copy(id);
      }
    }
    return rw_.finish();
  }

 private:
  /// Makes the scan part of an earlier one, if one carries the same.
  bool join(ValueId id) {
    const Node& n = g_[id];
    for (Made& m : made_) {
      const bool same = m.node->operands == n.operands &&
                        m.carries() == static_cast<std::size_t>(n.attrs.scalar(Attr::carries)) &&
                        m.slices() == static_cast<std::size_t>(n.attrs.scalar(Attr::slices)) &&
                        m.length() == n.attrs.scalar(Attr::length) &&
                        m.node->attrs.scalar(Attr::reverse) == n.attrs.scalar(Attr::reverse) && m.more_slices.empty();
      if (!same) continue;
      const std::vector<ValueId> results = insert(m.body, *n.attrs.bodies[0]->graph, input_ids(m.body));
      const auto carries = static_cast<std::ptrdiff_t>(m.carries());
      if (!std::equal(results.begin(), results.begin() + carries, m.outputs.begin())) continue;
      of_[id] = &m;
      std::vector<std::size_t>& numbers = numbers_[id];
      for (std::size_t i = 0; i < results.size(); ++i)
        numbers.push_back(i < m.carries() ? i : m.stack(results[i], n.attrs.bodies[0]->graph->outputs()[i].name));
      return true;
    }
    return false;
  }

  void begin(ValueId id) {
    const Node& n = g_[id];
    const Graph& body = *n.attrs.bodies[0]->graph;
    Made& m = made_.emplace_back();
    m.node = &n;
    of_[id] = &m;
    std::vector<ValueId> outputs = output_ids(body);
    m.body = body_of(body, save(id, m), outputs, m);
    std::vector<std::size_t>& numbers = numbers_[id];
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const std::string& name = body.outputs()[i].name;
      if (i < m.carries()) m.give(outputs[i], name);
      numbers.push_back(i < m.carries() ? i : m.stack(outputs[i], name));
    }
  }

  /// What the turns of an earlier scan have computed of what the body does: numbers of its results, by value of the
  /// body.
  std::map<ValueId, std::pair<Made*, std::size_t>> save(ValueId id, const Made& m) {
    const Node& n = g_[id];
    const Graph& body = *n.attrs.bodies[0]->graph;
    std::map<ValueId, std::pair<Made*, std::size_t>> saved;
    for (Made& from : made_) {
      if (&from == &m || from.length() != m.length()) continue;
      std::vector<ValueId> there(body.size(), kNoValue);  // the value of its body that is the same
      bool reads = false;
      for (std::size_t i = m.carries(); i < n.operands.size(); ++i) {
        const bool is_slice = i < m.carries() + m.slices();
        const ValueId same = is_slice ? slice_of(from, n.operands[i]) : other_of(from, n.operands[i]);
        there[body.inputs()[i].id] = same;
        reads |= same != kNoValue && is_slice;
      }
      if (!reads) continue;
      const std::vector<bool> live = from.live();
      for (ValueId v = 0; v < body.size(); ++v) {
        const Node& own = body[v];
        if (own.op == Op::input || info(own.op).cls == OpClass::control) continue;
        const auto known = [&](ValueId o) { return there[o] != kNoValue; };
        if (!std::ranges::all_of(own.operands, known)) continue;
        const ValueId same = copy_node(from.body, own, there);
        if (same >= live.size() || !live[same]) continue;
        there[v] = same;
      }
      const auto uses = users(body);
      for (ValueId v = 0; v < body.size(); ++v) {
        if (there[v] == kNoValue || !is_anchor(body[v].op)) continue;
        ValueId last = v;
        while (uses[last].size() == 1 && is_cheap_after(body, last, uses[last][0]) && there[uses[last][0]] != kNoValue)
          last = uses[last][0];
        if (!saved.contains(last)) saved.emplace(last, std::pair(&from, from.stack(there[last], "saved")));
      }
    }
    return saved;
  }
  static bool is_cheap_after(const Graph& g, ValueId v, ValueId user) {
    return is_elementwise(g[user].op) && info(g[user].op).cost <= kCheap && g[user].type == g[v].type;
  }

  /// The value of a scan's body whose rows an operand of another scan has, or kNoValue.
  ValueId slice_of(const Made& from, ValueId operand) const {
    for (std::size_t i = from.carries(); i < from.carries() + from.slices(); ++i)
      if (from.node->operands[i] == operand) return from.body.inputs()[i].id;
    if (g_[operand].op != Op::result) return kNoValue;
    const auto scan = of_.find(g_[operand].operands[0]);
    if (scan == of_.end() || scan->second != &from) return kNoValue;
    const std::size_t number = numbers_.at(scan->first)[g_[operand].attrs.index()];
    return number < from.carries() ? kNoValue : from.outputs[number];
  }
  /// The same of an operand that all turns read whole.
  static ValueId other_of(const Made& from, ValueId operand) {
    for (std::size_t i = from.carries() + from.slices(); i < from.node->operands.size(); ++i)
      if (from.node->operands[i] == operand) return from.body.inputs()[i + from.more_slices.size()].id;
    return kNoValue;
  }

  /// A body in which saved values are slices. `outputs` become what they are in it.
  static Graph body_of(const Graph& body, const std::map<ValueId, std::pair<Made*, std::size_t>>& saved,
                       std::vector<ValueId>& outputs, Made& m) {
    Graph out;
    out.name = body.name;
    std::vector<ValueId> map(body.size(), kNoValue);
    for (std::size_t i = 0; i <= body.inputs().size(); ++i) {
      if (i == m.carries() + m.slices())
        for (const auto& [v, from] : saved) {
          map[v] = out.input(free_name(body, m.more_slices.size()), body[v].type, InputKind::data, body[v].locs);
          m.more_slices.push_back(from);
        }
      if (i == body.inputs().size()) break;
      const Input& in = body.inputs()[i];
      map[in.id] = out.input(in.name, body[in.id].type, InputKind::data, body[in.id].locs);
    }
    for (ValueId v = 0; v < body.size(); ++v)
      if (map[v] == kNoValue) map[v] = copy_node(out, body[v], map);
    for (ValueId& v : outputs) v = map[v];
    return out;
  }
  static std::string free_name(const Graph& body, std::size_t number) {
    std::string name = fmt::format("saved{}", number);
    while (body.find_input(name) != kNoValue) name += '_';
    return name;
  }

  ValueId make(Made& m) {
    Graph body = std::move(m.body);
    for (std::size_t i = 0; i < m.outputs.size(); ++i) body.output(m.names[i], m.outputs[i]);
    Attrs attrs = m.node->attrs;
    attrs[Attr::slices] = Dims{static_cast<std::int64_t>(m.slices() + m.more_slices.size())};
    attrs.bodies = {make_body(std::move(body))};
    std::vector<ValueId> operands;
    for (const ValueId v : m.node->operands) operands.push_back(rw_(v));
    std::vector<ValueId> more;
    for (const auto& [from, number] : m.more_slices) more.push_back(result(*from, number, m.node->locs));
    operands.insert(operands.begin() + static_cast<std::ptrdiff_t>(m.carries() + m.slices()), more.begin(), more.end());
    return rw_.graph().add(Op::scan, std::move(operands), std::move(attrs), {}, m.node->locs);
  }
  ValueId result(const Made& m, std::size_t number, LocSet locs) {
    return rw_.graph().add(Op::result, {m.id}, Attrs::index(static_cast<std::int64_t>(number)), {}, locs);
  }

  const Graph& g_;
  Rewriter rw_;
  std::deque<Made> made_;
  std::map<ValueId, Made*> of_;                          // of each scan: the one that it is part of
  std::map<ValueId, std::vector<std::size_t>> numbers_;  // and which of that one's results its own are
};

}  // namespace

Graph share_turns(const Graph& g) { return has_scan(g) ? Sharing(g).run() : g; }

}  // namespace weft
