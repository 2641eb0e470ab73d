// Private to codegen/: builds the instruction tree of a device function. A pure instruction goes to the outermost open
// region in which its operands are known, once: loop-invariant code motion and common subexpressions come for free.
#pragma once
#include <functional>
#include <limits>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "ir/kernel/kernel.h"
#include "ir/simt/simt.h"

namespace weft::codegen {

using simt::Inst;
using simt::MemoryId;
using simt::RegisterId;
using RegisterIds = std::vector<RegisterId>;

class DeviceBuilder {
 public:
  /// `index`: the dtype (i32 or i64) in which elements are numbered.
  DeviceBuilder(simt::Function& function, DType index);
  /// Closes the function.
  void finish();

  DType index_type() const { return index_; }
  int depth() const { return static_cast<int>(open_.size()) - 1; }
  /// The depth of the region that holds what defines `v`; the current one for a variable, which may change.
  int level(RegisterId v) const;
  DType type(RegisterId v) const { return function_.type(v); }

  RegisterId constant(DType, std::uint64_t bits);
  RegisterId integer(std::int64_t v) { return constant(index_, static_cast<std::uint64_t>(v)); }
  RegisterId thread() { return convert(special(Inst::thread), index_); }
  RegisterId block() { return convert(special(Inst::block), index_); }
  RegisterId apply(Op, DType result, RegisterIds args);
  RegisterId convert(RegisterId v, DType to) { return type(v) == to ? v : apply(Op::convert, to, {v}); }

  // Integers of one dtype; folded where operands are constants.
  RegisterId sum(RegisterId a, RegisterId b);
  RegisterId add(RegisterId a, std::int64_t b) { return sum(a, constant(type(a), static_cast<std::uint64_t>(b))); }
  RegisterId multiply(RegisterId a, std::int64_t factor);
  RegisterId divide(RegisterId a, std::int64_t by);     ///< a >= 0
  RegisterId remainder(RegisterId a, std::int64_t by);  ///< a >= 0
  RegisterId less(RegisterId a, std::int64_t b);
  RegisterId equal(RegisterId a, std::int64_t b);
  RegisterId minimum(RegisterId a, std::int64_t b);
  /// Conjunction of conditions; kNone is true.
  RegisterId both(RegisterId p, RegisterId q);

  MemoryId global(const Program&, BufferId, bool read_only);
  MemoryId shared(const std::string& name, DType, std::int64_t elements);
  const simt::Memory& memory(MemoryId m) const { return function_.memories[static_cast<std::size_t>(m)]; }
  /// The index of `text` among the function's origins.
  std::int32_t origin(const std::string& text);

  /// `width` neighbours from `index` on. A load of read-only memory moves out of loops, though not out of a `when`.
  RegisterIds load(MemoryId, RegisterId index, int width, RegisterId predicate, std::int32_t origin);
  void store(MemoryId, RegisterId index, const RegisterIds& values, std::int32_t origin, RegisterId predicate = kNone);
  void copy_async(MemoryId to, RegisterId index, MemoryId from, RegisterId from_index, int width, RegisterId predicate,
                  std::int32_t origin);
  void commit_async();
  void wait_async(int unfinished);
  void barrier();
  RegisterId shuffle_down(RegisterId, int lanes, int width);
  RegisterId shuffle_from(RegisterId, int lane, int width);

  RegisterId variable(RegisterId initial);
  void set(RegisterId variable, RegisterId value);
  RegisterIds mma(Inst::Kind, const RegisterIds& args);
  void loop(RegisterId begin, RegisterId end, std::int64_t step, const std::function<void(RegisterId)>& body,
            bool unroll = false);
  void when(RegisterId condition, const std::function<void()>& body);  ///< kNone: always

 private:
  std::string unused_name(const std::string& name) const;
  using Key = std::tuple<Inst::Kind, Op, DType, std::uint64_t, MemoryId, RegisterIds>;
  struct Open {
    simt::Region region;
    bool guarded = false;  // the body of a `when`
    std::map<Key, RegisterId> known;
  };
  RegisterId special(Inst::Kind);
  RegisterId new_value(DType, int level);
  RegisterId pure(Inst);
  Inst& append(Inst, int level);
  Inst& append(Inst i) { return append(std::move(i), depth()); }
  const std::int64_t* constant_of(RegisterId v) const;
  RegisterId shuffle(Inst::Kind, RegisterId, int lanes, int width);

  static constexpr int kVaries = std::numeric_limits<int>::max();  // level of a variable
  simt::Function& function_;
  DType index_;
  std::vector<Open> open_;
  std::vector<int> level_;  // of each value
  std::unordered_map<RegisterId, std::int64_t> constants_;
};

}  // namespace weft::codegen
