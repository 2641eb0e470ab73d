// The part of the graph that makes the indices is a function of its own, which is run on the data.
#include "frontend/train/computed_indices.h"

#include <algorithm>
#include <map>

#include "frontend/tensor/node.h"
#include "frontend/train/batches.h"
#include "frontend/train/index_limits.h"

namespace weft {
namespace {

bool mixes_rows(const Graph& g, const Node& n) {
  std::vector<Type> operands;
  for (ValueId v : n.operands) operands.push_back(g[v].type);
  return mixes_batch(n.op, operands, n.attrs, n.type);
}

}  // namespace

ComputedIndices::ComputedIndices(const std::vector<Tensor>& results, const std::vector<Tensor>& rows) {
  if (rows.empty()) return;
  const std::shared_ptr<Trace>& trace = rows[0].trace();
  const Graph& g = trace->graph;
  enum Source : std::uint8_t { constants, moved, computed, other };
  std::vector<Source> source(g.size(), constants);
  for (ValueId id = 0; id < g.size(); ++id) {
    if (g[id].op == Op::input || mixes_rows(g, g[id])) source[id] = other;
    for (ValueId v : g[id].operands) source[id] = std::max(source[id], source[v]);
    if (source[id] == moved && !moves_elements(g, g[id])) source[id] = computed;
    for (const Tensor& t : rows)
      if (t.id() == id) source[id] = moved;
  }
  std::map<ValueId, Index> found;  // of several uses the narrowest counts
  for (const IndexUse& use : index_uses(g, results)) {
    if (source[use.index] != computed) continue;
    ValueId index_id = use.index;  // as it was before it was truncated: NaN is no index
    while (g[index_id].op == Op::convert && is_integer(g[index_id].type.dtype)) index_id = g[index_id].operands[0];
    const auto [index, is_new] = found.try_emplace(index_id, Index{use.extent, use.locs});
    if (!is_new && use.extent < index->second.extent) index->second = Index{use.extent, use.locs};
  }
  if (found.empty()) return;

  std::vector<Tensor> arguments, values;
  std::vector<Substitution> with;
  for (const Tensor& t : rows) {
    arguments.push_back(placeholder(t.dtype(), t.shape(), trace->unique_name("rows")));
    with.push_back({t, arguments.back()});
  }
  for (const auto& [id, index] : found) {
    values.emplace_back(trace, id);
    indices_.push_back(index);
  }
  values = substitute(values, with);
  run_ = compile({values.begin(), values.end()}, {.inputs = arguments, .threads = 1, .name = "indices"});
}

void ComputedIndices::check(std::string_view what, const std::vector<Array>& data) const {
  if (!run_) return;
  constexpr std::int64_t kBatchSize = 1024;
  for_batches(*run_, data, data[0].shape()[0], kBatchSize,
              [&](const StepResults& r, std::int64_t first, std::int64_t batch) {
                for (std::size_t i = 0; i < indices_.size(); ++i) {
                  const Array& values = r.outputs[i];  // [steps, batch, …], if the indices lie by rows
                  for (std::int64_t e = 0; e < values.size(); ++e) {
                    const double index = values.at(e);
                    if (index > -1 && index < static_cast<double>(indices_[i].extent)) continue;
                    const std::int64_t rows = r.steps * batch;
                    const bool by_rows = values.shape().rank() > 1 && values.shape()[1] == batch;
                    fail("{}: the index {} that is computed from {} is outside 0 … {} ({})", what, index,
                         by_rows ? fmt::format("row {}", first + e / (values.size() / rows))
                                 : fmt::format("rows {} … {}", first, first + rows - 1),
                         indices_[i].extent - 1, indices_[i].locs.str());
                  }
                }
              });
}

}  // namespace weft
