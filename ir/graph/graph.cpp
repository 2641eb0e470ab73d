// Construction of graphs: inference, hash-consing, and the errors that name the user's line.
#include "ir/graph/graph.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "ir/base/lexer.h"
#include "ir/ops/body.h"
#include "ir/ops/infer.h"

namespace weft {
namespace {

struct Hasher {
  std::size_t h = 0x9e3779b97f4a7c15;
  void mix(std::uint64_t v) { h = (h ^ v) * 0xff51afd7ed558ccd, h ^= h >> 32; }
  void mix(const Dims& d) {
    mix(static_cast<std::uint64_t>(d.rank()));
    for (std::int64_t v : d) mix(static_cast<std::uint64_t>(v));
  }
};

std::size_t hash(const Node& n) {
  Hasher h;
  h.mix(static_cast<std::uint64_t>(n.op) << 8 | static_cast<std::uint64_t>(n.type.dtype));
  h.mix(n.type.shape);
  for (ValueId v : n.operands) h.mix(v);
  for (const Attrs::Entry& e : n.attrs.entries()) h.mix(e.value);
  if (n.attrs.literal) {
    const Array& a = *n.attrs.literal;
    // NaN payloads are not part of identity, so floats hash by a prefix of non-NaN bytes only as far as they are bytes.
    if (!is_float(a.dtype()))
      for (std::size_t i = 0; i < std::min<std::size_t>(a.bytes(), 4096); ++i)
        h.mix(static_cast<std::uint64_t>(a.data()[i]));
    else
      for (std::int64_t i = 0; i < std::min<std::int64_t>(a.size(), 1024); ++i) {
        const double v = a.at(i);
        std::uint64_t bits = 0;
        if (v == v) std::memcpy(&bits, &v, sizeof bits);
        h.mix(bits);
      }
  }
  for (const BodyRef& body : n.attrs.bodies) h.mix(body->hash);
  return h.h;
}

/// The attributes of the row, in its order. Error on another.
Attrs with_all(const OpInfo& row, Attrs attrs) {
  if (std::ranges::equal(attrs.entries(), row.attrs, {}, &Attrs::Entry::name)) return attrs;  // as a rebuilt node's are
  for (const Attrs::Entry& e : attrs.entries())
    if (!std::ranges::count(row.attrs, e.name)) fail("has no attribute {}", weft::name(e.name));
  Attrs all;
  for (Attr name : row.attrs) all[name] = std::as_const(attrs)[name];
  all.literal = std::move(attrs.literal);
  all.bodies = std::move(attrs.bodies);
  return all;
}

bool equal(const Node& a, const Node& b) {
  return a.op == b.op && a.type == b.type && a.operands == b.operands && a.attrs == b.attrs;
}

}  // namespace

ValueId Graph::append(Node node) {
  nodes_.push_back(std::move(node));
  return static_cast<ValueId>(nodes_.size() - 1);
}

ValueId Graph::input(std::string input_name, const Type& type, InputKind kind, LocSet locs) {
  const std::string where = locs.empty() ? "" : locs.str() + ": ";
  if (!is_name(input_name))
    fail("{}input name {} is no name: expected text in UTF-8, not empty", where, name_text(input_name));
  if (ValueId other = find_input(input_name); other != kNoValue)
    fail("{}input '{}' exists already, from {}", where, input_name, nodes_[other].locs.str());
  if (is_reserved(type.dtype))
    fail("{}input '{}': {} is reserved and not supported yet", where, input_name, weft::name(type.dtype));
  if (is_tuple(type)) fail("{}input '{}' is a tuple {}; expected a tensor", where, input_name, to_string(type));
  if (is_static(type.shape)) byte_size(type);
  Node n;
  n.op = Op::input;
  n.type = type;
  n.locs = locs;
  const ValueId id = append(std::move(n));
  input_index_.emplace(input_name, inputs_.size());
  input_of_.emplace(id, inputs_.size());
  inputs_.push_back({std::move(input_name), kind, id});
  return id;
}

ValueId Graph::add(Op op, std::vector<ValueId> operands, Attrs attrs, std::optional<Type> declared, LocSet locs) {
  const OpInfo& row = info(op);
  ensure(op != Op::input, "inputs are added by Graph::input");
  for (ValueId v : operands) ensure(v < nodes_.size(), "{}: operand {} does not exist", row.name, v);
  Type type;
  try {
    attrs = with_all(row, std::move(attrs));
    if (row.declared_type && !declared) fail("needs a result type");
    if (declared && is_reserved(declared->dtype))
      fail("{} is reserved and not supported yet", weft::name(declared->dtype));
    std::vector<Type> types;
    for (ValueId v : operands) types.push_back(nodes_[v].type);
    type = infer::node({op, types, attrs, declared ? &*declared : nullptr});
    if (declared && !(type == *declared)) fail("result is {}, declared {}", to_string(type), to_string(*declared));
  } catch (const Error& e) {
    type_error(op, operands, locs, e.what());
  }
  Node node{op, type, std::move(operands), std::move(attrs), locs, kNoGroup};
  if (2 * (nodes_.size() + 1) > index_.size()) rebuild_index(4 * (nodes_.size() + 16));
  const auto h = static_cast<std::uint32_t>(hash(node));
  const std::size_t mask = index_.size() - 1;
  std::size_t at = h & mask;
  for (; index_[at].id != kNoValue; at = (at + 1) & mask) {
    const ValueId known = index_[at].id;
    if (index_[at].hash != h || !equal(nodes_[known], node)) continue;
    nodes_[known].locs |= locs;
    return known;
  }
  index_[at] = {h, append(std::move(node))};
  return index_[at].id;
}

void Graph::rebuild_index(std::size_t slots) {
  std::vector<Slot> old(std::bit_ceil(slots));
  std::swap(old, index_);
  const std::size_t mask = index_.size() - 1;
  for (const Slot& s : old) {
    if (s.id >= nodes_.size()) continue;  // empty, or forgotten
    std::size_t at = s.hash & mask;
    while (index_[at].id != kNoValue) at = (at + 1) & mask;
    index_[at] = s;
  }
}

ValueId Graph::constant(Array value, LocSet locs) {
  const Type type = value.type();
  return add(Op::constant, {}, Attrs::value(std::move(value)), type, locs);
}

void Graph::type_error(Op op, const std::vector<ValueId>& operands, LocSet locs, const std::string& what) const {
  std::string message = (locs.empty() ? "" : locs.str() + ": ") + std::string(weft::name(op)) + ": " + what;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const Node& n = nodes_[operands[i]];
    message += fmt::format("{} operand {} is {}{}", i ? "," : ";", i, to_string(n.type),
                           n.locs.empty() ? "" : " from " + n.locs.str());
  }
  throw Error(message);
}

