// Reverse mode: one backward walk over the nodes between `wrt` and the loss. Ids are a topological order, so that when
// the walk reaches a node, every contribution to its gradient has been added.
#include "passes/transform/autodiff.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "ir/graph/body.h"
#include "passes/transform/op_gradient.h"

namespace weft {
namespace {

void require_scalar_loss(const Graph& g, ValueId loss) {
  const Node& n = g[loss];
  const std::string from = n.locs.empty() ? "" : " from " + n.locs.str();
  if (!n.type.shape.empty())
    fail("grad: the loss is {}{}; reduce it to a scalar first, for example by mean()", to_string(n.type), from);
  if (!is_float(n.type.dtype)) fail("grad: the loss is {}{}; expected f32[] or f64[]", to_string(n.type), from);
}

std::string described(const Graph& g, ValueId id) {
  for (const Input& i : g.inputs())
    if (i.id == id) return "'" + i.name + "'";
  return fmt::format("%{} ({})", id, name(g[id].op));
}

bool has_floats(const Type& t) { return is_tuple(t) ? std::ranges::any_of(*t.parts, has_floats) : is_float(t.dtype); }

/// Of a body, given its inputs and then the gradients of those results that `known` names: the gradients of the inputs
/// `wanted`.
BodyRef gradient_of(const Body& body, const std::vector<std::size_t>& known, const std::vector<std::size_t>& wanted,
                    LocSet where) {
  Graph g;
  g.name = body.graph->name + "_grad";
  std::vector<ValueId> inputs, wrt;
  for (const Input& i : body.graph->inputs())
    inputs.push_back(g.input(i.name, (*body.graph)[i.id].type, InputKind::data, (*body.graph)[i.id].locs));
  std::vector<ValueId> incoming;
  for (std::size_t r : known) {
    std::string name = fmt::format("g{}", r);
    while (g.find_input(name) != kNoValue) name += '_';
    incoming.push_back(g.input(name, body.outputs[r], InputKind::data, where));
  }
  const std::vector<ValueId> results = insert(g, *body.graph, inputs);
  std::vector<Cotangent> from;
  for (std::size_t i = 0; i < known.size(); ++i) from.push_back({results[known[i]], incoming[i]});
  for (std::size_t i : wanted) wrt.push_back(inputs[i]);
  const std::vector<ValueId> gradients = pull_back(g, from, wrt, where);
  for (std::size_t i = 0; i < wrt.size(); ++i)
    g.output(fmt::format("d{}", i),
             gradients[i] != kNoValue ? gradients[i] : Builder{g, g[wrt[i]].locs | where}.like(wrt[i], 0));
  return make_body(std::move(g));
}

/// The body of a scan that gives its carries as they come in as well, as the last of its results.
BodyRef with_carries(const Body& body, std::size_t carries) {
  Graph g = *body.graph;
  g.name += "_saved";
  for (std::size_t i = 0; i < carries; ++i) {
    std::string name = fmt::format("c{}", i);
    while (std::ranges::count(g.outputs(), name, &Output::name)) name += '_';
    g.output(name, g.inputs()[i].id);
  }
  return make_body(std::move(g));
}

/// The same function, given sums after its first `first` inputs and adding the results from there on to them: the
/// number of each names it.
Graph with_sums(const Graph& g, std::size_t first, const std::vector<std::size_t>& numbers, LocSet where) {
  Graph out;
  out.name = g.name;
  std::vector<ValueId> sums, inputs;
  for (std::size_t i = 0; i < g.inputs().size(); ++i) {
    const Input& in = g.inputs()[i];
    if (i == first)
      for (std::size_t k = 0; k < numbers.size(); ++k)
        sums.push_back(
            out.input(fmt::format("sum{}", numbers[k]), g[g.outputs()[first + k].id].type, InputKind::data, where));
    inputs.push_back(out.input(in.name, g[in.id].type, InputKind::data, g[in.id].locs));
  }
  std::vector<ValueId> results = insert(out, g, inputs);
  for (std::size_t k = 0; k < sums.size(); ++k)
    results[first + k] = Builder{out, where}.add(sums[k], results[first + k]);
  for (std::size_t i = 0; i < results.size(); ++i) out.output(g.outputs()[i].name, results[i]);
  return out;
}

/// The backward walk.
class Reverse {
 public:
  Reverse(Graph& g, std::span<const Cotangent> from, std::span<const ValueId> wrt, LocSet where)
      : g_(g), where_(where), first_(first_of(from, wrt)), last_(first_) {
    for (const Cotangent& c : from) last_ = std::max(last_, c.value);
    find_active(wrt);
    gradients_.resize(active_.size(), kNoValue);
    for (const Cotangent& c : from) contribute(c.value, c.gradient);
  }

