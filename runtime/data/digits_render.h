// Draws pen strokes into a grey 28x28 image, anti-aliased.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include <weft/runtime/data/digits_strokes.h>

namespace weft::digits {

inline constexpr int kSide = 28, kPixels = kSide * kSide;

/// How the pen marks the paper.
struct Ink {
  float softness = 1;  // pixels over which the edge of a stroke fades from full to none, > 0
  float gain = 1;      // darkness of a full stroke before it is limited to 1
  float blur = 0;      // 0 … 1: share of a 3x3 binomial blur in the result
  float grain = 0;     // 0 … 1: largest share of its ink that noise takes from a pixel
};

/// An image being drawn: ink 0 … 1 for each pixel; the centre of pixel (column, row) is at (column, row).
class Canvas {
 public:
  /// A line from `a` to `b` whose half width goes from `ra` to `rb` pixels; where lines meet, the darker counts.
  void line(Vec a, Vec b, float ra, float rb, float softness);
  /// The image as bytes, row-major: 0 is paper, 255 is full ink. `noise` gives one number in [0, 1) for each pixel.
  void develop(const Ink& ink, std::span<const float, kPixels> noise, std::span<std::uint8_t, kPixels> pixels) const;

 private:
  std::array<float, kPixels> ink_{};
};

/// Moves the image by whole pixels, so that its centre of mass is at most half a pixel from the middle, row by row and
/// column by column, as MNIST's makers did. What leaves the image is lost; an image without ink stays as it is.
void centre(std::span<std::uint8_t, kPixels> pixels);

}  // namespace weft::digits
