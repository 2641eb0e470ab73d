// For each scan: which results are read, what computing those takes, and a smaller body of that.
#include "passes/graph/trim.h"

#include <algorithm>
#include <map>

#include "ir/graph/body.h"
#include "ir/graph/build.h"
#include "passes/graph/rules.h"

namespace weft {
namespace {

class Trimmer {
 public:
  explicit Trimmer(const Graph& g) : g_(g), rw_(g) {}

  Graph run() {
    std::vector<std::vector<bool>> read(g_.size());  // of each scan: its results
    for (const ValueId id : rw_.live())
      if (g_[id].op == Op::scan) read[id].resize(g_[id].type.parts->size());
    for (const ValueId id : rw_.live())
      if (g_[id].op == Op::result && g_[g_[id].operands[0]].op == Op::scan)
        read[g_[id].operands[0]][g_[id].attrs.index()] = true;
    std::vector<std::vector<ValueId>> results(g_.size());
    for (const ValueId id : rw_.live()) {
      if (g_[id].op == Op::scan)
        results[id] = trim(g_[id], read[id]);
      else if (g_[id].op == Op::result && g_[g_[id].operands[0]].op == Op::scan)
        rw_.set(id, results[g_[id].operands[0]][g_[id].attrs.index()]);
      else
        rw_.copy(id);
    }
    return remove_dead(rw_.finish());
  }

 private:
  /// The results of a smaller scan; kNoValue for those that nothing reads.
  std::vector<ValueId> trim(const Node& n, const std::vector<bool>& read) {
    const Graph& body = *n.attrs.bodies[0]->graph;
    const auto carries = static_cast<std::size_t>(n.attrs.scalar(Attr::carries));
    const auto slices = static_cast<std::size_t>(n.attrs.scalar(Attr::slices));
    const auto in = [&](std::size_t i) { return body.inputs()[i].id; };
    const auto out = [&](std::size_t i) { return body.outputs()[i].id; };
    const auto changes = [&](std::size_t i) { return i < carries && out(i) != in(i); };

    // What is needed: the results that are read, what they are computed from, and so the carries among that.
    std::vector<bool> needed(body.size()), gives(body.outputs().size());
    for (std::size_t i = 0; i < gives.size(); ++i) gives[i] = read[i] && (i >= carries || changes(i));
    for (bool grows = true; grows;) {
      for (std::size_t i = 0; i < gives.size(); ++i)
        if (gives[i]) needed[out(i)] = true;
      for (ValueId v = static_cast<ValueId>(body.size()); v-- > 0;)
        if (needed[v])
          for (const ValueId o : body[v].operands) needed[o] = true;
      grows = false;
      for (std::size_t i = 0; i < carries; ++i)
        if (!gives[i] && needed[in(i)] && changes(i)) gives[i] = grows = true;
    }

    Graph small;
    small.name = body.name;
    std::vector<ValueId> map(body.size(), kNoValue), operands;
    std::size_t kept[3] = {0, 0, 0};  // carries, slices, others
    const auto keep = [&](std::size_t i, int role) {
      map[in(i)] = small.input(body.inputs()[i].name, body[in(i)].type, InputKind::data, body[in(i)].locs);
      operands.push_back(rw_(n.operands[i]));
      ++kept[role];
    };
    for (std::size_t i = 0; i < carries; ++i)
      if (gives[i]) keep(i, 0);
    for (const int role : {1, 2})
      for (std::size_t i = 0; i < body.inputs().size(); ++i) {
        const bool is_slice = i >= carries && i < carries + slices;
        if (is_slice != (role == 1) || changes(i) || !needed[in(i)]) continue;
        const ValueId splat = splat_of(g_, n.operands[i]);
        if (splat == kNoValue) keep(i, role);
      }
    for (std::size_t i = 0; i < body.inputs().size(); ++i)
      if (needed[in(i)] && map[in(i)] == kNoValue) {
        const ValueId splat = splat_of(g_, n.operands[i]);
        Builder b{small, body[in(i)].locs | g_[splat].locs};
        map[in(i)] =
            b.broadcast(small.constant(g_[splat].attrs.literal->reshaped({}), b.locs), body[in(i)].type.shape, {});
      }
    for (ValueId v = 0; v < body.size(); ++v)
      if (needed[v] && body[v].op != Op::input) map[v] = copy_node(small, body[v], map);
    std::map<ValueId, std::size_t> stacked;  // where a value is stacked first
    const auto stands_for = [&](std::size_t i) {
      return i < carries ? i : stacked.try_emplace(out(i), i).first->second;
    };
    for (std::size_t i = 0; i < gives.size(); ++i)
      if (gives[i] && stands_for(i) == i) small.output(body.outputs()[i].name, map[out(i)]);

    std::vector<ValueId> results(gives.size(), kNoValue);
    if (std::ranges::find(gives, true) != gives.end()) {
      Attrs attrs = n.attrs;
      attrs[Attr::carries] = Dims{static_cast<std::int64_t>(kept[0])};
      attrs[Attr::slices] = Dims{static_cast<std::int64_t>(kept[1])};
      attrs.bodies = {make_body(trim_loops(small))};
      const ValueId scan = rw_.graph().add(Op::scan, std::move(operands), std::move(attrs), {}, n.locs);
      std::int64_t index = 0;
      for (std::size_t i = 0; i < gives.size(); ++i)
        if (gives[i] && stands_for(i) == i)
          results[i] = rw_.graph().add(Op::result, {scan}, Attrs::index(index++), {}, n.locs);
      for (std::size_t i = 0; i < gives.size(); ++i)
        if (gives[i]) results[i] = results[stands_for(i)];
    }
    for (std::size_t i = 0; i < carries; ++i)
      if (!changes(i)) results[i] = rw_(n.operands[i]);
    return results;
  }

  const Graph& g_;
  Rewriter rw_;
};

}  // namespace

Graph trim_loops(const Graph& g) { return has_scan(g) ? Trimmer(g).run() : g; }

}  // namespace weft
