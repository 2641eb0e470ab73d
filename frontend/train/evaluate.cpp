// evaluate() and predict(): the data in batches of rows, without training.
#include <algorithm>

#include "frontend/tensor/node.h"
#include "frontend/train/batches.h"
#include "frontend/train/model_impl.h"

namespace weft {
namespace {

void require_batch(std::string_view what, std::int64_t batch_size) {
  if (batch_size < 1) fail("{}: batch_size is {}; expected at least 1", what, batch_size);
}

}  // namespace

double Scores::operator[](const std::string& name) const {
  if (name == "loss") return loss;
  for (const auto& [metric, value] : metrics)
    if (metric == name) return value;
  std::string names = "loss";
  for (const auto& m : metrics) names += ", " + m.first;
  fail("there is no score '{}'; there are {}", name, names);
}

std::string Scores::str() const {
  const DefaultFloats floats;
  std::string text = fmt::format("loss: {:.4f}", plain_nan(loss));
  for (const auto& [name, value] : metrics) text += fmt::format(" - {}: {:.4f}", name, plain_nan(value));
  return text;
}

Scores Model::evaluate(const std::vector<Array>& x, const std::vector<Array>& y, std::int64_t batch_size,
                       std::source_location where) {
  const Model alive = *this;  // whatever metrics do with this one
  return located(where, [&] { return alive.impl_->evaluate(x, y, batch_size); });
}

Scores Model::Impl::evaluate(const std::vector<Array>& x, const std::vector<Array>& y, std::int64_t batch_size) const {
  const DefaultFloats floats;
  const std::shared_ptr<Compiled> c = compiled("evaluate");
  require_batch("evaluate", batch_size);
  const std::int64_t n = check_data("evaluate", *c, x, y);
  const DataFunction& function = evaluation_step(*c, row_types(x), row_types(y));
  check_indices("evaluate", function, x, y);
  const Executable& step = function.run;
  Tally tally(c->options->metrics, step);
  std::vector<Array> data = x;
  data.insert(data.end(), y.begin(), y.end());
  for_batches(step, data, n, batch_size,
              [&](const StepResults& r, std::int64_t, std::int64_t batch) { tally.add(r, batch); });
  const std::map<std::string, double> logs = tally.logs();
  Scores scores{tally.loss(), {}, tally.totals()};
  for (const Metric& m : c->options->metrics) scores.metrics.emplace_back(m.name, logs.at(m.name));
  return scores;
}

Scores Model::evaluate(const Array& x, const Array& y, std::int64_t batch_size, std::source_location where) {
  return evaluate(std::vector<Array>{x}, std::vector<Array>{y}, batch_size, where);
}
Scores Model::evaluate(const Dataset& data, std::int64_t batch_size, std::source_location where) {
  return evaluate(data.x, data.y, batch_size, where);
}

std::vector<Array> Model::predict(const std::vector<Array>& x, std::int64_t batch_size, std::source_location where) {
  return located(where, [&] { return impl_->predict(x, batch_size); });
}

std::vector<Array> Model::Impl::predict(const std::vector<Array>& x, std::int64_t batch_size) const {
  const DefaultFloats floats;
  require_batch("predict", batch_size);
  const std::shared_ptr<Compiled> c = compiled();
  const std::int64_t n = check_data("predict", *c, x, {});
  const DataFunction& function = prediction_step(*c, row_types(x));
  check_indices("predict", function, x, {});
  const Executable& step = function.run;
  std::vector<Array> results;
  for_batches(step, x, n, batch_size, [&](const StepResults& r, std::int64_t begin, std::int64_t) {
    for (std::size_t i = 0; i < r.outputs.size(); ++i) {
      const Array& part = r.outputs[i];  // [steps, batch, …]
      if (begin == 0) {
        Type all = part.type();
        all.shape.erase(0);
        all.shape[0] = n;
        results.emplace_back(all);
      }
      const std::size_t row = results[i].bytes() / static_cast<std::size_t>(n);
      std::copy_n(part.data(), part.bytes(), results[i].data() + static_cast<std::size_t>(begin) * row);
    }
  });
  return results;
}

Array Model::predict(const Array& x, std::int64_t batch_size, std::source_location where) {
  return predict(std::vector<Array>{x}, batch_size, where)[0];
}

}  // namespace weft
