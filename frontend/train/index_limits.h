// Internal to frontend/: which elements of the data are used as indices, and what they may be at most. A gather gives 0
// where an index is out of range and a scatter drops it, so that data with such an index would train without a word.
#pragma once
#include <weft/frontend/tensor/tensor.h>

namespace weft {

/// Whether the result's elements are elements of the operands, and as indices the same: a view, or a conversion that
/// rounds nothing but towards zero.
bool moves_elements(const Graph&, const Node&);

/// Where a gather or scatter takes its indices.
struct IndexUse {
  ValueId index;
  std::int64_t extent;  // an index must be in [0, extent)
  LocSet locs;          // of the gather or scatter
};
/// Those that the results depend on, in the graph's order, but for those into the batch axis.
std::vector<IndexUse> index_uses(const Graph&, const std::vector<Tensor>& results);

/// What the elements of one row of data may be.
struct IndexLimits {
  struct Use {
    std::int64_t extent;  // an element must be in [0, extent)
    LocSet locs;          // of the gather or scatter that it is an index of
  };
  std::vector<std::optional<Use>> of_element;  // row-major in the row; empty: no element is an index
};

/// For each of `rows`, tensors of data [batch, …]: which of a row's elements reach the indices of a gather or scatter
/// that the results depend on, through conversions and views alone. Of several uses the narrowest counts.
std::vector<IndexLimits> index_limits(const std::vector<Tensor>& results, const std::vector<Tensor>& rows);

/// Error unless every element of `data` [n, …] is within the limits: the first that is not, its row, and `what`.
void check_indices(const std::string& what, const Array& data, const IndexLimits& limits);

}  // namespace weft
