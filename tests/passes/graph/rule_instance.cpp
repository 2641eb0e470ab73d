// Instances of patterns. Types are chosen from the root down where the parent fixes them, else at random; choices that
// do not fit are given up (Misfit) and the caller tries again.
#include "rule_instance.h"

#include <algorithm>
#include <cmath>

#include "ir/graph/build.h"

namespace weft::test {
namespace {

struct Misfit {};

bool is_comparison(Op op) { return op >= Op::eq && op <= Op::ge; }

class Maker {
 public:
  Maker(const Rule& rule, std::uint64_t seed) : rule_(rule), rng_(seed), bound_(rule.names.size(), kNoValue) {
    static const Shape kShapes[] = {{}, {}, {1}, {3}, {17}, {2, 3}, {3, 3}, {1, 5}, {4, 1, 2}, {2, 3, 2}, {0, 2}};
    base_ = {rng_.chance(0.4) ? f32 : rng_.pick(kAllDTypes), rng_.pick(kShapes)};
  }

  RuleInstance run() {
    try {
      out_.root = make(rule_.pattern, {});
    } catch (const Misfit&) {
      out_.root = kNoValue;
    } catch (const Error&) {
      out_.root = kNoValue;
    }
    return std::move(out_);
  }

 private:
  using Want = std::optional<Type>;
  Graph& g() { return out_.g; }
  LocSet here() { return LocSet::of(Loc{"rule", static_cast<std::uint32_t>(g().size() + 1), 0}); }
  Builder builder() { return {g(), here()}; }

  ValueId input(const Type& t) {
    return g().input("x" + std::to_string(g().inputs().size()), t, InputKind::data, here());
  }

  ValueId number(const Type& t, double v) {
    if (t.dtype == u8 || t.dtype == boolean ? v < 0 : false) throw Misfit{};
    if (!is_float(t.dtype) && std::isinf(v)) throw Misfit{};
    return builder().fill(t, v);
  }

  Type random_type() {
    Type t = base_;
    if (rng_.chance(0.15)) t.dtype = rng_.pick(kAllDTypes);
    if (rng_.chance(0.2)) t.shape = {};
    return t;
  }

  ValueId make(const Term& t, Want want) {
    switch (t.kind) {
      case Term::number: return number(want.value_or(base_), t.value);
      case Term::variable:
      case Term::splat: {
        ValueId& bound = bound_[static_cast<std::size_t>(t.slot)];
        if (bound == kNoValue)
          bound = t.kind == Term::splat ? splat(want.value_or(random_type())) : variable(want.value_or(random_type()));
        return bound;
      }
      case Term::op: return t.any_args ? concat(t, want) : op(t, want);
    }
    return kNoValue;
  }

  /// An input; now and then a value that was flushed by arithmetic, which some exact rules ask for.
  ValueId variable(const Type& t) {
    const ValueId v = input(t);
    return is_float(t.dtype) && rng_.chance(0.5) ? builder().mul(v, builder().like(v, 1)) : v;
  }

  ValueId splat(const Type& t) {
    static const double kValues[] = {0,  1,  2,  3,    4,     0.5,     0.1,     7,       0.125,
                                     -1, -2, -3, 1e30, 1e-30, 0x1p126, 0x1p127, 0x1p-126};
    const double v = rng_.pick(kValues);
    if (!is_float(t.dtype) && (v < 0 || v != std::floor(v) || v > 100)) throw Misfit{};
    return builder().fill(t, t.dtype == boolean ? v != 0 : v);
  }

  /// The types that the op's operands must have for a result of type `want`; empty where anything may fit.
  Want operand_type(Op op, std::size_t i, const Want& want) {
    const OpInfo& row = info(op);
    if (row.cls != OpClass::elementwise) return {};
    const Shape shape = want ? want->shape : base_.shape;
    if (op == Op::select && i == 0) return Type{boolean, shape};
    if (op == Op::convert) return Type{rng_.pick(kAllDTypes), shape};
    if (is_comparison(op)) {
      const DType dtype = rng_.chance(0.25) ? boolean : base_.dtype;
      return Type{dtype, shape};
    }
    return want.value_or(base_);
  }

