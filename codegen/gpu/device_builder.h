// Private to codegen/: builds the instruction tree of a device function. A pure instruction goes to the outermost open
// region in which its operands are known, once: loop-invariant code motion and common subexpressions come for free.
#pragma once
#include <functional>
#include <limits>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "ir/simt/simt.h"

namespace weft::codegen {

using simt::Inst;
using simt::MemoryId;
using simt::ValueId;
using ValueIds = std::vector<ValueId>;

class DeviceBuilder {
 public:
  /// `index`: the dtype (i32 or i64) in which elements are numbered.
  DeviceBuilder(simt::Function& function, DType index);
  /// Closes the function.
  void finish();

  DType index_type() const { return index_; }
  int depth() const { return static_cast<int>(open_.size()) - 1; }
  /// The depth of the region that holds what defines `v`; the current one for a variable, which may change.
  int level(ValueId v) const;
  DType type(ValueId v) const { return function_.type(v); }

  ValueId constant(DType, std::uint64_t bits);
  ValueId integer(std::int64_t v) { return constant(index_, static_cast<std::uint64_t>(v)); }
  ValueId thread() { return convert(special(Inst::thread), index_); }
  ValueId block() { return convert(special(Inst::block), index_); }
  ValueId apply(Op, DType result, ValueIds args);
  ValueId convert(ValueId v, DType to) { return type(v) == to ? v : apply(Op::convert, to, {v}); }

  // Integers of one dtype; folded where operands are constants.
  ValueId sum(ValueId a, ValueId b);
  ValueId add(ValueId a, std::int64_t b) { return sum(a, constant(type(a), static_cast<std::uint64_t>(b))); }
  ValueId multiply(ValueId a, std::int64_t factor);
  ValueId divide(ValueId a, std::int64_t by);     ///< a >= 0
  ValueId remainder(ValueId a, std::int64_t by);  ///< a >= 0
  ValueId less(ValueId a, std::int64_t b);
  ValueId equal(ValueId a, std::int64_t b);
  ValueId minimum(ValueId a, std::int64_t b);
  /// Conjunction of conditions; kNone is true.
  ValueId both(ValueId p, ValueId q);

  MemoryId global(const Program&, BufferId, bool read_only);
  MemoryId shared(const std::string& name, DType, std::int64_t elements);
  const simt::Memory& memory(MemoryId m) const { return function_.memories[static_cast<std::size_t>(m)]; }
  /// The index of `text` among the function's origins.
  std::int32_t origin(const std::string& text);

  /// `width` neighbours from `index` on. A load of read-only memory moves out of loops, though not out of a `when`.
  ValueIds load(MemoryId, ValueId index, int width, ValueId predicate, std::int32_t origin);
  void store(MemoryId, ValueId index, const ValueIds& values, std::int32_t origin, ValueId predicate = kNone);
  void copy_async(MemoryId to, ValueId index, MemoryId from, ValueId from_index, int width, ValueId predicate,
                  std::int32_t origin);
  void commit_async();
  void wait_async(int unfinished);
  void barrier();
  ValueId shuffle_down(ValueId, int lanes, int width);
  ValueId shuffle_from(ValueId, int lane, int width);

  ValueId variable(ValueId initial);
  void set(ValueId variable, ValueId value);
  ValueIds mma(Inst::Kind, const ValueIds& args);
  void loop(ValueId begin, ValueId end, std::int64_t step, const std::function<void(ValueId)>& body,
            bool unroll = false);
  void when(ValueId condition, const std::function<void()>& body);  ///< kNone: always

 private:
  std::string unused_name(const std::string& name) const;
  using Key = std::tuple<Inst::Kind, Op, DType, std::uint64_t, MemoryId, ValueIds>;
  struct Open {
    simt::Region region;
    bool guarded = false;  // the body of a `when`
    std::map<Key, ValueId> known;
  };
  ValueId special(Inst::Kind);
  ValueId new_value(DType, int level);
  ValueId pure(Inst);
  Inst& append(Inst, int level);
  Inst& append(Inst i) { return append(std::move(i), depth()); }
  const std::int64_t* constant_of(ValueId v) const;
  ValueId shuffle(Inst::Kind, ValueId, int lanes, int width);

  static constexpr int kVaries = std::numeric_limits<int>::max();  // level of a variable
  simt::Function& function_;
  DType index_;
  std::vector<Open> open_;
  std::vector<int> level_;  // of each value
  std::unordered_map<ValueId, std::int64_t> constants_;
};

}  // namespace weft::codegen
