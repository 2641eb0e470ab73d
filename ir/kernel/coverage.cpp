// Boxes and their differences (ir/kernel/coverage.h).
#include "ir/kernel/coverage.h"

#include <fmt/format.h>

#include <algorithm>

#include "ir/base/at.h"

namespace weft {
namespace {

constexpr std::size_t kMaxHoles = 256;  // of one storage; stores that would leave more do not count

bool is_empty(const Box& b) {
  return std::ranges::any_of(b, [](const auto& d) { return d.first >= d.second; });
}

Box intersection(const Box& a, const Box& b) {
  Box both = a;
  for (std::size_t d = 0; d < both.size(); ++d)
    both[d] = {std::max(a[d].first, b[d].first), std::min(a[d].second, b[d].second)};
  return both;
}

/// Adds what is left of `from` without `box` to `out`, cut dimension by dimension.
void subtract(Box from, const Box& box, std::vector<Box>& out) {
  if (is_empty(intersection(from, box))) return out.push_back(std::move(from));
  for (std::size_t d = 0; d < from.size(); ++d) {
    if (from[d].first < box[d].first) {
      Box below = from;
      below[d].second = box[d].first;
      from[d].first = box[d].first;
      out.push_back(std::move(below));
    }
    if (from[d].second > box[d].second) {
      Box above = from;
      above[d].first = box[d].second;
      from[d].second = box[d].second;
      out.push_back(std::move(above));
    }
  }
}

Box whole(const Shape& shape) {
  Box b;
  for (std::int64_t extent : shape) b.emplace_back(0, extent);
  return b;
}

}  // namespace

std::string to_string(const Box& b) {
  std::string s = "[";
  for (const auto& [begin, end] : b) s += fmt::format("{}{}:{}", s.size() > 1 ? ", " : "", begin, end);
  return s + "]";
}

std::pair<std::int64_t, std::int64_t> affine_range(const Kernel& k, const Index& index) {
  std::int64_t low = index.offset, high = index.offset;
  for (const auto& [axis, coefficient] : index.terms) {
    const std::int64_t reach = coefficient * (at(k.axes, axis).extent - 1);
    (reach < 0 ? low : high) += reach;
  }
  return {low, high};
}

std::optional<Box> stored_box(const Kernel& k, const std::vector<Index>& access) {
  Box box;
  std::vector<bool> used(k.axes.size());
  for (const Index& index : access) {
    if (index.indirect != kNone) return {};
    // From the smallest coefficient up, the values stay without gaps when no step exceeds what has been reached.
    std::vector<std::pair<std::int64_t, std::int64_t>> steps;  // |coefficient|, |reach|
    for (const auto& [axis, coefficient] : index.terms) {
      const std::int64_t last = at(k.axes, axis).extent - 1;
      if (last == 0) continue;
      if (used[static_cast<std::size_t>(axis)]) return {};
      used[static_cast<std::size_t>(axis)] = true;
      steps.emplace_back(std::abs(coefficient), std::abs(coefficient) * last);
    }
    std::ranges::sort(steps);
    std::int64_t reached = 0;
    for (const auto& [step, reach] : steps) {
      if (step > reached + 1) return {};
      reached += reach;
    }
    const auto [low, high] = affine_range(k, index);
    box.emplace_back(low, high + 1);
  }
  return box;
}

Box touched_box(const Kernel& k, const std::vector<Index>& access, const Shape& shape) {
  Box box = whole(shape);
  for (std::size_t d = 0; d < access.size(); ++d) {
    if (access[d].indirect != kNone) continue;
    const auto [low, high] = affine_range(k, access[d]);
    box[d] = {std::max(box[d].first, low), std::min(box[d].second, high + 1)};
  }
  return box;
}

void Coverage::store(const Shape& shape, const Box& box) {
  if (full_) return;
  auto seen = std::ranges::find(seen_, shape, &Seen::shape);
  if (seen == seen_.end()) seen = seen_.insert(seen_.end(), {shape, {whole(shape)}});
  std::vector<Box> left;
  for (const Box& hole : seen->holes) subtract(hole, box, left);
  if (left.size() > kMaxHoles) return;
  full_ = left.empty();
  seen->holes = std::move(left);
}

std::optional<Box> Coverage::hole(const Shape& shape, const Box& box) const {
  if (full_ || is_empty(box)) return {};
  const auto seen = std::ranges::find(seen_, shape, &Seen::shape);
  if (seen == seen_.end()) return box;
  for (const Box& hole : seen->holes)
    if (Box both = intersection(hole, box); !is_empty(both)) return both;
  return {};
}

}  // namespace weft
