// Internal to frontend/: what fit() prints.
#pragma once
#include <chrono>
#include <cstdio>
#include <map>
#include <string>

namespace weft {

/// A progress bar that is redrawn in place on a terminal, and one line an epoch elsewhere.
class Progress {
 public:
  /// `verbose` as in FitOptions.
  Progress(std::FILE* out, int verbose, int epochs);
  void begin_epoch(int epoch, std::int64_t batches);
  void step(std::int64_t done, const std::map<std::string, double>& logs);
  void end_epoch(double seconds, double step_ms, const std::map<std::string, double>& logs);
  /// A note on a line of its own.
  void note(const std::string& text);
  /// It is time to redraw the bar.
  bool due() const;

 private:
  using Clock = std::chrono::steady_clock;
  std::FILE* out_;
  bool lines_ = false, bar_ = false;
  int epoch_ = 0, epochs_ = 0;
  std::int64_t batches_ = 0;
  Clock::time_point start_, drawn_;
};

/// "loss: 0.1234 - accuracy: 0.9800 - val_loss: …": the loss first, then the metrics, then the same of the validation.
std::string format_logs(const std::map<std::string, double>& logs);

}  // namespace weft
