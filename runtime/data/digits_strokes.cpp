// The table of glyphs, and cubic arcs through their knots.
#include "runtime/data/digits_strokes.h"

#include <array>
#include <string_view>

#include "ir/base/error.h"

namespace weft::digits {
namespace {

// Knots are `x,y` in percent of the glyph's box; `!` marks a corner; `/` lifts the pen.
struct Row {
  int digit, weight;
  std::string_view path;
};
// clang-format off
constexpr Row kRows[] = {
  {0, 4, "58,0 22,10 6,48 20,88 50,100 80,88 94,50 82,12 46,1"},            // round, closed at the top
  {0, 3, "76,9 46,4 18,28 8,68 34,99 68,84 90,48 80,12 44,3"},              // slanted, the ends overlap
  {0, 2, "56,0 28,14 20,56 36,94 58,96 78,58 74,16 46,1"},                  // narrow
  {0, 1, "36,8 12,32 10,72 44,99 80,84 92,48 76,12 46,5"},                  // open at the top
  {1, 6, "50,0 50,50 50,100"},                                              // a bare stroke
  {1, 3, "56,0 52,48 44,100"},
  {1, 2, "26,24 54,0! 52,50 50,100"},                                       // with a flag
  {1, 1, "24,22 52,0! 51,50 50,100 / 16,99 84,98"},                         // with flag and base
  {2, 4, "8,24 30,2 66,4 78,28 56,62 8,98! 50,96 94,93"},                   // sharp foot
  {2, 3, "10,20 40,0 74,12 70,48 38,88 10,98 8,82 30,78 58,94 96,92"},      // looped foot
  {2, 2, "14,22 44,0 76,18 60,56 14,92! 44,86 70,97 94,90"},                // wavy base
  {2, 1, "20,30 28,4 64,2 74,32 46,70 22,92 34,98 88,97"},                  // rounded foot
  {3, 4, "12,12 44,0 76,16 68,40 38,47! 74,56 84,80 48,100 8,88"},          // two bows, sharp waist
  {3, 2, "10,4 44,3 80,2! 60,24 42,42! 76,54 82,82 46,100 8,90"},           // flat top
  {3, 2, "14,10 54,0 76,20 52,46 36,49 40,43 60,48 82,68 62,96 10,95"},     // looped waist
  {3, 2, "20,8 58,2 70,22 46,44 62,54 72,76 50,98 14,94"},                  // soft waist
  {4, 4, "20,2 14,28 12,54! 46,54 84,48 / 78,4 74,50 68,100"},              // open
  {4, 3, "16,4 8,36 24,58 58,54 80,28! 84,4! 76,52 72,100"},                // open, in one stroke
  {4, 3, "72,100 74,50 74,0! 40,34 6,66! 50,64 96,62"},                     // closed
  {4, 1, "60,2 30,30 6,58! 40,60 92,56 / 66,34 60,66 56,100"},              // half closed
  {5, 4, "30,2 26,22 22,44! 54,38 82,60 64,94 10,95 / 30,3 58,3 90,0"},     // the bar as a second stroke
  {5, 3, "86,3 58,3 30,5! 26,24 22,46! 58,40 82,66 58,98 8,91"},            // in one stroke
  {5, 2, "82,4 44,8 26,38 52,50 74,62 70,92 36,100 8,90"},                  // like an S
  {5, 1, "92,2 60,8 40,10! 30,46! 62,48 66,80 40,98 6,92"},
  {6, 4, "66,0 34,24 12,64 26,96 64,98 80,74 56,54 18,68"},                 // a bow into a loop
  {6, 3, "42,0 22,32 14,66 30,98 70,94 76,64 46,54 16,74"},                 // upright
  {6, 2, "84,2 50,14 20,48 12,86 44,100 70,80 56,60 30,66 18,84"},          // slanted, small loop
  {6, 1, "58,0 28,40 22,80 44,100 70,88 68,62 44,62 26,84"},
  {7, 4, "8,8 46,6 90,3! 64,48 42,100"},                                    // plain
  {7, 2, "8,22 10,6! 50,7 90,3! 60,48 44,100"},                             // with a serif
  {7, 3, "10,8 50,7 88,4! 62,50 44,100 / 26,54 50,51 78,48"},               // with a bar
  {7, 2, "8,14 40,7 82,8 72,38 50,66 40,100"},                              // rounded
  {8, 4, "76,12 44,0 18,20 44,46 80,74 50,100 16,78 42,50 72,30 76,12"},    // a figure in one stroke
  {8, 2, "50,0 22,20 50,47 78,20 50,0 / 50,47 14,74 50,100 86,74 50,47"},   // two rings
  {8, 2, "82,8 42,4 28,26 66,60 62,94 26,92 28,66 60,42 84,10"},            // slanted
  {8, 1, "70,4 30,10 32,34 72,62 60,98 22,88 34,58 86,16"},                 // open at the top
  {9, 4, "78,16 46,0 14,24 30,50 66,42 80,14! 76,56 68,100"},               // straight leg
  {9, 3, "76,20 42,2 16,32 42,52 74,28! 80,6! 74,50 56,100"},               // slanted
  {9, 2, "76,18 42,0 16,28 44,50 78,20! 80,60 62,96 20,92"},                // curled leg
  {9, 2, "70,14 40,6 22,32 46,48 70,20 72,50 64,100"},                      // no corner
};
// clang-format on

/// Reads one decimal number of at most three digits at the front of `text`.
float take_number(std::string_view& text) {
  int value = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    value = value * 10 + (text[0] - '0');
    text.remove_prefix(1);
  }
  return static_cast<float>(value) / 100.0f;
}

Glyph parse(const Row& row) {
  Glyph glyph{row.weight, {{}}};
  std::string_view text = row.path;
  while (!text.empty()) {
    const char c = text[0];
    if (c == ' ') {
      text.remove_prefix(1);
    } else if (c == '/') {
      text.remove_prefix(1);
      glyph.strokes.emplace_back();
    } else {
      Knot knot;
      knot.at.x = take_number(text);
      ensure(!text.empty() && text[0] == ',', "digit {}: bad path '{}'", row.digit, row.path);
      text.remove_prefix(1);
      knot.at.y = take_number(text);
      knot.corner = !text.empty() && text[0] == '!';
      if (knot.corner) text.remove_prefix(1);
      glyph.strokes.back().push_back(knot);
    }
  }
  for (const Stroke& stroke : glyph.strokes)
    ensure(stroke.size() >= 2, "digit {}: a stroke of one point in '{}'", row.digit, row.path);
  return glyph;
}

std::array<std::vector<Glyph>, 10> parse_table() {
  std::array<std::vector<Glyph>, 10> table;
  for (const Row& row : kRows) table[static_cast<std::size_t>(row.digit)].push_back(parse(row));
  return table;
}

}  // namespace

