// The graph verifier: runs after every pass in tests and debug builds. The invariants of a graph:
//
//  1. The names of inputs, outputs and groups are unique among their kind; those of the graph and of groups are
//  identifiers.
//  2. Every input node is listed in inputs() once, and every listed input is an input node.
//  3. Operands precede their users (so the graph is acyclic), and every operand exists.
//  4. The stored type is what inference says of the operands and attributes; no dtype is reserved.
//  5. A constant has a literal of its type; no other node has a literal.
//  6. Equal nodes are one node.
//  7. Every node has provenance.
//  8. Outputs name existing values, and are not called as an updated state is. Updates
//  name a state input each, once, and a value of its type.
//  9. All of this holds in bodies.
// 10. A group's nodes are contiguous (inputs aside), inputs belong to none. With 3, groups then depend on each other
//  acyclically.
#include <unordered_map>
#include <unordered_set>

#include "ir/base/lexer.h"
#include "ir/graph/print.h"
#include "ir/ops/infer.h"

namespace weft {
namespace {

class Verifier {
 public:
  explicit Verifier(const Graph& g) : g_(g), names_(g) {}
  void run() const {
    check_names();
    check_inputs();
    for (ValueId id = 0; id < g_.size(); ++id) check_node(id);
    check_unique_nodes();
    check_results();
    check_groups();
  }

 private:
  template <class... Args>
  [[noreturn]] void broken(ValueId id, fmt::format_string<Args...> format, Args&&... args) const {
    const LocSet locs = g_[id].locs;
    fail("verify: in graph @{}: node {} from {}: {}", g_.name,
         g_[id].op == Op::input ? input_text(id) : node_text(g_, id, names_),
         locs.empty() ? "an unknown place" : locs.str(), fmt::format(format, std::forward<Args>(args)...));
  }
  std::string input_text(ValueId id) const { return fmt::format("{}: {}", names_(id), to_string(g_[id].type)); }

  void check_name(std::unordered_set<std::string_view>& seen, std::string_view kind, const std::string& name) const {
    if (!is_name(name)) fail("verify: in graph @{}: {} name '{}' is no name", g_.name, kind, name);
    if (!seen.insert(name).second) fail("verify: in graph @{}: two {}s are named '{}'", g_.name, kind, name);
  }
  void check_identifier(std::string_view kind, const std::string& name) const {
    if (!is_identifier(name)) fail("verify: in graph @{}: {} name '{}' is not an identifier", g_.name, kind, name);
  }
  void check_names() const {
    std::unordered_set<std::string_view> inputs, outputs, groups;
    check_identifier("graph", g_.name);
    for (const Group& group : g_.groups()) check_identifier("kernel", group.name);
    for (const Input& i : g_.inputs()) check_name(inputs, "input", i.name);
    for (const Output& o : g_.outputs()) check_name(outputs, "output", o.name);
    for (const Group& group : g_.groups()) check_name(groups, "kernel", group.name);
  }

  void check_inputs() const {
    std::vector<bool> listed(g_.size());
    for (const Input& i : g_.inputs()) {
      if (i.id >= g_.size() || g_[i.id].op != Op::input || listed[i.id])
        fail("verify: in graph @{}: input '{}' has no input node of its own", g_.name, i.name);
      listed[i.id] = true;
    }
    for (ValueId id = 0; id < g_.size(); ++id)
      if (g_[id].op == Op::input && !listed[id]) broken(id, "an input node that is not listed among the inputs");
  }

  void check_node(ValueId id) const {
    const Node& n = g_[id];
    if (n.locs.empty()) broken(id, "has no provenance");
    if (is_reserved(n.type.dtype)) broken(id, "dtype {} is reserved", name(n.type.dtype));
    const OpInfo& row = info(n.op);
    std::vector<Type> types;
    for (ValueId v : n.operands) {
      if (v >= id) broken(id, "operand {} does not precede it", names_(v));
      types.push_back(g_[v].type);
    }
    if (!std::ranges::equal(n.attrs.entries(), row.attrs, {}, &Attrs::Entry::name))
      broken(id, "its attributes are not those of {}", row.name);
    if ((n.op == Op::constant) != (n.attrs.literal != nullptr))
      broken(id, "{} a literal", n.attrs.literal ? "must not have" : "has not got");
    Type inferred;
    try {
      inferred = infer::node({n.op, types, n.attrs, row.declared_type ? &n.type : nullptr});
    } catch (const Error& e) {
      broken(id, "{}", e.what());
    }
    if (!(inferred == n.type)) broken(id, "inference gives {}", to_string(inferred));
  }

