// The loops around the microkernel.
#include "codegen/emit_contract.h"

#include <llvm/IR/Intrinsics.h>

#include <algorithm>
#include <numeric>

#include "ir/eval.h"

namespace weft::codegen {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
std::int64_t round_up(std::int64_t a, std::int64_t b) { return ceil_div(a, b) * b; }

constexpr std::int64_t kCacheLine = 64;

}  // namespace

bool ContractEmitter::accepts(const Kernel& kernel, const PhaseInfo& info) {
  const Schedule& s = kernel.schedule;
  const KernelStage& first = info.phase.stages[0];
  if (first.kind != KernelStage::contract || s.mr < 1 || s.nr < 1 || s.k != first.axis || s.m == kNone || s.n == kNone)
    return false;
  for (AxisId a : info.phase.parallel)
    if (a != s.b && a != s.m && a != s.n) return false;
  const std::int64_t k = info.extent[static_cast<std::size_t>(s.k)];
  return info.points() > 0 && k > 0;
}

ContractEmitter::ContractEmitter(llvm::Module& module, const Program& program, const Kernel& kernel,
                                 const PhaseInfo& info, const Target& target)
    : PhaseEmitter(module, program, kernel, info, target),
      stage_(info.phase.stages[0]),
      schedule_(kernel.schedule),
      dtype_(kernel.exprs[static_cast<std::size_t>(stage_.lhs)].dtype),
      B_(extent(schedule_.b)),
      M_(extent(schedule_.m)),
      N_(extent(schedule_.n)),
      K_(extent(schedule_.k)) {
  plan();
}

std::int64_t ContractEmitter::reserve(std::int64_t bytes) {
  const std::int64_t at = scratch_bytes_;
  scratch_bytes_ += round_up(bytes, kCacheLine);
  return at;
}

void ContractEmitter::plan() {
  const auto element = static_cast<std::int64_t>(size_of(dtype_));
  lanes_of_register_ = target_.vector_bytes / static_cast<int>(element);
  const int lanes = lanes_of_register_;
  nr_ = static_cast<int>(round_up(std::min<std::int64_t>(schedule_.nr, N_), lanes));
  tile_lanes_ = std::gcd(nr_, kReduceStripes);
  panels_ = ceil_div(N_, nr_);
  strips_ = ceil_div(M_, schedule_.mr);
  rows_ = static_cast<int>(ceil_div(M_, strips_));
  short_strips_ = strips_ * rows_ - M_;

  // Products of one microkernel call: about kc, alike, and such that a chunk ends where a call ends.
  const std::int64_t chunk = std::min(K_, kContractChunk),
                     kc = std::clamp<std::int64_t>(schedule_.kc ? schedule_.kc : chunk, 1, chunk);
  k_block_ = K_ > kContractChunk ? std::int64_t{1} << (63 - __builtin_clzll(static_cast<unsigned long long>(kc)))
                                 : ceil_div(K_, ceil_div(K_, kc));

  lhs_ = plan_lhs();
  rhs_ = plan_rhs();
  const std::int64_t inner_pieces = schedule_.split_n ? strips_ : panels_;
  const std::int64_t wanted = schedule_.split_n ? ceil_div(schedule_.mc, rows_) : ceil_div(schedule_.nc, nr_);
  const std::int64_t fits = target_.l2_bytes / 2 / (K_ * (schedule_.split_n ? rows_ : nr_) * element);
  const std::int64_t most = std::clamp<std::int64_t>(wanted > 0 ? wanted : fits, 1, inner_pieces);
  block_ = ceil_div(inner_pieces, ceil_div(inner_pieces, most));
  group_ = K_ <= k_block_ ? 1 : block_;
  tile_row_ = schedule_.split_n ? nr_ : group_ * nr_;

  auto place = [&](Operand& operand, bool is_inner) {
    if (operand.packed)
      operand.offset = reserve((is_inner ? block_ : 1) * operand.piece * element + 2 * kCacheLine * element);
  };
  place(lhs_, schedule_.split_n);
  place(rhs_, !schedule_.split_n);
  block_copy_ = reserve(tile_lanes_ * tile_lanes_ * element);
  const std::int64_t tile = (schedule_.split_n ? group_ * rows_ : rows_) * tile_row_ * element;
  tile_offset_ = reserve(tile);
  if (K_ > kContractChunk) total_offset_ = reserve(tile);
}

