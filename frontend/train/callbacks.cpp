// The callbacks that come with weft.
#include "frontend/train/callbacks.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"
#include "frontend/train/model.h"
#include "ir/base/file_limit.h"

namespace weft {
namespace {

double monitored(const FitRun& run, const char* callback, const std::string& name) {
  const auto it = run.logs.find(name);
  if (it != run.logs.end()) return it->second;
  std::string names;
  for (const auto& [known, value] : run.logs) names += (names.empty() ? "" : ", ") + known;
  fail("{}: there is no '{}' to monitor; there are {}{}", callback, name, names,
       name.starts_with("val_") ? " (set validation_split or validation_data)" : "");
}

/// Whether `value` beats `best` by more than `min_delta`; NaN never does.
bool improves(double value, double best, double min_delta, bool maximize) {
  return maximize ? value > best + min_delta : value < best - min_delta;
}

void check_text(const char* callback, const char* option, const std::string& value) {
  if (value.empty()) fail("{}{}: {} is empty; expected one", where_prefix(), callback, option);
}

double worst(bool maximize) { return maximize ? -HUGE_VAL : HUGE_VAL; }

}  // namespace

void EarlyStopping::check() const {
  check_text("EarlyStopping", "monitor", monitor);
  check_count("EarlyStopping", "patience", patience, 0);
  check_number("EarlyStopping", "min_delta", min_delta, Domain::not_negative);
}

void BestCheckpoint::check() const {
  check_text("BestCheckpoint", "path", path);
  check_text("BestCheckpoint", "monitor", monitor);
}

void CsvLog::check() const { check_text("CsvLog", "path", path); }

void EarlyStopping::on_train_begin(FitRun&) {
  best = worst(maximize);
  waited = 0;
  best_epoch = -1;
  best_weights.clear();
}

void EarlyStopping::on_epoch_end(FitRun& run) {
  const double value = monitored(run, "EarlyStopping", monitor);
  if (improves(value, best, min_delta, maximize)) {
    best = value;
    best_epoch = run.epoch;
    waited = 0;
    if (restore_best) best_weights = run.model.weights();
  } else if (++waited >= patience) {
    const std::string found = best_epoch < 0 ? fmt::format("it is {}", plain_nan(value))
                                             : fmt::format("the best was {:.4f} in epoch {}", best, best_epoch + 1);
    run.stop(fmt::format("{} has not improved for {}; {}", monitor, counted(waited, "epoch"), found));
  }
}

void EarlyStopping::on_train_end(FitRun& run) {
  if (!best_weights.empty()) run.model.set_weights(best_weights);
}

void BestCheckpoint::on_train_begin(FitRun& run) {
  best = worst(maximize);
  unsaved.clear();
  run.model.check_save(path);
}

void BestCheckpoint::on_epoch_end(FitRun& run) {
  const double value = monitored(run, "BestCheckpoint", monitor);
  if (!improves(value, best, 0, maximize)) {
    if (best == worst(maximize))
      unsaved = fmt::format("'{}' is {} in epoch {}", monitor, plain_nan(value), run.epoch + 1);
    return;
  }
  best = value;
  unsaved.clear();
  run.model.save(path);
}

void BestCheckpoint::on_train_end(FitRun&) {
  if (!unsaved.empty()) fail("BestCheckpoint: nothing was saved to '{}': {}, and was no better before", path, unsaved);
}

void CsvLog::on_train_begin(FitRun&) {
  std::ofstream out(path, append ? std::ios::app : std::ios::trunc);
  if (!out) fail("CsvLog: cannot write '{}': {}", path, std::strerror(errno));
  wrote_header = append && out.tellp() > 0;
}

void CsvLog::on_epoch_end(FitRun& run) {
  const FileLimitGuard guard;
  std::ofstream out(path, std::ios::app);
  std::string header = "epoch", line = std::to_string(run.model_epoch);
  for (const auto& [name, value] : run.logs) {
    header += "," + name;
    line += fmt::format(",{}", value);
  }
  if (!wrote_header) out << header << '\n';
  wrote_header = true;
  out << line << '\n';
  if (!out.flush()) fail("CsvLog: cannot write '{}': {}", path, std::strerror(errno));
}

void LearningRate::on_epoch_begin(FitRun& run) { run.set_learning_rate(schedule(run.epoch)); }

void StopOnNaN::on_step_end(FitRun& run) {
  if (!std::isfinite(run.loss))
    run.stop(fmt::format("the loss is {} at step {} of {} in epoch {}", plain_nan(run.loss), run.batch + 1, run.batches,
                         run.epoch + 1));
}

void StopOnNaN::on_epoch_end(FitRun& run) {
  if (const auto it = run.logs.find("val_loss"); it != run.logs.end() && !std::isfinite(it->second))
    run.stop(fmt::format("the validation loss is {} in epoch {}", plain_nan(it->second), run.epoch + 1));
}

}  // namespace weft
