// The table of the DSL's functions of floats: how each is built, what it is in multi-precision, and the error that is
// stated of its value and of its first two derivatives. The tests walk it, and docs/numerics.md shows it.
#pragma once
#include <weft/weft.h>

#include <span>
#include <string>
#include <vector>

#include "jet.h"

namespace weft::test {

struct Operands {
  std::vector<Jet> x;
  DType dtype;
  const Jet& operator[](std::size_t i) const { return x[i]; }
  /// A constant as weft holds it.
  double rounded(double c) const { return dtype == f32 ? static_cast<float>(c) : c; }
};

/// At most `ulps` units in the last place of the true result or, where `of` names one, of that quantity if it is
/// larger.
struct Bound {
  double ulps;
  std::string of = {};
  Real (*size)(const Operands&) = nullptr;
};

/// What must come out, to the bounds, at a point that the reference does not decide: a kink, a tie, an infinity. The
/// derivatives are along operand `along`; NaN asks for NaN, and kFree for nothing.
inline constexpr double kFree = 0x1.a5a5a5p-77;
struct Special {
  std::vector<double> x;
  double value, first, second;
  std::size_t along = 0;
};

struct FunctionRow {
  std::string name;  // as the header declares it
  std::string form;  // as the table shows it
  std::size_t operands;
  Tensor (*build)(const std::vector<Tensor>& x);  // each x and the result are [n]
  Jet (*reference)(const Operands&);
  Bound value, first, second;
  std::string domain = "all";
  bool (*admits)(std::span<const double> x) = nullptr;  // finite points of the domain without its kinks
  std::vector<Special> specials = {};
  int flush = 0;  // if not 0: partial results that underflow add up to 2^flush times the smallest normal number
};

std::vector<FunctionRow> elementwise_rows();  // functions_elementwise.cpp
std::vector<FunctionRow> row_rows();          // functions_rows.cpp: reductions, products and losses

}  // namespace weft::test
