// evaluate() and predict(): the data in batches of rows, without training.
#include <algorithm>

#include "frontend/model_impl.h"

namespace weft {
namespace {

void require_batch(std::string_view what, std::int64_t batch_size) {
  if (batch_size < 1) fail("{}: batch_size is {}; expected at least 1", what, batch_size);
}

/// Rows [begin, end) of the inputs, then of the targets.
std::vector<Array> batch_of(const std::vector<Array>& x, const std::vector<Array>& y, std::int64_t begin,
                            std::int64_t end) {
  std::vector<Array> batch = rows_of(x, begin, end);
  for (const Array& a : rows_of(y, begin, end)) batch.push_back(a);
  return batch;
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
  std::string text = fmt::format("loss: {:.4f}", loss);
  for (const auto& [name, value] : metrics) text += fmt::format(" - {}: {:.4f}", name, value);
  return text;
}

Scores Model::evaluate(const std::vector<Array>& x, const std::vector<Array>& y, std::int64_t batch_size) {
  impl_->require_compiled("evaluate");
  require_batch("evaluate", batch_size);
  const std::int64_t n = impl_->check_data("evaluate", x, y);
  const Executable& step = impl_->evaluation_step(row_types(x), row_types(y));
  Tally tally(impl_->options->metrics, step);
  for (std::int64_t begin = 0; begin < n; begin += batch_size) {
    const std::int64_t end = std::min(n, begin + batch_size);
    tally.add(step(batch_of(x, y, begin, end)), end - begin);
  }
  const std::map<std::string, double> logs = tally.logs();
  Scores scores{tally.loss(), {}, tally.totals()};
  for (const Metric& m : impl_->options->metrics) scores.metrics.emplace_back(m.name, logs.at(m.name));
  return scores;
}

Scores Model::evaluate(const Array& x, const Array& y, std::int64_t batch_size) {
  return evaluate(std::vector<Array>{x}, std::vector<Array>{y}, batch_size);
}
Scores Model::evaluate(const Dataset& data, std::int64_t batch_size) { return evaluate(data.x, data.y, batch_size); }

std::vector<Array> Model::predict(const std::vector<Array>& x, std::int64_t batch_size) {
  require_batch("predict", batch_size);
  const std::int64_t n = impl_->check_data("predict", x, {});
  const Executable& step = impl_->prediction_step(row_types(x));
  std::vector<Array> results;
  for (std::int64_t begin = 0; begin < n; begin += batch_size) {
    const std::vector<Array> parts = step(rows_of(x, begin, std::min(n, begin + batch_size)));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (begin == 0) {
        Type all = parts[i].type();
        all.shape[0] = n;
        results.emplace_back(all);
      }
      const auto row = static_cast<std::int64_t>(parts[i].bytes()) / parts[i].shape()[0];
      std::copy_n(parts[i].data(), parts[i].bytes(), results[i].data() + begin * row);
    }
  }
  return results;
}

Array Model::predict(const Array& x, std::int64_t batch_size) { return predict(std::vector<Array>{x}, batch_size)[0]; }

}  // namespace weft
