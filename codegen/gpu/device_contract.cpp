// The pipeline of stages through shared memory, and the products of a stage in registers.
#include "codegen/gpu/device_contract.h"

#include <algorithm>

#include "ir/base/error.h"
#include "ir/kernel/print_kernel.h"
#include "ir/ops/sum_order.h"

namespace weft::codegen {
namespace {

constexpr std::int64_t kWordsAhead = 128;  // of operands that a thread may hold

}  // namespace

DeviceContract::DeviceContract(const Program& program, const Kernel& kernel, const PhaseInfo& info,
                               const GpuSchedule& tile, simt::Function& function)
    : DevicePhase(program, kernel, info, function),
      stage_(info.phase.stages[0]),
      axis_b_(role_axes(kernel).b),
      axis_m_(role_axes(kernel).m),
      axis_n_(role_axes(kernel).n),
      axis_k_(role_axes(kernel).k),
      B_(extent(axis_b_)),
      M_(extent(axis_m_)),
      N_(extent(axis_n_)),
      K_(extent(axis_k_)),
      dtype_(expr(stage_.lhs).dtype),
      tile_(tile) {}

bool DeviceContract::is_plain_load(ExprId id) const {
  return expr(id).kind == Expr::load && expr(id).args.empty() && size_of(expr(id).dtype) >= 4 &&
         info_.load_checks[static_cast<std::size_t>(id)].empty();
}

/// Neighbours along `axis` that every load under the expression can take at once, at most `most`.
int DeviceContract::operand_lanes(ExprId root, AxisId axis, int most) const {
  const std::vector<ExprId> loads = loads_under(kernel_, {root});
  for (int lanes = most; lanes > 1; lanes /= 2) {
    bool all = extent(axis) % lanes == 0, along = false;
    for (ExprId load : loads) {
      const Linear& l = info_.access[static_cast<std::size_t>(load)];
      all &= are_neighbours(l, axis, lanes);
      along |= l.coefficient[static_cast<std::size_t>(axis)] == 1;
    }
    if (all && along) return lanes;
  }
  return 1;
}

DeviceContract::Operand DeviceContract::plan(ExprId value, AxisId free) const {
  Operand o;
  o.value = value, o.free = free, o.extent = extent(free);
  const int most = 16 / static_cast<int>(size_of(dtype_));
  const int along_k = operand_lanes(value, axis_k_, most), along_free = operand_lanes(value, free, most);
  // Where neither axis has vectors, that one whose neighbours are neighbours in memory.
  bool k_is_contiguous = false;
  if (along_k == 1 && along_free == 1)
    for (ExprId load : loads_under(kernel_, {value})) {
      const Linear& l = info_.access[static_cast<std::size_t>(load)];
      k_is_contiguous |=
          l.coefficient[static_cast<std::size_t>(axis_k_)] == 1 && l.coefficient[static_cast<std::size_t>(free)] != 0;
    }
  o.along_k = along_k > along_free || k_is_contiguous;
  o.vector = o.along_k ? along_k : along_free;
  o.async = is_plain_load(value);
  return o;
}

void DeviceContract::place(Operand& o, int threads, int each, RegisterId first, RegisterId rank) {
  const bool is_x = o.free == axis_m_;
  o.threads = threads, o.each = each, o.span = is_x ? tile_.m() : tile_.n(), o.first = first, o.rank = rank;
  o.vector = std::min(o.vector, o.along_k ? tile_.k : o.span);
  o.group = o.along_k ? 1 : std::min(each, 16 / static_cast<int>(size_of(dtype_)));
  // Rows are padded where threads that read different ones would meet the same banks.
  if (tile_.matrices)
    o.row = o.along_k ? tile_.k + 4 : o.span + 8;
  else
    o.row = o.along_k ? tile_.k + o.vector : o.span;
  o.stage = (o.along_k ? o.span : tile_.k) * o.row;
  o.shared = b_.shared(is_x ? "x" : "y", dtype_, std::int64_t{tile_.stages} * o.stage);
}

RegisterId DeviceContract::offset(const Operand& o, int i) {
  const std::int64_t jump = std::int64_t{o.threads} * o.group * (i / o.group) + i % o.group;
  return b_.add(b_.multiply(o.rank, o.group), jump);
}

/// Starts the copy of the stage that begins at product k0. What goes through registers is returned, for put().
DeviceContract::Pendings DeviceContract::fetch(const Operand& o, RegisterId k0, RegisterId stage) {
  Pendings pending;
  const int across = (o.along_k ? tile_.k : o.span) / o.vector, down = o.along_k ? o.span : tile_.k;
  const int groups = across * down, threads = tile_.threads();
  const RegisterId base = b_.multiply(stage, o.stage);
  for (int g = 0; g < groups; g += threads) {
    const RegisterId item = b_.add(b_.thread(), g);
    RegisterId row = b_.divide(item, across), col = b_.remainder(item, across);
    if (threads % across == 0) {  // the column is the same for all of a thread's groups
      row = b_.add(b_.divide(b_.thread(), across), g / across);
      col = b_.remainder(b_.thread(), across);
    }
    const RegisterId at = b_.multiply(col, o.vector);
    const RegisterId part = groups - g < threads ? b_.less(b_.thread(), groups - g) : kNone;
    const RegisterId free = b_.sum(o.first, o.along_k ? row : at), k = b_.sum(k0, o.along_k ? at : row);
    const auto inside = [&](AxisId axis, RegisterId v, std::int64_t n, bool whole) {
      inside_[static_cast<std::size_t>(axis)] = b_.both(part, whole ? kNone : b_.less(v, n));
    };
    inside(o.free, free, o.extent, o.extent % o.span == 0);
    inside(axis_k_, k, K_, false);  // stages are fetched ahead, beyond the last one too
    const RegisterId place = b_.sum(base, b_.sum(b_.multiply(row, o.row), at));
    bind(o.free, free, o.along_k ? 1 : o.vector);
    bind(axis_k_, k, o.along_k ? o.vector : 1);
    if (o.async) {
      const Expr& e = expr(o.value);
      const RegisterId in =
          b_.both(part, b_.both(inside_[static_cast<std::size_t>(o.free)], inside_[static_cast<std::size_t>(axis_k_)]));
      const std::int32_t origin = b_.origin("copy " + access_text(program_, kernel_, e.buffer, e.access));
      const RegisterId from = index(info_.access[static_cast<std::size_t>(o.value)], 0, b_.index_type());
      auto copy = [&] { b_.copy_async(o.shared, place, memory(e.buffer), from, o.vector, in, origin); };
      when(part, copy);
    } else {
      const RegisterIds& v = values(o.value);
      const RegisterId in_k = inside_[static_cast<std::size_t>(axis_k_)];
      RegisterIds all;
      for (int lane = 0; lane < o.vector; ++lane) {
        all.push_back(at_lane(v, lane));
        if (tile_.matrices && in_k != kNone)  // products beyond K are summed too
          all.back() = b_.apply(Op::select, dtype_, {in_k, all.back(), b_.constant(dtype_, 0)});
      }
      pending.push_back({place, part, all});
    }
    inside_[static_cast<std::size_t>(o.free)] = inside_[static_cast<std::size_t>(axis_k_)] = kNone;
  }
  return pending;
}

void DeviceContract::put(const Operand& o, const Pendings& pending) {
  const std::int32_t origin = b_.origin(fmt::format("stage of {}", b_.memory(o.shared).name));
  for (const Pending& p : pending) b_.store(o.shared, p.place, p.values, origin, p.predicate);
}

/// [each][count]: a thread's elements of an operand at products kk … kk + count - 1 of a stage.
std::vector<RegisterIds> DeviceContract::fragments(const Operand& o, RegisterId stage, RegisterId kk, int count) {
  const std::int32_t origin = b_.origin(fmt::format("operand {}", b_.memory(o.shared).name));
  std::vector<RegisterIds> out(static_cast<std::size_t>(o.each));
  if (o.along_k) {
    const int step = std::min(count, o.vector);
    for (int i = 0; i < o.each; ++i)
      for (int k = 0; k < count; k += step) {
        const RegisterId row = b_.sum(stage, b_.multiply(offset(o, i), o.row));
        const RegisterIds v = b_.load(o.shared, b_.add(b_.sum(row, kk), k), step, kNone, origin);
        out[static_cast<std::size_t>(i)].insert(out[static_cast<std::size_t>(i)].end(), v.begin(), v.end());
      }
    return out;
  }
  for (int k = 0; k < count; ++k)
    for (int i = 0; i < o.each; i += o.group) {
      const RegisterId column = b_.sum(stage, offset(o, i)), row = b_.multiply(b_.add(kk, k), o.row);
      const RegisterIds v = b_.load(o.shared, b_.sum(column, row), o.group, kNone, origin);
      for (int g = 0; g < o.group; ++g) out[static_cast<std::size_t>(i + g)].push_back(v[static_cast<std::size_t>(g)]);
    }
  return out;
}

void DeviceContract::multiply_step(RegisterId x_stage, RegisterId y_stage, RegisterId kk, int count) {
  const auto x = fragments(x_, x_stage, kk, count), y = fragments(y_, y_stage, kk, count);
  for (std::size_t k = 0; k < static_cast<std::size_t>(count); ++k)
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t j = 0; j < y.size(); ++j) {
        const RegisterId sum = sums_[i * y.size() + j];
        b_.set(sum, multiply_add(x[i][k], y[j][k], sum));
      }
}

