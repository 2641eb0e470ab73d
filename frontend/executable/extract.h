// Internal to frontend/: cutting one function out of a trace.
#pragma once
#include <weft/frontend/executable/compile.h>

namespace weft {

/// The function (inputs, states) -> (outputs, updates) as a graph of its own. Its inputs are `options.inputs`, or the
/// data inputs that are used in order of creation, then the states that are used. training() becomes a constant, and a
/// select on it (or on another constant) becomes its branch, so that what only training needs is gone from an inference
/// graph. The random calls that are used are numbered from 0, in the order of their creation, and a function that has
/// one also advances the step counter.
Graph extract(const Trace& trace, const std::vector<NamedTensor>& outputs, const CompileOptions& options);

/// What update() has recorded for a function that gives `results`, in order (updates_of); `with` as in StateUpdate, undefined
/// where there is none.
struct RecordedUpdate {
  Tensor state, value, with;
};
std::vector<RecordedUpdate> recorded_updates(const std::vector<Tensor>& results);
/// One for each state: what it becomes when they are done in turn.
std::vector<Assignment> done_in_turn(const std::vector<RecordedUpdate>&);

}  // namespace weft
