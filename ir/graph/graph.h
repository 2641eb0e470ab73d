// The graph IR: immutable, hash-consed nodes in topological order, with inputs, outputs and state updates.
//
// A node is a value; its id is its position, so operands always precede users and a pass is one forward walk. Equal nodes are one
// node (CSE is an invariant). Provenance (`locs`) is not part of a node's identity: adding an equal node unions the sets.
// Random bits, state and the step counter are ordinary values, so a graph is a pure function
// (inputs, states) -> (outputs, updated states).
#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <weft/ir/base/loc.h>
#include <weft/ir/ops/op.h>

namespace weft {

inline constexpr std::int32_t kNoGroup = -1;

struct Node {
  Op op = Op::constant;
  Type type;
  std::vector<ValueId> operands;
  Attrs attrs;
  LocSet locs;
  std::int32_t group = kNoGroup;  // the fused kernel that computes it; kNoGroup: not fused yet, or recomputed in each consumer
};

enum class InputKind : std::uint8_t {
  data,   // given at every call
  state,  // kept between calls; printed as `state %w`
};
struct Input {
  std::string name;
  InputKind kind = InputKind::data;
  ValueId id = kNoValue;
};
struct Output {
  std::string name;
  ValueId id = kNoValue;
};
struct Update {  // after the call, state input `state` holds the value `value`
  ValueId state = kNoValue;
  ValueId value = kNoValue;
};
/// A fused kernel: the nodes whose `group` is its index. Made by the fuse pass, printed as `kernel @name reduce [8,32] over 1 { … }`.
struct Group {
  /// Its anchors, which its elementwise nodes and views surround.
  enum Kind : std::uint8_t {
    map,       // none
    reduce,    // reductions over one axis of the domain
    contract,  // one contraction
    scatter,   // one scatter
    concat,    // one concat, which is stored
    scan,      // one scan: the kernels of its body, turn by turn; the domain is its turns
  };
  std::string name;
  Kind kind = map;
  Shape domain;   // what it runs over: the anchor's result, or what is reduced
  int axis = -1;  // of the domain, that is reduced
  friend bool operator==(const Group&, const Group&) = default;
};
std::string_view name(Group::Kind);

class Graph {
 public:
  std::string name = "main";

  /// Adds an input. Throws Error on a name that is taken or is none (is_name of ir/base/lexer.h), and on a reserved dtype.
  ValueId input(std::string name, const Type&, InputKind, LocSet);
  /// Adds a node, or finds the equal one. Infers the type; throws Error when operands, attributes or `declared` do not fit:
  /// "file:line: op: what was found; operand 0 is f32[2,3] from file:line; …".
  ValueId add(Op, std::vector<ValueId> operands, Attrs = {}, std::optional<Type> declared = {}, LocSet = {});
  ValueId constant(Array value, LocSet = {});
  void output(std::string name, ValueId);           ///< Error on a duplicate name
  void update(ValueId state, ValueId value);        ///< Error unless `state` is a state input of the value's type, updated once

  const Node& operator[](ValueId id) const { return nodes_[id]; }
  std::size_t size() const { return nodes_.size(); }
  const std::vector<Input>& inputs() const { return inputs_; }
  const std::vector<Output>& outputs() const { return outputs_; }
  const std::vector<Update>& updates() const { return updates_; }
  const std::vector<Group>& groups() const { return groups_; }
  ValueId find_input(std::string_view name) const;  ///< kNoValue when there is none
  const Input* find_input(ValueId) const;           ///< null when the node is no input; valid until one is added
  bool is_constant(ValueId id) const { return nodes_[id].op == Op::constant; }

  void add_locs(ValueId id, LocSet locs) { nodes_[id].locs |= locs; }
  /// Groups are set by the fuse pass and the parser only.
  std::int32_t add_group(Group);
  void set_group(ValueId id, std::int32_t group) { nodes_[id].group = group; }

