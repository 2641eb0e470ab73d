// Mutations (tests/fuzz/mutate.h). Ids are taken from what exists, now and then one beyond.
#include "mutate.h"

#include <algorithm>

#include "ir/kernel/print_kernel.h"

namespace weft::test {
namespace {

constexpr std::int64_t kExtents[] = {0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 100, 130, 257, 1030};
constexpr std::int64_t kSizes[] = {0, 1, 2, 3, 4, 6, 8, 14, 16, 17, 32, 48, 64, 100, 1024, 1025, 1 << 20, 2147483647};
constexpr std::int64_t kNumbers[] = {
    0,   1,       -1,        2,         -2,           3,         7,         16,           -16,
    100, 1 << 20, 1LL << 31, 1LL << 40, -(1LL << 40), 1LL << 50, 1LL << 61, -(1LL << 62), 9223372036854775807LL};
constexpr std::vector<AxisId> Roles::*kAllRoles[] = {&Roles::b, &Roles::m, &Roles::n, &Roles::k};
constexpr DType kDTypes[] = {f32, f64, i32, i64, u8, boolean};

template <class C>
std::int32_t id_of(const C& c, Rng& rng) {
  if (c.empty() || rng.chance(0.03)) return kNone;
  return static_cast<std::int32_t>(rng.below(static_cast<std::int64_t>(c.size())));
}
template <class C>
auto* some(C& c, Rng& rng) {
  return c.empty() ? nullptr : &c[static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(c.size())))];
}

/// Gives all axes and dimensions of one extent another: what fitted together still does.
void resize(Program& p, Rng& rng) {
  std::vector<std::int64_t> extents;
  for (const Kernel& k : p.kernels)
    for (const Axis& a : k.axes) extents.push_back(a.extent);
  if (extents.empty()) return;
  const std::int64_t from = rng.pick(extents), to = rng.pick(kExtents);
  for (Kernel& k : p.kernels)
    for (Axis& a : k.axes)
      if (a.extent == from) a.extent = to;
  for (Buffer& b : p.buffers) {
    if (b.kind == Buffer::constant) continue;
    for (int d = 0; d < b.type.shape.rank(); ++d)
      if (b.type.shape[d] == from) b.type.shape[d] = to;
  }
  p.arena_bytes = 0;  // each temp by itself
  for (Buffer& b : p.buffers) {
    if (b.kind != Buffer::temp) continue;
    b.offset = p.arena_bytes;
    try {
      p.arena_bytes += (byte_size(b.type) + 63) / 64 * 64;
    } catch (const Error&) {}
  }
}

void mutate_schedule(Kernel& k, CpuSchedule& s, Rng& rng) {
  if (!leading_contraction(k) && rng.chance(0.8)) {
    s.vector_axis = id_of(k.axes, rng);
    return;
  }
  if (rng.chance(0.4)) {  // sizes that may be right
    s.mr = static_cast<int>(rng.between(0, 8)), s.nr = static_cast<int>(rng.between(0, 6) * 8);
    s.kc = rng.chance(0.5) ? 0 : rng.between(1, 64), s.mc = rng.between(0, 20), s.nc = rng.between(0, 64);
    s.split_n = rng.chance(0.5), s.pack_lhs = rng.chance(0.5), s.pack_rhs = rng.chance(0.5);
    return;
  }
  const ScheduleField<CpuSchedule>& f = rng.pick(kCpuFields);
  if (f.axis) s.*f.axis = id_of(k.axes, rng);
  if (f.small) s.*f.small = static_cast<int>(rng.pick(kSizes));
  if (f.big) s.*f.big = rng.pick(kSizes);
  if (f.flag) s.*f.flag = !(s.*f.flag);
}

/// (Without `matrices`, whose sums are not exact.)
void mutate_schedule(Kernel& k, GpuSchedule& s, Rng& rng) {
  const auto power = [&](int least, int most) { return 1 << rng.between(least, most); };
  if (leading_contraction(k) && rng.chance(0.6)) {
    s.rows = power(0, 6), s.cols = power(0, 6), s.tm = power(0, 3), s.tn = power(0, 3), s.k = power(3, 6),
    s.stages = power(1, 2);
    return;
  }
  const ScheduleField<GpuSchedule>& f = rng.pick(kGpuFields);
  if (f.axis) s.*f.axis = id_of(k.axes, rng);
  if (f.small) s.*f.small = static_cast<int>(rng.pick(kSizes));
}
void mutate_schedule(Kernel&, std::monostate, Rng&) {}

