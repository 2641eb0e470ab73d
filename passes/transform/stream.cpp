// One walk: of each value along which of its axes time goes, and which of its frames a call has.
#include "passes/transform/stream.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>

#include "ir/graph/build.h"
#include "passes/graph/fold.h"
#include "passes/graph/inline.h"
#include "passes/graph/rules.h"

namespace weft {
namespace {

constexpr std::int64_t kProbes[] = {1009, 1013};  // frames of a sequence whose extent is a symbol
constexpr std::int64_t kMostFrames = 1 << 20;

/// A value of the new graph.
struct Value {
  ValueId id = kNoValue;
  int axis = -1;  // of time; -1: the same for all frames
  /// Of the whole sequence's value the frame number i + lead comes in with the input's frame i. What lies before the
  /// input's first frame is `before` everywhere: a constant of one element, or unknown.
  std::int64_t lead = 0;
  ValueId before = kNoValue;
  bool is_fixed() const { return axis < 0; }
};

class Streamer {
 public:
  Streamer(const Graph& old, int axis, std::int64_t length, std::int64_t frames)
      : old_(old), length_(length), frames_(frames), values_(old.size()) {
    g_.name = old.name;
    for (const Input& in : old.inputs()) {
      Type t = old[in.id].type;
      const bool streams = in.kind == InputKind::data && t.shape.rank() > axis;
      if (streams) t.shape[axis] = frames;
      values_[in.id] = {g_.input(in.name, t, in.kind, old[in.id].locs), streams ? axis : -1};
    }
  }

  Streamed run() {
    for (ValueId id = 0; id < old_.size(); ++id) {
      const Node& n = old_[id];
      if (n.op == Op::input) continue;
      now_ = id;
      const auto streams = [&](ValueId v) { return !at(v).is_fixed() || tuples_.contains(v); };
      if (std::ranges::none_of(n.operands, streams)) {
        values_[id] = {make(n, operands_of(n), n.attrs, -1)};
        continue;
      }
      values_[id] = value(n);
      if (const Value& v = values_[id]; !v.is_fixed() && n.type.shape[v.axis] < 2)
        refuse("{} of the frames is left; expected all", n.type.shape[v.axis]);
    }
    for (const Output& o : old_.outputs()) {
      now_ = o.id;
      Value v = at(o.id);
      if (v.is_fixed()) fail("stream: the output '{}' does not depend on the frames", o.name);
      if (v.lead > 0) v = delayed(v, v.lead);
      g_.output(o.name, v.id);
      result_.latency.push_back(-v.lead);
    }
    for (const auto& [state, next] : updates_) g_.update(state, next);
    result_.graph = std::move(g_);
    return std::move(result_);
  }

 private:
  const Value& at(ValueId old) const { return values_[old]; }
  Builder builder() { return {g_, old_[now_].locs}; }

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    const std::string where = old_[now_].locs.str();
    fail("{}{}stream: {}: {}", where, where.empty() ? "" : ": ", name(old_[now_].op),
         fmt::format(format, std::forward<Args>(args)...));
  }

  /// The node on these operands, with a call's frames along an axis of its result (-1: none).
  ValueId make(const Node& n, std::vector<ValueId> operands, const Attrs& attrs, int axis) {
    Type t = n.type;
    if (axis >= 0) t.shape[axis] = frames_;
    return g_.add(n.op, std::move(operands), attrs, t, n.locs);
  }
  std::vector<ValueId> operands_of(const Node& n) const {
    std::vector<ValueId> ids;
    for (const ValueId v : n.operands) ids.push_back(at(v).id);
    return ids;
  }
  static std::vector<ValueId> each(const std::vector<Value>& values, ValueId Value::*member) {
    std::vector<ValueId> ids;
    for (const Value& v : values) ids.push_back(v.*member);
    return ids;
  }

