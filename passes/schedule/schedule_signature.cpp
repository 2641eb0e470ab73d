// The signature of a contraction: its structure written as text, hashed. Expressions are numbered in the order in which
// a walk from the operands and the stored values meets them, buffers likewise, axes by their roles; so names, numbers
// and the order of expressions do not matter.
#include <algorithm>
#include <iterator>
#include <vector>

#include "ir/base/at.h"
#include "ir/graph/graph.h"
#include "ir/kernel/print_kernel.h"
#include "ir/memory/panels.h"
#include "passes/schedule/schedule_table.h"

namespace weft {
namespace {

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

class Walk {
 public:
  Walk(const Program& p, const Kernel& k) : p_(p), k_(k), number_(k.exprs.size(), kNone) {
    const RoleAxes s = role_axes(k);
    for (AxisId a : {s.b, s.m, s.n, s.k}) {
      axes_.push_back(a);
      add("{},", a == kNone ? 1 : at(k.axes, a).extent);
    }
  }

  std::string text() {
    for (const Phase& phase : k_.phases) {
      add("phase");
      for (AxisId a : phase.parallel) add(" {}", axis(a));
      for (const KernelStage& s : phase.stages) stage(s);
    }
    return std::move(text_);
  }

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }

  static std::size_t index_in(std::vector<std::int32_t>& list, std::int32_t id) {
    const auto it = std::ranges::find(list, id);
    const auto index = static_cast<std::size_t>(it - list.begin());
    if (it == list.end()) list.push_back(id);
    return index;
  }
  std::size_t axis(AxisId a) {
    const std::size_t known = axes_.size(), i = index_in(axes_, a);
    if (i == known) add("<{}>", at(k_.axes, a).extent);
    return i;
  }

  void stage(const KernelStage& s) {
    for (ExprId e : {s.lhs, s.rhs, s.value, s.predicate})
      if (e != kNone) expr(e);
    add(";stage {} {} {}", static_cast<int>(s.kind), static_cast<int>(s.op), s.order == FoldOrder::striped);
    if (s.order == FoldOrder::tree || s.order == FoldOrder::chain) add(" {}", name_of(s.order));
    add(" over ");
    if (axis_of(s) != kNone) add("{}", axis(axis_of(s)));
    if (s.chunk_axis != kNone) add(" chunk {}", axis(s.chunk_axis));
    for (ExprId e : {s.lhs, s.rhs, s.value, s.predicate}) add(" e{}", e == kNone ? kNone : at(number_, e));
    if (s.result != kNone) add(" -> {}", index_in(results_, s.result));
    for (const Store& store : s.stores) {
      expr(store.value);
      for (const Index& i : store.access)
        if (i.indirect != kNone) expr(i.indirect);
      add(" store e{}", at(number_, store.value));
      access(store.buffer, store.access);
    }
  }

  /// Writes the expression, after those that it needs, unless it is there already.
  void expr(ExprId root) {
    std::vector<ExprId> pending{root};
    while (!pending.empty()) {
      const ExprId id = pending.back();
      const Expr& e = at(k_.exprs, id);
      const std::size_t before = pending.size();
      if (at(number_, id) == kNone) {
        for (const Index& i : e.access)
          if (i.indirect != kNone && at(number_, i.indirect) == kNone) pending.push_back(i.indirect);
        for (ExprId arg : e.args)
          if (at(number_, arg) == kNone) pending.push_back(arg);
      }
      if (pending.size() > before) continue;
      pending.pop_back();
      if (at(number_, id) != kNone) continue;
      number_[static_cast<std::size_t>(id)] = next_++;
      add(";e {} {}", static_cast<int>(e.kind), name(e.dtype));
      if (e.kind == Expr::apply) add(" {}", name(e.op));
      for (ExprId arg : e.args) add(" e{}", at(number_, arg));
      if (e.kind == Expr::load) access(e.buffer, e.access);
      if (e.kind == Expr::index) linear(e.access, {1});
      if (e.kind == Expr::accumulator) add(" {}", index_in(results_, e.result));
    }
  }

  /// A buffer by its storage, and the access as elements from its beginning.
  void access(BufferId buffer, const std::vector<Index>& access) {
    const Buffer& b = at(p_.buffers, buffer);
    add(" {} buffer {}", name(b.type.dtype), index_in(storages_, storage(p_, buffer)));
    if (b.panels) add(" in panels of {}, {} apart", b.panels, panel_gap(b));
    const Dims strides = storage_strides(b);
    linear(access, {strides.begin(), strides.end()});
  }
  void linear(const std::vector<Index>& access, const std::vector<std::int64_t>& strides) {
    std::vector<std::int64_t> coefficient;
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < access.size(); ++d) {
      offset += access[d].offset * strides[d];
      for (auto [a, c] : access[d].terms) {
        const std::size_t i = axis(a);
        coefficient.resize(std::max(coefficient.size(), i + 1));
        coefficient[i] += c * strides[d];
      }
      if (access[d].indirect != kNone) add(" + {}*e{}", strides[d], at(number_, access[d].indirect));
    }
    add(" [{}]+{}", fmt::join(coefficient, ","), offset);
  }

  const Program& p_;
  const Kernel& k_;
  std::string text_;
  std::vector<std::int32_t> number_;  // of each expression, or kNone
  std::int32_t next_ = 0;
  std::vector<std::int32_t> axes_, storages_, results_;  // in the order of their first use
};

}  // namespace

std::uint64_t schedule_signature(const Program& p, const Kernel& k) { return fnv1a(Walk(p, k).text()); }

TargetKey TargetKey::of(const CpuTarget& t) { return {t.cpu, fnv1a(t.features), t.l1_bytes, t.l2_bytes, t.l3_bytes}; }

}  // namespace weft
