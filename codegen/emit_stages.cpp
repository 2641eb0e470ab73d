// Map and scatter stages.
#include "codegen/emit.h"

namespace weft::codegen {

void PhaseEmitter::run_map(std::size_t index) {
  const KernelStage& s = stage(index);
  auto stores = [&](const Values&) -> Values {
    // All values first: a store may overwrite what another one's value was loaded from.
    Values values;
    for (const Store& t : s.stores) values.push_back(value(t.value));
    for (std::size_t i = 0; i < s.stores.size(); ++i) {
      const DType t = expr(s.stores[i].value).dtype;
      const Address a = address(s.stores[i].buffer, info_.store[index][i]);
      store(t, a, a.contiguous() && lanes_.width > 1 ? lanes(s.stores[i].value) : values[i]);
    }
    return {};
  };
  if (s.axis == kNone) {
    stores({});
  } else if (lanes_.width == 1 && in_one_vector(s.axis)) {
    as_one_vector(s.axis, [&] { stores({}); });
  } else if (lanes_.width > 1) {  // lanes run along the points: the rows of the stage one by one
    loop(i64(0), i64(extent(s.axis)), 1, {}, [&](Value* at, const Values& none) -> Values {
      bind(s.axis, at);
      return stores(none);
    });
  } else {
    for_lanes(s.axis, row_lanes_, i64(0), i64(extent(s.axis)), {}, stores);
  }
}

void PhaseEmitter::run_scatter(std::size_t index) {
  const KernelStage& s = stage(index);
  const Store& t = s.stores[0];
  const DType type = expr(t.value).dtype;
  loop(i64(0), i64(extent(s.axis)), 1, {}, [&](Value* at, const Values&) -> Values {
    bind(s.axis, at);
    const Address a = address(t.buffer, info_.store[index][0]);
    auto add = [&](Value* old, Value* x) { return emit_op(b_, Op::add, type, type, {old, x}); };
    Value* predicate = s.predicate == kNone ? nullptr : value(s.predicate);
    const bool by_lane = predicate && predicate->getType()->isVectorTy();
    if (lanes_.width > 1 && a.contiguous() && !by_lane) {
      Value* x = lanes(t.value);
      when(predicate ? predicate : b_.getTrue(), {}, [&](const Values&) -> Values {
        write(type, a.pointer, add(read(type, a.pointer, lanes_.width, active_mask()), x), active_mask());
        return {};
      });
      return {};
    }
    Value* x = value(t.value);
    auto of_lane = [&](Value* v, int lane) {
      return v->getType()->isVectorTy() ? b_.CreateExtractElement(v, static_cast<std::uint64_t>(lane)) : v;
    };
    for (int lane = 0; lane < lanes_.active; ++lane) {
      Value* condition = predicate ? of_lane(predicate, lane) : b_.getTrue();
      Value* term = of_lane(x, lane);
      Value* pointer = lane_pointer(a, type, lane);
      when(condition, {}, [&](const Values&) -> Values {
        write(type, pointer, add(read(type, pointer, 1), term));
        return {};
      });
    }
    return {};
  });
}

}  // namespace weft::codegen
