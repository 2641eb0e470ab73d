// The shape of an emitted function: loops and their levels, the lanes of a loop, and the walk over a phase's points.
#include <llvm/IR/Constants.h>
#include <llvm/IR/IntrinsicsX86.h>

#include <algorithm>
#include <optional>

#include "codegen/cpu/emit.h"

namespace weft::codegen {
namespace {

/// Cycles that a unit should take at least, so that the walk from unit to unit costs nothing beside it.
constexpr double kUnitCycles = 2000;
/// Cycles of an op on one register, two of which start together.
constexpr double kOpCycles = 0.5;
/// Lanes of a loop over points or rows: as many as the stripes of a reduction; LLVM splits them into registers.
constexpr int kLanes = 16;

std::optional<std::int64_t> constant_of(Value* v) {
  if (auto* c = llvm::dyn_cast<llvm::ConstantInt>(v)) return c->getSExtValue();
  return {};
}

/// About `block` points of the innermost axis, whole vectors, so that units do not straddle `inside` points.
std::int64_t unit_points(std::int64_t block, std::int64_t inside, int width) {
  if (inside <= 1 || inside % width != 0) return block;
  if (block >= inside) return block / inside * inside;
  for (std::int64_t points = block; points >= block / 2 && points > 0; points -= width)
    if (inside % points == 0) return points;
  return block;
}

}  // namespace

PhaseEmitter::PhaseEmitter(llvm::Module& module, const Program& program, const Kernel& kernel, const PhaseInfo& info,
                           const CpuTarget& target)
    : module_(module), b_(module.getContext()), program_(program), kernel_(kernel), info_(info), target_(target) {
  coordinate_.resize(kernel.axes.size());
  axis_level_.assign(kernel.axes.size(), -1);
}

void PhaseEmitter::open_function(const std::string& symbol) {
  llvm::Type *pointer = b_.getPtrTy(), *i64 = b_.getInt64Ty();
  auto* type = llvm::FunctionType::get(b_.getVoidTy(), {pointer, i64, i64, pointer}, false);
  function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, symbol, module_);
  function_->addFnAttr(kRegisterBits, std::to_string(8 * target_.vector_bytes));
  function_->addParamAttr(0, llvm::Attribute::NoAlias);
  function_->addParamAttr(3, llvm::Attribute::NoAlias);
  Value** arguments[] = {&buffers_, &begin_, &end_, &scratch_};
  const char* names[] = {"buffers", "begin", "end", "scratch"};
  for (unsigned i = 0; i < 4; ++i) {
    *arguments[i] = function_->getArg(i);
    (*arguments[i])->setName(names[i]);
  }
  b_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "entry", function_));
  push_level();
  if (!info_.checks) return;
  fault_ = scratch_;
  scratch_ = b_.CreateConstGEP1_64(b_.getInt8Ty(), fault_, sizeof(IndexFault));
}

void PhaseEmitter::close_function() {
  // Barriers between phases order ordinary stores only.
  if (streams_) b_.CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, {}, {});
  b_.CreateRetVoid();
  levels_.pop_back();
  base_.clear();
  ensure(levels_.empty(), "kernel {}: unbalanced loop levels", kernel_.name);
}

void PhaseEmitter::pop_level() {
  for (int& level : axis_level_)
    if (level == depth()) level = -1;
  levels_.pop_back();
  levels_.back().hoist = nullptr;
}

void PhaseEmitter::bind(AxisId axis, Value* coordinate) {
  coordinate_[static_cast<std::size_t>(axis)] = coordinate;
  axis_level_[static_cast<std::size_t>(axis)] = depth();
}