/// The first `count` products of a stage.
void DeviceContract::multiply(RegisterId stage, std::int64_t count) {
  if (tile_.matrices) return multiply_matrices(stage, count);
  const RegisterId x = b_.multiply(stage, x_.stage), y = b_.multiply(stage, y_.stage);
  const int step = std::max(x_.along_k ? x_.vector : 1, y_.along_k ? y_.vector : 1);
  const std::int64_t whole = count / step * step;
  // Code is repeated for as many steps as have operands that fit in registers together: ptxas loads that far ahead.
  const std::int64_t words = step * (x_.each + y_.each) * static_cast<std::int64_t>(size_of(dtype_)) / 4;
  std::int64_t repeated = step;
  while (whole % (2 * repeated) == 0 && 2 * repeated / step * words <= kWordsAhead) repeated *= 2;
  auto steps = [&](RegisterId first) {
    loop(
        b_.integer(0), b_.integer(repeated), step, [&](RegisterId kk) { multiply_step(x, y, b_.sum(first, kk), step); },
        true);
  };
  loop(b_.integer(0), b_.integer(whole), repeated, steps);
  for (std::int64_t kk = whole; kk < count; ++kk) multiply_step(x, y, b_.integer(kk), 1);
}

/// Before the first product of a chunk but the first one: total = sum or total + sum; sum = 0.
void DeviceContract::fold_chunk(RegisterId k0) {
  const RegisterId starts =
      b_.both(b_.equal(b_.remainder(k0, kContractChunk), 0), b_.apply(Op::gt, boolean, {k0, b_.integer(0)}));
  const RegisterId is_first = b_.equal(k0, kContractChunk);
  when(starts, [&] {
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const RegisterId added = b_.apply(Op::add, dtype_, {totals_[i], sums_[i]});
      b_.set(totals_[i], b_.apply(Op::select, dtype_, {is_first, sums_[i], added}));
      b_.set(sums_[i], b_.constant(dtype_, 0));
    }
  });
}

