// How the kernel text writes single pieces; shared by the printer and the messages of the verifier and the interpreter.
#pragma once
#include <span>
#include <string>
#include <vector>

#include <weft/ir/kernel/kernel.h>
#include <weft/ir/memory/buffer_text.h>

namespace weft {

/// `2*m + n + 3`, `%e4 + n`, `0`. Safe on ids that break invariants, as are the functions below.
std::string index_text(const Kernel&, const Index&);
/// `%t0[m, %e4 + n]`
std::string access_text(const Program&, const Kernel&, BufferId, const std::vector<Index>&);
/// `%e2: f32 = max %e0, %e1`
std::string expr_text(const Program&, const Kernel&, ExprId);
/// The part of expr_text after `=`: what makes an expression equal to another of its dtype.
std::string expr_value_text(const Program&, const Kernel&, const Expr&);
/// `store %t0[m, n] = %e3`
std::string store_text(const Program&, const Kernel&, const Store&);
/// The lines of a stage, each indented by `indent` and ended by a newline.
std::string stage_text(const Program&, const Kernel&, const KernelStage&, const std::string& indent = "");

/// The roles of a contraction's parallel axes by name, in print order.
inline constexpr std::pair<std::string_view, std::vector<AxisId> Roles::*> kRoles[] = {
    {"b", &Roles::b}, {"m", &Roles::m}, {"n", &Roles::n}};

/// The orders that a reduction's text says, by FoldOrder; one without a word is sequential.
inline constexpr std::string_view kFoldOrders[] = {"", "striped", "tree", "chain"};
constexpr std::string_view name_of(FoldOrder order) { return kFoldOrders[static_cast<std::size_t>(order)]; }

/// A field of a schedule by name; exactly one member pointer is set.
template <class S>
struct ScheduleField {
  std::string_view name;
  AxisId S::*axis = nullptr;
  int S::*small = nullptr;
  std::int64_t S::*big = nullptr;
  bool S::*flag = nullptr;
};
/// All of them, in print order.
inline constexpr ScheduleField<CpuSchedule> kCpuFields[] = {
    {.name = "vector", .axis = &CpuSchedule::vector_axis},
    {.name = "mr", .small = &CpuSchedule::mr},
    {.name = "nr", .small = &CpuSchedule::nr},
    {.name = "kc", .big = &CpuSchedule::kc},
    {.name = "mc", .big = &CpuSchedule::mc},
    {.name = "nc", .big = &CpuSchedule::nc},
    {.name = "split_n", .flag = &CpuSchedule::split_n},
    {.name = "pack_lhs", .flag = &CpuSchedule::pack_lhs},
    {.name = "pack_rhs", .flag = &CpuSchedule::pack_rhs},
};
inline constexpr ScheduleField<GpuSchedule> kGpuFields[] = {
    {.name = "threads", .axis = &GpuSchedule::thread_axis},
    {.name = "rows", .small = &GpuSchedule::rows},
    {.name = "cols", .small = &GpuSchedule::cols},
    {.name = "tm", .small = &GpuSchedule::tm},
    {.name = "tn", .small = &GpuSchedule::tn},
    {.name = "k", .small = &GpuSchedule::k},
    {.name = "stages", .small = &GpuSchedule::stages},
    {.name = "matrices", .flag = &GpuSchedule::matrices},
};
inline std::span<const ScheduleField<CpuSchedule>> fields_of(const CpuSchedule&) { return kCpuFields; }
inline std::span<const ScheduleField<GpuSchedule>> fields_of(const GpuSchedule&) { return kGpuFields; }

}  // namespace weft