namespace {

/// The loads that `roots` need.
std::vector<ExprId> loads_under(const Kernel& kernel, const PhaseInfo& info, const std::vector<ExprId>& roots) {
  std::vector<bool> need(kernel.exprs.size(), false);
  for (ExprId e : roots)
    if (e != kNone) need[static_cast<std::size_t>(e)] = true;
  std::vector<ExprId> loads;
  for (std::size_t e = kernel.exprs.size(); e-- > 0;) {
    if (!need[e]) continue;
    for (ExprId a : kernel.exprs[e].args) need[static_cast<std::size_t>(a)] = true;
    for (auto [stride, a] : info.access[e].indirect) need[static_cast<std::size_t>(a)] = true;
    if (kernel.exprs[e].kind == Expr::load) loads.push_back(static_cast<ExprId>(e));
  }
  return loads;
}

/// How many of the loads that `root` needs have neighbours along `axis` side by side in memory.
std::int64_t contiguous_loads(const Kernel& kernel, const PhaseInfo& info, ExprId root, AxisId axis) {
  const std::vector<ExprId> loads = loads_under(kernel, info, {root});
  return std::count_if(loads.begin(), loads.end(), [&](ExprId e) {
    return info.access[static_cast<std::size_t>(e)].coefficient[static_cast<std::size_t>(axis)] == 1;
  });
}

}  // namespace

ContractEmitter::Operand ContractEmitter::plan_lhs() const {
  Operand o{stage_.lhs, schedule_.m};
  const Linear& access = info_.access[static_cast<std::size_t>(o.value)];
  const bool plain = expr(o.value).kind == Expr::load && expr(o.value).args.empty() && access.indirect.empty();
  o.packed = schedule_.pack_lhs || !plain;
  if (!o.packed) {
    o.free_stride = access.coefficient[static_cast<std::size_t>(schedule_.m)];
    o.k_stride = access.coefficient[static_cast<std::size_t>(schedule_.k)];
    return o;
  }
  o.along_k =
      contiguous_loads(kernel_, info_, o.value, schedule_.m) <= contiguous_loads(kernel_, info_, o.value, schedule_.k);
  if (o.along_k) {  // [rows][k], rows an odd number of cache lines apart, so that they do not fall into the same cache
                    // sets
    const auto line = kCacheLine / static_cast<std::int64_t>(size_of(dtype_));
    o.free_stride = (round_up(K_, kReduceStripes) / line | 1) * line;
    o.piece = rows_ * o.free_stride;
  } else {  // [k][rows]
    o.k_stride = rows_;
    o.piece = K_ * rows_;
  }
  return o;
}

ContractEmitter::Operand ContractEmitter::plan_rhs() const {
  Operand o{stage_.rhs, schedule_.n};
  const Linear& access = info_.access[static_cast<std::size_t>(o.value)];
  const bool plain = expr(o.value).kind == Expr::load && expr(o.value).args.empty() && access.indirect.empty() &&
                     access.coefficient[static_cast<std::size_t>(schedule_.n)] == 1;
  o.packed = schedule_.pack_rhs || !plain;
  if (!o.packed) {
    o.k_stride = access.coefficient[static_cast<std::size_t>(schedule_.k)];
    return o;
  }
  o.along_k =
      contiguous_loads(kernel_, info_, o.value, schedule_.n) < contiguous_loads(kernel_, info_, o.value, schedule_.k);
  o.k_stride = nr_;
  o.piece = round_up(K_, tile_lanes_) * nr_;
  return o;
}