  ValueId op(const Term& t, const Want& want) {
    std::vector<ValueId> args(t.args.size(), kNoValue);
    Want shared;  // of comparisons: the first operand's type is every operand's
    const auto constant = [](const Term& a) { return a.kind == Term::number || a.kind == Term::splat; };
    for (bool constants : {false, true})
      for (std::size_t i = 0; i < args.size(); ++i) {
        if (constant(t.args[i]) != constants) continue;
        Want w = t.code == Op::broadcast && want ? Want(reduced(*want)) : operand_type(t.code, i, want);
        if (t.code == Op::pad && i == 1 && args[0] != kNoValue) w = Type{g()[args[0]].type.dtype, {}};
        if (t.code == Op::gather && i == 1)
          w = Type{rng_.chance(0.5) ? i32 : i64, rng_.chance(0.5) ? Shape{} : Shape{3}};
        if (shared && info(t.code).cls == OpClass::elementwise && t.code != Op::select) w = shared;
        if (w && t.args[i].kind == Term::op && is_comparison(t.args[i].code)) w->dtype = boolean;
        args[i] = make(t.args[i], w);
        if (!shared && !(t.code == Op::select && i == 0)) shared = g()[args[i]].type;
      }
    const ValueId id = t.code == Op::broadcast && want ? broadcast(args[0], *want) : with_attributes(t, args, want);
    if (t.slot >= 0) {
      ValueId& bound = bound_[static_cast<std::size_t>(t.slot)];
      if (bound != kNoValue && bound != id) throw Misfit{};
      bound = id;
    }
    out_.ops.push_back(id);
    return id;
  }

  ValueId with_attributes(const Term& t, const std::vector<ValueId>& args, const Want& want) {
    if (t.code == Op::convert && want) return g().add(Op::convert, args, {}, want, here());
    const ValueId id = add_random(g(), t.code, args, rng_, here());
    if (id == kNoValue || (want && !(g()[id].type == *want))) throw Misfit{};
    return id;
  }

  // A broadcast to a given type: of a value with a random choice of its axes.
  Type reduced(const Type& t) {
    kept_ = {};
    Type from{t.dtype, {}};
    for (int i = 0; i < t.shape.rank(); ++i)
      if (rng_.chance(0.5)) kept_.push_back(i), from.shape.push_back(t.shape[i]);
    return from;
  }
  ValueId broadcast(ValueId x, const Type& t) { return g().add(Op::broadcast, {x}, {{Attr::axes, kept_}}, t, here()); }

  /// concat(...) of inputs, of concats along the same axis, or of neighbouring slices.
  ValueId concat(const Term& t, const Want& want) {
    if (want || base_.shape.empty()) throw Misfit{};
    const int axis = static_cast<int>(rng_.below(base_.shape.rank()));
    const Attrs attrs = Attrs::axis(axis);
    std::vector<ValueId> parts;
    const ValueId whole = input(base_);
    const std::int64_t extent = base_.shape[axis], cut = rng_.between(0, extent);
    const Dims zero = Dims::filled(base_.shape.rank(), 0), one = Dims::filled(base_.shape.rank(), 1);
    for (const auto& [from, to] : {std::pair(std::int64_t{0}, cut), {cut, extent}}) {
      Dims start = zero, limit = base_.shape;
      start[axis] = from, limit[axis] = to;
      if (rng_.chance(0.6))
        parts.push_back(
            g().add(Op::slice, {whole}, {{Attr::start, start}, {Attr::limit, limit}, {Attr::stride, one}}, {}, here()));
    }
    if (rng_.chance(0.5)) parts.push_back(input(base_));
    if (rng_.chance(0.3)) parts.push_back(g().add(Op::concat, {input(base_), whole}, attrs, {}, here()));
    const ValueId id = g().add(Op::concat, parts, attrs, {}, here());
    if (t.slot >= 0) bound_[static_cast<std::size_t>(t.slot)] = id;
    out_.ops.push_back(id);
    return id;
  }

  const Rule& rule_;
  Rng rng_;
  std::vector<ValueId> bound_;
  Type base_;
  Dims kept_;
  RuleInstance out_;
};

}  // namespace

RuleInstance instantiate(const Rule& rule, std::uint64_t seed) { return Maker(rule, seed).run(); }

}  // namespace weft::test