  std::vector<ValueId> run(std::span<const ValueId> wrt) {
    for (ValueId id = last_ + 1; id-- > first_;) {
      if (!is_active(id)) continue;
      join_pads(id);
      if (!info(g_[id].op).differentiable()) continue;
      const Node n = g_[id];  // a copy: adding nodes moves the originals
      if (n.op == Op::scan)
        through_scan(id, n);
      else if (info(n.op).control.run)
        through_bodies(id, n);
      else if (const ValueId incoming = gradients_[id - first_]; incoming == kNoValue)
        continue;
      else if (n.op == Op::result)
        contribute_part(n.operands[0], n.attrs.index(), incoming);
      else
        through_op(id, n, incoming);
    }
    std::vector<ValueId> result;
    for (ValueId w : wrt) result.push_back(w <= last_ ? gradients_[w - first_] : kNoValue);
    return result;
  }

 private:
  static ValueId first_of(std::span<const Cotangent> from, std::span<const ValueId> wrt) {
    ValueId first = kNoValue;
    for (const Cotangent& c : from) first = std::min(first, c.value);
    for (ValueId w : wrt) first = std::min(first, w);
    return first;
  }

  bool is_active(ValueId id) const { return id >= first_ && id <= last_ && active_[id - first_]; }

  /// active: the value changes smoothly with some wrt.
  void find_active(std::span<const ValueId> wrt) {
    active_.resize(last_ - first_ + 1, false);
    for (ValueId w : wrt)
      if (w <= last_) active_[w - first_] = true;
    for (ValueId id = first_; id <= last_; ++id) {
      const Node& n = g_[id];
      if (has_floats(n.type) && info(n.op).differentiable() &&
          std::ranges::any_of(n.operands, [&](ValueId v) { return is_active(v); }))
        active_[id - first_] = true;
    }
  }

  static void add_to(ValueId& sum, ValueId part, Builder b) { sum = sum == kNoValue ? part : b.add(sum, part); }
  void contribute(ValueId v, ValueId part) {
    if (is_active(v)) contribute(v, part, {g_, g_[v].locs | where_});
  }
  void contribute(ValueId v, ValueId part, Builder b) {
    if (is_zero_pad(part))
      pads_[v].push_back(part);
    else
      add_to(gradients_[v - first_], part, b);
  }

  /// What a slice leaves of a gradient: zeros before and behind it, along one axis.
  bool is_zero_pad(ValueId v) const {
    const Node& n = g_[v];
    if (n.op != Op::pad) return false;
    const Node& value = g_[n.operands[1]];
    if (value.op != Op::constant || !value.attrs.literal->same_bits(Array(value.type))) return false;
    return padded_axis(n) >= 0;
  }
  /// The one axis that a pad makes longer; -1: none, or several.
  static int padded_axis(const Node& pad) {
    const Dims &low = pad.attrs[Attr::low], &high = pad.attrs[Attr::high];
    int axis = -1;
    if (!pad.attrs[Attr::interior].empty()) return -1;
    for (int d = 0; d < low.rank(); ++d) {
      if (low[d] < 0 || high[d] < 0) return -1;
      if (low[d] == 0 && high[d] == 0) continue;
      if (axis >= 0) return -1;
      axis = d;
    }
    return axis;
  }
  /// Adds the gradients that slices of v gave. Those of slices side by side are joined, not added up: a value that is
  /// cut in four, as the gates of a recurrent layer are, has a gradient that is stored once.
  void join_pads(ValueId v) {
    const auto found = pads_.find(v);
    if (found == pads_.end()) return;
    std::vector<ValueId> pads = std::move(found->second);
    pads_.erase(found);
    Builder b{g_, g_[v].locs | where_};
    const int axis = padded_axis(g_[pads[0]]);
    const auto begin = [&](ValueId pad) { return g_[pad].attrs[Attr::low][axis]; };
    bool apart = pads.size() > 1 && std::ranges::all_of(pads, [&](ValueId p) { return padded_axis(g_[p]) == axis; });
    if (apart) {
      std::ranges::stable_sort(pads, {}, begin);
      for (std::size_t i = 1; i < pads.size(); ++i)
        apart = apart && begin(pads[i]) >= begin(pads[i - 1]) + g_[g_[pads[i - 1]].operands[0]].type.shape[axis];
    }
    ValueId& sum = gradients_[v - first_];
    if (!apart) {
      for (const ValueId pad : pads) add_to(sum, pad, b);
      return;
    }
    std::vector<ValueId> pieces;
    std::int64_t end = 0;
    const Type whole = g_[v].type;
    const auto fill = [&](std::int64_t until) {
      Type gap = whole;
      gap.shape[axis] = until - end;
      if (until > end) pieces.push_back(b.fill(gap, 0));
      end = until;
    };
    for (const ValueId pad : pads) {
      fill(begin(pad));
      pieces.push_back(g_[pad].operands[0]);
      end += g_[pieces.back()].type.shape[axis];
    }
    fill(whole.shape[axis]);
    add_to(sum, b.op(Op::concat, pieces, Attrs::axis(axis)), b);
  }
  void contribute_part(ValueId tuple, std::size_t index, ValueId part) {
    std::vector<ValueId>& parts = of_tuples_[tuple];
    parts.resize(g_[tuple].type.parts->size(), kNoValue);
    add_to(parts[index], part, {g_, g_[tuple].locs | where_});
  }

