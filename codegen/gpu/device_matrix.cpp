// Contractions on tensor cores: a warp's fragments of the stages in shared memory, as mma.sync lays them out. Lane l
// has group g = l / 4 and member t = l % 4; an instruction multiplies a [16][k] by b [k][8], k = 8 (tf32) or 16 (bf16).
//   tf32: a0 … a3 = a[g][t], a[g+8][t], a[g][t+4], a[g+8][t+4]; b0, b1 = b[t][g], b[t+4][g]
//   bf16: the same with a pair of neighbours along k for each: t stands for 2t and 2t+1, t+4 for 2t+8 and 2t+9
//   sums: c0, c1 = c[g][2t], c[g][2t+1]; c2, c3 = c[g+8][2t], c[g+8][2t+1]
#include "codegen/gpu/device_contract.h"
#include "ir/base/error.h"

namespace weft::codegen {
namespace {

constexpr int kRows = 16, kCols = 8;

}  // namespace

/// The fragment of matrix `number` of the warp's share of an operand, at products from kk on.
RegisterIds DeviceContract::matrix_fragment(const Operand& o, RegisterId stage, RegisterId kk, int number, bool is_x) {
  const std::int32_t origin = b_.origin(fmt::format("operand {}", b_.memory(o.shared).name));
  const bool pairs = numerics_ == Numerics::bf16;
  const int along = is_x ? kRows : kCols;
  const RegisterId lane = b_.remainder(b_.thread(), simt::kWarp), group = b_.divide(lane, 4);
  const RegisterId member = b_.multiply(b_.remainder(lane, 4), pairs ? 2 : 1);
  const RegisterId share = b_.add(b_.multiply(o.rank, std::int64_t{along} * o.each), std::int64_t{along} * number);
  RegisterIds out;
  for (int half = 0; half < 2; ++half)  // of k
    for (int row = 0; row < along; row += kCols) {
      const RegisterId free = b_.add(b_.sum(share, group), row);
      for (int pair = 0; pair < (pairs ? 2 : 1); ++pair) {
        const RegisterId k = b_.add(b_.sum(kk, member), half * (pairs ? 8 : 4) + pair);
        const RegisterId at = o.along_k ? b_.sum(b_.multiply(free, o.row), k) : b_.sum(b_.multiply(k, o.row), free);
        out.push_back(b_.load(o.shared, b_.sum(stage, at), 1, kNone, origin)[0]);
      }
    }
  return out;
}

void DeviceContract::multiply_matrices(RegisterId stage, std::int64_t count) {
  const int step = numerics_ == Numerics::bf16 ? 16 : 8;
  const Inst::Kind kind = numerics_ == Numerics::bf16 ? Inst::mma_bf16 : Inst::mma_tf32;
  const RegisterId x_stage = b_.multiply(stage, x_.stage), y_stage = b_.multiply(stage, y_.stage);
  loop(
      b_.integer(0), b_.integer((count + step - 1) / step * step), step,
      [&](RegisterId kk) {
        std::vector<RegisterIds> y;
        for (int j = 0; j < tile_.tn; ++j) y.push_back(matrix_fragment(y_, y_stage, kk, j, false));
        for (int i = 0; i < tile_.tm; ++i) {
          const RegisterIds x = matrix_fragment(x_, x_stage, kk, i, true);
          for (int j = 0; j < tile_.tn; ++j) {
            const auto first = static_cast<std::size_t>(4 * (i * tile_.tn + j));
            RegisterIds args = x;
            args.insert(args.end(), y[static_cast<std::size_t>(j)].begin(), y[static_cast<std::size_t>(j)].end());
            for (std::size_t c = 0; c < 4; ++c) args.push_back(sums_[first + c]);
            const RegisterIds sums = b_.mma(kind, args);
            for (std::size_t c = 0; c < 4; ++c) b_.set(sums_[first + c], sums[c]);
          }
        }
      },
      true);
}

std::vector<DeviceContract::Piece> DeviceContract::matrix_pieces() {
  const RegisterId lane = b_.remainder(b_.thread(), simt::kWarp), group = b_.divide(lane, 4);
  const RegisterId column = b_.multiply(b_.remainder(lane, 4), 2);
  const RegisterId m = b_.sum(b_.multiply(x_.rank, std::int64_t{kRows} * tile_.tm), group);
  const RegisterId n = b_.sum(b_.multiply(y_.rank, std::int64_t{kCols} * tile_.tn), column);
  std::vector<Piece> all;
  for (int i = 0; i < tile_.tm; ++i)
    for (int j = 0; j < tile_.tn; ++j)
      for (int half = 0; half < 2; ++half) {
        const auto first = static_cast<std::size_t>(4 * (i * tile_.tn + j) + 2 * half);
        all.push_back({b_.add(m, kRows * i + 8 * half), b_.add(n, kCols * j), {first, first + 1}});
      }
  return all;
}

}  // namespace weft::codegen
