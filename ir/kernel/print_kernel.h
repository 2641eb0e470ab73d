// How the kernel text writes single pieces; shared by the printer and the messages of the verifier and the interpreter.
#pragma once
#include <string>
#include <vector>

#include <weft/ir/kernel/kernel.h>

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

/// The buffer kinds by name, in the order of Buffer::Kind.
inline constexpr std::string_view kBufferKinds[] = {"input", "state", "output", "temp", "constant", "view"};

/// The roles of a contraction's parallel axes by name, in print order.
inline constexpr std::pair<std::string_view, std::vector<AxisId> Roles::*> kRoles[] = {
    {"b", &Roles::b}, {"m", &Roles::m}, {"n", &Roles::n}};

/// The fields of a schedule by name, in print order; exactly one member pointer is set.
struct ScheduleField {
  std::string_view name;
  AxisId Schedule::*axis = nullptr;
  int Schedule::*small = nullptr;
  std::int64_t Schedule::*big = nullptr;
  bool Schedule::*flag = nullptr;
};
inline constexpr ScheduleField kScheduleFields[] = {
    {.name = "vector", .axis = &Schedule::vector_axis},
    {.name = "mr", .small = &Schedule::mr},
    {.name = "nr", .small = &Schedule::nr},
    {.name = "kc", .big = &Schedule::kc},
    {.name = "mc", .big = &Schedule::mc},
    {.name = "nc", .big = &Schedule::nc},
    {.name = "split_n", .flag = &Schedule::split_n},
    {.name = "pack_lhs", .flag = &Schedule::pack_lhs},
    {.name = "pack_rhs", .flag = &Schedule::pack_rhs},
};

}  // namespace weft
