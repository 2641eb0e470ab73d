// Expressions: where each is emitted, loads and stores along lanes, addresses that are summed level by level.
#include <llvm/IR/Constants.h>
#include <llvm/IR/Metadata.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include "codegen/cpu/emit.h"
#include "ir/ops/sum_order.h"

namespace weft::codegen {

PhaseEmitter::AtLevel::AtLevel(PhaseEmitter& e, int level) {
  for (std::size_t l = static_cast<std::size_t>(std::max(level, e.first_level_)); l < e.levels_.size(); ++l) {
    if (!e.levels_[l].hoist) continue;
    llvm::Instruction* hoist = e.levels_[l].hoist;
    if (e.b_.GetInsertBlock() == hoist->getParent() && e.b_.GetInsertPoint() == hoist->getIterator()) break;
    guard_.emplace(e.b_);
    e.b_.SetInsertPoint(hoist);
    break;
  }
}

int PhaseEmitter::level_of(ExprId id) const {
  const Dependence& d = info_.depends[static_cast<std::size_t>(id)];
  int level = d.pinned ? stage_level_ : first_level_;
  if (d.accumulator) level = std::max(level, point_level_);
  for (std::size_t a = 0; a < axis_level_.size(); ++a) {
    if (!(d.axes >> a & 1)) continue;
    ensure(axis_level_[a] >= 0, "kernel {}: expression {} is used outside of its axis {}", kernel_.name, id,
           kernel_.axes[a].name);
    level = std::max(level, axis_level_[a]);
  }
  return level;
}

Value* PhaseEmitter::value(ExprId id) {
  if (expr(id).kind == Expr::constant) return emit_constant(b_, expr(id).dtype, expr(id).bits);
  if (expr(id).kind == Expr::accumulator) return accumulator(expr(id).result);
  const int level = level_of(id);
  auto fits = [&](Value* v) {  // lanes of another width belong to another loop nest
    auto* vector = v ? llvm::dyn_cast<llvm::FixedVectorType>(v->getType()) : nullptr;
    return v && (!vector || static_cast<int>(vector->getNumElements()) == lanes_.width);
  };
  if (Value* known = levels_[static_cast<std::size_t>(level)].scalars.lookup(memo_key(id)); fits(known)) return known;
  AtLevel at(*this, level);
  Value* v = compute(id);
  levels_[static_cast<std::size_t>(level)].scalars[memo_key(id)] = v;
  return v;
}

Value* PhaseEmitter::lanes(ExprId id) {
  Value* v = value(id);
  if (lanes_.width == 1 || v->getType()->isVectorTy()) return v;
  if (llvm::isa<llvm::Constant>(v)) return emit_splat(b_, v, lanes_.width);
  const int level = level_of(id);
  auto& vectors = levels_[static_cast<std::size_t>(level)].vectors;
  if (Value* known = vectors.lookup(memo_key(id));
      known && static_cast<int>(llvm::cast<llvm::FixedVectorType>(known->getType())->getNumElements()) == lanes_.width)
    return known;
  AtLevel at(*this, level);
  return vectors[memo_key(id)] = emit_splat(b_, v, lanes_.width);
}

const KeptRow* PhaseEmitter::kept(ExprId id) const {
  for (const KeptRow& k : kept_)
    if (k.value == id) return &k;
  return nullptr;
}

Value* PhaseEmitter::compute(ExprId id) {
  const KeptRow* row = kept(id);
  if (!row) return evaluate(id);
  const DType t = expr(id).dtype;
  Value* base = b_.CreateConstGEP1_64(b_.getInt8Ty(), scratch_, static_cast<std::uint64_t>(row->offset));
  if (differs_by_row(id)) base = b_.CreateGEP(b_.getInt8Ty(), base, rows_[row_].kept);
  Value* place = offset_elements(t, base, coordinate_[static_cast<std::size_t>(lane_axis(kernel_))]);
  if (stage_ > row->first_stage) return read(t, place, lanes_.width);
  Value* v = evaluate(id);
  last_of_walk([=, this] { write(t, place, v); });
  return v;
}

Value* PhaseEmitter::evaluate(ExprId id) {
  const Expr& e = expr(id);
  const Linear& access = info_.access[static_cast<std::size_t>(id)];
  if (e.kind == Expr::index) return index_value(access);
  if (e.kind == Expr::load) {
    Value* predicate = e.args.empty() ? nullptr : value(e.args[0]);
    if (const auto& checks = info_.load_checks[static_cast<std::size_t>(id)]; !checks.empty())
      predicate = checked(checks, predicate);
    return load(e.dtype, address(e.buffer, access), predicate);
  }
  Values args;
  bool vector = false;
  for (ExprId a : e.args) args.push_back(value(a)), vector |= args.back()->getType()->isVectorTy();
  if (vector)
    for (std::size_t i = 0; i < args.size(); ++i) args[i] = lanes(e.args[i]);
  return emit_op(b_, e.op, expr(e.args.back()).dtype, e.dtype, args);
}

Value* PhaseEmitter::index_value(const Linear& l) {
  Value* sum = i64(l.offset);
  for (std::size_t a = 0; a < l.coefficient.size(); ++a)
    if (l.coefficient[a]) sum = b_.CreateAdd(sum, b_.CreateMul(coordinate_[a], i64(l.coefficient[a])));
  auto add = [&](Value* v) {
    if (v->getType()->isVectorTy() && !sum->getType()->isVectorTy()) sum = emit_splat(b_, sum, lanes_.width);
    if (sum->getType()->isVectorTy() && !v->getType()->isVectorTy()) v = emit_splat(b_, v, lanes_.width);
    sum = b_.CreateAdd(sum, v);
  };
  if (const std::int64_t c = lanes_.axis == kNone ? 0 : l.coefficient[static_cast<std::size_t>(lanes_.axis)]) {
    llvm::SmallVector<llvm::Constant*, 16> steps;
    for (int i = 0; i < lanes_.width; ++i) steps.push_back(llvm::cast<llvm::Constant>(i64(c * i)));
    add(llvm::ConstantVector::get(steps));
  }
  for (auto [stride, indirect] : l.indirect) {
    Value* v = value(indirect);
    add(b_.CreateMul(v, llvm::ConstantInt::get(v->getType(), static_cast<std::uint64_t>(stride), true)));
  }
  return sum;
}

Value* PhaseEmitter::buffer(BufferId id) {
  Value*& base = base_[id];
  if (!base) {
    AtLevel at(*this, 0);
    base = b_.CreateLoad(b_.getPtrTy(), b_.CreateConstGEP1_64(b_.getPtrTy(), buffers_, static_cast<std::uint64_t>(id)),
                         program_.buffers[static_cast<std::size_t>(id)].name);
  }
  return base;
}

Value* PhaseEmitter::zeros() {
  constexpr const char* kName = "zeros";
  if (llvm::GlobalVariable* g = module_.getGlobalVariable(kName, true)) return g;
  llvm::Type* type = llvm::ArrayType::get(b_.getInt64Ty(), kMostLanes);
  auto* g = new llvm::GlobalVariable(module_, type, true, llvm::GlobalValue::PrivateLinkage,
                                     llvm::Constant::getNullValue(type), kName);
  g->setAlignment(llvm::Align(64));
  return g;
}

Value* PhaseEmitter::offset_elements(DType t, Value* pointer, Value* elements) {
  return b_.CreateGEP(memory_type(b_, t), pointer, elements);
}

PhaseEmitter::Address PhaseEmitter::address(BufferId id, const Linear& l) {
  const DType t = program_.buffers[static_cast<std::size_t>(id)].type.dtype;
  Address a{buffer(id)};
  struct Term {
    int level;
    Value* v;
    std::int64_t factor;
  };
  llvm::SmallVector<Term, 8> terms;
  for (std::size_t axis = 0; axis < l.coefficient.size(); ++axis) {
    if (!l.coefficient[axis]) continue;
    ensure(axis_level_[axis] >= 0, "kernel {}: an access uses axis {} outside of it", kernel_.name,
           kernel_.axes[axis].name);
    terms.push_back({axis_level_[axis], coordinate_[axis], l.coefficient[axis]});
  }
  if (l.panel_axis != kNone) {  // lanes begin at multiples of their number, so they lie in one panel
    ensure(l.panel_axis != lanes_.axis || l.panel_width % lanes_.width == 0,
           "kernel {}: {} lanes would cross panels of {}", kernel_.name, lanes_.width, l.panel_width);
    const auto axis = static_cast<std::size_t>(l.panel_axis);
    AtLevel at(*this, axis_level_[axis]);
    terms.push_back({axis_level_[axis], b_.CreateUDiv(coordinate_[axis], i64(l.panel_width)), l.panel_gap});
  }
  if (lanes_.axis != kNone) a.step = l.coefficient[static_cast<std::size_t>(lanes_.axis)];
  for (auto [stride, indirect] : l.indirect) {
    Value* v = value(indirect);
    if (!v->getType()->isVectorTy()) {
      terms.push_back({level_of(indirect), v, stride});
      continue;
    }
    Value* scaled = b_.CreateMul(v, llvm::ConstantInt::get(v->getType(), static_cast<std::uint64_t>(stride), true));
    a.lane_index = a.lane_index ? b_.CreateAdd(a.lane_index, scaled) : scaled;
  }
  if (l.offset) {
    AtLevel at(*this, 0);
    a.pointer = offset_elements(t, a.pointer, i64(l.offset));
  }
  for (int level = 0; level <= depth(); ++level) {
    AtLevel at(*this, level);
    Value* sum = nullptr;
    for (const Term& term : terms) {
      if (term.level != level) continue;
      Value* product = term.factor == 1 ? term.v : b_.CreateMul(term.v, i64(term.factor));
      sum = sum ? b_.CreateAdd(sum, product) : product;
    }
    if (sum) a.pointer = offset_elements(t, a.pointer, sum);
  }
  return a;
}

Value* PhaseEmitter::lane_pointer(const Address& a, DType t, int lane) {
  Value* index = i64(a.step * lane);
  if (a.lane_index)
    index = b_.CreateAdd(index, b_.CreateExtractElement(a.lane_index, static_cast<std::uint64_t>(lane)));
  return offset_elements(t, a.pointer, index);
}

Value* PhaseEmitter::active_mask() const {
  if (lanes_.full()) return nullptr;
  llvm::SmallVector<llvm::Constant*, 16> bits;
  llvm::Type* i1 = llvm::Type::getInt1Ty(module_.getContext());
  for (int i = 0; i < lanes_.width; ++i) bits.push_back(llvm::ConstantInt::get(i1, i < lanes_.active));
  return llvm::ConstantVector::get(bits);
}

Value* PhaseEmitter::read(DType t, Value* pointer, int width, Value* mask) {
  llvm::Type* type = memory_type(b_, t);
  const llvm::Align align(size_of(t));
  if (width > 1) type = llvm::FixedVectorType::get(type, static_cast<unsigned>(width));
  Value* v =
      mask ? static_cast<Value*>(b_.CreateMaskedLoad(type, pointer, align, mask, llvm::Constant::getNullValue(type)))
           : b_.CreateAlignedLoad(type, pointer, align);
  return t == boolean ? b_.CreateICmpNE(v, llvm::Constant::getNullValue(type)) : v;
}

void PhaseEmitter::write(DType t, Value* pointer, Value* v, Value* mask) {
  const llvm::Align align(size_of(t));
  if (t == boolean) v = b_.CreateZExt(v, v->getType()->getWithNewType(b_.getInt8Ty()));
  if (mask)
    b_.CreateMaskedStore(v, pointer, align, mask);
  else
    b_.CreateAlignedStore(v, pointer, align);
}

void PhaseEmitter::write_streaming(DType t, Value* pointer, Value* v) {
  const auto bytes = static_cast<std::uint64_t>(size_of(t)) * static_cast<std::uint64_t>(lanes_.width);
  llvm::StoreInst* store = b_.CreateAlignedStore(v, pointer, llvm::Align(std::min<std::uint64_t>(bytes, kCacheLine)));
  llvm::Metadata* one = llvm::ConstantAsMetadata::get(b_.getInt32(1));
  store->setMetadata(llvm::LLVMContext::MD_nontemporal, llvm::MDNode::get(module_.getContext(), one));
  streams_ = true;
}

/// A result that the caches could not hold until somebody reads it, written line by line: its lines need not be read
/// first, and what the caches hold stays there. Not where the phase reads them anyway, to update them in place.
bool PhaseEmitter::passes_caches(const Store& s, const Linear& l) const {
  const BufferId owner = storage(program_, s.buffer);
  const Type& type = program_.buffers[static_cast<std::size_t>(owner)].type;
  if (!target_.is_x86() || type.dtype == boolean || byte_size(type) < target_.l3_bytes / 2 ||
      lanes_.width != kReduceStripes)
    return false;
  for (std::size_t e = 0; e < kernel_.exprs.size(); ++e)
    if (info_.used[e] && kernel_.exprs[e].kind == Expr::load && storage(program_, kernel_.exprs[e].buffer) == owner)
      return false;
  // Vectors must be aligned: lanes begin at multiples of their number, and all else must move by whole lines.
  const auto size = static_cast<std::int64_t>(size_of(type.dtype));
  const std::int64_t alignment = std::min(size * lanes_.width, kCacheLine);
  bool aligned = l.indirect.empty() && l.offset * size % alignment == 0;
  for (std::size_t axis = 0; axis < l.coefficient.size(); ++axis)
    if (static_cast<AxisId>(axis) != lanes_.axis) aligned &= l.coefficient[axis] * size % alignment == 0;
  return aligned && l.coefficient[static_cast<std::size_t>(lanes_.axis)] == 1;
}

bool PhaseEmitter::has_masked_access(DType t) const {
  return target_.vector_bytes >= 64 || (target_.vector_bytes >= 32 && size_of(t) >= 4);
}

void PhaseEmitter::for_pieces(llvm::function_ref<void(int first, int count)> body) const {
  int first = 0;
  for (int count = lanes_.width; count >= 1; count /= 2)
    if (lanes_.active & count) body(std::exchange(first, first + count), count);
}

/// v with the lanes from `first` on replaced by those of `piece`.
Value* PhaseEmitter::insert_lanes(Value* v, Value* piece, int first) {
  auto* type = llvm::dyn_cast<llvm::FixedVectorType>(piece->getType());
  if (!type) return b_.CreateInsertElement(v, piece, static_cast<std::uint64_t>(first));
  const int count = static_cast<int>(type->getNumElements());
  llvm::SmallVector<int, 16> widen, merge;
  for (int i = 0; i < lanes_.width; ++i) {
    const bool inside = i >= first && i < first + count;
    widen.push_back(inside ? i - first : -1);
    merge.push_back(inside ? lanes_.width + i : i);
  }
  return b_.CreateShuffleVector(v, b_.CreateShuffleVector(piece, widen), merge);
}

Value* PhaseEmitter::load(DType t, const Address& a, Value* predicate) {
  const bool by_lane = predicate && predicate->getType()->isVectorTy();
  if (a.uniform()) {
    if (!predicate) return read(t, a.pointer, 1);
    Value* any = predicate;
    if (by_lane) {
      Value* mask = lanes_.full() ? predicate : b_.CreateAnd(predicate, active_mask());
      any = b_.CreateOrReduce(mask);
    }
    Value* v = read(t, b_.CreateSelect(any, a.pointer, zeros()), 1);
    if (!by_lane) return v;
    Value* splat = emit_splat(b_, v, lanes_.width);
    return b_.CreateSelect(predicate, splat, llvm::Constant::getNullValue(splat->getType()));
  }
  if (a.contiguous()) {
    Value* mask = active_mask();
    if (by_lane) return read(t, a.pointer, lanes_.width, mask ? b_.CreateAnd(mask, predicate) : predicate);
    Value* pointer = predicate ? b_.CreateSelect(predicate, a.pointer, zeros()) : a.pointer;
    if (!mask || has_masked_access(t)) return read(t, pointer, lanes_.width, mask);
    Value* v = llvm::Constant::getNullValue(
        llvm::FixedVectorType::get(register_type(b_, t), static_cast<unsigned>(lanes_.width)));
    for_pieces([&](int first, int count) {
      v = insert_lanes(v, read(t, offset_elements(t, pointer, i64(first)), count), first);
    });
    return v;
  }
  Value* v = llvm::Constant::getNullValue(
      llvm::FixedVectorType::get(register_type(b_, t), static_cast<unsigned>(lanes_.width)));
  for (int i = 0; i < lanes_.active; ++i) {
    Value* pointer = lane_pointer(a, t, i);
    if (predicate) {
      Value* p = by_lane ? b_.CreateExtractElement(predicate, static_cast<std::uint64_t>(i)) : predicate;
      pointer = b_.CreateSelect(p, pointer, zeros());
    }
    v = b_.CreateInsertElement(v, read(t, pointer, 1), static_cast<std::uint64_t>(i));
  }
  return v;
}

Value* PhaseEmitter::both(Value* a, Value* b) {
  if (!a || !b) return a ? a : b;
  if (a->getType()->isVectorTy() && !b->getType()->isVectorTy()) b = emit_splat(b_, b, lanes_.width);
  if (b->getType()->isVectorTy() && !a->getType()->isVectorTy()) a = emit_splat(b_, a, lanes_.width);
  return b_.CreateAnd(a, b);
}

Value* PhaseEmitter::checked(const std::vector<IndexCheck>& checks, Value* predicate) {
  Value* inside = predicate;
  for (const IndexCheck& c : checks) {
    Value* index = index_value(c.index);
    auto all = [&](std::uint64_t v) { return llvm::ConstantInt::get(index->getType(), v); };
    Value* fits = b_.CreateICmpULT(index, all(static_cast<std::uint64_t>(c.extent)));
    Value* outside = both(b_.CreateNot(fits), predicate);
    inside = both(inside, fits);
    if (outside->getType()->isVectorTy()) {
      if (!index->getType()->isVectorTy()) index = emit_splat(b_, index, lanes_.width);
      outside = both(outside, active_mask());
      index = b_.CreateIntMaxReduce(
          b_.CreateSelect(outside, index, all(static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::min()))),
          true);
      outside = b_.CreateOrReduce(outside);
    }
    // Without a branch, so that it may stand wherever a load may.
    Value* spare = b_.CreateConstGEP1_64(b_.getInt8Ty(), fault_, offsetof(IndexFault, spare));
    Value* report = b_.CreateSelect(outside, fault_, spare);
    b_.CreateAlignedStore(i64(c.number + 1), report, llvm::Align(8));
    b_.CreateAlignedStore(index, b_.CreateConstGEP1_64(b_.getInt8Ty(), report, offsetof(IndexFault, index)),
                          llvm::Align(8));
  }
  return inside;
}

