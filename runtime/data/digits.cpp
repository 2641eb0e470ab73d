// From a label to pixels: choose a glyph, move its knots, bend it, slant it, fit it into MNIST's box, and draw it.
// Nothing here calls a function of the maths library but those that round correctly on every machine (sqrt, floor,
// ceil).
#include "runtime/data/digits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <thread>
#include <vector>

#include "ir/base/float_environment.h"

namespace weft::digits {
namespace {

constexpr float kBox = 20;                     // the side of the box that a digit fills
constexpr float kMiddle = (kSide - 1) / 2.0f;  // where its centre of mass goes
constexpr int kStepsPerArc = 6;

using Path = std::vector<std::vector<Vec>>;  // strokes as chains of points

/// How one writer's hand departs from the templates; lengths are in units of the glyph's box.
struct Hand {
  float jitter;      // of each knot
  float bend;        // of the elastic field
  float slant;       // x per y
  float turn;        // tangent of half the angle of rotation
  float aspect;      // width over height
  float half_width;  // of the pen, in pixels
  float pressure;    // how much the width varies along a stroke
};

Hand take_hand(RandomStream& random) {
  Hand hand;
  // Most samples are tidy and a few are wild, as in real handwriting: those few make the difficulty.
  const float u = random.unit();
  const float wild = 0.5f + 0.75f * u * u * u;
  hand.jitter = 0.042f * wild;
  hand.bend = 0.13f * wild;
  hand.slant = -0.16f + 0.24f * random.bell();
  hand.turn = 0.075f * wild * random.bell();
  hand.aspect = 0.74f + 0.14f * random.bell();
  hand.half_width = 0.75f + 1.1f * random.unit();
  hand.pressure = 0.35f * random.unit();
  return hand;
}

const Glyph& take_glyph(RandomStream& random, int digit) {
  const auto choices = glyphs(digit);
  int total = 0;
  for (const Glyph& glyph : choices) total += glyph.weight;
  auto ticket = static_cast<int>(random.below(static_cast<std::uint32_t>(total)));
  std::size_t i = 0;
  while (ticket >= choices[i].weight) ticket -= choices[i++].weight;
  return choices[i];
}

Path write(RandomStream& random, const Glyph& glyph, float jitter) {
  Path path;
  for (Stroke stroke : glyph.strokes) {
    for (Knot& knot : stroke) {
      knot.at.x += jitter * random.bell();
      knot.at.y += jitter * random.bell();
    }
    path.push_back(flatten(stroke, kStepsPerArc));
  }
  return path;
}

/// A smooth random displacement: a uniform cubic B-spline over a lattice of random vectors that covers the unit square.
class ElasticField {
 public:
  ElasticField(RandomStream& random, float amplitude) {
    for (Vec& v : lattice_) {
      v.x = amplitude * random.bell();
      v.y = amplitude * random.bell();
    }
  }
  Vec at(Vec p) const {
    const Cell column = cell(p.x), row = cell(p.y);
    Vec sum;
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j)
        sum = sum + lattice_[static_cast<std::size_t>((row.first + i) * kLattice + column.first + j)] *
                        (row.weight[i] * column.weight[j]);
    return sum;
  }

