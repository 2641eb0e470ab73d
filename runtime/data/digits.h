// The embedded digits: MNIST-shaped, handwritten-looking, made by a deterministic generator when no MNIST files are
// found.
#pragma once
#include <cstdint>
#include <span>

#include <weft/runtime/data/data.h>
#include <weft/runtime/data/digits_render.h>
#include <weft/runtime/data/random.h>

namespace weft::digits {

/// Draws sample `index` of the stream of `purpose` (train_digit or test_digit) and returns its label, 0 … 9. The pixels
/// depend on (seed, purpose, index) alone and are the same on every machine. As in MNIST, the digit fills a 20x20 box
/// whose ink has its centre of mass in the middle of the image.
int draw(std::uint64_t seed, Purpose purpose, std::int64_t index, std::span<std::uint8_t, kPixels> pixels);

/// Samples 0 … count-1 of a stream: x u8[count,784], y i32[count]. Drawn by all of the machine's hardware threads.
/// Throws Error when count is not positive or too large to hold.
Dataset generate(std::uint64_t seed, Purpose purpose, std::int64_t count);

}  // namespace weft::digits