/// One microkernel for each height of a strip and width of a panel that occurs.
void ContractEmitter::emit_micro_kernels(const std::string& symbol) {
  MicroKernel m{dtype_, lanes_of_register_};
  m.x_row = lhs_.free_stride, m.x_k = lhs_.k_stride, m.y_k = rhs_.k_stride, m.tile_row = tile_row_;
  for (const bool is_short : {false, true})
    for (const bool is_last : {true, false}) {
      const bool occurs = (!is_short || short_strips_ > 0) && (is_last || panels_ > 1);
      const std::int64_t columns = is_last ? last_columns() : nr_;
      m.rows = rows_ - is_short;
      m.registers = static_cast<int>(ceil_div(columns, lanes_of_register_));
      m.last_lanes =
          rhs_.packed ? lanes_of_register_ : static_cast<int>(columns - (m.registers - 1) * lanes_of_register_);
      const bool as_last = !is_last && columns == last_columns();
      micro_[is_short][is_last] =
          !occurs || as_last ? micro_[is_short && short_strips_ > 0][1]
                             : emit_micro_kernel(module_, m, fmt::format("{}_micro{}x{}", symbol, m.rows, columns));
    }
}

PhaseCode ContractEmitter::emit(const std::string& symbol) {
  emit_micro_kernels(symbol);
  open_function(symbol);
  const std::int64_t units = schedule_.split_n ? panels_ : strips_;
  Value* first_batch = b_.CreateSDiv(begin_, i64(units));
  Value* last_batch = b_.CreateSDiv(b_.CreateAdd(end_, i64(units - 1)), i64(units));
  loop(
      first_batch, last_batch, 1, {},
      [&](Value* batch, const Values&) -> Values {
        if (schedule_.b != kNone) bind(schedule_.b, batch);
        Value* base = b_.CreateMul(batch, i64(units));
        Value* first = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b_.CreateSub(begin_, base), i64(0));
        Value* last = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateSub(end_, base), i64(units));
        run_units(first, last);
        return {};
      },
      "batch");
  close_function();

  const double products = static_cast<double>(B_ * M_ * N_) * static_cast<double>(K_);
  const double epilogue = static_cast<double>(B_ * M_ * N_) / lanes_of_register_ * 4;
  return {symbol, B_ * units, scratch_bytes_, products / (2 * lanes_of_register_) + epilogue};
}

void ContractEmitter::run_units(Value* first, Value* last) {
  const Operand& inner = schedule_.split_n ? lhs_ : rhs_;
  const Operand& outer = schedule_.split_n ? rhs_ : lhs_;
  const std::int64_t inner_pieces = schedule_.split_n ? strips_ : panels_;
  loop(
      i64(0), i64(inner_pieces), block_, {},
      [&](Value* block, const Values&) -> Values {
        Value* block_end =
            b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateAdd(block, i64(block_)), i64(inner_pieces));
        if (inner.packed)
          loop(
              block, block_end, 1, {},
              [&](Value* piece, const Values&) -> Values {
                pack(inner, piece, b_.CreateSub(piece, block));
                return {};
              },
              "pack");
        loop(
            first, last, 1, {},
            [&](Value* unit, const Values&) -> Values {
              if (outer.packed) {
                push_level();
                pack(outer, unit, i64(0));
                pop_level();
              }
              loop(
                  block, block_end, group_, {},
                  [&](Value* group, const Values&) -> Values {
                    Value* group_end =
                        b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateAdd(group, i64(group_)), block_end);
                    run_group(unit, group, group_end, block);
                    return {};
                  },
                  "group");
              return {};
            },
            "unit");
        return {};
      },
      "block");
}

