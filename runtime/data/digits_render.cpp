// Lines by their distance field; only + - * / and square roots, each correctly rounded, so that pixels agree
// everywhere.
#include "runtime/data/digits_render.h"

#include <algorithm>
#include <cmath>

namespace weft::digits {
namespace {

/// The whole numbers in [lo, hi], limited to the canvas.
struct Range {
  int begin, end;
};
Range covered(float lo, float hi) {
  const float limit = kSide;
  const int begin = static_cast<int>(std::clamp(std::ceil(lo), 0.0f, limit));
  const int end = static_cast<int>(std::clamp(std::floor(hi) + 1, 0.0f, limit));
  return {begin, std::max(begin, end)};
}

}  // namespace

void Canvas::line(Vec a, Vec b, float ra, float rb, float softness) {
  const float reach = std::max(ra, rb) + 0.5f * softness;
  const Range columns = covered(std::min(a.x, b.x) - reach, std::max(a.x, b.x) + reach);
  const Range rows = covered(std::min(a.y, b.y) - reach, std::max(a.y, b.y) + reach);
  const Vec along = b - a;
  const float length2 = along.x * along.x + along.y * along.y;
  const float inverse = length2 > 1e-12f ? 1 / length2 : 0;
  for (int row = rows.begin; row < rows.end; ++row) {
    for (int column = columns.begin; column < columns.end; ++column) {
      // Distance from the pixel to its nearest point on the line, a + t (b - a).
      const Vec p = Vec{static_cast<float>(column), static_cast<float>(row)} - a;
      const float t = std::clamp((p.x * along.x + p.y * along.y) * inverse, 0.0f, 1.0f);
      const Vec off = p - along * t;
      const float distance = std::sqrt(off.x * off.x + off.y * off.y);
      const float depth = std::clamp((ra + (rb - ra) * t - distance) / softness + 0.5f, 0.0f, 1.0f);
      float& ink = ink_[static_cast<std::size_t>(row * kSide + column)];
      ink = std::max(ink, depth * depth * (3 - 2 * depth));
    }
  }
}

void Canvas::develop(const Ink& ink, std::span<const float, kPixels> noise,
                     std::span<std::uint8_t, kPixels> pixels) const {
  const auto at = [&](int row, int column) {
    const bool inside = row >= 0 && row < kSide && column >= 0 && column < kSide;
    return inside ? ink_[static_cast<std::size_t>(row * kSide + column)] : 0.0f;
  };
  for (int row = 0; row < kSide; ++row) {
    for (int column = 0; column < kSide; ++column) {
      const float edges = (at(row - 1, column) + at(row + 1, column)) + (at(row, column - 1) + at(row, column + 1));
      const float corners =
          (at(row - 1, column - 1) + at(row - 1, column + 1)) + (at(row + 1, column - 1) + at(row + 1, column + 1));
      const float sharp = at(row, column);
      const float blurred = (sharp * 4 + edges * 2 + corners) * 0.0625f;
      const auto i = static_cast<std::size_t>(row * kSide + column);
      const float value = (sharp + (blurred - sharp) * ink.blur) * ink.gain * (1 - ink.grain * noise[i]);
      pixels[i] = static_cast<std::uint8_t>(std::min(value, 1.0f) * 255 + 0.5f);
    }
  }
}

void centre(std::span<std::uint8_t, kPixels> pixels) {
  std::int64_t ink = 0, column_moment = 0, row_moment = 0;
  for (int i = 0; i < kPixels; ++i) {
    const std::int64_t value = pixels[static_cast<std::size_t>(i)];
    ink += value;
    column_moment += value * (i % kSide);
    row_moment += value * (i / kSide);
  }
  if (ink == 0) return;
  // The whole number nearest to middle - moment / ink, which is at most kSide in size: floor of a fraction kept
  // positive.
  const auto shift = [&](std::int64_t moment) {
    return static_cast<int>((kSide * ink - 2 * moment + 2 * kSide * ink) / (2 * ink)) - kSide;
  };
  const int right = shift(column_moment), down = shift(row_moment);
  std::array<std::uint8_t, kPixels> moved{};
  for (int row = std::max(0, down); row < std::min(kSide, kSide + down); ++row)
    for (int column = std::max(0, right); column < std::min(kSide, kSide + right); ++column)
      moved[static_cast<std::size_t>(row * kSide + column)] =
          pixels[static_cast<std::size_t>((row - down) * kSide + column - right)];
  std::copy(moved.begin(), moved.end(), pixels.begin());
}

}  // namespace weft::digits