  /// Same function, node for node: names, types, operands, attributes, groups. Provenance is ignored.
  friend bool operator==(const Graph& a, const Graph& b) { return a.name == b.name && same_function(a, b); }
  friend bool same_function(const Graph&, const Graph&);  ///< whatever the graphs are called
  friend std::uint64_t hash_of(const Graph&);             ///< equal for the same function

 private:
  ValueId append(Node node);
  void rebuild_index(std::size_t slots);
  [[noreturn]] void type_error(Op, const std::vector<ValueId>& operands, LocSet, const std::string& what) const;

  std::deque<Node> nodes_;  // references to nodes stay valid while nodes are added
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
  std::vector<Update> updates_;
  std::vector<Group> groups_;
  struct Slot {
    std::uint32_t hash = 0;  // of (op, type, operands, attrs)
    ValueId id = kNoValue;
  };
  std::vector<Slot> index_;                                   // open addressing; a power of two, at most half in use
  std::unordered_map<std::string, std::size_t> input_index_;  // name -> position in inputs_
  std::unordered_map<ValueId, std::size_t> input_of_;         // node -> position in inputs_
  std::unordered_set<std::string> output_names_;
  std::unordered_set<ValueId> updated_;
};

/// Adds to `to` a copy of a node, on the values that `map` has for its operands; in no kernel.
ValueId copy_node(Graph& to, const Node&, std::span<const ValueId> map);

/// Rebuilds a graph node by node: the frame of every pass. `map(old id)` gives the new id.
///
///     Rewriter rw(old);
///     for (ValueId id : rw.live()) rw.set(id, keep ? rw.copy(id) : something new in rw.graph());
///     return rw.finish();
class Rewriter {
 public:
  explicit Rewriter(const Graph& old);                 ///< inputs are already copied
  const std::vector<ValueId>& live() const { return live_; }  ///< non-input nodes that an output or update reaches, in order
  ValueId copy(ValueId old_id);                        ///< the same op on the mapped operands; also maps old_id
  ValueId operator()(ValueId old_id) const { return map_[old_id]; }
  std::span<const ValueId> map() const { return map_; }
  void set(ValueId old_id, ValueId new_id);            ///< also unions the old node's provenance into the new node
  Graph& graph() { return graph_; }
  Graph finish();                                      ///< adds outputs and updates

 private:
  const Graph& old_;
  Graph graph_;
  std::vector<ValueId> map_;
  std::vector<ValueId> live_;
};

/// A copy without the nodes that no output and no update reaches (inputs stay).
Graph remove_dead(const Graph&);
/// A copy in which these symbols are their extents, in bodies too; `size` nodes of those axes become constants. Throws Error when
/// an op does not fit.
Graph bind(const Graph&, const Extents&);
inline Graph bind_batch(const Graph& g, std::int64_t batch) { return bind(g, {{kBatch, batch}}); }
/// The symbols in a graph, kBatch first, the others in the order of their first use.
std::vector<std::int64_t> symbols_of(const Graph&);
/// Runs the graph in the reference interpreter. `inputs` holds data and state inputs in the order of Graph::inputs().
struct Evaluation {
  std::vector<Array> outputs;  // in the order of Graph::outputs()
  std::vector<Array> states;   // in the order of Graph::updates(): the new values
};
Evaluation interpret(const Graph&, std::span<const Array> inputs);

// Text and invariants.
struct PrintOptions {
  bool locs = false;  // append ` // file:line:col, …` to every node
};
std::string print(const Graph&, const PrintOptions& = {});
Graph parse_graph(std::string_view text, const std::string& file = "<text>");  ///< throws Error "file:line:col: error: …"
/// What keeps a node out of a kernel of that kind, domain and axis: "does not fit kernel @k, a map [2,3]"; "": nothing.
std::string misfit(const Graph&, ValueId, const Group&);
/// Throws Error that names the node, its text line and its provenance when an invariant (listed in ir/graph/verify.cpp) is broken.
void verify(const Graph&);
std::string to_dot(const Graph&);  ///< Graphviz

}  // namespace weft