  void through_op(ValueId id, const Node& n, ValueId incoming) {
    Builder b{g_, n.locs | where_};
    std::vector<std::int64_t> known;
    const GradientArgs args{id, incoming, n.operands, n.attrs, known};
    for (std::size_t i = 0; i < n.operands.size(); ++i) {
      if (is_active(n.operands[i])) contribute(n.operands[i], gradient(n.op, b, args, i), b);
    }
  }

  void through_bodies(ValueId id, const Node& n) {
    const auto parts = of_tuples_.find(id);
    if (parts == of_tuples_.end()) return;
    const auto lead = static_cast<std::size_t>(info(n.op).min_arity);
    std::vector<std::size_t> known, wanted;
    for (std::size_t r = 0; r < parts->second.size(); ++r)
      if (parts->second[r] != kNoValue) known.push_back(r);
    for (std::size_t i = lead; i < n.operands.size(); ++i)
      if (is_active(n.operands[i]) && is_float(g_[n.operands[i]].type.dtype)) wanted.push_back(i - lead);
    if (wanted.empty()) return;
    std::vector<BodyRef> bodies;
    for (const BodyRef& body : n.attrs.bodies) bodies.push_back(gradient_of(*body, known, wanted, n.locs | where_));
    std::vector<ValueId> operands = n.operands;
    for (std::size_t r : known) operands.push_back(parts->second[r]);
    Builder b{g_, n.locs | where_};
    const ValueId gradients = b.op(n.op, std::move(operands), Attrs::functions(std::move(bodies)));
    for (std::size_t i = 0; i < wanted.size(); ++i) contribute(n.operands[lead + wanted[i]], part(b, gradients, i));
  }

  /// A gradient of what every turn of a scan uses that is the sum over the turns of transpose(contract(x, y)): one
  /// contraction over the turns too, of x and y of all turns, takes its place.
  struct OverTurns {
    std::vector<Dims> transposes;  // the outermost first
    ValueId x = kNoValue, y = kNoValue;
    Attrs attrs;  // of the contraction
  };
  /// `turning`: what differs from turn to turn, or is computed from it, and no input is else.
  static std::optional<OverTurns> over_turns(const Graph& g, ValueId d, const std::vector<bool>& turning) {
    OverTurns found;
    for (; g[d].op == Op::transpose; d = g[d].operands[0]) found.transposes.push_back(g[d].attrs[Attr::perm]);
    if (g[d].op != Op::contract) return {};
    found.x = g[d].operands[0], found.y = g[d].operands[1], found.attrs = g[d].attrs;
    for (const ValueId v : {found.x, found.y})
      if (!turning[v] || g[v].type.shape.rank() == kMaxRank) return {};
    return found;
  }
  static Dims after_turns(Dims axes) {
    for (int i = 0; i < axes.rank(); ++i) axes[i] = axes[i] + 1;
    return axes;
  }
  static ValueId contracted(Builder& b, const OverTurns& o, ValueId all_x, ValueId all_y) {
    Dims lhs = after_turns(o.attrs[Attr::lhs]), rhs = after_turns(o.attrs[Attr::rhs]);
    lhs.insert(0, 0), rhs.insert(0, 0);
    ValueId d = b.contract(all_x, all_y, lhs, rhs, after_turns(o.attrs[Attr::lhs_batch]),
                           after_turns(o.attrs[Attr::rhs_batch]));
    for (std::size_t i = o.transposes.size(); i-- > 0;) d = b.transpose(d, o.transposes[i]);
    return d;
  }

