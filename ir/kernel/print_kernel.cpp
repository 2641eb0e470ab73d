// Kernels as text; the grammar is in ir/README.md, the inverse in ir/kernel/parse_kernel.cpp.
#include "ir/kernel/print_kernel.h"

#include "ir/base/text.h"

namespace weft {
namespace {

std::string axis_name(const Kernel& k, AxisId a) {
  return a >= 0 && static_cast<std::size_t>(a) < k.axes.size() ? k.axes[static_cast<std::size_t>(a)].name
                                                               : fmt::format("?{}", a);
}
std::string expr_name(ExprId e) { return fmt::format("%e{}", e); }
std::string accumulator_name(std::int32_t result) { return fmt::format("%a{}", result); }

std::string schedule_text(const Kernel&, std::monostate) { return ""; }
template <class S>
std::string schedule_text(const Kernel& k, const S& schedule) {
  static constexpr S none{};
  std::string s;
  for (const ScheduleField<S>& f : fields_of(schedule)) {
    const std::string separator = s.empty() ? "" : ", ";
    if (f.axis && schedule.*f.axis != none.*f.axis)
      s += fmt::format("{}{}={}", separator, f.name, axis_name(k, schedule.*f.axis));
    if (f.small && schedule.*f.small != none.*f.small)
      s += fmt::format("{}{}={}", separator, f.name, schedule.*f.small);
    if (f.big && schedule.*f.big != none.*f.big) s += fmt::format("{}{}={}", separator, f.name, schedule.*f.big);
    if (f.flag && schedule.*f.flag) s += fmt::format("{}{}", separator, f.name);
  }
  return fmt::format("    schedule {} {{{}}}\n", std::is_same_v<S, CpuSchedule> ? "cpu" : "gpu", s);
}

std::string axes_text(const Kernel& k, const std::vector<AxisId>& axes) {
  std::string s;
  for (std::size_t i = 0; i < axes.size(); ++i) s += (i ? ", " : "") + axis_name(k, axes[i]);
  return s;
}

/// " m=m, n=(n0, n1) over k"
std::string roles_text(const Kernel& k, const Roles& roles) {
  std::string s;
  for (const auto& [name, role] : kRoles) {
    const std::vector<AxisId>& axes = roles.*role;
    if (axes.empty()) continue;
    const std::string all = axes_text(k, axes);
    s += fmt::format("{}{}={}", s.empty() ? " " : ", ", name, axes.size() == 1 ? all : "(" + all + ")");
  }
  return roles.k.empty() ? s : s + " over " + axes_text(k, roles.k);
}

std::string kernel_text(const Program& p, const Kernel& k, bool locs) {
  std::string s = fmt::format("  kernel @{} {{{}\n", k.name, locs ? locs_suffix(k.locs) : "");
  const auto turns = static_cast<std::size_t>(k.turns);
  for (std::size_t i = 0; i < k.axes.size(); ++i) {
    const char* before = i == 0 && turns > 0 ? "    turns " : i == turns ? (i > 0 ? "\n    axes " : "    axes ") : ", ";
    s += fmt::format("{}{}={}", before, k.axes[i].name, k.axes[i].extent);
  }
  if (!k.axes.empty()) s += '\n';
  s += std::visit([&](const auto& schedule) { return schedule_text(k, schedule); }, k.schedule);
  for (std::size_t e = 0; e < k.exprs.size(); ++e) s += "    " + expr_text(p, k, static_cast<ExprId>(e)) + '\n';
  for (const Phase& phase : k.phases) {
    s += "    phase (" + axes_text(k, phase.parallel) + ")";
    if (phase.chunk) s += fmt::format(" chunk={}", phase.chunk);
    s += " {\n";
    for (const KernelStage& stage : phase.stages) s += stage_text(p, k, stage, "      ");
    s += "    }\n";
  }
  return s + "  }\n";
}

}  // namespace

std::string index_text(const Kernel& k, const Index& index) {
  std::string s;
  if (index.indirect != kNone) s = expr_name(index.indirect);
  // The magnitude is unsigned so that the lowest integer has one.
  const auto append = [&](std::int64_t signed_value, const std::string& axis) {
    const bool negative = signed_value < 0;
    const std::uint64_t value =
        negative ? 0 - static_cast<std::uint64_t>(signed_value) : static_cast<std::uint64_t>(signed_value);
    s += s.empty() ? (negative ? "-" : "") : (negative ? " - " : " + ");
    if (axis.empty())
      s += std::to_string(value);
    else
      s += value == 1 ? axis : fmt::format("{}*{}", value, axis);
  };
  for (const auto& [axis, coefficient] : index.terms) append(coefficient, axis_name(k, axis));
  if (index.offset || s.empty()) append(index.offset, "");
  return s;
}

std::string access_text(const Program& p, const Kernel& k, BufferId buffer, const std::vector<Index>& access) {
  std::string s = buffer_name(p, buffer) + "[";
  for (std::size_t i = 0; i < access.size(); ++i) s += (i ? ", " : "") + index_text(k, access[i]);
  return s + "]";
}

std::string expr_value_text(const Program& p, const Kernel& k, const Expr& e) {
  const auto operands = [&] {
    std::string s;
    for (std::size_t i = 0; i < e.args.size(); ++i) s += (i ? ", " : " ") + expr_name(e.args[i]);
    return s;
  };
  switch (e.kind) {
    case Expr::constant: return "constant " + element_text(e.dtype, reinterpret_cast<const std::byte*>(&e.bits));
    case Expr::index: return "index " + (e.access.empty() ? "?" : index_text(k, e.access[0]));
    case Expr::load:
      return "load " + access_text(p, k, e.buffer, e.access) + (e.args.empty() ? "" : " if" + operands());
    case Expr::apply: return std::string(name(e.op)) + operands();
    case Expr::accumulator: return "accumulator " + accumulator_name(e.result);
  }
  return "?";
}

std::string expr_text(const Program& p, const Kernel& k, ExprId id) {
  const Expr& e = k.exprs[static_cast<std::size_t>(id)];
  return fmt::format("{}: {} = {}", expr_name(id), name(e.dtype), expr_value_text(p, k, e));
}

std::string store_text(const Program& p, const Kernel& k, const Store& s) {
  return fmt::format("store {} = {}", access_text(p, k, s.buffer, s.access), expr_name(s.value));
}

std::string stage_text(const Program& p, const Kernel& k, const KernelStage& stage, const std::string& indent) {
  const std::string over = stage.axis == kNone ? "" : " over " + axis_name(k, stage.axis);
  switch (stage.kind) {
    case KernelStage::map: {
      if (stage.stores.size() == 1)
        return fmt::format("{}map{}: {}\n", indent, over, store_text(p, k, stage.stores[0]));
      std::string s = fmt::format("{}map{} {{\n", indent, over);
      for (const Store& store : stage.stores) s += fmt::format("{}  {}\n", indent, store_text(p, k, store));
      return s + indent + "}\n";
    }
    case KernelStage::reduce:
      return fmt::format("{}{} = {}{}{}{}: {}\n", indent, accumulator_name(stage.result), name(stage.op), over,
                         stage.order == FoldOrder::sequential ? "" : " ", name_of(stage.order), expr_name(stage.value));
    case KernelStage::contract:
      return fmt::format("{}{} = contract{}{}: {} * {}\n", indent, accumulator_name(stage.result),
                         roles_text(k, stage.roles),
                         stage.chunk_axis == kNone ? "" : " chunk " + axis_name(k, stage.chunk_axis),
                         expr_name(stage.lhs), expr_name(stage.rhs));
    case KernelStage::scatter: {
      std::string s = fmt::format("{}scatter{}: ", indent, over);
      for (std::size_t i = 0; i < stage.stores.size(); ++i) {
        const Store& store = stage.stores[i];
        const std::string to = access_text(p, k, store.buffer, store.access);
        s += i == 0 ? fmt::format("{} += {}", to, expr_name(store.value)) : " into " + to;
      }
      return s + (stage.predicate == kNone ? "\n" : fmt::format(" if {}\n", expr_name(stage.predicate)));
    }
  }
  return indent + "?\n";
}

std::string print(const Program& p, bool locs) {
  std::string s = fmt::format("program @{} {{\n", p.name);
  s += buffers_text(p);
  std::vector<std::size_t> ends;  // of the loops that are open
  const auto line = [&](std::string_view text) { s += fmt::format("{:{}}{}", "", 2 * ends.size(), text); };
  std::size_t loop = 0;
  for (std::size_t k = 0; k < p.kernels.size(); ++k) {
    for (; loop < p.loops.size() && p.loops[loop].begin == k; ++loop) {
      line(fmt::format("  loop {} {{\n", p.loops[loop].turns));
      ends.push_back(p.loops[loop].end);
    }
    const std::string text = kernel_text(p, p.kernels[k], locs);
    for (std::size_t at = 0, end = 0; at < text.size(); at = end) {
      end = text.find('\n', at) + 1;
      line(std::string_view(text).substr(at, end - at));
    }
    while (!ends.empty() && ends.back() == k + 1) {
      ends.pop_back();
      line("  }\n");
    }
  }
  return s + "}\n";
}

}  // namespace weft
