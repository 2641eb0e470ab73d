// A kernel that contracts, z[b, m, n] = sum over k of x[b, m, k] * y[b, k, n], becomes two phases:
//
//   phase (c, b, m, n)   part[c, b, m, n] = chunk c of the sum
//   phase (b, m, n)      z[b, m, n] = part[0, b, m, n] + part[1, b, m, n] + …, and what is computed from it
#include "passes/kernel/contraction_sums.h"

#include <algorithm>

#include "ir/base/at.h"
#include "ir/kernel/kernel_builder.h"
#include "ir/kernel/kernel_walk.h"

namespace weft {
namespace {

bool is_plain_contraction(const Kernel& k) {
  const KernelStage* sum = leading_contraction(k);
  if (!sum || k.phases.size() != 1 || sum->chunk_axis != kNone) return false;
  const std::vector<KernelStage>& stages = k.phases[0].stages;
  return std::all_of(stages.begin() + 1, stages.end(),
                     [](const KernelStage& s) { return s.kind == KernelStage::map && s.axis == kNone; });
}

/// Whether the sums of the chunks are few beside the operands, as they are multiplied and as they lie in memory
/// (windows overlap there): each is stored once and loaded once.
bool is_worth_splitting(const Program& p, const Kernel& k) {
  constexpr std::int64_t kMostParts = 4;  // operands are at least so many times the parts
  const KernelStage& sum = *leading_contraction(k);
  const Roles& r = sum.roles;
  const std::int64_t m = extent_of(k, r.m), n = extent_of(k, r.n), products = extent_of(k, r.k);
  if (products <= kContractChunk || m == 0 || n == 0 || extent_of(k, r.b) != 1 ||
      kMostParts * m * n > kContractChunk * (m + n))
    return false;
  std::int64_t in_memory = 0;
  for_each_load(k, {sum.lhs, sum.rhs}, [&](BufferId id, const std::vector<Index>&, ExprId) {
    in_memory += byte_size(at(p.buffers, id).type);
  });
  const auto element = static_cast<std::int64_t>(size_of(at(k.exprs, sum.lhs).dtype));
  return kMostParts * ceil_div(products, kContractChunk) * m * n * element <= in_memory;
}

Kernel split(Program& p, const Kernel& k) {
  const std::vector<AxisId>& points = k.phases[0].parallel;
  const std::vector<KernelStage>& stages = k.phases[0].stages;
  const DType t = at(k.exprs, stages[0].lhs).dtype;
  KernelBuilder b;
  b.kernel = {.name = k.name, .axes = k.axes, .turns = k.turns, .locs = k.locs};
  const std::int64_t chunks = ceil_div(extent_of(k, stages[0].roles.k), kContractChunk);
  const AxisId c = b.axis("c", chunks);
  Shape shape{chunks};
  std::vector<Index> place = {axis_index(c)};
  for (AxisId a : points) shape.push_back(at(k.axes, a).extent), place.push_back(axis_index(a));
  const BufferId parts = add_temporary(p, k.name + ".chunks", {t, shape});

  KernelRewriter copy(k, b);
  copy.copy_all({stages[0].lhs, stages[0].rhs});
  KernelStage chunk = copy.stage(stages[0]), store, fold;
  chunk.chunk_axis = c;
  store.stores = {{parts, place, b.accumulator(chunk.result, t)}};
  fold.kind = KernelStage::reduce;
  fold.axis = c, fold.order = FoldOrder::chain, fold.result = chunk.result + 1;
  fold.value = b.load(parts, place, t);

  std::vector<AxisId> of_chunks = points;
  of_chunks.insert(of_chunks.begin(), c);
  Phase rest{points, {fold}};
  for (std::size_t s = 1; s < stages.size(); ++s) {
    for (ExprId e : copy.needed(roots_of(stages[s])))
      copy.set(e, at(k.exprs, e).kind == Expr::accumulator ? b.accumulator(fold.result, t) : b.add(copy.mapped(e)));
    rest.stages.push_back(copy.stage(stages[s]));
  }
  b.kernel.phases = {{std::move(of_chunks), {chunk, store}}, std::move(rest)};
  return std::move(b.kernel);
}

}  // namespace

void split_contractions(Program& p, const CpuTarget&) {
  for (Kernel& k : p.kernels)
    if (is_plain_contraction(k) && is_worth_splitting(p, k)) k = split(p, k);
}

}  // namespace weft