 private:
  static constexpr int kCells = 3, kLattice = kCells + 3;
  struct Cell {
    int first;
    float weight[4];
  };
  static Cell cell(float position) {
    const float scaled = std::clamp(position, 0.0f, 0.9999f) * kCells;
    const float whole = std::floor(scaled), u = scaled - whole, v = 1 - u, sixth = 1.0f / 6;
    return {static_cast<int>(whole),
            {v * v * v * sixth, (3 * u * u * u - 6 * u * u + 4) * sixth, (3 * v * v * v - 6 * v * v + 4) * sixth,
             u * u * u * sixth}};
  }
  std::array<Vec, kLattice * kLattice> lattice_;
};

/// Bends and slants the path, about the middle of the glyph's box.
void distort(RandomStream& random, const Hand& hand, Path& path) {
  const ElasticField field(random, hand.bend);
  const float t = hand.turn, cosine = (1 - t * t) / (1 + t * t), sine = 2 * t / (1 + t * t);
  for (auto& stroke : path) {
    for (Vec& point : stroke) {
      const Vec bent = point + field.at(point) - Vec{0.5f, 0.5f};
      const Vec slanted = {bent.x * hand.aspect + bent.y * hand.slant, bent.y};
      point = {slanted.x * cosine - slanted.y * sine, slanted.x * sine + slanted.y * cosine};
    }
  }
}

/// Scales the path so that it fills the box, and moves the mean of its length near the middle, anywhere between pixels.
void fit(RandomStream& random, float half_width, Path& path) {
  Vec low = path[0][0], high = low, moment;
  float length = 0;
  for (const auto& stroke : path) {
    for (std::size_t i = 0; i < stroke.size(); ++i) {
      low = {std::min(low.x, stroke[i].x), std::min(low.y, stroke[i].y)};
      high = {std::max(high.x, stroke[i].x), std::max(high.y, stroke[i].y)};
      if (i == 0) continue;
      const Vec step = stroke[i] - stroke[i - 1];
      const float piece = std::sqrt(step.x * step.x + step.y * step.y);
      moment = moment + (stroke[i] + stroke[i - 1]) * (0.5f * piece);
      length += piece;
    }
  }
  const float extent = std::max({high.x - low.x, high.y - low.y, 1e-3f});
  const float scale = (kBox - 2 * half_width) * random.between(0.93f, 1.0f) / extent;
  const Vec centre = moment * (1 / std::max(length, 1e-3f));
  Vec middle;
  middle.x = kMiddle + random.between(-0.5f, 0.5f);
  middle.y = kMiddle + random.between(-0.5f, 0.5f);
  for (auto& stroke : path)
    for (Vec& point : stroke) point = (point - centre) * scale + middle;
}

void ink_path(RandomStream& random, const Hand& hand, const Path& path, float softness, Canvas& canvas) {
  constexpr std::size_t kPressures = 4;  // values of the pen's pressure along a stroke, joined by straight lines
  for (const auto& stroke : path) {
    std::array<float, kPressures> pressure;
    for (float& p : pressure) p = hand.half_width * (1 + hand.pressure * random.between(-1, 1));
    const auto half_width = [&](std::size_t i) {
      const float along = static_cast<float>(i) / static_cast<float>(stroke.size() - 1) * (kPressures - 1);
      const std::size_t before = std::min(static_cast<std::size_t>(along), kPressures - 2);
      return pressure[before] + (pressure[before + 1] - pressure[before]) * (along - static_cast<float>(before));
    };
    for (std::size_t i = 1; i < stroke.size(); ++i)
      canvas.line(stroke[i - 1], stroke[i], half_width(i - 1), half_width(i), softness);
  }
}

}  // namespace

int draw(std::uint64_t seed, Purpose purpose, std::int64_t index, std::span<std::uint8_t, kPixels> pixels) {
  const DefaultFloats floats;
  RandomStream random(seed, purpose, static_cast<std::uint64_t>(index));
  const auto digit = static_cast<int>(random.below(10));
  const Glyph& glyph = take_glyph(random, digit);
  const Hand hand = take_hand(random);
  Path path = write(random, glyph, hand.jitter);
  distort(random, hand, path);
  fit(random, hand.half_width, path);

  Ink ink;
  ink.softness = random.between(0.7f, 1.4f);
  ink.gain = random.between(0.92f, 1.45f);
  ink.blur = random.between(0.0f, 0.5f);
  ink.grain = random.between(0.0f, 0.25f);
  Canvas canvas;
  ink_path(random, hand, path, ink.softness, canvas);
  std::array<float, kPixels> noise;
  for (float& n : noise) n = random.unit();
  canvas.develop(ink, noise, pixels);
  centre(pixels);
  return digit;
}

Dataset generate(std::uint64_t seed, Purpose purpose, std::int64_t count) {
  if (count <= 0) fail("embedded digits: asked for {} samples; at least 1 is needed", count);
  Dataset set{Array(Type{u8, {count, kPixels}}), Array(Type{i32, {count}}), "embedded digits"};
  const auto pixels = set.x.as<std::uint8_t>();
  const auto labels = set.y.as<std::int32_t>();
  const auto draw_rows = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto image = pixels.subspan(static_cast<std::size_t>(i) * kPixels).first<kPixels>();
      labels[static_cast<std::size_t>(i)] = draw(seed, purpose, i, image);
    }
  };
  const std::int64_t threads = std::clamp<std::int64_t>(std::thread::hardware_concurrency(), 1, (count + 255) / 256);
  std::vector<std::jthread> helpers;
  for (std::int64_t t = 1; t < threads; ++t)
    helpers.emplace_back(draw_rows, count * t / threads, count * (t + 1) / threads);
  draw_rows(0, count / threads);
  return set;
}

}  // namespace weft::digits