std::span<const Glyph> glyphs(int digit) {
  static const auto& table = *new std::array<std::vector<Glyph>, 10>(parse_table());
  return table[static_cast<std::size_t>(digit)];
}

std::vector<Vec> flatten(const Stroke& stroke, int steps) {
  const auto last = static_cast<int>(stroke.size()) - 1;
  const auto knot = [&](int i) { return stroke[static_cast<std::size_t>(i)]; };
  const auto smooth = [&](int i) { return i > 0 && i < last && !knot(i).corner; };
  // The arc from p to q is Hermite's: p (2u³-3u²+1) + m (u³-2u²+u) + q (3u²-2u³) + n (u³-u²). Its tangents m and n are
  // about half the chord between the neighbours of a smooth knot; at an end or a corner, what makes the curvature there
  // zero.
  const auto chord = [&](int i) { return (knot(i + 1).at - knot(i - 1).at) * 0.54f; };
  std::vector<Vec> points = {knot(0).at};
  for (int i = 0; i < last; ++i) {
    const Vec p = knot(i).at, q = knot(i + 1).at, straight = q - p;
    const Vec m = smooth(i) ? chord(i) : smooth(i + 1) ? straight * 1.5f - chord(i + 1) * 0.5f : straight;
    const Vec n = smooth(i + 1) ? chord(i + 1) : smooth(i) ? straight * 1.5f - chord(i) * 0.5f : straight;
    for (int s = 1; s <= steps; ++s) {
      const float u = static_cast<float>(s) / static_cast<float>(steps), v = u * u, w = v * u;
      points.push_back(p * (2 * w - 3 * v + 1) + m * (w - 2 * v + u) + q * (3 * v - 2 * w) + n * (w - v));
    }
  }
  return points;
}

}  // namespace weft::digits
