// The graph in Graphviz's language: one box a node, one cluster a kernel, edges from operands to users.
#include "ir/graph/print.h"

namespace weft {
namespace {

std::string escape(std::string_view s) {
  std::string out;
  for (const char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string to_dot(const Graph& g) {
  constexpr std::int64_t kShownElements = 4;
  const ValueNames names(g);
  std::string s = fmt::format("digraph \"{}\" {{\n  node [shape=box, fontname=monospace];\n", escape(g.name));
  for (const Input& in : g.inputs())
    s += fmt::format("  n{} [label=\"%{}\\n{}\", style=filled, fillcolor={}];\n", in.id, escape(in.name),
                     to_string(g[in.id].type), in.kind == InputKind::state ? "lightyellow" : "lightblue");
  std::int32_t group = kNoGroup;
  for (ValueId id = 0; id < g.size(); ++id) {
    const Node& n = g[id];
    if (n.op == Op::input) continue;
    if (n.group != group) {
      if (group != kNoGroup) s += "  }\n";
      if (n.group != kNoGroup)
        s += fmt::format("  subgraph cluster_{} {{\n    label=\"@{}\";\n", n.group,
                         escape(g.groups()[static_cast<std::size_t>(n.group)].name));
      group = n.group;
    }
    s += fmt::format("  n{} [label=\"{} = {}\\n{}\", tooltip=\"{}\"];\n", id, names(id),
                     escape(op_text(n, kShownElements)), to_string(n.type), escape(n.locs.str()));
  }
  if (group != kNoGroup) s += "  }\n";
  for (ValueId id = 0; id < g.size(); ++id)
    for (std::size_t i = 0; i < g[id].operands.size(); ++i)
      s += fmt::format("  n{} -> n{}{};\n", g[id].operands[i], id,
                       g[id].operands.size() > 1 ? fmt::format(" [taillabel=\"{}\", labelfontsize=8]", i) : "");
  for (std::size_t i = 0; i < g.outputs().size(); ++i)
    s += fmt::format("  out{} [label=\"{}\", shape=ellipse];\n  n{} -> out{};\n", i, escape(g.outputs()[i].name),
                     g.outputs()[i].id, i);
  for (const Update& u : g.updates())
    s += fmt::format("  n{} -> n{} [style=dashed, constraint=false];\n", u.value, u.state);
  return s + "}\n";
}

}  // namespace weft