  // Graph::add finds the equal node, so that a graph rebuilt from these nodes has as many.
  void check_unique_nodes() const {
    Graph copy;
    for (ValueId id = 0; id < g_.size(); ++id) {
      const Node& n = g_[id];
      const ValueId again = n.op == Op::input ? copy.input(g_.find_input(id)->name, n.type, InputKind::data, n.locs)
                                              : copy.add(n.op, n.operands, n.attrs, n.type, n.locs);
      if (again != id) broken(id, "equals node {}", names_(again));
    }
  }

  void check_results() const {
    for (const Output& o : g_.outputs())
      if (o.id >= g_.size()) fail("verify: in graph @{}: output '{}' names no value", g_.name, o.name);
    std::unordered_set<ValueId> states, updated;
    for (const Input& i : g_.inputs())
      if (i.kind == InputKind::state) states.insert(i.id);
    for (const Update& u : g_.updates()) {
      if (!states.contains(u.state))
        fail("verify: in graph @{}: update of {}, which is no state", g_.name, names_(u.state));
      if (u.value >= g_.size()) fail("verify: in graph @{}: {} is updated with no value", g_.name, names_(u.state));
      if (!(g_[u.state].type == g_[u.value].type))
        broken(u.value, "updates {}, which is {}", names_(u.state), to_string(g_[u.state].type));
      if (!updated.insert(u.state).second) broken(u.state, "is updated twice");
    }
    for (const Output& o : g_.outputs())
      if (updated.contains(g_.find_input(o.name)))
        fail("verify: in graph @{}: output '{}' has the name of an updated state", g_.name, o.name);
  }

  void check_groups() const {
    const auto count = static_cast<std::int32_t>(g_.groups().size());
    std::vector<bool> closed(g_.groups().size());
    std::int32_t open = kNoGroup;
    for (ValueId id = 0; id < g_.size(); ++id) {
      const std::int32_t group = g_[id].group;
      if (group < kNoGroup || group >= count) broken(id, "is in group {} of {}", group, count);
      if (g_[id].op == Op::input) {
        if (group != kNoGroup) broken(id, "an input cannot be in a kernel");
        continue;
      }
      if (group != kNoGroup)
        if (const std::string why = misfit(g_, id, g_.groups()[static_cast<std::size_t>(group)]); !why.empty())
          broken(id, "{}", why);
      if (group == open) continue;
      if (open != kNoGroup) closed[static_cast<std::size_t>(open)] = true;
      if (group != kNoGroup && closed[static_cast<std::size_t>(group)])
        broken(id, "the nodes of kernel @{} are not contiguous", g_.groups()[static_cast<std::size_t>(group)].name);
      open = group;
    }
  }

  const Graph& g_;
  const ValueNames names_;
};

}  // namespace

std::string misfit(const Graph& g, ValueId id, const Group& group) {
  const Node& n = g[id];
  if (!is_anchor(n.op)) return "";
  const OpClass cls = info(n.op).cls;
  const bool is_reduce = cls == OpClass::reduce;
  const bool fits = is_reduce                 ? group.kind == Group::reduce && n.attrs.axis() == group.axis
                    : cls == OpClass::scatter ? group.kind == Group::scatter
                    : n.op == Op::scan        ? group.kind == Group::scan
                                              : group.kind == Group::contract;
  const Shape domain = is_reduce          ? g[n.operands[0]].type.shape
                       : n.op == Op::scan ? Shape{n.attrs.scalar(Attr::length)}
                                          : n.type.shape;
  if (fits && domain == group.domain) return "";
  return fmt::format("does not fit kernel @{}, a {} {}{}", group.name, name(group.kind), to_string(group.domain),
                     group.kind == Group::reduce ? fmt::format(" over {}", group.axis) : "");
}

void verify(const Graph& g) {
  for (const BodyRef& body : bodies_of(g)) Verifier(*body->graph).run();
  Verifier(g).run();
}

}  // namespace weft
