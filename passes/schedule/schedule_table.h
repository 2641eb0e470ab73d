// A table of measured schedules, as text: what `weft tune` found and the pass `tiles` uses in place of the
// cost model.
//
//   schedules 1
//   kernel 0x1f00c0ffee15600d f32 b=1 m=784 n=512 k=128 cpu=znver4 features=0x… l1=32768 l2=1048576 l3=33554432
//     mr=14 nr=32 kc=128 mc=784 nc=512 split_n=0 pack_lhs=0 pack_rhs=1  // any remark; the tuner's are times
//
// A kernel is known by a signature: a hash of its structure that does not change with names, buffer numbers, its place
// in the program or the values of constants. Extents are in it; those of buffers are not, as long as strides agree. A
// machine is known by its cpu, a hash of its features, and the sizes of its caches. Rows of other machines are kept and
// not used.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include <weft/passes/schedule/schedule_space.h>

namespace weft {

/// The structure of a contraction kernel (is_tiled_contraction() holds): extents and roles of its axes, the accesses of
/// its operands and prologues, its epilogue.
std::uint64_t schedule_signature(const Program&, const Kernel&);

/// How the table names a machine.
struct TargetKey {
  std::string cpu;
  std::uint64_t features = 0;  // a hash of CpuTarget::features
  std::int64_t l1 = 0, l2 = 0, l3 = 0;
  static TargetKey of(const CpuTarget&);
  friend auto operator<=>(const TargetKey&, const TargetKey&) = default;
};

struct ScheduleRow {
  std::uint64_t signature = 0;
  Contraction shape;  // its in_place flags are not part of the text
  TargetKey target;
  CpuSchedule schedule;  // sizes and flags; no axes
  std::string remark;
  std::string place;                                              // "file:line"; empty: of no file
  std::map<std::string, std::uint32_t, std::less<>> column = {};  // of each value of the schedule
};

class ScheduleTable {
 public:
  /// Throws Error "file:line:col: error: …" for text that is no table, a row given twice, or a row of `target`, the
  /// machine that its schedules are for, whose values are not legal there.
  static ScheduleTable parse(std::string_view text, const std::string& file, const CpuTarget& target);
  std::string str() const;  ///< parse() reads it back; rows in order of machine and signature

  bool empty() const { return rows_.empty(); }
  std::size_t size() const { return rows_.size(); }
  const ScheduleRow* find(std::uint64_t signature, const TargetKey&) const;
  void set(ScheduleRow);             ///< in place of the row of the same kernel and machine, if any
  void merge(const ScheduleTable&);  ///< the other's rows win

  /// Gives the kernel the schedule that the table has for it on this target, if any; whether there is one. Throws
  /// Error, with the row's place, where the kernel cannot be scheduled so.
  bool apply(const Program&, Kernel&, const CpuTarget&) const;

 private:
  std::map<std::pair<TargetKey, std::uint64_t>, ScheduleRow> rows_;
};

}  // namespace weft