Values PhaseEmitter::loop(const char* name, Value* begin, Value* end, std::int64_t step, Values init,
                          llvm::function_ref<Values(Value*, const Values&)> body) {
  const auto first = constant_of(begin), last = constant_of(end);
  const bool known = first && last;
  if (known && *first >= *last) return init;
  if (known && *first + step >= *last) {  // one trip: no branch, but a level of its own
    push_level();
    Values out = body(begin, init);
    pop_level();
    return out;
  }
  llvm::LLVMContext& context = module_.getContext();
  llvm::BasicBlock* before = b_.GetInsertBlock();
  auto* block = llvm::BasicBlock::Create(context, name, function_);
  auto* after = llvm::BasicBlock::Create(context, std::string(name) + ".end", function_);
  llvm::Instruction* into = known ? b_.CreateBr(block) : b_.CreateCondBr(b_.CreateICmpSLT(begin, end), block, after);
  levels_.back().hoist = into;
  push_level();
  b_.SetInsertPoint(block);
  llvm::PHINode* i = b_.CreatePHI(b_.getInt64Ty(), 2, name);
  i->addIncoming(begin, before);
  Values carried;
  for (Value* v : init) {
    llvm::PHINode* phi = b_.CreatePHI(v->getType(), 2);
    phi->addIncoming(v, before);
    carried.push_back(phi);
  }
  const Values next = body(i, carried);
  ensure(next.size() == init.size(), "kernel {}: a loop carries {} values in and {} out", kernel_.name, init.size(),
         next.size());
  Value* stepped = b_.CreateAdd(i, i64(step), "", true, true);
  llvm::BasicBlock* latch = b_.GetInsertBlock();
  b_.CreateCondBr(b_.CreateICmpSLT(stepped, end), block, after);
  i->addIncoming(stepped, latch);
  b_.SetInsertPoint(after);
  Values out;
  for (std::size_t c = 0; c < init.size(); ++c) {
    llvm::cast<llvm::PHINode>(carried[c])->addIncoming(next[c], latch);
    if (known) {
      out.push_back(next[c]);
      continue;
    }
    llvm::PHINode* phi = b_.CreatePHI(init[c]->getType(), 2);
    phi->addIncoming(init[c], into->getParent());  // not `before`, which hoisted code may have split
    phi->addIncoming(next[c], latch);
    out.push_back(phi);
  }
  pop_level();
  return out;
}

void PhaseEmitter::for_each(const char* name, Value* begin, Value* end, std::int64_t step,
                            llvm::function_ref<void(Value*)> body) {
  loop(name, begin, end, step, {}, [&](Value* i, const Values&) -> Values {
    body(i);
    return {};
  });
}

Values PhaseEmitter::when(Value* condition, Values init, llvm::function_ref<Values(const Values&)> body) {
  if (const auto known = constant_of(condition)) {
    if (!*known) return init;
    push_level();
    Values out = body(init);
    pop_level();
    return out;
  }
  llvm::LLVMContext& context = module_.getContext();
  auto* block = llvm::BasicBlock::Create(context, "then", function_);
  auto* after = llvm::BasicBlock::Create(context, "endif", function_);
  llvm::Instruction* into = b_.CreateCondBr(condition, block, after);
  levels_.back().hoist = into;
  push_level();
  b_.SetInsertPoint(block);
  const Values inside = body(init);
  llvm::BasicBlock* last = b_.GetInsertBlock();
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
  Values out;
  for (std::size_t c = 0; c < init.size(); ++c) {
    llvm::PHINode* phi = b_.CreatePHI(init[c]->getType(), 2);
    phi->addIncoming(init[c], into->getParent());
    phi->addIncoming(inside[c], last);
    out.push_back(phi);
  }
  pop_level();
  return out;
}

void PhaseEmitter::when(Value* condition, llvm::function_ref<void()> body) {
  when(condition, {}, [&](const Values&) -> Values {
    body();
    return {};
  });
}