void mutate_schedule(Kernel& k, Rng& rng) {
  if (rng.chance(0.05)) k.schedule = {};
  if (rng.chance(0.1)) k.schedule = CpuSchedule{};
  if (rng.chance(0.1)) k.schedule = GpuSchedule{};
  std::visit([&](auto& s) { mutate_schedule(k, s, rng); }, k.schedule);
}

void mutate_index(Kernel& k, std::vector<Index>& access, Rng& rng) {
  Index* i = some(access, rng);
  if (!i) return;
  switch (rng.below(6)) {
    case 0: i->offset += rng.pick(kNumbers) / (rng.chance(0.5) ? 1 : 1 << 20); break;
    case 1:
      if (auto* t = some(i->terms, rng)) t->second = rng.pick(kNumbers);
      break;
    case 2:
      if (auto* t = some(i->terms, rng)) t->first = id_of(k.axes, rng);
      break;
    case 3: i->indirect = id_of(k.exprs, rng); break;
    case 4: {
      const AxisId a = id_of(k.axes, rng);
      if (a != kNone && std::ranges::none_of(i->terms, [&](const auto& t) { return t.first == a; }))
        i->terms.emplace_back(a, rng.chance(0.7) ? 1 : rng.pick(kNumbers));
      std::ranges::sort(i->terms);
      break;
    }
    default: {  // the value of an expression that is i64, in place of the affine part
      std::vector<ExprId> integers;
      for (std::size_t e = 0; e < k.exprs.size(); ++e)
        if (k.exprs[e].dtype == i64) integers.push_back(static_cast<ExprId>(e));
      if (integers.empty()) return;
      i->indirect = rng.pick(integers);
      if (rng.chance(0.7)) i->terms.clear();
    }
  }
}

/// Adds an expression before all others, which does not use any.
void add_first(Kernel& k, Expr added) {
  const auto shift = [](ExprId& x) { x += x >= 0; };
  for (Expr& x : k.exprs) {
    for (ExprId& a : x.args) shift(a);
    for (Index& i : x.access) shift(i.indirect);
  }
  for (Phase& p : k.phases)
    for (KernelStage& s : p.stages) {
      for (ExprId* x : {&s.predicate, &s.value, &s.lhs, &s.rhs}) shift(*x);
      for (Store& t : s.stores) {
        shift(t.value);
        for (Index& i : t.access) shift(i.indirect);
      }
    }
  k.exprs.insert(k.exprs.begin(), std::move(added));
}

void mutate_expr(Kernel& k, Rng& rng) {
  Expr* e = some(k.exprs, rng);
  if (!e) return;
  switch (rng.below(7)) {
    case 0:
      if (e->kind == Expr::apply) e->op = static_cast<Op>(rng.below(kOpCount));
      break;
    case 1:
      if (auto* a = some(e->args, rng)) *a = id_of(k.exprs, rng);
      break;
    case 2:
      if (e->kind == Expr::constant)
        e->bits = rng.chance(0.5) ? rng.next() : static_cast<std::uint64_t>(rng.pick(kNumbers));
      if (e->kind == Expr::constant && size_of(e->dtype) < 8)
        e->bits &= (std::uint64_t{1} << 8 * size_of(e->dtype)) - 1;
      if (e->kind == Expr::constant && e->dtype == boolean) e->bits &= 1;
      break;
    case 3:
      if (e->kind == Expr::load || e->kind == Expr::index) mutate_index(k, e->access, rng);
      break;
    case 4:
      if (e->kind != Expr::load) break;
      if (e->args.empty())
        e->args.push_back(id_of(k.exprs, rng));
      else
        e->args.clear();
      break;
    case 5: e->dtype = rng.pick(kDTypes); break;
    default: {  // a constant or an index that others may use
      Expr added{.kind = rng.chance(0.5) ? Expr::constant : Expr::index, .dtype = i64};
      if (added.kind == Expr::constant) added.bits = static_cast<std::uint64_t>(rng.pick(kNumbers));
      if (added.kind == Expr::index) added.access = {{{}, rng.between(-3, 3), kNone}};
      add_first(k, std::move(added));
    }
  }
}

