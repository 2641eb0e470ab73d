// The table that Model::summary() prints.
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "frontend/tensor/node.h"
#include "frontend/train/model_impl.h"

namespace weft {
namespace {

struct Row {
  std::string layer, shape, parameters, from;
};

std::string shape_of(const Tensor& t) {
  std::string s;
  for (std::int64_t e : t.shape()) s += (s.empty() ? "" : ", ") + extent_text(e);
  return "(" + s + ")";
}

/// 535818 -> "535,818"
std::string grouped(std::int64_t n) {
  std::string s = std::to_string(n);
  for (int at = static_cast<int>(s.size()) - 3; at > 0; at -= 3) s.insert(static_cast<std::size_t>(at), 1, ',');
  return s;
}

/// Adds what a value is computed from: the nearest layers and inputs behind it, each once.
void add_sources(const Graph& g, ValueId from, const std::map<ValueId, std::string>& names,
                 std::vector<std::string>& sources) {
  std::vector<ValueId> open{from};
  std::set<ValueId> seen;
  while (!open.empty()) {
    const ValueId id = open.back();
    open.pop_back();
    if (!seen.insert(id).second) continue;
    if (const auto it = names.find(id); it != names.end()) {
      if (std::ranges::find(sources, it->second) == sources.end()) sources.push_back(it->second);
    } else {
      open.insert(open.end(), g[id].operands.rbegin(), g[id].operands.rend());
    }
  }
}

}  // namespace

std::string Model::summary(bool print) const {
  const Impl& m = *impl_;
  const Tracing tracing(*m.trace);
  const Graph& g = m.trace->graph;
  const std::vector<bool> used = reached_from(g, ids_of(m.outputs));

  std::vector<Row> rows{{"Layer", "Output shape", "Parameters", "From"}};
  std::map<ValueId, std::string> names;  // of values that layers and inputs make
  for (const Tensor& t : m.inputs) {
    names[t.id()] = t.name();
    rows.push_back({t.name() + " (Input)", shape_of(t), "0", ""});
  }
  std::set<ValueId> counted;
  for (const LayerCall& call : m.trace->layers) {
    if (!used[call.output]) continue;
    std::int64_t count = 0, frozen = 0;
    bool shared = false;
    for (ValueId p : call.parameters) {
      if (!m.trace->find(p)->trainable) ++frozen;
      if (counted.insert(p).second)
        count += element_count(g[p].type.shape);
      else
        shared = true;
    }
    std::vector<std::string> sources;
    for (ValueId v : call.inputs) add_sources(g, v, names, sources);
    names[call.output] = call.name;
    rows.push_back({fmt::format("{} ({})", call.name, call.kind), shape_of(Tensor(m.trace, call.output)),
                    shared ? "shared" : grouped(count) + (frozen > 0 ? " frozen" : ""),
                    fmt::format("{}", fmt::join(sources, ", "))});
  }
  std::int64_t loose = 0;
  for (const Tensor& p : m.parameters)
    if (!counted.contains(p.id())) loose += element_count(p.shape());
  if (loose > 0) rows.push_back({"(outside of layers)", "", grouped(loose), ""});
  std::int64_t held = 0;
  for (const Tensor& t : m.states) {
    const bool has_update = std::ranges::any_of(m.updates, [&](const Assignment& u) { return u.state.same(t); });
    rows.push_back({t.name() + " (State)", shape_of(t), "",
                    !has_update     ? "no update"
                    : t.trainable() ? "updated in training"
                                    : "frozen"});
    held += element_count(t.shape());
  }

  std::size_t width[4] = {};
  for (const Row& r : rows) {
    const std::string* cells[] = {&r.layer, &r.shape, &r.parameters, &r.from};
    for (int i = 0; i < 4; ++i) width[i] = std::max(width[i], cells[i]->size());
  }
  const std::string rule(width[0] + width[1] + width[2] + width[3] + 6, '-');
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string line = fmt::format("{:<{}}  {:<{}}  {:>{}}  {:<{}}", rows[i].layer, width[0], rows[i].shape, width[1],
                                   rows[i].parameters, width[2], rows[i].from, width[3]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
    if (i == 0) text += rule + "\n";
  }
  const std::int64_t count = parameter_count();
  std::int64_t frozen = 0;
  for (const Tensor& p : m.parameters)
    if (!p.trainable()) frozen += element_count(p.shape());
  text +=
      rule + "\n" + fmt::format("{} parameters ({:.1f} KiB)\n", grouped(count), static_cast<double>(count) * 4 / 1024);
  if (frozen > 0) text += fmt::format("{} of them are not trainable\n", grouped(frozen));
  if (held > 0) text += fmt::format("{} numbers in states, which are saved and not trained\n", grouped(held));
  if (print) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  return text;
}

}  // namespace weft
