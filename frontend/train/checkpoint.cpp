// save() and load(): a model's parameters, optimiser states and counters as safetensors.
#include <algorithm>
#include <charconv>

#include "frontend/tensor/domain.h"
#include "frontend/train/model_impl.h"
#include "runtime/files/file.h"

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

std::string Model::Impl::stable_name(const Compiled& c, const Tensor& state) const {
  const std::string name = state.name();
  if (!name.starts_with(c.prefix + ".")) return name;
  std::string rest = name.substr(c.prefix.size() + 1);  // "m.dense_3.weight" or "beta1_power"
  for (std::size_t dot = rest.find('.'); dot != rest.npos; dot = rest.find('.', dot + 1))  // may end in a parameter
    if (const auto parameter = stable_names.find(rest.substr(dot + 1)); parameter != stable_names.end())
      return std::string(kOptimizer) + rest.substr(0, dot + 1) + parameter->second;
  return std::string(kOptimizer) + rest;
}

Model::Impl::Saved Model::Impl::saved(const Tensor& state, std::string name) const {
  const Variable& v = *trace->find(state.id());
  return {std::move(name), v.value, v.is_parameter};
}

std::vector<Model::Impl::Saved> Model::Impl::values() const {
  const Tracing tracing(*trace);
  std::vector<Saved> all;
  for (const auto* tensors : {&parameters, &states})
    for (const Tensor& t : *tensors) all.push_back(saved(t, stable_names.at(t.name())));
  return all;
}

std::vector<Model::Impl::Saved> Model::Impl::saved_states(const Compiled& c) const {
  const Tracing tracing(*trace);
  std::vector<Saved> all = values();
  for (const Tensor& t : c.slots) all.push_back(saved(t, stable_name(c, t)));
  if (c.options) {
    all.push_back(saved(c.seed, std::string(kSeedName)));
    all.push_back(saved(c.step, std::string(kStepName)));
  }
  return all;
}

void Model::save(const std::string& path, const std::map<std::string, std::string>& metadata) const {
  const DefaultFloats floats;
  for (const auto& [key, value] : metadata)
    if (key.starts_with("weft.") || key == "format")
      fail("save: the metadata '{}' is weft's own; expected another key", key);
  const std::shared_ptr<Compiled> c = impl_->compiled();
  Checkpoint file;
  for (const Impl::Saved& s : impl_->saved_states(*c)) file.arrays.push_back({s.name, s.value->read()});
  file.metadata = metadata;
  file.metadata.emplace("format", "weft");
  if (c->options) {
    const Tracing tracing(*impl_->trace);
    file.metadata.insert({{kSteps, std::to_string(c->position.steps)},
                          {kEpoch, std::to_string(c->position.epoch)},
                          {kBatchDone, std::to_string(c->position.batch)},
                          {kOrder, c->position.order}});
    if (c->rate_override) file.metadata[kRate] = fmt::format("{}", *c->rate_override);
  }
  save_safetensors(path, file);
}

void Model::check_save(const std::string& path) const {
  constexpr std::int64_t kHeaderBytes = 1024, kEntryBytes = 256;  // more than the text about a file and an array takes
  std::int64_t bytes = kHeaderBytes;
  for (const Impl::Saved& s : impl_->saved_states(*impl_->compiled()))
    bytes += kEntryBytes + byte_size(s.value->type());
  check_writable(path, bytes);
}

// Everything is checked before anything is changed.
void Model::load(const std::string& path) {
  const DefaultFloats floats;
  Impl& m = *impl_;
  const Impl::Changing changing(m, "load", Impl::Changing::in_a_callback);
  const std::shared_ptr<Compiled> compiled = m.compiled();
  const Checkpoint c = load_safetensors(path);
  bool has_optimizer = false;
  std::vector<std::string> known;
  for (const NamedArray& a : c.arrays) has_optimizer = has_optimizer || a.name.starts_with(kOptimizer);
  std::vector<std::pair<std::shared_ptr<StateValue>, Array>> found;
  for (const Impl::Saved& s : m.saved_states(*compiled)) {
    const std::string& name = s.name;
    const Type& type = s.value->type();
    known.push_back(name);
    const bool is_slot = name.starts_with(kOptimizer), is_counter = name == kSeedName || name == kStepName;
    const Array* a = c.find(name);
    if (!a && (is_counter || (is_slot && !has_optimizer))) continue;
    if (!a && is_slot)
      fail(
          "'{}' has no '{}': it was saved with another optimiser, or with other parameters trainable; compile as it "
          "was "
          "saved, or load() before compile(), which takes the weights alone",
          path, name);
    if (!a)
      fail("'{}' has no {} '{}'; expected {}", path, s.is_parameter ? "parameter" : "state", name, to_string(type));
    if (!(a->type() == type))
      fail("'{}': '{}' is {}; the model expects {}", path, name, to_string(a->type()), to_string(type));
    found.emplace_back(s.value, *a);
  }
  for (const NamedArray& a : c.arrays) {
    const bool ignored = (a.name.starts_with(kOptimizer) && !compiled->options) || a.name.starts_with("weft.");
    if (!ignored && std::find(known.begin(), known.end(), a.name) == known.end())
      fail("'{}' has '{}' ({}), which the model has not; {}", path, a.name, to_string(a.value.type()),
           a.name.starts_with(kOptimizer) ? "it was saved with another optimiser, or with other parameters trainable: "
                                            "compile as it was saved, or load() before compile()"
                                          : "is it the checkpoint of another model?");
  }
  Position position{.order = text(c, kOrder)};
  std::optional<double> rate;
  if (compiled->options && has_optimizer) {
    position.steps = number<std::int64_t>(path, c, kSteps);
    position.epoch = number<std::int64_t>(path, c, kEpoch);
    position.batch = number<std::int64_t>(path, c, kBatchDone);
    if (c.metadata.contains(kRate)) rate = checked_rate(fmt::format("'{}'", path), number<double>(path, c, kRate));
  }
  for (const auto& [state, a] : found) state->write(a);
  const Tracing tracing(*m.trace);
  compiled->position = std::move(position);
  compiled->rate_override = rate;
}

}  // namespace weft
