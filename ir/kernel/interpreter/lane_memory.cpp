// Checked memory of the kernel interpreter (ir/kernel/interpreter/lane_memory.h).
#include "ir/kernel/interpreter/lane_memory.h"

#include <algorithm>
#include <cstring>

#include "ir/base/at.h"

namespace weft {
namespace {

/// sum + a * b, wrapping: of an index that its predicate switches off, the product may be anything.
std::int64_t multiply_add(std::int64_t sum, std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(sum) +
                                   static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}

bool on(const Array* mask, std::size_t lane) { return !mask || mask->as<bool>()[lane]; }

}  // namespace

std::vector<std::int64_t> index_values(const Index& index, const Strip& strip, const LaneValues& values) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(strip.count), index.offset);
  for (const auto& [axis, coefficient] : index.terms) {
    if (axis == strip.stage_axis) {
      for (std::int64_t& v : out) v += coefficient * strip.step;
      continue;
    }
    const std::vector<std::int64_t>& axis_values = at(strip.axis, axis);
    for (std::size_t l = 0; l < out.size(); ++l) out[l] += coefficient * axis_values[l];
  }
  if (index.indirect != kNone) {
    const auto indirect = at(values, index.indirect).as<std::int64_t>();
    // A hostile index may be anything: wrap, and let the bounds check see it.
    for (std::size_t l = 0; l < out.size(); ++l)
      out[l] = static_cast<std::int64_t>(static_cast<std::uint64_t>(out[l]) + static_cast<std::uint64_t>(indirect[l]));
  }
  return out;
}

LaneMemory::LaneMemory(const Program& p, const Phase& phase, const StorageMap& memory) : p_(p), memory_(memory) {
  for (const KernelStage& stage : phase.stages)
    for (const Store& s : stage.stores) {
      const BufferId root = at(memory.root, s.buffer);
      touched_[root].resize(static_cast<std::size_t>(element_count(at(p.buffers, root).type.shape)));
    }
}

void LaneMemory::resolve(Access& access, const Strip& strip) const {
  const Dims strides = row_major_strides(at(p_.buffers, access.buffer).type.shape);
  access.affine =
      std::all_of(access.index->begin(), access.index->end(), [](const Index& i) { return i.indirect == kNone; });
  if (!access.affine) return;
  access.step_stride = 0;
  access.element.assign(static_cast<std::size_t>(strip.count), 0);
  access.ranges.clear();
  for (int d = 0; d < strides.rank(); ++d) {
    Index at_step_0 = at(*access.index, d);
    std::int64_t per_step = 0;
    std::erase_if(at_step_0.terms, [&](const auto& term) {
      if (term.first == strip.stage_axis) per_step = term.second;
      return term.first == strip.stage_axis;
    });
    const std::vector<std::int64_t> values = index_values(at_step_0, strip, {});
    for (std::size_t l = 0; l < values.size(); ++l)
      access.element[l] = multiply_add(access.element[l], values[l], strides[d]);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    access.ranges.push_back({*low, *high, per_step});
    access.step_stride = multiply_add(access.step_stride, per_step, strides[d]);
  }
}

LaneMemory::Elements LaneMemory::locate(const Access& access, const Strip& strip, const LaneValues& values,
                                        const Array* mask) {
  const Shape& shape = at(p_.buffers, access.buffer).type.shape;
  // The common case: affine, and in bounds for every lane.
  bool inside = access.affine;
  for (int d = 0; inside && d < shape.rank(); ++d) {
    const Access::Range& r = at(access.ranges, d);
    inside = r.low + r.per_step * strip.step >= 0 && r.high + r.per_step * strip.step < shape[d];
  }
  if (inside) return {access.element.data(), strip.step * access.step_stride};
  elements_.assign(static_cast<std::size_t>(strip.count), 0);
  const Dims strides = row_major_strides(shape);
  for (int d = 0; d < shape.rank(); ++d) {
    const std::vector<std::int64_t> index = index_values(at(*access.index, d), strip, values);
    for (std::size_t l = 0; l < index.size(); ++l) {
      if (!on(mask, l)) continue;
      if (index[l] < 0 || index[l] >= shape[d])
        fail("{}: at point {}, step {}: index {} of dimension {} is outside {}", access.what,
             strip.point(static_cast<std::int64_t>(l)), strip.step, index[l], d, to_string(shape));
      elements_[l] += index[l] * strides[d];
    }
  }
  return {elements_.data(), 0};
}

