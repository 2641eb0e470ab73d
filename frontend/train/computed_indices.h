// Internal to frontend/: indices that a function computes from rows of data (ids + 1), and whether they are in range.
// Those that are elements of the data as they are have limits of their own (frontend/train/index_limits.h).
#pragma once
#include <weft/frontend/executable/compile.h>

namespace weft {

class ComputedIndices {
 public:
  ComputedIndices() = default;
  /// Of the gathers and scatters that `results` depend on: the indices that depend on `rows`, tensors [batch, …], and
  /// on constants alone, and not by moves alone (moves_elements). Where a state, a random number or another row of the
  /// batch has a part in an index, it is not the row's.
  ComputedIndices(const std::vector<Tensor>& results, const std::vector<Tensor>& rows);

  /// Error when one that `data` [n, …], of the rows' types, leads to is out of range: the index, its row, and `what`.
  void check(std::string_view what, const std::vector<Array>& data) const;

 private:
  struct Index {
    std::int64_t extent;  // it must be in [0, extent)
    LocSet locs;          // of the gather or scatter
  };
  std::vector<Index> indices_;
  std::optional<Executable> run_;  // rows of data -> the indices
};

}  // namespace weft
