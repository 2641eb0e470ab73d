// Conditions and replacements of the rows in rules_table.cpp that move elements: what text alone cannot say.
#pragma once
#include <weft/passes/graph/rules.h>

namespace weft::structure {

// Conditions. The node under test is named t in the pattern; where there are two, the inner one is u.
bool keeps_type(const Match&);      // the value x has the type of the replaced node
bool same_broadcast(const Match&);  // t and u broadcast operands x and y of one shape along the same axes
bool pads_nothing(const Match&);
bool reverses_nothing(const Match&);
bool reverses_back(const Match&);  // t and u along the same axes, in the same order
bool scalar_operand(const Match&);  // the operand x of t is a scalar

// Replacements.
ValueId compose_transposes(const Match&, Builder&);
ValueId transpose_to_reshape(const Match&, Builder&);
ValueId transpose_broadcast(const Match&, Builder&);
ValueId transpose_contract(const Match&, Builder&);
ValueId broadcast_to_reshape(const Match&, Builder&);
ValueId compose_broadcasts(const Match&, Builder&);
ValueId squeeze_broadcast(const Match&, Builder&);
ValueId broadcast_reshape(const Match&, Builder&);
ValueId compose_slices(const Match&, Builder&);
ValueId slice_broadcast(const Match&, Builder&);
ValueId slice_pad(const Match&, Builder&);
ValueId slice_concat(const Match&, Builder&);
ValueId compose_pads(const Match&, Builder&);
ValueId pad_broadcast(const Match&, Builder&);
ValueId window_tiles(const Match&, Builder&);
ValueId flatten_concat(const Match&, Builder&);
ValueId concat_slices(const Match&, Builder&);
ValueId gather_iota(const Match&, Builder&);
ValueId gather_constant(const Match&, Builder&);
ValueId static_size(const Match&, Builder&);
ValueId contract_transposed_lhs(const Match&, Builder&);
ValueId contract_transposed_rhs(const Match&, Builder&);
ValueId reduce_unit_axis(const Match&, Builder&);
ValueId reduce_empty_axis(const Match&, Builder&);

}  // namespace weft::structure