void ContractEmitter::run_group(Value* unit, Value* group, Value* group_end, Value* block) {
  Value *row, *rows, *column, *column_end;
  if (schedule_.split_n) {
    row = strip_start(group), rows = b_.CreateSub(strip_start(group_end), row);
    column = b_.CreateMul(unit, i64(nr_)), column_end = b_.CreateAdd(column, i64(nr_));
  } else {
    row = strip_start(unit), rows = strip_rows(unit);
    column = b_.CreateMul(group, i64(nr_)), column_end = b_.CreateMul(group_end, i64(nr_));
  }
  prefetch(row, rows, column);
  loop(
      i64(0), i64(K_), k_block_, {},
      [&](Value* k, const Values&) -> Values {
        Value* k_end = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateAdd(k, i64(k_block_)), i64(K_));
        Value* continued = b_.CreateICmpNE(b_.CreateAnd(k, i64(kContractChunk - 1)), i64(0));
        loop(
            group, group_end, 1, {},
            [&](Value* piece, const Values&) -> Values {
              Value* copy = b_.CreateSub(piece, block);  // among the packed pieces of the inner operand
              Value* strip = schedule_.split_n ? piece : unit;
              Value* panel = schedule_.split_n ? unit : piece;
              Value* x = operand_pointer(lhs_, strip, schedule_.split_n ? copy : i64(0));
              Value* y = operand_pointer(rhs_, panel, schedule_.split_n ? i64(0) : copy);
              Value* within = b_.CreateSub(piece, group);
              Value* offset = schedule_.split_n
                                  ? b_.CreateMul(b_.CreateSub(strip_start(piece), strip_start(group)), i64(tile_row_))
                                  : b_.CreateMul(within, i64(nr_));
              Value* tile = offset_elements(dtype_, scratch_at(tile_offset_), offset);
              multiply(strip, panel, x, y, tile, k, b_.CreateSub(k_end, k), continued);
              return {};
            },
            "piece");
        if (K_ > kContractChunk) {
          Value* at_end = b_.CreateOr(b_.CreateICmpEQ(k_end, i64(K_)),
                                      b_.CreateICmpEQ(b_.CreateAnd(k_end, i64(kContractChunk - 1)), i64(0)));
          when(at_end, {}, [&](const Values&) -> Values {
            add_to_total(b_.CreateICmpSLT(k, i64(kContractChunk)));
            return {};
          });
        }
        return {};
      },
      "kblock");
  epilogue(row, rows, column, b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, column_end, i64(N_)));
}

/// The first row of strip s: those of rows_ - 1 rows come first.
Value* ContractEmitter::strip_start(Value* strip) {
  Value* shorter = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, strip, i64(short_strips_));
  return b_.CreateSub(b_.CreateMul(strip, i64(rows_)), shorter);
}

Value* ContractEmitter::strip_rows(Value* strip) {
  if (!short_strips_) return i64(rows_);
  return b_.CreateSelect(b_.CreateICmpSLT(strip, i64(short_strips_)), i64(rows_ - 1), i64(rows_));
}

Value* ContractEmitter::operand_pointer(const Operand& o, Value* piece, Value* packed_index) {
  if (o.packed) return offset_elements(dtype_, scratch_at(o.offset), b_.CreateMul(packed_index, i64(o.piece)));
  push_level();
  bind(o.free, o.free == schedule_.m ? strip_start(piece) : b_.CreateMul(piece, i64(nr_)));
  bind(schedule_.k, i64(0));
  Value* p = address(expr(o.value).buffer, info_.access[static_cast<std::size_t>(o.value)]).pointer;
  pop_level();
  return p;
}

void ContractEmitter::multiply(Value* strip, Value* panel, Value* x, Value* y, Value* tile, Value* k, Value* count,
                               Value* continued) {
  x = offset_elements(dtype_, x, b_.CreateMul(k, i64(lhs_.k_stride)));
  y = offset_elements(dtype_, y, b_.CreateMul(k, i64(rhs_.k_stride)));
  auto choose = [&](Value* condition, Value* yes, Value* no) {
    return yes == no ? yes : b_.CreateSelect(condition, yes, no);
  };
  Value* is_short = b_.CreateICmpSLT(strip, i64(short_strips_));
  Value* is_last = b_.CreateICmpEQ(panel, i64(panels_ - 1));
  Value* micro =
      choose(is_short, choose(is_last, micro_[1][1], micro_[1][0]), choose(is_last, micro_[0][1], micro_[0][0]));
  b_.CreateCall(micro_[0][0]->getFunctionType(), micro, {x, y, tile, count, continued});
}

