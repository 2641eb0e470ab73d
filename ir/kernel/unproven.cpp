// Finds and describes the indices that only a run can judge (ir/kernel/unproven.h).
#include "ir/kernel/unproven.h"

#include "ir/base/at.h"
#include "ir/kernel/coverage.h"
#include "ir/kernel/print_kernel.h"

namespace weft {
namespace {

bool is_proven(const Kernel& k, const Index& index, std::int64_t extent, bool predicated) {
  if (index.indirect != kNone) return false;
  if (!predicated) return true;  // verify() has done it
  const auto [low, high] = affine_range(k, index);
  return low >= 0 && high < extent;
}

}  // namespace

std::vector<UnprovenIndex> unproven_indices(const Program& p, const Kernel& k) {
  std::vector<UnprovenIndex> found;
  const auto add = [&](UnprovenIndex place, BufferId buffer, const std::vector<Index>& access, bool predicated) {
    const Shape& shape = at(p.buffers, buffer).type.shape;
    for (int d = 0; d < shape.rank(); ++d) {
      place.dimension = d;
      if (!is_proven(k, at(access, d), shape[d], predicated)) found.push_back(place);
    }
  };
  for (ExprId e = 0; e < static_cast<ExprId>(k.exprs.size()); ++e)
    if (const Expr& x = at(k.exprs, e); x.kind == Expr::load) add({.load = e}, x.buffer, x.access, !x.args.empty());
  for (std::int32_t ph = 0; ph < static_cast<std::int32_t>(k.phases.size()); ++ph)
    for (std::int32_t st = 0; st < static_cast<std::int32_t>(at(k.phases, ph).stages.size()); ++st) {
      const KernelStage& stage = at(at(k.phases, ph).stages, st);
      for (std::int32_t i = 0; i < static_cast<std::int32_t>(stage.stores.size()); ++i) {
        const Store& s = at(stage.stores, i);
        add({kNone, ph, st, i, 0}, s.buffer, s.access, stage.predicate != kNone);
      }
    }
  return found;
}

std::string out_of_bounds_text(const Program& p, const Kernel& k, const UnprovenIndex& u) {
  const bool is_load = u.load != kNone;
  const Store* store = is_load ? nullptr : &at(at(at(k.phases, u.phase).stages, u.stage).stores, u.store);
  const Buffer& b = at(p.buffers, is_load ? at(k.exprs, u.load).buffer : store->buffer);
  return fmt::format("{}: error: kernel @{}: {}: an index of dimension {} is outside %{}: {}, whose extent there is {}",
                     k.locs.empty() ? "<program>" : k.locs.str(), k.name,
                     is_load ? expr_text(p, k, u.load) : store_text(p, k, *store), u.dimension, b.name,
                     to_string(b.type), b.type.shape[u.dimension]);
}

}  // namespace weft
