// The graph as text; the grammar is in ir/README.md, the inverse in ir/graph/parse.cpp.
#include "ir/graph/print.h"

#include <algorithm>
#include <unordered_set>

#include "ir/base/text.h"

namespace weft {

ValueNames::ValueNames(const Graph& g) : names_(g.size()) {
  for (const Input& in : g.inputs())
    if (in.id < g.size()) names_[in.id] = name_text(in.name);
  std::size_t next = 0;
  for (std::string& s : names_)
    if (s.empty()) s = std::to_string(next++);
}

std::string ValueNames::operator()(ValueId id) const {
  return id < names_.size() ? "%" + names_[id] : fmt::format("%?{}", id);
}

BodyNames::BodyNames(const Graph& g) {
  std::unordered_multimap<std::uint64_t, const Body*> known;  // by hash
  std::unordered_set<std::string> taken{g.name};
  for (const BodyRef& body : bodies_of(g)) {
    const auto [first, last] = known.equal_range(body->hash);
    const auto same = std::find_if(first, last, [&](const auto& entry) { return *entry.second == *body; });
    if (same != last) {
      names_.emplace(body.get(), names_.at(same->second));
      continue;
    }
    std::string name = body->graph->name;
    for (int n = 1; !taken.insert(name).second; ++n) name = fmt::format("{}_{}", body->graph->name, n);
    known.emplace(body->hash, body.get());
    names_.emplace(body.get(), std::move(name));
    bodies_.push_back(body);
  }
}

std::string BodyNames::operator()(const Body& body) const {
  const auto known = names_.find(&body);
  return "@" + (known == names_.end() ? body.graph->name : known->second);
}

std::string op_text(const Node& n, std::int64_t max_elements, const BodyNames& bodies) {
  const OpInfo& row = info(n.op);
  std::string attrs;
  const auto append = [&](std::string_view attr, const std::string& text) {
    attrs += fmt::format("{}{}={}", attrs.empty() ? " {" : ", ", attr, text);
  };
  for (const auto& [attr, value] : n.attrs.entries()) {
    if (is_scalar(attr) && value.rank() == 1)
      append(name(attr), is_extent(attr) ? extent_text(value[0]) : std::to_string(value[0]));
    else if (!value.empty())
      append(name(attr), to_string(value));
  }
  if (n.attrs.literal)
    append("value", max_elements >= 0 && n.attrs.literal->size() > max_elements ? "…" : literal_text(*n.attrs.literal));
  for (std::size_t i = 0; i < n.attrs.bodies.size() && i < row.control.count(); ++i)
    append(row.control.names[i], bodies(*n.attrs.bodies[i]));
  return std::string(row.name) + (attrs.empty() ? "" : attrs + "}");
}

std::string node_text(const Graph& g, ValueId id, const ValueNames& names, const BodyNames& bodies) {
  const Node& n = g[id];
  const std::string op = op_text(n, -1, bodies);
  const std::size_t op_end = std::min(op.find(' '), op.size());
  std::string s = fmt::format("{} = {}", names(id), op.substr(0, op_end));
  for (std::size_t i = 0; i < n.operands.size(); ++i) s += (i ? ", " : " ") + names(n.operands[i]);
  return s + op.substr(op_end) + " : " + to_string(n.type);
}

std::string default_output_name(const Graph& g, std::size_t position) {
  const ValueId id = g.outputs()[position].id;
  const Input* input = g.find_input(id);
  return input ? input->name : fmt::format("out{}", position);
}

namespace {

std::string function_text(const Graph& g, const std::string& name, const BodyNames& bodies,
                          const PrintOptions& options) {
  const ValueNames names(g);
  std::string s = "func " + name + "(";
  for (std::size_t i = 0; i < g.inputs().size(); ++i) {
    const Input& in = g.inputs()[i];
    const Node& n = g[in.id];
    // Each input has a line of its own when something must end that line.
    s += options.locs ? "\n  " : i ? " " : "";
    s += fmt::format("{}%{}: {}{}", in.kind == InputKind::state ? "state " : "", name_text(in.name), to_string(n.type),
                     i + 1 < g.inputs().size() ? "," : "");
    if (options.locs) s += locs_suffix(n.locs);
  }
  s += options.locs && !g.inputs().empty() ? "\n) {\n" : ") {\n";

  std::int32_t group = kNoGroup;
  const auto enter = [&](std::int32_t next) {
    if (next == group) return;
    if (group != kNoGroup) s += "  }\n";
    if (next != kNoGroup) {
      const Group& k = g.groups()[static_cast<std::size_t>(next)];
      s += fmt::format("  kernel @{} {} {}", k.name, weft::name(k.kind), to_string(k.domain));
      s += k.kind == Group::reduce ? fmt::format(" over {} {{\n", k.axis) : " {\n";
    }
    group = next;
  };
  for (ValueId id = 0; id < g.size(); ++id) {
    if (g[id].op == Op::input) continue;
    enter(g[id].group);
    s += group == kNoGroup ? "  " : "    ";
    s += node_text(g, id, names, bodies);
    if (options.locs) s += locs_suffix(g[id].locs);
    s += '\n';
  }
  enter(kNoGroup);
  for (const Update& u : g.updates()) s += fmt::format("  update {} = {}\n", names(u.state), names(u.value));
  for (std::size_t i = 0; i < g.outputs().size(); ++i) {
    const Output& out = g.outputs()[i];
    s += i ? ", " : "  return ";
    if (out.name != default_output_name(g, i)) s += name_text(out.name) + " = ";
    s += names(out.id);
  }
  return s + (g.outputs().empty() ? "}\n" : "\n}\n");
}

}  // namespace

std::string print(const Graph& g, const PrintOptions& options) {
  const BodyNames bodies(g);
  std::string s;
  for (const BodyRef& body : bodies.bodies()) s += function_text(*body->graph, bodies(*body), bodies, options) + "\n";
  return s + function_text(g, "@" + g.name, bodies, options);
}

}  // namespace weft