  // What a call keeps for the next.
  ValueId state(const char* kind, Type type, ValueId initial) {
    const std::string name = fmt::format("{}.{}.{}", old_.name, kind, states_++);
    Array value(type);
    if (initial != kNoValue) {
      const Array& one = *g_[initial].attrs.literal;
      for (std::size_t i = 0; i < value.bytes(); i += one.bytes())
        std::memcpy(value.data() + i, one.data(), one.bytes());
    }
    result_.initial.emplace(name, std::move(value));
    return g_.input(name, type, InputKind::state, old_[now_].locs);
  }

  /// A call's frames and, before them, the last `k` of earlier calls.
  ValueId with_history(const Value& v, std::int64_t k) {
    if (k == 0) return v.id;
    if (v.lead > 0 && v.before == kNoValue)
      refuse("it reaches back to frames before the first one, which are no constant; pad directly before the window");
    const ValueId before = v.lead > 0 ? v.before : kNoValue;
    ValueId& known = histories_[{v.id, k, before}];
    if (known) return known;
    Type type = g_[v.id].type;
    type.shape[v.axis] = k;
    const ValueId h = state("history", type, before);
    Builder b = builder();
    const ValueId all = b.op(Op::concat, {h, v.id}, Attrs::axis(v.axis));
    updates_.emplace_back(h, frames_of(all, v.axis, frames_, k));
    return known = all;
  }

  /// `count` frames from `first` on.
  ValueId frames_of(ValueId x, int axis, std::int64_t first, std::int64_t count) {
    const Shape shape = g_[x].type.shape;
    Dims start = Dims::filled(shape.rank(), 0), limit = shape;
    start[axis] = first, limit[axis] = first + count;
    return builder().slice(x, start, limit, Dims::filled(shape.rank(), 1));
  }

  Value delayed(const Value& v, std::int64_t k) {
    if (k == 0) return v;
    return {frames_of(with_history(v, k), v.axis, 0, frames_), v.axis, v.lead - k, v.before};
  }

  /// A constant in place of the frames that come before a late value's first one.
  ValueId after_start(const Value& v, ValueId constant) {
    Builder b = builder();
    const Shape shape = g_[v.id].type.shape;
    const ValueId late = b.constant(Array::scalar(static_cast<std::int32_t>(-v.lead)));
    const ValueId left = state("start", {i32, {}}, late);  // to come, of those
    updates_.emplace_back(left,
                          b.op(Op::max, {b.sub(left, b.scalar(i32, static_cast<double>(frames_))), b.scalar(i32, 0)}));
    const ValueId number = b.op(Op::iota, {}, Attrs::axis(v.axis), Type{i32, shape});
    return b.select(b.op(Op::lt, {number, b.broadcast(left, shape, {})}), b.broadcast(constant, shape, {}), v.id);
  }

  // Values that are the same for all frames, given for each frame.
  ValueId for_frames(ValueId old, int axis) {
    const Node& n = old_[old];
    if (const ValueId one = splat_of(old_, old); one != kNoValue) {
      Shape shape = n.type.shape;
      shape[axis] = frames_;
      return builder().broadcast(at(one).id, shape, {});
    }
    const auto framed = [&](int from) {
      std::vector<ValueId> operands;
      for (const ValueId v : n.operands) operands.push_back(for_frames(v, from));
      return make(n, std::move(operands), n.attrs, axis);
    };
    if (is_elementwise(n.op)) return framed(axis);
    if (n.op == Op::transpose) return framed(static_cast<int>(n.attrs[Attr::perm][axis]));
    if (n.op == Op::broadcast) {
      const Dims& axes = n.attrs[Attr::axes];
      const auto found = std::find(axes.begin(), axes.end(), axis);
      const auto from = static_cast<int>(found - axes.begin());
      const bool repeats = found == axes.end() || old_[n.operands[0]].type.shape[from] == 1;
      return repeats ? make(n, operands_of(n), n.attrs, axis) : framed(from);
    }
    if (n.op == Op::reshape)
      if (const auto from = kept_axis(n.type.shape, axis, old_[n.operands[0]].type.shape)) return framed(*from);
    refuse(
        "it takes {} of {}, whose values differ from frame to frame; expected what is the same for all, or comes with "
        "them",
        to_string(n.type), n.op == Op::input ? old_.find_input(old)->name : std::string(name(n.op)));
  }