Values PhaseEmitter::for_lanes(AxisId axis, int width, Value* begin, Value* end, Values init,
                               llvm::function_ref<Values(const Values&)> body) {
  const Lanes outer = lanes_;
  const std::int64_t whole = extent(axis) / width * width, rest = extent(axis) - whole;
  auto run = [&](Value* at, int active, const Values& carried) {
    bind(axis, at);
    lanes_ = {width > 1 ? axis : kNone, width, active};
    Values next = body(carried);
    lanes_ = outer;
    return next;
  };
  Value* stop = i64(whole);
  const auto known_end = constant_of(end);
  if (known_end)
    stop = i64(std::min(whole, *known_end));
  else if (rest)
    stop = minimum(end, stop);
  else
    stop = end;
  Values carried =
      loop("vector", begin, stop, width, init, [&](Value* i, const Values& c) { return run(i, width, c); });
  if (!rest) return carried;
  return when(b_.CreateICmpEQ(end, i64(extent(axis))), carried,
              [&](const Values& c) { return run(i64(whole), static_cast<int>(rest), c); });
}

void PhaseEmitter::for_lanes(AxisId axis, int width, Value* begin, Value* end, llvm::function_ref<void()> body) {
  for_lanes(axis, width, begin, end, {}, [&](const Values&) -> Values {
    body();
    return {};
  });
}

void PhaseEmitter::as_one_vector(AxisId axis, llvm::function_ref<void()> body) {
  const Lanes outer = lanes_;
  coordinate_[static_cast<std::size_t>(axis)] = i64(0);
  axis_level_[static_cast<std::size_t>(axis)] = point_level_;
  lanes_ = {axis, row_lanes_, static_cast<int>(extent(axis))};
  body();
  lanes_ = outer;
}

void PhaseEmitter::stages(std::size_t first) {
  for (std::size_t s = first; s < info_.phase.stages.size(); ++s) {
    push_level();
    stage_level_ = depth();
    stage_ = s;
    switch (stage(s).kind) {
      case KernelStage::map: run_map(s); break;
      case KernelStage::scatter: for_rows([&] { run_scatter(s); }); break;
      case KernelStage::reduce:
      case KernelStage::contract: run_reduce(s); break;
    }
    pop_level();
  }
}

/// How many consecutive values of the outermost axis, which others may have been merged into, have one value of the
/// kernel's own outermost axis; 0: they do not lie so.
std::int64_t PhaseEmitter::values_inside(AxisId first) const {
  if (info_.slowest == kNone || first == kNone) return 0;
  const std::int64_t values = kernel_.axes[static_cast<std::size_t>(info_.slowest)].extent;
  return extent(first) % values == 0 ? extent(first) / values : 0;
}

/// By the kernel's own outermost axis.
AxisSplit PhaseEmitter::split_of(const std::vector<AxisId>& outer, AxisId inner, std::int64_t units,
                                 std::int64_t block) const {
  const std::int64_t chunk = info_.phase.chunk, inside = values_inside(outer.empty() ? inner : outer.front());
  if (inside == 0 || (chunk > 0 && outer.size() > 1)) return {};
  if (!outer.empty() && chunk == 0)
    return {info_.slowest, units / kernel_.axes[static_cast<std::size_t>(info_.slowest)].extent};
  const std::int64_t points = chunk > 0 ? chunk : block;  // of a unit
  if (points % inside == 0) return {info_.slowest, 1, points / inside};
  return inside % points == 0 ? AxisSplit{info_.slowest, inside / points} : AxisSplit{};
}