  /// The gradient of a scan is a scan the other way. It carries the gradients of the carries, and the sums of those of
  /// what every turn uses (but for those that one contraction gives afterwards), and is given the carries that each
  /// turn began with, which a scan like this one saves.
  void through_scan(ValueId id, const Node& n) {
    const auto parts = of_tuples_.find(id);
    if (parts == of_tuples_.end()) return;
    const Body& body = *n.attrs.bodies[0];
    const auto carries = static_cast<std::size_t>(n.attrs.scalar(Attr::carries));
    const auto slices = static_cast<std::size_t>(n.attrs.scalar(Attr::slices));
    const auto is_wanted = [&](std::size_t i) { return is_active(n.operands[i]) && is_float(body.inputs[i].dtype); };
    std::vector<std::size_t> smooth, stacked, wanted_slices, wanted_rest;  // numbers of operands; `stacked`: of results
    for (std::size_t i = 0; i < carries; ++i)
      if (is_float(body.inputs[i].dtype)) smooth.push_back(i);
    for (std::size_t r = carries; r < body.outputs.size(); ++r)
      if (parts->second[r] != kNoValue) stacked.push_back(r);
    for (std::size_t i = carries; i < n.operands.size(); ++i)
      if (is_wanted(i)) (i < carries + slices ? wanted_slices : wanted_rest).push_back(i);
    const std::vector<ValueId> incoming = parts->second;
    Builder b{g_, n.locs | where_};

    Attrs saving = n.attrs;
    saving.bodies = {with_carries(body, carries)};
    const ValueId forward = b.op(Op::scan, n.operands, saving);

    // The gradients in one turn, of (gradients of carries; carries, slices, gradients of stacked results; the rest).
    Graph turn;
    turn.name = body.graph->name + "_grad";
    std::vector<ValueId> of_turns;  // by input of `turn`, of those that differ from turn to turn: what stacks them
    const auto input = [&](std::string_view prefix, std::size_t i, const Type& t) {
      return turn.input(fmt::format("{}{}", prefix, i), t, InputKind::data, n.locs | where_);
    };
    std::vector<ValueId> at_carries, inputs, at_stacked;
    for (std::size_t i : smooth) at_carries.push_back(input("dc", i, body.inputs[i]));
    for (std::size_t i = 0; i < carries + slices; ++i) {
      inputs.push_back(input("x", i, body.inputs[i]));
      of_turns.push_back(i < carries ? part(b, forward, body.outputs.size() + i) : n.operands[i]);
    }
    for (std::size_t r : stacked) {
      at_stacked.push_back(input("dy", r, body.outputs[r]));
      of_turns.push_back(incoming[r]);
    }
    for (std::size_t i = carries + slices; i < n.operands.size(); ++i) inputs.push_back(input("x", i, body.inputs[i]));
    const std::vector<ValueId> results = insert(turn, *body.graph, inputs);
    std::vector<Cotangent> from;
    for (std::size_t i = 0; i < smooth.size(); ++i) from.push_back({results[smooth[i]], at_carries[i]});
    for (std::size_t i = 0; i < stacked.size(); ++i) from.push_back({results[stacked[i]], at_stacked[i]});
    std::vector<ValueId> wrt;
    for (const auto* list : {&smooth, &wanted_rest, &wanted_slices})
      for (std::size_t i : *list) wrt.push_back(inputs[i]);
    const std::vector<ValueId> gradients = pull_back(turn, from, wrt, where_);
    const auto gradient_at = [&](std::size_t i) {
      return gradients[i] != kNoValue ? gradients[i] : Builder{turn, n.locs | where_}.like(wrt[i], 0);
    };

    // What is left to sum, and what to stack for contractions over the turns.
    std::vector<ValueId> stacks(turn.size(), kNoValue);  // of values of `turn`: what holds them for all turns
    for (std::size_t i = 0; i < of_turns.size(); ++i) stacks[turn.inputs()[smooth.size() + i].id] = of_turns[i];
    std::vector<bool> turning(turn.size(), false);
    for (ValueId v : at_carries) turning[v] = true;
    for (ValueId v = 0; v < turn.size(); ++v)
      turning[v] = turning[v] || stacks[v] != kNoValue ||
                   std::ranges::any_of(turn[v].operands, [&](ValueId o) { return turning[o]; });
    std::vector<std::size_t> summed;                              // numbers of operands
    std::vector<std::pair<std::size_t, OverTurns>> contractions;  // the same, and what gives their gradients
    std::vector<ValueId> sums, to_stack;  // values of `turn`: the gradients of `summed`; the contractions' factors
    for (std::size_t i = 0; i < wanted_rest.size(); ++i) {
      const ValueId d = gradients[smooth.size() + i];
      if (d == kNoValue) continue;
      const auto found = over_turns(turn, d, turning);
      if (!found) {
        summed.push_back(wanted_rest[i]);
        sums.push_back(d);
        continue;
      }
      contractions.emplace_back(wanted_rest[i], *found);
      for (const ValueId v : {found->x, found->y})
        if (stacks[v] == kNoValue && !std::ranges::count(to_stack, v)) to_stack.push_back(v);
    }

    // The results of a turn: gradients of carries, what is summed, gradients of slices, what is stacked.
    const auto result = [&](ValueId v) { turn.output(fmt::format("d{}", turn.outputs().size()), v); };
    for (std::size_t i = 0; i < smooth.size(); ++i) result(gradient_at(i));
    for (ValueId v : sums) result(v);
    for (std::size_t i = 0; i < wanted_slices.size(); ++i) result(gradient_at(smooth.size() + wanted_rest.size() + i));
    for (ValueId v : to_stack) result(v);

    std::vector<ValueId> operands;
    for (std::size_t i : smooth) operands.push_back(incoming[i] != kNoValue ? incoming[i] : b.like(n.operands[i], 0));
    for (std::size_t i : summed) operands.push_back(b.like(n.operands[i], 0));
    operands.insert(operands.end(), of_turns.begin(), of_turns.end());
    operands.insert(operands.end(), n.operands.begin() + static_cast<std::ptrdiff_t>(carries + slices),
                    n.operands.end());
    const auto number = [](std::size_t i) { return static_cast<std::int64_t>(i); };
    Attrs backward{{Attr::carries, Dims{number(smooth.size() + summed.size())}},
                   {Attr::slices, Dims{number(of_turns.size())}},
                   {Attr::length, n.attrs[Attr::length]},
                   {Attr::reverse, Dims{1 - n.attrs.scalar(Attr::reverse)}}};
    backward.bodies = {make_body(with_sums(turn, smooth.size(), summed, n.locs | where_))};
    const ValueId scanned = b.op(Op::scan, std::move(operands), std::move(backward));
    std::size_t at = 0;
    for (std::size_t i : smooth) contribute(n.operands[i], part(b, scanned, at++));
    for (std::size_t i : summed) contribute(n.operands[i], part(b, scanned, at++));
    for (std::size_t i : wanted_slices) contribute(n.operands[i], part(b, scanned, at++));
    for (ValueId v : to_stack) stacks[v] = part(b, scanned, at++);
    for (const auto& [i, o] : contractions) contribute(n.operands[i], contracted(b, o, stacks[o.x], stacks[o.y]));
  }