Array LaneMemory::load(const Access& access, const Strip& strip, const LaneValues& values, const Array* mask) {
  const Elements place = locate(access, strip, values, mask);
  const auto stored = touched_.find(at(memory_.root, access.buffer));
  for (std::int64_t l = 0; stored != touched_.end() && l < strip.count; ++l) {
    if (!on(mask, static_cast<std::size_t>(l))) continue;
    const std::int64_t element = place.elements[l] + place.offset, point = strip.point(l);
    Touched& t = stored->second[static_cast<std::size_t>(element)];
    const bool written_before = t.writer.point == point && t.writer.stage < strip.stage;
    if (t.writer.point != Touch::kNobody && !written_before) race(access, strip, element);
    if (t.reader.point == Touch::kNobody || (t.reader.point == point && t.reader.stage < strip.stage))
      t.reader = {point, strip.step, strip.stage};
    else if (t.reader.point != point)
      t.reader.point = Touch::kSeveral;
    else if (t.reader.step != strip.step)
      t.reader.step = Strip::kEveryStep;
  }
  return read(access, strip, place, mask);
}

Array LaneMemory::peek(const Access& access, const Strip& strip, const LaneValues& values, const Array* mask) {
  return read(access, strip, locate(access, strip, values, mask), mask);
}

Array LaneMemory::read(const Access& access, const Strip& strip, Elements place, const Array* mask) const {
  const DType dtype = at(p_.buffers, access.buffer).type.dtype;
  Array out(Type{dtype, {strip.count}});
  const auto copy = [&](auto bits) {
    using Bits = decltype(bits);
    const std::byte* from = at(memory_.data, access.buffer) + place.offset * static_cast<std::int64_t>(sizeof bits);
    std::byte* to = out.data();
    for (std::int64_t l = 0; l < strip.count; ++l)
      if (on(mask, static_cast<std::size_t>(l)))
        std::memcpy(to + l * static_cast<std::int64_t>(sizeof(Bits)),
                    from + place.elements[l] * static_cast<std::int64_t>(sizeof(Bits)), sizeof(Bits));
  };
  switch (size_of(dtype)) {
    case 8: copy(std::uint64_t{}); break;
    case 4: copy(std::uint32_t{}); break;
    default: copy(std::uint8_t{}); break;
  }
  for (std::int64_t l = 0; dtype == boolean && l < strip.count; ++l)
    ensure(static_cast<std::uint8_t>(out.data()[l]) <= 1, "{}: loads a bool that was never stored", access.what);
  return out;
}

void LaneMemory::store(const Access& access, const Strip& strip, const LaneValues& values, const Array& value,
                       const Array* mask, bool accumulates) {
  const Elements place = locate(access, strip, values, mask);
  std::vector<Touched>& touched = touched_.at(at(memory_.root, access.buffer));
  std::byte* data = at(memory_.data, access.buffer);
  const auto size = static_cast<std::int64_t>(size_of(value.dtype()));
  for (std::int64_t l = 0; l < strip.count; ++l) {
    if (!on(mask, static_cast<std::size_t>(l))) continue;
    // What is accumulated belongs to a chunk, all else to a point.
    const std::int64_t element = place.elements[l] + place.offset;
    const std::int64_t point = accumulates ? strip.first + l : strip.point(l);
    Touched& t = touched[static_cast<std::size_t>(element)];
    const auto conflicts = [&](const Touch& other) {
      if (other.point == Touch::kNobody) return false;
      if (other.point != point) return true;
      return other.stage == strip.stage && other.step != strip.step && !accumulates;
    };
    if (conflicts(t.writer) || conflicts(t.reader)) race(access, strip, element);
    t.writer = {point, strip.step, strip.stage};
    std::memcpy(data + element * size, value.data() + l * size, static_cast<std::size_t>(size));
  }
}

void LaneMemory::race(const Access& access, const Strip& strip, std::int64_t element) {
  fail("{}: a race at step {} on element {}: another point or step of the phase stores or loads it", access.what,
       strip.step, element);
}

}  // namespace weft
