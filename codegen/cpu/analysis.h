// What code generation knows of a phase before it emits anything: accesses as linear forms over the axes, the axes that
// each expression depends on, and adjacent parallel axes merged into one where every access allows it.
#pragma once
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "ir/base/cache_line.h"
#include "ir/kernel/kernel.h"

namespace weft::codegen {

/// An access with the strides of its buffer's storage multiplied in, in elements:
/// offset + sum over axes of coefficient[axis] * axis + sum of stride * indirect (+ panel_axis / panel_width *
/// panel_gap).
struct Linear {
  std::int64_t offset = 0;
  std::vector<std::int64_t> coefficient;  // one for each axis of the kernel
  std::vector<std::pair<std::int64_t, ExprId>> indirect;
  AxisId panel_axis = kNone;  // of a buffer in panels: the axis that walks through them
  std::int64_t panel_width = 0, panel_gap = 0;
};

struct Dependence {
  std::uint64_t axes = 0;    // bit a: the value changes with axis a
  bool accumulator = false;  // needs the result of an earlier stage
  bool pinned = false;       // loads what this phase stores, so it may not move out of its stage
};

/// A check that code makes of one dimension of an access: 0 <= index < extent.
struct IndexCheck {
  Linear index;
  std::int64_t extent = 0, number = 0;  // number: its position in unproven_indices()
};

struct PhaseInfo {
  Phase phase;                                       // parallel: those left after merging, outermost first
  AxisId slowest = kNone;                            // before merging, the outermost one of more than one point
  std::vector<std::int64_t> extent;                  // one for each axis; merged axes have 1
  std::vector<bool> used;                            // expressions that the phase evaluates
  std::vector<Linear> access;                        // one for each expression; of loads and index values
  std::vector<std::vector<Linear>> store;            // one for each stage and store
  std::vector<Dependence> depends;                   // one for each expression
  bool checks = false;                               // the kernel has indices to check; where, is said by:
  std::vector<std::vector<IndexCheck>> load_checks;  // one list for each expression
  std::vector<std::vector<std::vector<IndexCheck>>> store_checks;  // one for each stage and store

  std::int64_t points() const;                   // product of the parallel extents
  std::int64_t steps(const KernelStage&) const;  // product of the extents of the axes that it walks along
  double terms(const KernelStage&) const;        // how many of them it takes at a point
  bool depends_on(ExprId e, AxisId a) const { return depends[static_cast<std::size_t>(e)].axes >> a & 1; }
};

/// `lane_axis`, when it is a parallel axis of the phase, becomes the last of PhaseInfo::phase.parallel, unless the
/// phase has a chunk: then the order of the points counts. `phase` is one of the kernel's. With `merge`, an axis o is
/// folded into the next one, n, where coefficient[o] == extent[n] * coefficient[n] in every access.
PhaseInfo analyse(const Program&, const Kernel&, const Phase&, AxisId lane_axis, bool merge);
/// The same for the engine that tiles contractions: the lane axis is that of n, and axes are folded into others of
/// their role in the contraction that the phase begins with.
PhaseInfo analyse_contraction(const Program&, const Kernel&, const Phase&);

/// A scatter that adds a row to a row, neighbour by neighbour: `stage` of the phase.
bool is_along_row(const PhaseInfo&, const Kernel&, std::size_t stage);

/// Whether a fold gives the same bits wherever its elements, in their order, are cut into folds of folds, so that code
/// need not keep to the contract's runs: integers wrap, and of max and min any NaN wins, or else the last of the
/// extremes.
bool is_associative(Op reduce, DType);

/// The loads that the expressions `roots` (kNone: none) need, indices included, the last ones first.
std::vector<ExprId> loads_under(const Kernel&, const std::vector<ExprId>& roots);

/// Rough cycles of one evaluation of all the phase's expressions and stores on one register each; stage loops included.
double point_cost(const PhaseInfo&, const Kernel&);

/// Vector registers that the stages from `first` on, of which there is an earlier one, take for one register of
/// neighbours along `lane_axis`; no number where they are more than maps of loaded neighbours, or an op's code is long.
/// A register has as many lanes as elements of `element` bytes; `broadcasts`: an operand in memory may be one element
/// for all lanes.
std::optional<int> registers_needed(const PhaseInfo&, const Kernel&, std::size_t first, AxisId lane_axis,
                                    std::size_t element, bool broadcasts);

/// A costly value along the row axis that several stages need: the first one keeps the row in scratch space, at
/// `offset` bytes, and the others read it there.
struct KeptRow {
  ExprId value = kNone;
  std::size_t first_stage = 0;
  std::int64_t offset = 0, bytes = 0;
};

/// The rows worth keeping among the values of `axis`, in at most `bytes` of scratch space; `width` elements are written
/// at once.
std::vector<KeptRow> kept_rows(const PhaseInfo&, const Kernel&, AxisId axis, int width, std::int64_t bytes);

}  // namespace weft::codegen