/// The same place, computed: what was proven becomes what a run must judge.
void make_indirect(Kernel& k, Rng& rng) {
  Expr computed{.kind = Expr::index, .dtype = i64, .access = {{}}};
  const auto take = [&](std::vector<Index>& access) {
    Index* i = some(access, rng);
    if (!i || i->indirect != kNone) return;
    computed.access[0] = *i;
    if (rng.chance(0.1)) computed.access[0].offset += rng.between(-2, 2);
    *i = {{}, 0, 0};
  };
  add_first(k, {});  // whose number is 0
  if (rng.chance(0.7)) {
    Expr* e = some(k.exprs, rng);
    if (e->kind == Expr::load) take(e->access);
  } else if (Phase* p = some(k.phases, rng)) {
    const bool stores_only =
        std::ranges::all_of(p->stages, [](const KernelStage& s) { return s.kind == KernelStage::map; });
    if (stores_only && rng.chance(0.8)) {  // once more, after all has been stored
      k.phases.insert(k.phases.begin() + (p - k.phases.data()), Phase(*p));
      p = &k.phases.back();
    }
    if (KernelStage* s = some(p->stages, rng))
      if (Store* t = some(s->stores, rng)) take(t->access);
  }
  k.exprs[0] = std::move(computed);
}

/// Puts `axis < number` before a load.
void add_predicate(Kernel& k, Rng& rng) {
  std::vector<std::size_t> loads;
  for (std::size_t e = 0; e < k.exprs.size(); ++e)
    if (k.exprs[e].kind == Expr::load && k.exprs[e].args.empty() && !k.exprs[e].access.empty()) loads.push_back(e);
  if (loads.empty()) return;
  const std::size_t load = rng.pick(loads);
  Index* i = some(k.exprs[load].access, rng);
  Expr index{.kind = Expr::index, .dtype = i64, .access = {*i}};
  if (i->indirect != kNone) return;
  if (rng.chance(0.3)) i->offset += rng.between(-2, 2);
  Expr number{.kind = Expr::constant, .dtype = i64, .bits = static_cast<std::uint64_t>(rng.between(-1, 20))};
  Expr less{.kind = Expr::apply, .dtype = boolean, .op = rng.chance(0.7) ? Op::lt : Op::ge, .args = {0, 1}};
  add_first(k, std::move(less));
  k.exprs[0].args = {kNone, kNone};
  add_first(k, std::move(number));
  add_first(k, std::move(index));
  k.exprs[2].args = {0, 1};
  k.exprs[load + 3].args = {2};
}

void mutate_stage(Kernel& k, Phase& phase, Rng& rng) {
  KernelStage* s = some(phase.stages, rng);
  if (!s) return;
  switch (rng.below(10)) {
    case 9:  // an axis changes its role
      for (auto role : kAllRoles)
        if (!(s->roles.*role).empty() && rng.chance(0.4)) (s->roles.*role).pop_back();
      if (s->kind != KernelStage::contract) break;
      if (rng.chance(0.3)) s->chunk_axis = s->chunk_axis == kNone ? id_of(k.axes, rng) : kNone;
      (s->roles.*rng.pick(kAllRoles)).push_back(id_of(k.axes, rng));
      break;
    case 0: s->axis = id_of(k.axes, rng); break;
    case 1: s->order = static_cast<FoldOrder>(rng.below(4)); break;
    case 2:
      if (s->kind == KernelStage::reduce) s->op = static_cast<Op>(rng.below(kOpCount));
      break;
    case 3: phase.stages.push_back(KernelStage(*s)); break;
    case 4: std::swap(*s, *some(phase.stages, rng)); break;
    case 5: phase.stages.erase(phase.stages.begin() + (s - phase.stages.data())); break;
    case 6:
      if (Store* t = some(s->stores, rng)) mutate_index(k, t->access, rng);
      break;
    case 7:
      if (Store* t = some(s->stores, rng)) t->value = id_of(k.exprs, rng);
      break;
    default:
      for (ExprId* e : {&s->predicate, &s->value, &s->lhs, &s->rhs})
        if (*e != kNone && rng.chance(0.5)) *e = id_of(k.exprs, rng);
      if (s->stores.size() == 1 && rng.chance(0.3))
        s->kind = s->kind == KernelStage::map ? KernelStage::scatter : KernelStage::map;
  }
}

void mutate_phase(Kernel& k, Rng& rng) {
  Phase* p = some(k.phases, rng);
  if (!p) return;
  switch (rng.below(6)) {
    case 0: p->chunk = rng.chance(0.8) ? rng.between(0, 17) : rng.pick(kNumbers); break;
    case 1:
      if (AxisId* a = some(p->parallel, rng)) std::swap(*a, *some(p->parallel, rng));
      break;
    case 2:
      if (!p->parallel.empty())
        p->parallel.erase(p->parallel.begin() + rng.below(static_cast<std::int64_t>(p->parallel.size())));
      break;
    case 3: p->parallel.push_back(id_of(k.axes, rng)); break;
    case 4: {  // two phases of one
      if (p->stages.size() < 2) return;
      Phase second = *p;
      const auto half = static_cast<std::ptrdiff_t>(p->stages.size() / 2);
      second.stages.erase(second.stages.begin(), second.stages.begin() + half);
      p->stages.erase(p->stages.begin() + half, p->stages.end());
      k.phases.insert(k.phases.begin() + (p - k.phases.data()) + 1, second);
      break;
    }
    default: std::swap(*p, *some(k.phases, rng));
  }
}

