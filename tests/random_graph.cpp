// The generator of random graphs.
#include "random_graph.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/graph/body.h"
#include "ir/graph/build.h"

namespace weft::test {
namespace {

// What a graph of views picks its ops from: an op that stands here twice is twice as likely.
constexpr Op kViewOps[] = {Op::reshape, Op::reshape,     Op::reshape,  Op::slice,   Op::slice,      Op::transpose,
                           Op::pad,     Op::concat,      Op::concat,   Op::gather,  Op::gather,     Op::gather,
                           Op::iota,    Op::broadcast,   Op::random,   Op::convert, Op::convert,    Op::add,
                           Op::mul,     Op::scatter_add, Op::arg_max,  Op::arg_min, Op::reduce_sum, Op::contract,
                           Op::window,  Op::window,      Op::unwindow, Op::reverse};

/// Grows a graph from a pool of values: each step picks an op and operands that fit, making helpers where none do.
class Generator {
 public:
  Generator(std::uint64_t seed, const RandomGraphOptions& options) : rng_(seed), options_(options) {
    g_.name = "random";
    if (options_.dtypes.empty()) options_.dtypes.assign(std::begin(kAllDTypes), std::end(kAllDTypes));
    if (options_.ops.empty() && options_.views) options_.ops.assign(std::begin(kViewOps), std::end(kViewOps));
    if (options_.ops.empty())
      for (int i = 0; i < kOpCount; ++i)
        if (const Op op = static_cast<Op>(i); op != Op::input && info(op).cls != OpClass::control)
          options_.ops.push_back(op);
  }

  Graph run() {
    for (int i = 0, n = static_cast<int>(rng_.between(2, 4)); i < n; ++i)
      input({rng_.pick(options_.dtypes), random_shape(rng_, options_)});
    for (int i = 0; i < options_.nodes; ++i) {
      if (options_.layers && rng_.chance(0.03)) layer();
      if (options_.bodies && rng_.chance(0.15)) function();
      const ValueId v = add(rng_.pick(options_.ops));
      if (v != kNoValue) pool_.push_back(v);
    }
    finish();
    return std::move(g_);
  }

 private:
  LocSet here() { return LocSet::of(Loc{"random", static_cast<std::uint32_t>(g_.size() + 1), 0}); }
  Builder builder() { return {g_, here()}; }
  Type type(ValueId v) const { return g_[v].type; }  // a copy: adding nodes moves the originals

  ValueId input(const Type& t, InputKind kind = InputKind::data) {
    const char* prefix = kind == InputKind::state ? "s" : "x";
    const ValueId v = g_.input(prefix + std::to_string(g_.inputs().size()), t, kind, here());
    pool_.push_back(v);
    return v;
  }

  /// A pool value that `fits`, recent ones more likely; kNoValue when there is none.
  template <class F>
  ValueId find(F fits) {
    for (int attempt = 0; attempt < 12; ++attempt) {
      const std::int64_t n = static_cast<std::int64_t>(pool_.size());
      const std::int64_t recent = std::min<std::int64_t>(n, options_.views ? 2 : 6);  // few: long chains
      const ValueId v = pool_[static_cast<std::size_t>(
          rng_.chance(options_.views ? 0.25 : 0.5) ? rng_.below(n) : n - 1 - rng_.below(recent))];
      if (fits(v)) return v;
    }
    for (ValueId v : pool_)
      if (fits(v)) return v;
    return kNoValue;
  }

  /// A value of type t: from the pool, a splat, or a new input.
  ValueId any(const Type t) {
    if (rng_.chance(0.7))
      if (ValueId v = find([&](ValueId p) { return type(p) == t; }); v != kNoValue) return v;
    if (rng_.chance(0.5))
      return builder().fill(t, static_cast<double>(t.dtype == boolean ? rng_.below(2) : rng_.between(0, 3)));
    return input(t);
  }

  ValueId of_dtypes(std::uint8_t set, int min_rank) {
    const auto fits = [&](ValueId v) { return in_set(type(v).dtype, set) && type(v).shape.rank() >= min_rank; };
    if (ValueId v = find(fits); v != kNoValue) return v;
    for (DType t : options_.dtypes)
      if (in_set(t, set)) {
        Shape s = random_shape(rng_, options_);
        while (s.rank() < min_rank) s.push_back(rng_.between(1, 5));
        return input({t, s});
      }
    return kNoValue;
  }

  ValueId predicate(const Shape shape) {
    if (ValueId v = find([&](ValueId p) { return type(p) == Type{boolean, shape}; }); v != kNoValue) return v;
    if (shape.empty()) return builder().fill({boolean, shape}, 1);
    Builder b = builder();
    const ValueId counter = b.op(Op::iota, {}, Attrs::axis(shape.rank() - 1), Type{i32, shape});
    return b.op(Op::lt, {counter, b.like(counter, static_cast<double>(shape.back() / 2))});
  }