  /// The axis of `to` that a reshape keeps axis `a` of `from` as: as long, with as many elements before it.
  static std::optional<int> kept_axis(const Shape& from, int a, const Shape& to) {
    const auto before = [](const Shape& s, int n) {
      return element_count(Shape(std::span(s.begin(), static_cast<std::size_t>(n))));
    };
    for (int i = 0; i < to.rank(); ++i)
      if (to[i] == from[a] && before(to, i) == before(from, a)) return i;
    return {};
  }

  /// All operands with the same frames, along one axis.
  std::vector<Value> aligned(std::span<const ValueId> operands, std::string_view what = "its operands") {
    std::optional<Value> first;
    for (const ValueId v : operands) {
      if (at(v).is_fixed()) continue;
      if (first && first->axis != at(v).axis)
        refuse("{} have time along axis {} and axis {}", what, first->axis, at(v).axis);
      if (!first || at(v).lead < first->lead) first = at(v);
    }
    std::vector<Value> all;
    for (const ValueId v : operands)
      all.push_back(at(v).is_fixed() ? Value{for_frames(v, first->axis), first->axis, first->lead, splat_before(v)}
                                     : delayed(at(v), at(v).lead - first->lead));
    return all;
  }
  ValueId splat_before(ValueId old) const {
    const ValueId s = splat_of(old_, old);
    return s == kNoValue || !old_[s].type.shape.empty() ? kNoValue : at(s).id;
  }

  // Ops.
  Value value(const Node& n) {
    switch (info(n.op).cls) {
      case OpClass::elementwise: return elementwise(n);
      case OpClass::view: return view(n);
      case OpClass::reduce: return reduce(n);
      case OpClass::contract: return contract(n);
      case OpClass::control: return control(n);
      default: refuse("it takes values of all frames, or of their numbers");
    }
  }

  Value elementwise(const Node& n) {
    const std::vector<Value> operands = aligned(n.operands);
    Value v = operands[0];
    v.id = make(n, each(operands, &Value::id), n.attrs, v.axis);
    v.before = kNoValue;
    const std::vector<ValueId> before = each(operands, &Value::before);
    if (v.lead > 0 && std::ranges::count(before, kNoValue) == 0) {
      const ValueId one = g_.add(n.op, before, n.attrs, Type{n.type.dtype, {}}, n.locs);
      v.before = fold_node(g_, one, {});
    }
    return v;
  }

  Value view(const Node& n) {
    Value v = at(n.operands[0]);
    const auto given = [&](int axis, const Attrs& attrs) {
      return Value{make(n, operands_of(n), attrs, axis), axis, v.lead, v.before};
    };
    const Shape& from = old_[n.operands[0]].type.shape;
    switch (n.op) {
      case Op::broadcast: return given(static_cast<int>(n.attrs[Attr::axes][v.axis]), n.attrs);
      case Op::transpose: {
        const Dims& perm = n.attrs[Attr::perm];
        return given(static_cast<int>(std::find(perm.begin(), perm.end(), v.axis) - perm.begin()), n.attrs);
      }
      case Op::reshape: {
        const auto axis = kept_axis(from, v.axis, n.type.shape);
        if (!axis) refuse("time, axis {} of {}, is no axis of {}", v.axis, to_string(from), to_string(n.type.shape));
        return given(*axis, n.attrs);
      }
      case Op::reverse:
        if (n.attrs[Attr::axes].contains(v.axis)) refuse("time runs backwards");
        return given(v.axis, n.attrs);
      case Op::slice: {
        if (n.attrs[Attr::stride][v.axis] != 1)
          refuse("it takes one frame of {}; all are needed", n.attrs[Attr::stride][v.axis]);
        v.lead -= n.attrs[Attr::start][v.axis];
        Attrs attrs = n.attrs;
        attrs[Attr::start][v.axis] = 0;
        attrs[Attr::limit][v.axis] = frames_;
        return given(v.axis, attrs);
      }
      case Op::pad: return pad(n, v);
      case Op::window: return window(n, v);
      case Op::concat: return concat(n);
      case Op::gather: return gather(n);
      default: break;
    }
    if (n.attrs[Attr::axes].contains(v.axis)) refuse("frames overlap in its result");
    v.before = kNoValue;
    return given(v.axis, n.attrs);
  }