/// total = tile for the first chunk of k, total + tile for later ones.
void ContractEmitter::add_to_total(Value* first_chunk) {
  const std::int64_t elements = (schedule_.split_n ? group_ * rows_ : rows_) * tile_row_;
  Value *tile = scratch_at(tile_offset_), *total = scratch_at(total_offset_);
  loop(
      i64(0), i64(elements), lanes_of_register_, {},
      [&](Value* i, const Values&) -> Values {
        Value* from = offset_elements(dtype_, tile, i);
        Value* to = offset_elements(dtype_, total, i);
        Value *x = read(dtype_, from, lanes_of_register_), *sum = read(dtype_, to, lanes_of_register_);
        write(dtype_, to, b_.CreateSelect(first_chunk, x, emit_op(b_, Op::add, dtype_, dtype_, {sum, x})));
        return {};
      },
      "total");
}

/// Asks for the memory that the epilogue of a tile will load, which arrives while the sums are computed.
void ContractEmitter::prefetch(Value* row, Value* rows, Value* column) {
  std::vector<ExprId> roots;
  for (std::size_t s = 1; s < info_.phase.stages.size(); ++s)
    for (const Store& store : stage(s).stores) roots.push_back(store.value);
  std::vector<ExprId> loads = loads_under(kernel_, info_, roots);
  std::erase_if(loads, [&](ExprId e) {
    const Linear& a = info_.access[static_cast<std::size_t>(e)];
    return !a.indirect.empty() || a.coefficient[static_cast<std::size_t>(schedule_.n)] != 1 ||
           a.coefficient[static_cast<std::size_t>(schedule_.m)] == 0;
  });
  if (loads.empty()) return;
  loop(
      i64(0), rows, 1, {},
      [&](Value* i, const Values&) -> Values {
        bind(schedule_.m, b_.CreateAdd(row, i));
        bind(schedule_.n, column);
        for (ExprId e : loads) {
          const auto element = static_cast<std::int64_t>(size_of(expr(e).dtype));
          Value* pointer = address(expr(e).buffer, info_.access[static_cast<std::size_t>(e)]).pointer;
          for (std::int64_t at = 0; at < group_columns() * element; at += kCacheLine)
            b_.CreateIntrinsic(
                llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                {b_.CreateConstGEP1_64(b_.getInt8Ty(), pointer, static_cast<std::uint64_t>(at)),
                 b_.getInt32(info_.depends[static_cast<std::size_t>(e)].pinned), b_.getInt32(3), b_.getInt32(1)});
        }
        return {};
      },
      "prefetch");
}

/// Runs the later stages for rows [row, row + rows) and columns [column, column_end), whose sums are in the tile.
void ContractEmitter::epilogue(Value* row, Value* rows, Value* column, Value* column_end) {
  Value* tile = scratch_at(K_ > kContractChunk ? total_offset_ : tile_offset_);
  loop(
      i64(0), rows, 1, {},
      [&](Value* i, const Values&) -> Values {
        bind(schedule_.m, b_.CreateAdd(row, i));
        Value* sums = offset_elements(dtype_, tile, b_.CreateMul(i, i64(tile_row_)));
        for_lanes(schedule_.n, tile_lanes_, column, column_end, {}, [&](const Values&) -> Values {
          point_level_ = depth();
          Value* at = b_.CreateSub(coordinate_[static_cast<std::size_t>(schedule_.n)], column);
          accumulator_[stage_.result] = read(dtype_, offset_elements(dtype_, sums, at), tile_lanes_);
          stages(1);
          return {};
        });
        return {};
      },
      "row");
}

}  // namespace weft::codegen
