// Memory as the kernel interpreter sees it: accesses of many points ("lanes") at once, each checked against the
// buffer's bounds, and each element that a phase stores to checked for races between points.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// The points of a phase that run side by side, and the stage and step that they are at.
struct Strip {
  static constexpr std::int64_t kEveryStep = -2;  // `step` of what does not depend on the stage's axis
  std::int64_t first = 0, count = 0;              // chunks [first, first + count), a point of each
  std::int64_t chunk = 1, offset = 0;             // points in one; which of them
  std::vector<std::vector<std::int64_t>> axis;    // for each parallel axis: its value in each lane
  std::int64_t point(std::int64_t lane) const { return (first + lane) * chunk + offset; }
  AxisId stage_axis = kNone;  // has the value `step` in every lane
  std::int32_t stage = 0;
  std::int64_t step = 0;
};

/// Base addresses of a program's buffers during one run.
struct StorageMap {
  std::vector<std::byte*> data;  // for each buffer
  std::vector<BufferId> root;    // for each buffer: the one that owns its storage
};

/// A load's or store's place, resolved once for the lanes of a strip so that a step costs an addition a lane.
struct Access {
  std::string what;  // for messages: "kernel @x: %e3: f32 = load %t0[m, n]"
  BufferId buffer = kNone;
  const std::vector<Index>* index = nullptr;

  bool affine = true;                 // no indirect index: what follows is set
  std::int64_t step_stride = 0;       // elements from one step to the next
  std::vector<std::int64_t> element;  // for each lane: its linear index at step 0
  struct Range {
    std::int64_t low, high, per_step;  // of one dimension's index over the lanes at step 0; its growth
  };
  std::vector<Range> ranges;
};

/// Values of expressions in the lanes, for indirect indices.
using LaneValues = std::vector<Array>;

/// The value of an index in each lane.
std::vector<std::int64_t> index_values(const Index&, const Strip&, const LaneValues&);

/// Loads and stores of one phase. Throws Error on an index outside its buffer and on a race: an element that
/// one (point, step) stores and another one stores or loads, except that a later stage of the same point may.
class LaneMemory {
 public:
  LaneMemory(const Program&, const Phase&, const StorageMap&);

  void resolve(Access&, const Strip&) const;
  /// The elements; 0 in a lane where `mask` (null: none) is false.
  Array load(const Access&, const Strip&, const LaneValues&, const Array* mask);
  /// The same without being a load of the program: what a store that accumulates adds to.
  Array peek(const Access&, const Strip&, const LaneValues&, const Array* mask);
  void store(const Access&, const Strip&, const LaneValues&, const Array& value, const Array* mask, bool accumulates);

 private:
  struct Touch {
    static constexpr std::int64_t kNobody = -1, kSeveral = -2;  // kSeveral: points
    std::int64_t point = kNobody;
    std::int64_t step = 0;
    std::int32_t stage = 0;
  };
  struct Touched {
    Touch writer, reader;
  };
  /// The linear index of each lane is elements[lane] + offset; 0 where `mask` is false.
  struct Elements {
    const std::int64_t* elements;
    std::int64_t offset;
  };
  Elements locate(const Access&, const Strip&, const LaneValues&, const Array* mask);
  Array read(const Access&, const Strip&, Elements, const Array* mask) const;
  [[noreturn]] static void race(const Access&, const Strip&, std::int64_t element);

  const Program& p_;
  const StorageMap& memory_;
  std::unordered_map<BufferId, std::vector<Touched>> touched_;  // by root: the elements of what this phase stores to
  std::vector<std::int64_t> elements_;                          // of the last locate() that computed them
};

}  // namespace weft
