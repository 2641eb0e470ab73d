// The elementary functions of ir/approx.h: error bounds against a wider reference, special values, symmetry and monotony.
// The f32 sweep takes every 1021st of the 2^32 floats; WEFT_EXHAUSTIVE=1 takes all of them (some minutes).
#include <cmath>
#include <cstdlib>

#ifndef MEASURE
#include "catch.h"
#endif
#include "ir/eval.h"
#include "ir/philox.h"
#include "ir/scalar.h"

using namespace weft;

namespace {

/// One function: its reference and the errors stated in ir/approx.h.
struct Function {
  Op op;
  long double (*reference)(long double);
  double ulps_f32, ulps_f64;
  bool odd, even;
  double limit_f32 = HUGE_VAL, limit_f64 = HUGE_VAL;  // the errors hold for |x| <= limit
};
const Function kFunctions[] = {
    {Op::exp, std::exp, 1, 1, false, false},
    {Op::log, std::log, 1, 1.5, false, false},
    {Op::sin, std::sin, 2, 2, true, false, 0x1p17, 0x1p30},
    {Op::cos, std::cos, 2, 2, false, true, 0x1p17, 0x1p30},
    {Op::tanh, std::tanh, 2, 2, true, false},
    {Op::erf, std::erf, 2, 2, true, false},
};

template <class T>
T wide_reference(const Function& f, T x);

/// |y - reference| in units of T's last place at the reference.
template <class T, class Wide>
double ulp_error(T y, Wide reference) {
  using Limits = std::numeric_limits<T>;
  if (std::isnan(reference) || std::isnan(y)) return std::isnan(reference) && std::isnan(y) ? 0 : HUGE_VAL;
  const Wide size = std::fabs(reference);
  if (size < Limits::min()) return y == 0 || std::fabs(y) == Limits::min() ? 0 : HUGE_VAL;  // flushed
  if (std::isinf(y)) return std::isinf(reference) || size > Limits::max() ? 0 : HUGE_VAL;
  if (std::isinf(reference)) return HUGE_VAL;
  const Wide ulp = std::ldexp(Wide{1}, std::ilogb(reference) - (Limits::digits - 1));
  return static_cast<double>(std::fabs(static_cast<Wide>(y) - reference) / ulp);
}

struct Worst {
  double ulps = 0, x = 0;
  template <class T>
  void add(const Function& f, T x) {
    using Wide = std::conditional_t<sizeof(T) == 4, double, long double>;
    const double limit = sizeof(T) == 4 ? f.limit_f32 : f.limit_f64;
    if (std::fabs(x) > limit) return;
    const T flushed = flush_subnormal(x);
    Wide reference;
    if constexpr (sizeof(T) == 4) {
      switch (f.op) {  // the double versions: several times faster than long double's
        case Op::exp: reference = std::exp(Wide{flushed}); break;
        case Op::log: reference = std::log(Wide{flushed}); break;
        case Op::sin: reference = std::sin(Wide{flushed}); break;
        case Op::cos: reference = std::cos(Wide{flushed}); break;
        case Op::tanh: reference = std::tanh(Wide{flushed}); break;
        default: reference = std::erf(Wide{flushed}); break;
      }
    } else {
      reference = f.reference(flushed);
    }
    const double e = ulp_error(apply_unary(f.op, x), reference);
    if (e > ulps) ulps = e, this->x = x;
  }
};

}  // namespace
#ifdef MEASURE
int main(int argc, char** argv) {
  FlushSubnormals flush;
  unsigned stride = argc > 1 ? atoi(argv[1]) : 1021;
  for (auto& f : kFunctions) {
    Worst w;
    for (std::uint64_t b = 0; b < (1ull << 32); b += stride) w.add(f, std::bit_cast<float>(std::uint32_t(b)));
    Worst d;
    for (int e = 0; e < 2048; ++e) {
      bool dense = e > 1023 - 60 && e < 1023 + 34;
      for (int i = 0; i < (dense ? 50000/ (argc > 1 ? 1 : 10) : 100); ++i) {
        auto r = philox4x32({std::uint32_t(i), std::uint32_t(e), 0, 0}, {1, 2});
        std::uint64_t m = (std::uint64_t(r[0]) << 32 | r[1]) & ((1ull << 52) - 1);
        d.add(f, std::bit_cast<double>(std::uint64_t(r[2] & 1) << 63 | std::uint64_t(e) << 52 | m));
      }
    }
    fmt::print("{}: f32 {:.3f} at {}   f64 {:.3f} at {}\n", name(f.op), w.ulps, w.x, d.ulps, d.x);
  }
}
#endif