void PhaseEmitter::store(DType t, const Address& a, Value* v, bool streaming, Value* inside) {
  const bool vector = v->getType()->isVectorTy();
  if (a.contiguous() && lanes_.width > 1) {
    if (!vector) v = emit_splat(b_, v, lanes_.width);
    if (inside) {
      Value* mask =
          both(inside->getType()->isVectorTy() ? inside : emit_splat(b_, inside, lanes_.width), active_mask());
      return write(t, a.pointer, v, mask);
    }
    if (lanes_.full() && streaming) return write_streaming(t, a.pointer, v);
    if (lanes_.full() || has_masked_access(t)) return write(t, a.pointer, v, active_mask());
    for_pieces([&](int first, int count) {
      llvm::SmallVector<int, 16> picked;
      for (int i = 0; i < count; ++i) picked.push_back(first + i);
      write(t, offset_elements(t, a.pointer, i64(first)), b_.CreateShuffleVector(v, picked));
    });
    return;
  }
  const int first = a.uniform() ? lanes_.active - 1 : 0;  // all lanes at one place: the last one stays
  for (int i = first; i < lanes_.active; ++i) {
    Value* pointer = lane_pointer(a, t, i);
    if (inside)
      pointer = b_.CreateSelect(of_lane(inside, i), pointer,
                                b_.CreateConstGEP1_64(b_.getInt8Ty(), fault_, offsetof(IndexFault, spare) + 16));
    write(t, pointer, vector ? b_.CreateExtractElement(v, static_cast<std::uint64_t>(i)) : v);
  }
}

}  // namespace weft::codegen