  ValueId indices(std::int64_t extent) {
    const auto small = [&](ValueId v) {
      return (type(v).dtype == i32 || type(v).dtype == i64) && element_count(type(v).shape) <= 64;
    };
    if (rng_.chance(0.5))
      if (ValueId v = find(small); v != kNoValue) return v;
    Builder b = builder();
    const Type t{rng_.chance(0.5) ? i32 : i64, {rng_.between(1, 6)}};
    const ValueId counter = b.op(Op::iota, {}, Attrs::axis(0), t);
    if (options_.views && rng_.chance(0.3))  // backwards
      return b.sub(b.like(counter, static_cast<double>(extent - 1)), counter);
    return b.op(Op::rem, {b.mul(counter, b.like(counter, 5)), b.like(counter, static_cast<double>(extent + 1))});
  }

  /// Brings the operand of an op with poles into a range where it is finite.
  ValueId guard(Op op, std::size_t i, ValueId v) {
    if (!is_float(type(v).dtype) || rng_.chance(options_.wild)) return v;
    Builder b = builder();
    if (op == Op::exp || op == Op::expm1 || (op == Op::pow && i == 1)) return b.op(Op::tanh, {v});
    if (op == Op::log || op == Op::log1p || op == Op::sqrt || op == Op::pow || (op == Op::div && i == 1))
      return b.add(b.op(Op::abs, {b.op(Op::tanh, {v})}), b.like(v, 0.5));
    if (op == Op::mul || op == Op::fma || op == Op::reduce_prod || op == Op::contract) return b.op(Op::sin, {v});
    return v;
  }

  ValueId add(Op op) {
    const OpInfo& row = info(op);
    std::vector<ValueId> args;
    switch (row.cls) {
      case OpClass::leaf:
        if (op == Op::constant)
          return g_.constant(random_array({rng_.pick(options_.dtypes), random_shape(rng_)}, rng_), here());
        if (op == Op::size) args = {of_dtypes(kAny, 1)};
        if (op == Op::random) args = {any({i64, {}}), any({i64, {}})};
        break;
      case OpClass::elementwise:
        if (op == Op::select) {
          const ValueId x = of_dtypes(kAny, 0);
          args = {predicate(type(x).shape), x, any(type(x))};
        } else {
          args = {of_dtypes(row.dtypes, 0)};
          if (args[0] == kNoValue) return kNoValue;
          while (static_cast<int>(args.size()) < row.min_arity) args.push_back(any(type(args[0])));
        }
        break;
      case OpClass::view:
        args = {of_dtypes(row.dtypes, op == Op::broadcast || op == Op::reshape ? 0 : 1)};
        if (op == Op::pad) args.push_back(any({type(args[0]).dtype, {}}));
        if (op == Op::gather) args.push_back(indices(type(args[0]).shape[0]));
        if (op == Op::concat) {
          if (rng_.chance(0.8)) args.push_back(any(type(args[0])));
          if (rng_.chance(0.2)) args.push_back(args[0]);
        }
        break;
      case OpClass::reduce: args = {of_dtypes(row.dtypes, 1)}; break;
      case OpClass::contract: {
        const ValueId x = of_dtypes(row.dtypes, 0);
        if (x == kNoValue) return kNoValue;
        const auto shares = [&](ValueId v) {
          return type(v).dtype == type(x).dtype &&
                 std::ranges::any_of(type(v).shape, [&](std::int64_t e) { return type(x).shape.contains(e); });
        };
        ValueId y = find(shares);
        if (y == kNoValue || rng_.chance(0.3)) {
          Shape s;
          const Shape xs = type(x).shape;
          if (!xs.empty()) s.push_back(xs[static_cast<int>(rng_.below(xs.rank()))]);
          s.insert(static_cast<int>(rng_.below(s.rank() + 1)), rng_.between(1, 9));
          y = input({type(x).dtype, s});
        }
        args = {x, y};
        break;
      }
      case OpClass::scatter: {
        const ValueId x = of_dtypes(row.dtypes, 1);
        if (x == kNoValue) return kNoValue;
        const ValueId k = indices(type(x).shape[0]);
        const ValueId picked = add_random(g_, Op::gather, {x, k}, rng_, here());
        if (picked == kNoValue) return kNoValue;
        const Attrs attrs = g_[picked].attrs;
        return builder().op(op, {x, k, any(type(picked))}, attrs);
      }
      case OpClass::control: return kNoValue;  // function() adds these
    }
    if (std::ranges::count(args, kNoValue)) return kNoValue;
    for (std::size_t i = 0; i < args.size(); ++i) args[i] = guard(op, i, args[i]);
    const ValueId v = add_random(g_, op, args, rng_, here());
    if (v == kNoValue || element_count(type(v).shape) > 40000) return kNoValue;
    return v;
  }