PhaseCode PhaseEmitter::emit_points(const std::string& symbol) {
  const std::vector<AxisId>& parallel = info_.phase.parallel;
  const AxisId lane_axis = weft::lane_axis(kernel_);
  const std::int64_t chunk = info_.phase.chunk;
  const bool among_points = std::ranges::count(parallel, lane_axis) > 0;
  const bool along_points = among_points && chunk == 0;  // those of a chunk run one by one
  const bool along_rows = lane_axis != kNone && !among_points;
  const int width = along_points ? point_lanes() : 1;
  row_lanes_ = along_rows ? kLanes : 1;

  const double vectors = along_points || along_rows ? 1.0 / target_.vector_bytes * 4 : 1;
  // (Of stages over empty axes it is nothing, which no unit can be made of.)
  const double point_cycles = std::max(point_cost(info_, kernel_) * kOpCycles * vectors, 1e-3);
  const double cost = point_cycles * static_cast<double>(info_.points());
  if (const std::size_t folds = chunk ? 0 : column_folds()) return emit_columns(symbol, folds, cost);

  // Units: the outer axes, and blocks of the innermost (rows: all axes are outer ones).
  const AxisId inner = along_rows || chunk || parallel.empty() ? kNone : parallel.back();
  std::vector<AxisId> outer(parallel.begin(), parallel.end() - (inner != kNone));
  const std::int64_t per_unit = std::max<std::int64_t>(1, static_cast<std::int64_t>(kUnitCycles / point_cycles));
  const std::int64_t block =
      unit_points(std::min((per_unit + width - 1) / width * width, std::max<std::int64_t>(extent(inner), 1)),
                  outer.empty() ? values_inside(inner) : 1, width);
  const std::int64_t blocks = (extent(inner) + block - 1) / block;
  PhaseCode code{symbol, blocks, 0, cost};
  for (AxisId a : outer) code.units *= extent(a);
  if (chunk) code.units = ceil_div(code.units, chunk);
  code.split = split_of(outer, inner, code.units, block);

  if (along_rows && !in_one_vector(lane_axis)) {
    kept_ = kept_rows(info_, kernel_, lane_axis, kLanes, target_.l2_bytes / 4);
    if (!kept_.empty()) kept_bytes_ = kept_.back().offset + kept_.back().bytes;
  }

  const std::vector<PipelineStep> steps = along_rows ? pipeline(lane_axis) : std::vector<PipelineStep>{};
  if (!steps.empty()) {
    const std::int64_t walks = walks_of_tick(program_, info_, kernel_, lane_axis, steps, kept_, target_.l1_bytes);
    code.scratch_bytes = kept_bytes_ * ceil_div(static_cast<std::int64_t>(steps.size()), walks);
    streamed_ = streamed_loads(lane_axis);
    open_function(symbol);
    count_in_chunks();
    for_units_in_pipeline(outer, steps, static_cast<std::size_t>(walks));
    close_function();
    return code;
  }
  const std::size_t rows = along_rows ? rows_at_once(lane_axis, point_cycles) : 1;
  if (rows > 1) streamed_ = streamed_loads(lane_axis);
  code.scratch_bytes = kept_bytes_ * static_cast<std::int64_t>(rows);

  open_function(symbol);
  count_in_chunks();
  for_units(outer, blocks, rows, [&](Value* index) {
    auto point = [&] {
      point_level_ = depth();
      stages(0);
    };
    if (inner == kNone) {
      point();
    } else if (blocks == 1) {
      for_lanes(inner, width, i64(0), i64(extent(inner)), point);
    } else {
      Value* from = b_.CreateMul(index, i64(block));
      for_lanes(inner, width, from, minimum(b_.CreateAdd(from, i64(block)), i64(extent(inner))), point);
    }
  });
  close_function();
  return code;
}

void PhaseEmitter::count_in_chunks() {
  const std::int64_t chunk = info_.phase.chunk;
  if (chunk == 0) return;
  begin_ = b_.CreateMul(begin_, i64(chunk));
  end_ = minimum(b_.CreateMul(end_, i64(chunk)), i64(info_.points()));
}

