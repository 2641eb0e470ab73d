// How people write the ten digits: several stroke templates for each, as paths through a few points.
#pragma once
#include <span>
#include <vector>

namespace weft::digits {

struct Vec {
  float x = 0, y = 0;
};
inline Vec operator+(Vec a, Vec b) { return {a.x + b.x, a.y + b.y}; }
inline Vec operator-(Vec a, Vec b) { return {a.x - b.x, a.y - b.y}; }
inline Vec operator*(Vec a, float s) { return {a.x * s, a.y * s}; }

/// A point that a stroke passes through; at a corner the pen changes direction at once, elsewhere smoothly.
struct Knot {
  Vec at;
  bool corner = false;
};
using Stroke = std::vector<Knot>;  // pen down at the first knot, up after the last

/// One way to write a digit, in the unit square (x to the right, y down).
struct Glyph {
  int weight = 1;  // how common it is among the glyphs of its digit
  std::vector<Stroke> strokes;
};

/// The glyphs of `digit` (0 … 9), in a fixed order.
std::span<const Glyph> glyphs(int digit);

/// `stroke` as a chain of points: smooth cubic arcs through its knots, `steps` points to an
/// arc, broken at corners. A stroke has at least two knots.
std::vector<Vec> flatten(const Stroke& stroke, int steps);

}  // namespace weft::digits