void DeviceContract::run_stages() {
  const std::int64_t whole = K_ / tile_.k, rest = K_ % tile_.k;
  const int ahead = tile_.stages - 1;
  const bool async = x_.async || y_.async;
  for (int s = 0; s < ahead; ++s) {
    for (const Operand* o : {&x_, &y_}) put(*o, fetch(*o, b_.integer(std::int64_t{s} * tile_.k), b_.integer(s)));
    if (async) b_.commit_async();
  }
  auto arrived = [&] {
    if (async) b_.wait_async(ahead - 1);
    b_.barrier();
  };
  auto stage_of = [&](RegisterId k) { return b_.remainder(b_.divide(k, tile_.k), tile_.stages); };
  loop(b_.integer(0), b_.integer(whole * tile_.k), tile_.k, [&](RegisterId k0) {
    arrived();
    if (K_ > kContractChunk) fold_chunk(k0);
    // The stage that the last round multiplied is free now: all threads have passed the barrier.
    const RegisterId k = b_.add(k0, std::int64_t{ahead} * tile_.k), next = stage_of(k);
    const Pendings x = fetch(x_, k, next), y = fetch(y_, k, next);
    if (async) b_.commit_async();
    multiply(stage_of(k0), tile_.k);
    put(x_, x);
    put(y_, y);
  });
  if (rest == 0) return;
  arrived();
  const RegisterId k0 = b_.integer(whole * tile_.k);
  if (K_ > kContractChunk && whole * tile_.k % kContractChunk == 0) fold_chunk(k0);
  multiply(stage_of(k0), rest);
}