  /// `count` frames of a constant before the first one.
  void put_before(Value& v, std::int64_t count, ValueId constant) {
    if (count == 0) return;
    if (constant == kNoValue || (v.lead > 0 && v.before != constant))
      refuse("it puts frames before the first one that are not one constant");
    if (v.lead < 0) v.id = after_start(v, constant);
    v.lead += count;
    v.before = constant;
  }

  /// What is added behind a value is behind all frames, where a stream never comes, unless frames were cut off there.
  void check_reaches_end(ValueId old) const {
    const Value& v = at(old);
    if (old_[old].type.shape[v.axis] - v.lead < length_) refuse("it puts something in place of the last frames");
  }

  Value pad(const Node& n, Value v) {
    if (!at(n.operands[1]).is_fixed()) refuse("its value depends on the frames");
    Attrs attrs = n.attrs;
    if (!attrs[Attr::interior].empty() && attrs[Attr::interior][v.axis] != 0) refuse("it puts values between frames");
    const ValueId constant = splat_before(n.operands[1]);
    for (int i = 0; i < n.type.shape.rank(); ++i)
      if (i != v.axis && n.type.shape[i] != old_[n.operands[0]].type.shape[i] && v.before != constant)
        v.before = kNoValue;
    if (attrs[Attr::high][v.axis] > 0) check_reaches_end(n.operands[0]);
    put_before(v, attrs[Attr::low][v.axis], constant);
    attrs[Attr::low][v.axis] = attrs[Attr::high][v.axis] = 0;
    const Dims none = Dims::filled(n.type.shape.rank(), 0);
    if (attrs[Attr::low] != none || attrs[Attr::high] != none || !attrs[Attr::interior].empty())
      v.id = g_.add(n.op, {v.id, at(n.operands[1]).id}, attrs, {}, n.locs);
    return v;
  }

  Value window(const Node& n, Value v) {
    const Dims& axes = n.attrs[Attr::axes];
    const auto i = static_cast<int>(std::find(axes.begin(), axes.end(), v.axis) - axes.begin());
    if (i < axes.rank()) {
      const auto step = [&](Attr a) { return n.attrs[a].empty() ? 1 : n.attrs[a][i]; };
      if (step(Attr::stride) != 1) refuse("it gives one frame of {}; expected stride 1 along time", step(Attr::stride));
      const std::int64_t back = (n.attrs[Attr::size][i] - 1) * step(Attr::dilation);
      v.id = with_history(v, back);
      v.lead -= back;
    }
    v.id = g_.add(n.op, {v.id}, n.attrs, {}, n.locs);
    return v;
  }

  Value concat(const Node& n) {
    const auto first = std::ranges::find_if(n.operands, [&](ValueId v) { return !at(v).is_fixed(); });
    if (n.attrs.axis() == at(*first).axis) {
      Value v = at(*first);
      for (auto later = first + 1; later != n.operands.end(); ++later)
        if (!at(*later).is_fixed()) refuse("it lays sequences end to end");
      if (first + 1 != n.operands.end()) check_reaches_end(*first);
      for (auto earlier = first; earlier-- != n.operands.begin();)
        put_before(v, old_[*earlier].type.shape[v.axis], splat_before(*earlier));
      return v;
    }
    const std::vector<Value> operands = aligned(n.operands);
    Value v = operands[0];
    for (const Value& x : operands)
      if (x.before != v.before) v.before = kNoValue;
    v.id = make(n, each(operands, &Value::id), n.attrs, v.axis);
    return v;
  }