  /// softmax(relu(x w + b)) with its weights updated by a product with x: what training steps are made of.
  void layer() {
    const DType t = rng_.chance(0.5) ? f32 : f64;
    if (std::ranges::count(options_.dtypes, t) == 0) return;
    const std::int64_t rows = rng_.between(1, 9), in = rng_.between(1, 20), out = rng_.between(1, 24);
    ValueId x = find([&](ValueId v) { return type(v).dtype == t && type(v).shape.rank() == 2; });
    if (x == kNoValue) x = input({t, {rows, in}});
    const Shape xs = type(x).shape;
    const ValueId w = input({t, {xs[1], out}}, InputKind::state), bias = input({t, {out}}, InputKind::state);
    Builder b = builder();
    x = guard(Op::contract, 0, x);
    const Shape hs{xs[0], out};
    const ValueId z = b.add(b.contract(x, w, {1}, {0}), b.broadcast(bias, hs, {1}));
    const ValueId h = b.op(Op::max, {z, b.like(z, 0)});
    const ValueId e = b.op(Op::exp, {b.sub(h, b.broadcast(b.reduce(Op::reduce_max, h, 1), hs, {0}))});
    const ValueId p = b.div(e, b.broadcast(b.reduce(Op::reduce_sum, e, 1), hs, {0}));
    const ValueId dz = b.select(b.op(Op::gt, {h, b.like(h, 0)}), p, b.like(p, 0));
    const ValueId dw = b.contract(x, dz, {0}, {0}), db = b.reduce(Op::reduce_sum, dz, 0);
    g_.update(w, b.sub(w, b.mul(dw, b.like(w, 0.125))));
    g_.update(bias, b.sub(bias, b.mul(db, b.like(bias, 0.125))));
    pool_.insert(pool_.end(), {z, h, p, dz});
  }

  /// Some of what values are computed from as a function that is called, or as the branches of a cond.
  void function() {
    const auto is_tensor = [&](ValueId v) { return !is_tuple(type(v)); };
    std::vector<ValueId> then{find(is_tensor)}, otherwise;
    if (rng_.chance(0.5)) then.push_back(find(is_tensor));
    const bool branches = rng_.chance(0.6);
    if (branches)
      for (ValueId v : then) otherwise.push_back(find([&](ValueId p) { return type(p) == type(v); }));
    std::vector<ValueId> inside;  // what the function computes itself
    const auto grow = [&](const std::vector<ValueId>& from) {
      for (int i = 0, n = static_cast<int>(rng_.below(12)); i < n; ++i) {
        ValueId v = rng_.pick(from);
        for (int depth = static_cast<int>(rng_.below(6)); depth-- > 0 && !g_[v].operands.empty();)
          v = rng_.pick(g_[v].operands);
        if (g_[v].op == Op::result) inside.push_back(v), v = g_[v].operands[0];  // with the function that gives it
        if (g_[v].op != Op::input) inside.push_back(v);
      }
    };
    grow(then), grow(branches ? otherwise : then);
    std::vector<ValueId> operands;
    const auto outside = [&](ValueId v) {
      if (!std::ranges::count(inside, v) && !std::ranges::count(operands, v)) operands.push_back(v);
    };
    for (ValueId v : inside)
      for (ValueId o : g_[v].operands) outside(o);
    for (const auto* results : {&then, &otherwise})
      for (ValueId v : *results) outside(v);
    if (!branches && rng_.chance(0.5) && loop(operands, then)) return;
    std::vector<BodyRef> bodies{outline(g_, "f" + std::to_string(rng_.below(3)), operands, then)};
    Builder b = builder();
    ValueId tuple;
    if (branches) {
      bodies.push_back(outline(g_, "otherwise", operands, otherwise));
      operands.insert(operands.begin(), predicate({}));
      tuple = b.op(Op::cond, operands, Attrs::functions(bodies));
    } else {
      tuple = b.op(Op::call, operands, Attrs::functions(bodies));
    }
    for (std::size_t i = 0; i < then.size(); ++i)
      pool_.push_back(b.op(Op::result, {tuple}, Attrs::index(static_cast<std::int64_t>(i))));
  }

