// Map and scatter stages.
#include "codegen/cpu/emit.h"
#include "ir/ops/sum_order.h"

namespace weft::codegen {

void PhaseEmitter::store_values(std::size_t index) {
  const KernelStage& s = stage(index);
  // All values first: a store may overwrite what another one's value was loaded from.
  Values values;
  for (const Store& t : s.stores) values.push_back(value(t.value));
  for (std::size_t i = 0; i < s.stores.size(); ++i) {
    const DType t = expr(s.stores[i].value).dtype;
    const Address a = address(s.stores[i].buffer, info_.store[index][i]);
    const bool wide = a.contiguous() && lanes_.width > 1;
    Value* v = wide ? lanes(s.stores[i].value) : values[i];
    const bool streaming = wide && passes_caches(s.stores[i], info_.store[index][i]);
    const auto& checks = info_.store_checks[index][i];
    Value* inside = checks.empty() ? nullptr : checked(checks, nullptr);
    last_of_walk([=, this] { store(t, a, v, streaming, inside); });
  }
}

void PhaseEmitter::run_map(std::size_t index) {
  const KernelStage& s = stage(index);
  auto stores = [&] { store_values(index); };
  if (s.axis == kNone) {
    for_rows(stores);
  } else if (lanes_.width > 1) {  // lanes run along the points: the steps of the stage one by one
    for_each("map", i64(0), i64(extent(s.axis)), 1, [&](Value* at) {
      bind(s.axis, at);
      stores();
    });
  } else if (in_one_vector(s.axis)) {
    as_one_vector(s.axis, [&] { for_rows(stores); });
  } else {
    for_rows([&] {  // nothing waits for anything here: one stream of stores at a time
      for_lanes(s.axis, row_lanes_, i64(0), i64(extent(s.axis)), [&] {
        stores();
        prefetch_next_row();
      });
    });
  }
}

void PhaseEmitter::add_along_row(std::size_t index) {
  const Store& t = stage(index).stores[0];
  const DType type = expr(t.value).dtype;
  Value* x = lanes(t.value);
  const Address to = address(t.buffer, info_.store[index][0]);
  Value* sum = emit_op(b_, Op::add, type, type, {load(type, to, nullptr), x});
  last_of_walk([=, this] { store(type, to, sum); });
}

void PhaseEmitter::end_run(std::size_t index) {
  const KernelStage& s = stage(index);
  if (s.kind != KernelStage::scatter || s.stores.size() == 1) return;
  Value* point = i64(0);
  for (AxisId a : info_.phase.parallel)
    point = b_.CreateAdd(b_.CreateMul(point, i64(extent(a))), coordinate_[static_cast<std::size_t>(a)]);
  Value* in_run = b_.CreateURem(b_.CreateURem(point, i64(info_.phase.chunk)), i64(kRun));
  when(b_.CreateICmpEQ(in_run, i64(0)), [&] {
    const DType t = expr(s.stores[0].value).dtype;
    auto add_up = [&] {
      const Linear& place = info_.store[index][0];  // of both
      const Address run = address(s.stores[0].buffer, place), sum = address(s.stores[1].buffer, place);
      Value* x = load(t, run, nullptr);
      store(t, sum, emit_op(b_, Op::add, t, t, {load(t, sum, nullptr), x}));
      store(t, run, llvm::Constant::getNullValue(x->getType()));
    };
    if (!is_along_row(info_, kernel_, index) || row_lanes_ == 1)
      for_each("runs", i64(0), i64(extent(s.axis)), 1, [&](Value* at) {
        bind(s.axis, at);
        add_up();
      });
    else if (in_one_vector(s.axis))
      as_one_vector(s.axis, add_up);
    else
      for_lanes(s.axis, row_lanes_, i64(0), i64(extent(s.axis)), add_up);
  });
}

void PhaseEmitter::run_scatter(std::size_t index) {
  const KernelStage& s = stage(index);
  end_run(index);
  if (is_along_row(info_, kernel_, index) && row_lanes_ > 1) {
    if (in_one_vector(s.axis)) return as_one_vector(s.axis, [&] { add_along_row(index); });
    return for_lanes(s.axis, row_lanes_, i64(0), i64(extent(s.axis)), [&] { add_along_row(index); });
  }
  const Store& t = s.stores[0];
  const DType type = expr(t.value).dtype;
  for_each("scatter", i64(0), i64(extent(s.axis)), 1, [&](Value* at) {
    if (s.axis != kNone) bind(s.axis, at);
    const Address a = address(t.buffer, info_.store[index][0]);
    auto add_to = [&](Value* pointer, Value* x, int width, Value* mask) {
      write(type, pointer, emit_op(b_, Op::add, type, type, {read(type, pointer, width, mask), x}), mask);
    };
    Value* predicate = s.predicate == kNone ? b_.getTrue() : value(s.predicate);
    if (const auto& checks = info_.store_checks[index][0]; !checks.empty()) predicate = checked(checks, predicate);
    if (lanes_.width > 1 && a.contiguous() && !predicate->getType()->isVectorTy()) {
      Value* x = lanes(t.value);
      when(predicate, [&] { add_to(a.pointer, x, lanes_.width, active_mask()); });
      return;
    }
    Value* x = value(t.value);
    for (int lane = 0; lane < lanes_.active; ++lane) {
      Value* term = of_lane(x, lane);
      Value* pointer = lane_pointer(a, type, lane);
      when(of_lane(predicate, lane), [&] { add_to(pointer, term, 1, nullptr); });
    }
  });
}

}  // namespace weft::codegen