  ValueId part(Builder& b, ValueId tuple, std::size_t i) {
    return b.op(Op::result, {tuple}, Attrs::index(static_cast<std::int64_t>(i)));
  }

  Graph& g_;
  const LocSet where_;
  const ValueId first_;
  ValueId last_;
  std::vector<bool> active_;                                     // by id - first_
  std::vector<ValueId> gradients_;                               // the same; kNoValue: none yet
  std::unordered_map<ValueId, std::vector<ValueId>> of_tuples_;  // a gradient for each part, or kNoValue
  std::unordered_map<ValueId, std::vector<ValueId>> pads_;       // contributions that join_pads() has yet to add
};

}  // namespace

std::vector<ValueId> pull_back(Graph& g, std::span<const Cotangent> from, std::span<const ValueId> wrt, LocSet where) {
  if (from.empty()) return std::vector<ValueId>(wrt.size(), kNoValue);
  return Reverse(g, from, wrt, where).run(wrt);
}

std::vector<ValueId> differentiate(Graph& g, ValueId loss, std::span<const ValueId> wrt, LocSet where) {
  require_scalar_loss(g, loss);
  for (ValueId w : wrt)
    if (!is_float(g[w].type.dtype))
      fail("grad: cannot differentiate with respect to {}, which is {}{}; expected f32 or f64", described(g, w),
           to_string(g[w].type), g[w].locs.empty() ? "" : " from " + g[w].locs.str());
  const Cotangent one{loss, Builder{g, g[loss].locs | where}.like(loss, 1)};
  std::vector<ValueId> result = pull_back(g, std::span(&one, 1), wrt, where);
  for (std::size_t i = 0; i < wrt.size(); ++i)
    if (result[i] == kNoValue) result[i] = Builder{g, g[wrt[i]].locs | where}.like(wrt[i], 0);
  return result;
}

}  // namespace weft
