// How the text form names and writes single nodes; shared by the printer, the verifier's messages and the dot output.
#pragma once
#include <string>
#include <vector>

#include <weft/ir/graph/graph.h>

namespace weft {

/// The names that print() gives to the values of a graph: an input's own name, else 0, 1, … in print order.
class ValueNames {
 public:
  explicit ValueNames(const Graph&);
  std::string operator()(ValueId id) const;  ///< with its sigil, "%image"; "%?7" for an id that is no value

 private:
  std::vector<std::string> names_;
};

/// `%2 = add %0, %1 : f32[]`, without indentation or provenance. Safe on nodes that break invariants.
std::string node_text(const Graph&, ValueId, const ValueNames&);
/// `contract {lhs=[1], rhs=[0]}`: the op and its attributes. At most `max_elements` of a literal are written when that
/// is >= 0.
std::string op_text(const Node&, std::int64_t max_elements = -1);
/// The name that output number `position` gets when the text does not say one: that of the input it is, else out0,
/// out1, ….
std::string default_output_name(const Graph&, std::size_t position, const ValueNames&);

}  // namespace weft