  Value gather(const Node& n) {
    const Value x = at(n.operands[0]), k = at(n.operands[1]);
    const int axis = n.attrs.axis(), rank = old_[n.operands[1]].type.shape.rank();
    Value v = x.is_fixed() ? k : x;
    if (!x.is_fixed() && !k.is_fixed()) refuse("each frame chooses from all frames");
    if (!x.is_fixed() && x.axis == axis) refuse("it chooses frames by number");
    if (x.is_fixed())
      v.axis += axis;
    else if (x.axis > axis)
      v.axis += rank - 1;
    v.id = make(n, operands_of(n), n.attrs, v.axis);
    v.before = kNoValue;
    return v;
  }

  Value reduce(const Node& n) {
    Value v = at(n.operands[0]);
    const int axis = n.attrs.axis();
    if (axis == v.axis) refuse("it is over all frames");
    v.id = g_.add(n.op, {v.id}, n.attrs, {}, n.locs);
    v.axis -= axis < v.axis;
    v.before = kNoValue;
    return v;
  }

  Value contract(const Node& n) {
    const Dims sums[] = {n.attrs[Attr::lhs], n.attrs[Attr::rhs]};
    const Dims shared[] = {n.attrs[Attr::lhs_batch], n.attrs[Attr::rhs_batch]};
    int rank[2], shared_at[2] = {-1, -1};  // where among the shared axes time is
    for (int side = 0; side < 2; ++side) {
      const Value& v = at(n.operands[static_cast<std::size_t>(side)]);
      rank[side] = old_[n.operands[static_cast<std::size_t>(side)]].type.shape.rank();
      if (v.is_fixed()) continue;
      if (sums[side].contains(v.axis)) refuse("it sums over all frames");
      for (int i = 0; i < shared[side].rank(); ++i)
        if (shared[side][i] == v.axis) shared_at[side] = i;
    }
    const Value x = at(n.operands[0]), y = at(n.operands[1]);
    Value a = x, b = y;
    if (!x.is_fixed() && !y.is_fixed()) {
      if (shared_at[0] < 0 || shared_at[0] != shared_at[1]) refuse("each frame meets all others");
      const std::int64_t lead = std::min(x.lead, y.lead);
      a = delayed(x, x.lead - lead), b = delayed(y, y.lead - lead);
    } else if (shared_at[0] >= 0) {
      b.id = for_frames(n.operands[1], static_cast<int>(shared[1][shared_at[0]]));
    } else if (shared_at[1] >= 0) {
      a.id = for_frames(n.operands[0], static_cast<int>(shared[0][shared_at[1]]));
    }
    Value v = x.is_fixed() ? b : a;
    const int side = x.is_fixed() ? 1 : 0, batch = shared[0].rank();
    if (shared_at[side] >= 0) {
      v.axis = shared_at[side];
    } else {
      const Dims free = free_axes(rank[side], sums[side], shared[side]);
      const auto place = static_cast<int>(std::find(free.begin(), free.end(), v.axis) - free.begin());
      v.axis = batch + place + (side == 1 ? rank[0] - sums[0].rank() - batch : 0);
    }
    v.id = g_.add(n.op, {a.id, b.id}, n.attrs, {}, n.locs);
    v.before = kNoValue;
    return v;
  }