void Graph::output(std::string output_name, ValueId id) {
  ensure(id < nodes_.size(), "output '{}' names value {}, which does not exist", output_name, id);
  if (!is_name(output_name))
    fail("output name {} is no name: expected text in UTF-8, not empty", name_text(output_name));
  if (is_tuple(nodes_[id].type))
    fail("output '{}' is a tuple {}; expected a tensor, such as one of its results", output_name,
         to_string(nodes_[id].type));
  if (updated_.contains(find_input(output_name)))
    fail("output '{0}' has the name of the state '{0}', which is updated: both are results", output_name);
  if (!output_names_.insert(output_name).second) fail("output '{}' exists already", output_name);
  outputs_.push_back({std::move(output_name), id});
}

void Graph::update(ValueId state, ValueId value) {
  ensure(value < nodes_.size(), "update with value {}, which does not exist", value);
  const Input* in = find_input(state);
  if (!in || in->kind != InputKind::state) fail("only a state input can be updated");
  if (!(nodes_[state].type == nodes_[value].type))
    fail("state '{}' is {} and its update is {}{}", in->name, to_string(nodes_[state].type),
         to_string(nodes_[value].type), nodes_[value].locs.empty() ? "" : " from " + nodes_[value].locs.str());
  if (output_names_.contains(in->name))
    fail("output '{0}' has the name of the state '{0}', which is updated: both are results", in->name);
  if (!updated_.insert(state).second) fail("state '{}' is updated twice", in->name);
  updates_.push_back({state, value});
}

ValueId Graph::find_input(std::string_view input_name) const {
  const auto found = input_index_.find(std::string(input_name));
  return found == input_index_.end() ? kNoValue : inputs_[found->second].id;
}

const Input* Graph::find_input(ValueId id) const {
  const auto found = input_of_.find(id);
  return found == input_of_.end() ? nullptr : &inputs_[found->second];
}

std::string_view name(Group::Kind kind) {
  static constexpr std::string_view kNames[] = {"map", "reduce", "contract", "scatter", "concat", "scan"};
  return kNames[kind];
}

std::int32_t Graph::add_group(Group group) {
  groups_.push_back(std::move(group));
  return static_cast<std::int32_t>(groups_.size() - 1);
}

std::uint64_t hash_of(const Graph& g) {
  Hasher h;
  for (const Node& n : g.nodes_) h.mix(hash(n));
  for (const Input& i : g.inputs_) h.mix(i.id);
  for (const Output& o : g.outputs_) h.mix(o.id);
  return h.h;
}

bool same_function(const Graph& a, const Graph& b) {
  auto same_input = [](const Input& x, const Input& y) { return x.name == y.name && x.kind == y.kind && x.id == y.id; };
  auto same_output = [](const Output& x, const Output& y) { return x.name == y.name && x.id == y.id; };
  auto same_update = [](const Update& x, const Update& y) { return x.state == y.state && x.value == y.value; };
  auto same_node = [](const Node& x, const Node& y) { return equal(x, y) && x.group == y.group; };
  return std::ranges::equal(a.inputs_, b.inputs_, same_input) &&
         std::ranges::equal(a.outputs_, b.outputs_, same_output) &&
         std::ranges::equal(a.updates_, b.updates_, same_update) && std::ranges::equal(a.nodes_, b.nodes_, same_node) &&
         a.groups_ == b.groups_;
}

}  // namespace weft