std::vector<DeviceContract::Piece> DeviceContract::pieces() {
  if (tile_.matrices) return matrix_pieces();
  std::vector<Piece> all;
  for (int i = 0; i < x_.each; ++i)
    for (int j = 0; j < y_.each; j += y_.group) {
      all.push_back({offset(x_, i), offset(y_, j), {}});
      for (int g = 0; g < y_.group; ++g) all.back().sums.push_back(static_cast<std::size_t>(i * y_.each + j + g));
    }
  return all;
}

void DeviceContract::epilogue() {
  auto sum = [&](std::size_t i) {
    return K_ > kContractChunk ? b_.apply(Op::add, dtype_, {totals_[i], sums_[i]}) : sums_[i];
  };
  bind(axis_k_, kNone);
  for (const Piece& piece : pieces()) {
    const int all = static_cast<int>(piece.sums.size()), group = N_ % all == 0 ? all : 1;
    const RegisterId m = b_.sum(x_.first, piece.m);
    for (int j = 0; j < all; j += group) {
      const RegisterId n = b_.add(b_.sum(y_.first, piece.n), j);
      const RegisterId in_m = M_ % x_.span == 0 ? kNone : b_.less(m, M_);
      when(b_.both(in_m, N_ % y_.span == 0 ? kNone : b_.less(n, N_)), [&] {
        bind(axis_m_, m);
        bind(axis_n_, n, group);
        RegisterIds sums;
        for (int g = 0; g < group; ++g) sums.push_back(sum(piece.sums[static_cast<std::size_t>(j + g)]));
        bind_accumulator(stage_.result, sums);
        for (std::size_t s = 1; s < info_.phase.stages.size(); ++s) {
          forget_stored();
          const KernelStage& map = info_.phase.stages[s];
          std::vector<RegisterIds> stored;
          for (const Store& t : map.stores) stored.push_back(values(t.value));
          for (std::size_t t = 0; t < stored.size(); ++t)
            store(map.stores[t], info_.store[s][t], info_.store_checks[s][t], stored[t]);
        }
      });
    }
  }
}

/// Throws Error where the target cannot run the tile, which a text may have said.
void DeviceContract::check_tile(const GpuTarget& target) const {
  const std::string place = fmt::format("{}: error: kernel @{}: schedule", kernel_.locs.str(), kernel_.name);
  if (tile_.matrices && numerics_ == Numerics::exact)
    fail("{}: matrices are multiplied on tensor cores, which numerics exact does not use; expected fast or bf16",
         place);
  if (const std::int64_t bytes = tile_.shared_bytes(static_cast<std::int64_t>(size_of(dtype_)));
      bytes > target.shared_bytes)
    fail("{}: {} bytes of shared memory; a block of {} has {}", place, bytes, target.name, target.shared_bytes);
}

void DeviceContract::emit(const GpuTarget& target) {
  x_ = plan(stage_.lhs, axis_m_), y_ = plan(stage_.rhs, axis_n_);
  numerics_ = dtype_ == f32 ? target.numerics : Numerics::exact;
  check_tile(target);
  const std::int64_t tiles_m = ceil_div(M_, tile_.m()), tiles_n = ceil_div(N_, tile_.n());
  function_.threads = tile_.threads();
  function_.blocks = B_ * tiles_m * tiles_n;

  const RegisterId block = b_.block();
  RegisterId tile = block;
  if (B_ > 1) {
    bind(axis_b_, b_.divide(block, tiles_m * tiles_n));
    tile = b_.remainder(block, tiles_m * tiles_n);
  } else if (axis_b_ != kNone) {
    bind(axis_b_, b_.integer(0));
  }
  const RegisterId tile_m = tiles_m == 1 ? b_.integer(0) : b_.divide(tile, tiles_n);
  const RegisterId tile_n = tiles_m == 1 ? tile : b_.remainder(tile, tiles_n);
  const RegisterId rank = b_.divide(b_.thread(), tile_.matrices ? simt::kWarp : 1);
  place(x_, tile_.rows, tile_.tm, b_.multiply(tile_m, tile_.m()), b_.divide(rank, tile_.cols));
  place(y_, tile_.cols, tile_.tn, b_.multiply(tile_n, tile_.n()), b_.remainder(rank, tile_.cols));
  const RegisterId zero = b_.constant(dtype_, 0);
  for (int i = 0; i < tile_.tm * tile_.tn * (tile_.matrices ? 4 : 1); ++i) {
    sums_.push_back(b_.variable(zero));
    if (K_ > kContractChunk) totals_.push_back(b_.variable(zero));
  }
  run_stages();
  epilogue();
  b_.finish();
}

}  // namespace weft::codegen