  Value control(const Node& n) {
    if (n.op == Op::result) {
      const Value v = tuples_.at(n.operands[0])[n.attrs.index()];
      if (v.is_fixed())
        refuse("it is what the loop ends with, after all frames; expected a result for each (return_sequences)");
      return v;
    }
    const auto carries = static_cast<std::size_t>(n.attrs.scalar(Attr::carries));
    const auto slices = static_cast<std::size_t>(n.attrs.scalar(Attr::slices));
    if (n.attrs.scalar(Attr::reverse) != 0) refuse("it runs from the last frame to the first");
    const std::span<const ValueId> sliced = std::span(n.operands).subspan(carries, slices);
    if (std::ranges::all_of(sliced, [&](ValueId v) { return at(v).is_fixed(); }))
      refuse("it is a loop over something else, in which frames are used");
    const std::vector<Value> frames = aligned(sliced, "what it slices");
    if (frames[0].axis != 0) refuse("it is a loop over axis 0, time is axis {}", frames[0].axis);
    if (frames[0].lead != 0)
      refuse("it begins {} frames {} the first one", std::abs(frames[0].lead), frames[0].lead > 0 ? "before" : "after");
    std::vector<ValueId> operands;
    for (std::size_t i = 0; i < n.operands.size(); ++i) {
      const ValueId old = n.operands[i];
      if (i >= carries && i < carries + slices) {
        operands.push_back(frames[i - carries].id);
        continue;
      }
      if (!at(old).is_fixed()) refuse("its operand {} holds all frames; it takes one after the other", i);
      operands.push_back(i < carries ? carry(old) : at(old).id);
    }
    Attrs attrs = n.attrs;
    attrs[Attr::length] = Dims{frames_};
    const ValueId all = g_.add(n.op, operands, attrs, {}, n.locs);
    Builder b = builder();
    std::vector<Value>& results = tuples_[now_];
    for (std::size_t i = 0; i < n.type.parts->size(); ++i) {
      const bool is_carry = i < carries;
      const ValueId part = b.op(Op::result, {all}, Attrs::index(static_cast<std::int64_t>(i)));
      if (is_carry) updates_.emplace_back(operands[i], part);
      results.push_back({is_carry ? kNoValue : part, is_carry ? -1 : 0});
    }
    return {all};
  }

  ValueId carry(ValueId old) {
    const ValueId splat = splat_of(old_, old);
    const ValueId constant = splat != kNoValue ? splat : old;
    if (!old_.is_constant(constant))
      refuse("what it carries begins with a value that is no constant, but of {}", name(old_[old].op));
    const ValueId s = state("carry", old_[old].type, splat != kNoValue ? at(splat).id : kNoValue);
    if (splat == kNoValue) result_.initial[g_.find_input(s)->name] = *old_[old].attrs.literal;
    return s;
  }

  const Graph& old_;
  Graph g_;
  const std::int64_t length_, frames_;            // of the whole sequence, of a call
  std::vector<Value> values_;                     // by node of the old graph
  std::map<ValueId, std::vector<Value>> tuples_;  // of loops over time, by node of the old graph
  std::map<std::tuple<ValueId, std::int64_t, ValueId>, ValueId> histories_;  // 0: none
  std::vector<std::pair<ValueId, ValueId>> updates_;                         // state, value
  int states_ = 0;
  ValueId now_ = 0;  // the node that is looked at
  Streamed result_;
};

}  // namespace

Streamed stream(const Graph& g, int axis, std::int64_t frames) {
  if (frames < 1 || frames > kMostFrames) fail("stream: {} frames; expected 1 to {}", frames, kMostFrames);
  if (axis < 0) fail("stream: axis {}; expected 0 or more", axis);
  if (!g.updates().empty()) fail("stream: @{} updates states; expected a function of its inputs", g.name);
  std::optional<std::int64_t> length;
  for (const Input& in : g.inputs()) {
    const Shape& shape = g[in.id].type.shape;
    if (in.kind != InputKind::data || shape.rank() <= axis) continue;
    if (!length) length = shape[axis];
    if (shape[axis] != *length)
      fail("stream: axis {} of the input '{}' is {}, that of another one {}; expected as many frames of each", axis,
           in.name, extent_text(shape[axis]), extent_text(*length));
  }
  if (!length) fail("stream: no input of @{} has an axis {}", g.name, axis);
  const auto of_length = [&](std::int64_t n) {
    const Graph whole = is_symbol(*length) ? bind(g, Extents{{*length, n}}) : g;
    return Streamer(remove_dead(fold(inline_bodies(whole, 1))), axis, n, frames).run();
  };
  if (!is_symbol(*length) && *length < 2)
    fail("stream: axis {} of the inputs has {} frames; expected 2 or more, of which one is like another", axis,
         *length);
  if (!is_symbol(*length)) return of_length(*length);
  Streamed s = of_length(kProbes[0]);
  if (!(s.graph == of_length(kProbes[1]).graph))
    fail("stream: @{} depends on how many frames there are, {}", g.name, extent_text(*length));
  return s;
}

}  // namespace weft
