// How the text form names and writes single nodes; shared by the printer, the verifier's messages and the dot output.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include <weft/ir/graph/body.h>

namespace weft {

/// The names that print() gives to the values of a graph: an input's own name, else 0, 1, … in print order.
class ValueNames {
 public:
  explicit ValueNames(const Graph&);
  std::string operator()(ValueId id) const;  ///< with its sigil, "%image"; "%?7" for an id that is no value

 private:
  std::vector<std::string> names_;
};

/// The names that print() gives to the bodies that a graph's nodes hold, those in them included: of equal ones the
/// first one's, with a number where another body or the graph has it.
class BodyNames {
 public:
  BodyNames() = default;  ///< every body by its own name
  explicit BodyNames(const Graph&);
  std::string operator()(const Body&) const;
  /// Each once, after those that its nodes hold.
  const std::vector<BodyRef>& bodies() const { return bodies_; }

 private:
  std::vector<BodyRef> bodies_;
  std::unordered_map<const Body*, std::string> names_;
};

/// `%2 = add %0, %1 : f32[]`, without indentation or provenance. Safe on nodes that break invariants.
std::string node_text(const Graph&, ValueId, const ValueNames&, const BodyNames& = {});
/// `contract {lhs=[1], rhs=[0]}`: the op and its attributes. At most `max_elements` of a literal are written when that
/// is >= 0.
std::string op_text(const Node&, std::int64_t max_elements = -1, const BodyNames& = {});
/// The name that output number `position` gets when the text does not say one: that of the input it is, else out0,
/// out1, ….
std::string default_output_name(const Graph&, std::size_t position);

}  // namespace weft
