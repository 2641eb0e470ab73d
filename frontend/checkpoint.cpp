// save() and load(): a model's parameters, optimiser states and counters as safetensors.
#include <algorithm>
#include <charconv>

#include "frontend/model_impl.h"
#include "runtime/file.h"

namespace weft {
namespace {

// Metadata keys.
constexpr const char *kSteps = "weft.steps", *kEpoch = "weft.epoch", *kBatchDone = "weft.batch", *kOrder = "weft.order",
                     *kRate = "weft.learning_rate";
constexpr std::string_view kOptimizer = "optimizer.";

std::string text(const Checkpoint& c, const std::string& key) {
  const auto it = c.metadata.find(key);
  return it == c.metadata.end() ? "" : it->second;
}

template <class T>
T number(const std::string& path, const Checkpoint& c, const char* key) {
  const std::string s = text(c, key);
  T value{};
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc() || end != s.data() + s.size() || !(value >= 0))
    fail("'{}': metadata '{}' is '{}'; expected a number, 0 or more", path, key, s);
  return value;
}

}  // namespace

std::string Model::Impl::stable_name(const Tensor& state) const {
  if (const auto it = stable_names.find(state.id()); it != stable_names.end()) return it->second;
  const std::string name = state.name();
  if (prefix.empty() || !name.starts_with(prefix + ".")) return name;
  std::string rest = name.substr(prefix.size() + 1);  // "m.dense_3.weight" or "beta1_power"
  for (std::size_t dot = rest.find('.'); dot != rest.npos; dot = rest.find('.', dot + 1))  // may end in a parameter
    if (const Variable* v = trace->find(rest.substr(dot + 1)); v && stable_names.contains(v->id))
      return std::string(kOptimizer) + rest.substr(0, dot + 1) + stable_names.at(v->id);
  return std::string(kOptimizer) + rest;
}

std::vector<Tensor> Model::Impl::values() const {
  std::vector<Tensor> all = parameters;
  all.insert(all.end(), states.begin(), states.end());
  return all;
}

std::vector<Tensor> Model::Impl::saved_states() const {
  std::vector<Tensor> all = values();
  all.insert(all.end(), slots.begin(), slots.end());
  if (options) all.insert(all.end(), {seed, step});
  return all;
}

void Model::save(const std::string& path) const {
  const DefaultFloats floats;
  const Impl& m = *impl_;
  Checkpoint c;
  for (const Tensor& t : m.saved_states()) c.arrays.push_back({m.stable_name(t), t.value()});
  c.metadata = {{"format", "weft"}};
  if (m.options) {
    c.metadata.insert({{kSteps, std::to_string(m.steps)},
                       {kEpoch, std::to_string(m.epoch)},
                       {kBatchDone, std::to_string(m.batch)},
                       {kOrder, m.order}});
    if (m.rate_override) c.metadata[kRate] = fmt::format("{}", *m.rate_override);
  }
  save_safetensors(path, c);
}

void Model::check_save(const std::string& path) const {
  constexpr std::int64_t kHeaderBytes = 1024, kEntryBytes = 256;  // more than the text about a file and an array takes
  std::int64_t bytes = kHeaderBytes;
  for (const Tensor& t : impl_->saved_states()) bytes += kEntryBytes + byte_size(t.type());
  check_writable(path, bytes);
}

// Everything is checked before anything is changed.
void Model::load(const std::string& path) {
  const DefaultFloats floats;
  Impl& m = *impl_;
  const Checkpoint c = load_safetensors(path);
  bool has_optimizer = false;
  std::vector<std::string> known;
  for (const NamedArray& a : c.arrays) has_optimizer = has_optimizer || a.name.starts_with(kOptimizer);
  std::vector<std::pair<Tensor, Array>> found;
  for (const Tensor& t : m.saved_states()) {
    const std::string name = m.stable_name(t);
    known.push_back(name);
    const bool is_slot = name.starts_with(kOptimizer), is_counter = name == kSeedName || name == kStepName;
    const Array* a = c.find(name);
    if (!a && (is_counter || (is_slot && !has_optimizer))) continue;
    if (!a && is_slot)
      fail("'{}' has no '{}': it was saved with another optimiser; compile with the one it was saved with", path, name);
    if (!a)
      fail("'{}' has no {} '{}'; expected {}", path, m.trace->find(t.id())->trainable ? "parameter" : "state", name,
           to_string(t.type()));
    if (!(a->type() == t.type()))
      fail("'{}': '{}' is {}; the model expects {}", path, name, to_string(a->type()), to_string(t.type()));
    found.emplace_back(t, *a);
  }
  for (const NamedArray& a : c.arrays) {
    const bool ignored = (a.name.starts_with(kOptimizer) && !m.options) || a.name.starts_with("weft.");
    if (!ignored && std::find(known.begin(), known.end(), a.name) == known.end())
      fail("'{}' has '{}' ({}), which the model has not; is it the checkpoint of another model?", path, a.name,
           to_string(a.value.type()));
  }
  std::int64_t steps = 0, epoch = 0, batch = 0;
  std::optional<double> rate;
  if (m.options && has_optimizer) {
    steps = number<std::int64_t>(path, c, kSteps);
    epoch = number<std::int64_t>(path, c, kEpoch);
    batch = number<std::int64_t>(path, c, kBatchDone);
    if (c.metadata.contains(kRate)) rate = number<double>(path, c, kRate);
  }
  for (const auto& [t, a] : found) t.set_value(a);
  m.steps = steps, m.epoch = epoch, m.batch = batch;
  m.rate_override = rate;
  m.order = text(c, kOrder);
}

}  // namespace weft
