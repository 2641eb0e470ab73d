// Longer combinations of nodes.
#include "ir/ops/node_builder.h"

namespace weft {

ValueId NodeBuilder::sum(ValueId x, const Dims& axes) {
  for (int end = axes.rank(); end > 0;) {
    int begin = end - 1;  // axes[begin, end) is a run of neighbours that can be merged into one
    auto mergeable = [&](int i) { return !is_symbol(type(x).shape[static_cast<int>(axes[i])]); };
    while (begin > 0 && axes[begin - 1] == axes[begin] - 1 && mergeable(begin) && mergeable(begin - 1)) --begin;
    const int axis = static_cast<int>(axes[begin]);
    if (end - begin > 1) {
      Shape merged = type(x).shape;
      for (int i = begin + 1; i < end; ++i) {
        merged[axis] *= merged[axis + 1];
        merged.erase(axis + 1);
      }
      x = reshape(x, merged);
    }
    x = reduce(Op::reduce_sum, x, axis);
    end = begin;
  }
  return x;
}

}  // namespace weft