void PhaseEmitter::for_units(const std::vector<AxisId>& outer, std::int64_t blocks, std::size_t side_by_side,
                             llvm::function_ref<void(Value*)> body) {
  std::vector<std::int64_t> radix;
  for (AxisId a : outer) radix.push_back(extent(a));
  radix.push_back(blocks);
  Values digits = unit_at(begin_, radix);
  auto run = [&](const char* name, Value* begin, Value* end, std::size_t rows) {
    digits = loop(name, begin, end, static_cast<std::int64_t>(rows), digits, [&](Value*, const Values& first) {
      std::vector<Values> at{first};
      while (at.size() < rows) at.push_back(next_unit(at.back(), radix));
      const Values next = next_unit(at.back(), radix);
      bind_rows(outer, at);
      body(first.back());
      return next;
    });
  };
  Value* from = begin_;
  if (side_by_side > 1) {
    Value* left = b_.CreateURem(b_.CreateSub(end_, begin_), i64(static_cast<std::int64_t>(side_by_side)));
    from = b_.CreateSub(end_, left);
    run("rows", begin_, from, side_by_side);
  }
  run("unit", from, end_, 1);
}

/// The coordinates of unit `index`.
Values PhaseEmitter::unit_at(Value* index, const std::vector<std::int64_t>& radix) {
  Values digits(radix.size());
  for (std::size_t i = radix.size(); i-- > 0;) {
    const std::int64_t r = std::max<std::int64_t>(radix[i], 1);
    digits[i] = i ? b_.CreateURem(index, i64(r)) : index;
    if (i) index = b_.CreateUDiv(index, i64(r));
  }
  return digits;
}

/// The coordinates of the unit after `at`: adds one, and carries where an axis is full.
Values PhaseEmitter::next_unit(const Values& at, const std::vector<std::int64_t>& radix) {
  Values next(at);
  Value* carry = i64(1);
  for (std::size_t i = at.size(); i-- > 0;) {
    Value* sum = b_.CreateAdd(at[i], carry);
    Value* full = i ? b_.CreateICmpEQ(sum, i64(radix[i])) : b_.getFalse();
    next[i] = b_.CreateSelect(full, i64(0), sum);
    carry = b_.CreateZExt(full, b_.getInt64Ty());
  }
  return next;
}

int PhaseEmitter::point_lanes() const {
  // A reduction over rows of memory keeps several registers of neighbouring columns, for bandwidth and to hide latency;
  // not where a lane is an address of its own.
  const AxisId axis = info_.phase.parallel.back();
  bool reduces = false;
  std::size_t element = 1;
  for (const KernelStage& s : info_.phase.stages) {
    reduces |= s.kind == KernelStage::reduce && s.axis != kNone && s.order != FoldOrder::striped;
    if (s.kind == KernelStage::reduce) element = std::max(element, size_of(expr(s.value).dtype));
  }
  const int registers = 4 * target_.vector_bytes / static_cast<int>(element);
  const bool wide = reduces && !walks_panels(axis) && loads_neighbours() && extent(axis) >= registers;
  return wide ? std::max(kLanes, registers) : kLanes;
}

/// Some buffer lies in panels along the axis: they are whole vectors of kLanes, not of more.
bool PhaseEmitter::walks_panels(AxisId axis) const {
  bool found = false;
  for (std::size_t e = 0; e < kernel_.exprs.size(); ++e) found |= info_.used[e] && info_.access[e].panel_axis == axis;
  for (const auto& stores : info_.store)
    for (const Linear& l : stores) found |= l.panel_axis == axis;
  return found;
}

/// Lanes along the innermost parallel axis load one element for all or neighbours in memory.
bool PhaseEmitter::loads_neighbours() const {
  const AxisId axis = info_.phase.parallel.back();
  bool neighbours = true;
  for (std::size_t e = 0; e < kernel_.exprs.size(); ++e) {
    if (!info_.used[e] || kernel_.exprs[e].kind != Expr::load) continue;
    const std::int64_t step = info_.access[e].coefficient[static_cast<std::size_t>(axis)];
    neighbours &= step == 0 || step == 1;
    for (auto [stride, indirect] : info_.access[e].indirect) neighbours &= !info_.depends_on(indirect, axis);
  }
  return neighbours;
}

}  // namespace weft::codegen