void mutate_buffer(Program& p, Rng& rng) {
  Buffer* b = some(p.buffers, rng);
  if (!b) return;
  switch (rng.below(5)) {
    case 0: b->offset = rng.between(-1, 20) * 64; break;
    case 1: b->panels = rng.chance(0.7) ? 16 * rng.between(0, 3) : rng.pick(kSizes); break;
    case 2:
      if (b->type.shape.rank()) b->type.shape[static_cast<int>(rng.below(b->type.shape.rank()))] = rng.pick(kExtents);
      break;
    case 3: p.arena_bytes = rng.pick(kNumbers); break;
    default:
      if (b->kind == Buffer::output || b->kind == Buffer::temp)
        b->kind = b->kind == Buffer::output ? Buffer::temp : Buffer::output;
      if (rng.chance(0.5) && !p.outputs.empty()) p.outputs.push_back(id_of(p.buffers, rng));
      std::erase(p.outputs, kNone);
  }
}

std::vector<std::string> split(const std::string& text, bool lines) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : text) {
    part += c;
    if (lines ? c == '\n' : std::string_view(" ,[]\n{}=()").find(c) != std::string_view::npos)
      parts.push_back(std::exchange(part, ""));
  }
  parts.push_back(part);
  return parts;
}

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& p : parts) text += p;
  return text;
}

}  // namespace

void mutate(Program& p, Rng& rng) {
  for (std::int64_t n = rng.between(1, 3); n > 0; --n) {
    Kernel* k = some(p.kernels, rng);
    if (!k) return;
    switch (rng.below(15)) {
      case 0:
      case 1: resize(p, rng); break;
      case 12:
      case 13: make_indirect(*k, rng); break;
      case 14: add_predicate(*k, rng); break;
      case 2:
      case 3: mutate_schedule(*k, rng); break;
      case 4:
      case 5:
      case 6: mutate_expr(*k, rng); break;
      case 7:
      case 8:
        if (Phase* phase = some(k->phases, rng)) mutate_stage(*k, *phase, rng);
        break;
      case 9: mutate_phase(*k, rng); break;
      case 10: mutate_buffer(p, rng); break;
      default:
        if (Axis* a = some(k->axes, rng)) a->extent = rng.chance(0.9) ? rng.pick(kExtents) : rng.pick(kNumbers);
    }
  }
}

std::string mutate(std::string text, Rng& rng) {
  const auto position = [&](const auto& c) {
    return static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(c.size())));
  };
  for (std::int64_t n = rng.between(1, 3); n > 0 && !text.empty(); --n) {
    switch (rng.below(10)) {
      case 0: text[position(text)] = static_cast<char>(rng.below(256)); break;
      case 1: text.erase(position(text), static_cast<std::size_t>(rng.between(1, 4))); break;
      case 2:
        if (rng.chance(0.2)) text.resize(position(text));
        break;
      case 3:
      case 4: {  // another number
        const std::size_t at = text.find_first_of("0123456789", position(text));
        if (at == text.npos) break;
        const std::size_t end = std::min(text.find_first_not_of("0123456789", at), text.size());
        text.replace(at, end - at, std::to_string(rng.chance(0.7) ? rng.pick(kExtents) : rng.pick(kNumbers)));
        break;
      }
      case 5: {  // one token in place of another
        std::vector<std::string> parts = split(text, false);
        const std::size_t a = position(parts), b = position(parts);
        parts[a] = std::string(parts[b]);
        text = join(parts);
        break;
      }
      default: {  // lines or tokens: drop, repeat, swap
        std::vector<std::string> parts = split(text, rng.chance(0.6));
        const std::size_t a = position(parts), b = position(parts);
        const std::int64_t what = rng.below(3);
        if (what == 0) parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(a));
        if (what == 1) parts.insert(parts.begin() + static_cast<std::ptrdiff_t>(b), std::string(parts[a]));
        if (what == 2) std::swap(parts[a], parts[b]);
        text = join(parts);
      }
    }
  }
  return text;
}

}  // namespace weft::test
