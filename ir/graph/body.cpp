// Bodies of nodes: how they are made, compared, inlined and listed.
#include "ir/graph/body.h"

#include <algorithm>
#include <unordered_set>

namespace weft {
namespace {

std::vector<Type> types_of(const Graph& g, const std::vector<ValueId>& ids) {
  std::vector<Type> types;
  for (ValueId id : ids) types.push_back(g[id].type);
  return types;
}

void collect(const Graph& g, std::vector<BodyRef>& found, std::unordered_set<const Body*>& seen) {
  for (ValueId id = 0; id < g.size(); ++id)
    for (const BodyRef& body : g[id].attrs.bodies)
      if (body && seen.insert(body.get()).second) {
        collect(*body->graph, found, seen);
        found.push_back(body);
      }
}

}  // namespace

std::vector<ValueId> output_ids(const Graph& g) {
  std::vector<ValueId> ids;
  for (const Output& o : g.outputs()) ids.push_back(o.id);
  return ids;
}

std::vector<ValueId> input_ids(const Graph& g) {
  std::vector<ValueId> ids;
  for (const Input& i : g.inputs()) ids.push_back(i.id);
  return ids;
}

bool has_scan(const Graph& g) {
  for (ValueId id = 0; id < g.size(); ++id)
    if (g[id].op == Op::scan) return true;
  return false;
}

bool operator==(const Body& a, const Body& b) { return a.hash == b.hash && same_function(*a.graph, *b.graph); }

BodyRef make_body(Graph g) {
  if (!g.updates().empty()) fail("@{} updates a state: a function that is called cannot", g.name);
  for (const Input& i : g.inputs())
    if (i.kind != InputKind::data) fail("@{} has the state %{}: a function that is called has none", g.name, i.name);
  g = remove_dead(g);
  auto body = std::make_shared<Body>();
  body->inputs = types_of(g, input_ids(g));
  body->outputs = types_of(g, output_ids(g));
  body->size = static_cast<std::int64_t>(g.size());
  for (ValueId id = 0; id < g.size(); ++id) {
    for (const BodyRef& inner : g[id].attrs.bodies) {
      body->depth = std::max(body->depth, inner->depth + 1);
      const std::int64_t turns = g[id].op == Op::scan ? std::max<std::int64_t>(g[id].attrs.scalar(Attr::length), 1) : 1;
      body->size += std::min(inner->size, kMaxBodySize) * turns;  // both are far from overflowing
    }
    if (body->size > kMaxBodySize)
      fail("@{} is too large: with what it calls, counted at each call, it has more than {} nodes", g.name,
           kMaxBodySize);
  }
  if (body->depth > kMaxBodyDepth)
    fail("@{} is too deep: functions call each other at most {} deep", g.name, kMaxBodyDepth);
  body->hash = hash_of(g);
  body->graph = std::make_shared<const Graph>(std::move(g));
  return body;
}

BodyRef outline(const Graph& g, std::string name, std::span<const ValueId> inputs, std::span<const ValueId> outputs) {
  Graph out;
  out.name = std::move(name);
  std::vector<ValueId> map(g.size(), kNoValue);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    map[inputs[i]] = out.input(fmt::format("a{}", i), g[inputs[i]].type, InputKind::data, g[inputs[i]].locs);
  std::vector<bool> used(g.size(), false);
  for (ValueId id : outputs) used[id] = true;
  for (std::size_t i = g.size(); i-- > 0;) {
    const auto id = static_cast<ValueId>(i);
    if (used[id] && map[id] == kNoValue)
      for (ValueId v : g[id].operands) used[v] = true;
  }
  for (ValueId id = 0; id < g.size(); ++id)
    if (used[id] && map[id] == kNoValue) {
      ensure(g[id].op != Op::input, "@{} needs an input that is none of its own", out.name);
      map[id] = copy_node(out, g[id], map);
    }
  for (std::size_t i = 0; i < outputs.size(); ++i) out.output(fmt::format("r{}", i), map[outputs[i]]);
  return make_body(std::move(out));
}

std::vector<ValueId> insert(Graph& into, const Graph& body, std::span<const ValueId> inputs) {
  ensure(inputs.size() == body.inputs().size(), "@{} takes {}", body.name, counted(body.inputs().size(), "input"));
  std::vector<ValueId> map(body.size(), kNoValue);
  for (std::size_t i = 0; i < inputs.size(); ++i) map[body.inputs()[i].id] = inputs[i];
  for (ValueId id = 0; id < body.size(); ++id)
    if (body[id].op != Op::input) map[id] = copy_node(into, body[id], map);
  std::vector<ValueId> results;
  for (const Output& o : body.outputs()) results.push_back(map[o.id]);
  return results;
}

std::vector<BodyRef> bodies_of(const Graph& g) {
  std::vector<BodyRef> found;
  std::unordered_set<const Body*> seen;
  collect(g, found, seen);
  return found;
}

Graph rewrite_bodies(const Graph& g, const BodyRewriter::Rewrite& f) {
  const auto holds_bodies = [&](ValueId id) { return !g[id].attrs.bodies.empty(); };
  bool holds_any = false;
  for (ValueId id = 0; id < g.size(); ++id) holds_any |= holds_bodies(id);
  if (!holds_any) return g;
  Rewriter rw(g);
  BodyRewriter bodies([&](const Graph& body) { return f(rewrite_bodies(body, f)); });
  for (const ValueId id : rw.live()) {
    if (!holds_bodies(id)) {
      rw.copy(id);
      continue;
    }
    Node n = g[id];
    n.attrs = bodies(std::move(n.attrs));
    rw.set(id, copy_node(rw.graph(), n, rw.map()));
    rw.graph().set_group(rw(id), n.group);
  }
  return rw.finish();
}

Attrs BodyRewriter::operator()(Attrs attrs) {
  for (BodyRef& body : attrs.bodies) {
    const auto known = done_.find(body.get());
    if (known != done_.end()) {
      body = known->second;
      continue;
    }
    const Body* old = body.get();
    body = make_body(f_(*old->graph));
    done_.emplace(old, body);
  }
  return attrs;
}

}  // namespace weft