  /// The function of `operands` as the body of a scan, if one of them may be a carry that becomes results[0].
  bool loop(std::vector<ValueId> operands, const std::vector<ValueId>& results) {
    const auto carry = std::ranges::find_if(operands, [&](ValueId v) { return type(v) == type(results[0]); });
    if (carry == operands.end() || type(results.back()).shape.rank() == kMaxRank) return false;
    std::rotate(operands.begin(), carry, carry + 1);
    const BodyRef body = outline(g_, "turn", operands, results);
    const std::int64_t length = rng_.between(0, 6);
    std::int64_t slices = 0;
    Builder b = builder();
    if (operands.size() > 1 && type(operands[1]).shape.rank() < kMaxRank && rng_.chance(0.7)) {
      Type all = type(operands[1]);
      Dims axes;
      for (int i = 0; i < all.shape.rank(); ++i) axes.push_back(i + 1);
      all.shape.insert(0, length);
      operands[1] = b.op(Op::broadcast, {operands[1]}, {{Attr::axes, axes}}, all);
      slices = 1;
    }
    Attrs attrs{{Attr::carries, Dims{1}},
                {Attr::slices, Dims{slices}},
                {Attr::length, Dims{length}},
                {Attr::reverse, Dims{rng_.below(2)}}};
    attrs.bodies = {body};
    const ValueId tuple = b.op(Op::scan, operands, attrs);
    for (std::size_t i = 0; i < results.size(); ++i) {
      const ValueId v = b.op(Op::result, {tuple}, Attrs::index(static_cast<std::int64_t>(i)));
      if (element_count(type(v).shape) <= 40000) pool_.push_back(v);
    }
    return true;
  }

  void finish() {
    std::vector<bool> used(g_.size(), false);
    for (ValueId id = 0; id < g_.size(); ++id)
      for (ValueId v : g_[id].operands) used[v] = true;
    for (const Update& u : g_.updates()) used[u.value] = true;
    int count = 0;
    for (ValueId v : pool_) {
      const bool wanted = !used[v] ? g_[v].op != Op::input : rng_.chance(0.05);
      if (wanted && count < 12 && g_.outputs().size() == static_cast<std::size_t>(count))
        g_.output("y" + std::to_string(count++), v);
    }
    if (count == 0) g_.output("y0", pool_.back());
  }

  Rng rng_;
  RandomGraphOptions options_;
  Graph g_;
  std::vector<ValueId> pool_;
};

}  // namespace

std::uint64_t Rng::next() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

Shape random_shape(Rng& rng, const RandomGraphOptions& options) {
  if (rng.chance(options.large)) {
    // Along some axes there are 2, 3, 5 or 6 chunks of a sum, the last one shorter.
    static const Shape kLarge[] = {{5000},      {9000},    {70, 40},   {3, 1100}, {1100, 3},
                                   {4, 17, 33}, {2, 4100}, {1, 20500}, {700, 5},  {2, 1290, 3}};
    return rng.pick(kLarge);
  }
  static const Shape kSmall[] = {{},     {},     {1},    {3},    {7},     {16},      {17},      {1, 1},      {1, 5},
                                 {4, 1}, {2, 3}, {3, 3}, {5, 8}, {8, 17}, {2, 3, 4}, {3, 1, 5}, {2, 2, 3, 2}};
  Shape s = rng.pick(kSmall);
  if (rng.chance(options.empty) && !s.empty()) s[static_cast<int>(rng.below(s.rank()))] = 0;
  return s;
}

Array random_array(const Type& t, Rng& rng, Values values) {
  Array a(t);
  visit_dtype(t.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (T& e : a.as<T>()) {
      if constexpr (std::is_same_v<T, bool>) {
        e = rng.chance(0.5);
      } else if constexpr (std::is_floating_point_v<T>) {
        using L = std::numeric_limits<T>;
        static const T kSpecial[] = {
            T(-0.0),         T(0),          T(1),     T(-1),    L::infinity(), -L::infinity(), L::quiet_NaN(),
            L::denorm_min(), -L::min() / 4, L::min(), L::max(), L::lowest(),   T(0.5),         T(2)};
        if (values == Values::special && rng.chance(0.5))
          e = rng.pick(kSpecial);
        else if (rng.chance(0.15))
          e = static_cast<T>(rng.between(-2, 2));
        else
          e = static_cast<T>(rng.uniform() * 4 - 2);
      } else {
        using L = std::numeric_limits<T>;
        static const T kSpecial[] = {T(0), T(1), static_cast<T>(-1), L::max(), L::min()};
        if (values == Values::special && rng.chance(0.2))
          e = rng.pick(kSpecial);
        else
          e = static_cast<T>(std::is_signed_v<T> ? rng.between(-9, 9) : rng.between(0, 255));
      }
    }
  });
  return a;
}

std::vector<Array> random_inputs(const Graph& g, std::uint64_t seed, Values values) {
  std::vector<Array> result;
  for (const Input& i : g.inputs()) {
    std::uint64_t h = seed ^ 0xcbf29ce484222325;
    for (char c : i.name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    Rng rng(h);
    result.push_back(random_array(g[i.id].type, rng, values));
  }
  return result;
}

Graph random_graph(std::uint64_t seed, const RandomGraphOptions& options) { return Generator(seed, options).run(); }

}  // namespace weft::test
