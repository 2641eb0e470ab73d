// Shared by the tests of frontend/: running a tensor, data, and the messages of errors.
#pragma once
#include <weft/weft.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "catch.h"
#include "error_of.h"

namespace weft::test {

inline Array f(const std::vector<float>& values, const Shape& shape) { return Array::from<float>(values, shape); }
inline Array i(const std::vector<std::int32_t>& values, const Shape& shape) {
  return Array::from<std::int32_t>(values, shape);
}

/// The value of `t` on arrays for its inputs (in order of creation, or as listed in `order`), from the interpreter,
/// from compiled code and from device code on the emulator, which must agree in bits.
inline Array run(const Tensor& t, const std::vector<Array>& inputs = {}, const std::vector<Tensor>& order = {}) {
  auto rewind = [&] {
    if (Variable* step = t.trace()->find(std::string(kStepName))) step->value->write(Array::scalar(std::int64_t{0}));
  };
  rewind();
  const Array oracle = compile({t}, {.inputs = order, .backend = Backend::interpreter})(inputs)[0];
  for (const Backend backend : {Backend::cpu, Backend::emulator}) {
    rewind();
    const bool check = backend == Backend::emulator;
    const Array compiled = compile({t}, {.inputs = order, .backend = backend, .check = check})(inputs)[0];
    CAPTURE(name(backend), t.str(), oracle.str(), compiled.str());
    REQUIRE(oracle.same_bits(compiled));
  }
  return oracle;
}

inline std::vector<double> doubles(const Array& a) {
  std::vector<double> v;
  for (std::int64_t k = 0; k < a.size(); ++k) v.push_back(a.at(k));
  return v;
}

/// |a - b| within `tolerance` of max(1, |b|); infinities and NaN must be the same.
inline bool close(double a, double b, double tolerance = 2e-6) {
  if (std::isnan(b)) return std::isnan(a);
  if (std::isinf(b)) return a == b;
  return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}

inline void require_close(const Array& got, const std::vector<double>& want, double tolerance = 2e-6) {
  REQUIRE(got.size() == static_cast<std::int64_t>(want.size()));
  for (std::size_t k = 0; k < want.size(); ++k) {
    CAPTURE(k, got.at(static_cast<std::int64_t>(k)), want[k]);
    REQUIRE(close(got.at(static_cast<std::int64_t>(k)), want[k], tolerance));
  }
}

/// Fails unless every part occurs in `text`, in this order.
inline void require_parts(const std::string& text, const std::vector<std::string>& parts) {
  std::size_t at = 0;
  for (const std::string& part : parts) {
    CAPTURE(text, part);
    at = text.find(part, at);
    REQUIRE(at != std::string::npos);
    at += part.size();
  }
}

/// "file.cpp:12" of the caller: what an error must name.
inline std::string here(int offset = 0, std::source_location where = std::source_location::current()) {
  const std::string file = where.file_name();
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(static_cast<int>(where.line()) + offset);
}

/// A user's mistake and the parts of the message that it must give.
struct Mistake {
  std::function<void()> make;
  std::vector<std::string> parts;
};

inline void require_reported(const std::vector<Mistake>& mistakes) {
  for (const Mistake& m : mistakes) require_parts(error_of(m.make), m.parts);
}

}  // namespace weft::test

/// A Mistake, and one whose message must also name this line (both lines are those of the macro's use).
#define FAILS(expression, ...)           \
  weft::test::Mistake {                  \
    [&] { expression; }, { __VA_ARGS__ } \
  }
#define MISTAKE(expression, ...) FAILS(expression, weft::test::here(), __VA_ARGS__)
