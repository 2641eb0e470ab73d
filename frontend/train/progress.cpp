// The progress bar and the epoch lines, after Keras.
#include "frontend/train/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <vector>

#include "ir/base/file_limit.h"
#include "ir/base/number.h"

namespace weft {
namespace {

constexpr int kBarWidth = 20;
constexpr std::chrono::milliseconds kRedraw{50};

/// What `out` does not take is lost: training goes on without being watched.
void put(std::FILE* out, const std::string& text) {
  const FileLimitGuard guard;
  std::fwrite(text.data(), 1, text.size(), out);
  std::fflush(out);
}

}  // namespace

std::string format_logs(const std::map<std::string, double>& logs) {
  std::string text;
  auto add = [&](const std::string& name, double logged) {
    const double value = plain_nan(logged);
    const bool tiny = value != 0 && value < 1e-3 && value > -1e-3;
    text += (text.empty() ? "" : " - ") + name + ": " +
            (tiny ? fmt::format("{:.4e}", value) : fmt::format("{:.4f}", value));
  };
  for (const std::string prefix : {"", "val_"}) {
    if (auto it = logs.find(prefix + "loss"); it != logs.end()) add(it->first, it->second);
    for (const auto& [name, value] : logs) {
      const bool validation = name.starts_with("val_");
      if (name != prefix + "loss" && name != "learning_rate" && validation == !prefix.empty()) add(name, value);
    }
  }
  return text;
}

Progress::Progress(std::FILE* out, int verbose, int epochs)
    : out_(out), lines_(verbose > 0), bar_(verbose == 1 && isatty(fileno(out))), epochs_(epochs) {}

void Progress::begin_epoch(int epoch, std::int64_t batches) {
  epoch_ = epoch;
  batches_ = batches;
  start_ = drawn_ = Clock::now();
  if (bar_) put(out_, fmt::format("Epoch {}/{}\n", epoch + 1, epochs_));
}

bool Progress::due() const { return bar_ && Clock::now() - drawn_ >= kRedraw; }

void Progress::step(std::int64_t done, const std::map<std::string, double>& logs) {
  if (!due()) return;
  const auto now = drawn_ = Clock::now();
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const int full = static_cast<int>(done * kBarWidth / batches_);
  const std::string bar = std::string(static_cast<std::size_t>(full), '=') + ">" +
                          std::string(static_cast<std::size_t>(kBarWidth - full), '.');
  put(out_, fmt::format("\r{}/{} [{}] {:.0f}s left - {:.2f}ms/step - {}\x1b[K", done, batches_, bar,
                        elapsed / static_cast<double>(done) * static_cast<double>(batches_ - done),
                        1e3 * elapsed / static_cast<double>(done), format_logs(logs)));
}

void Progress::end_epoch(double seconds, double step_ms, const std::map<std::string, double>& logs) {
  if (!lines_) return;
  const std::string head = bar_ ? fmt::format("\r{}/{} [{}]", batches_, batches_, std::string(kBarWidth + 1, '='))
                                : fmt::format("Epoch {}/{}", epoch_ + 1, epochs_);
  put(out_, fmt::format("{} - {:.2f}s - {:.2f}ms/step - {}{}\n", head, seconds, step_ms, format_logs(logs),
                        bar_ ? "\x1b[K" : ""));
}

void Progress::note(const std::string& text) {
  if (lines_) put(out_, (bar_ ? "\r\x1b[K" : "") + text + "\n");
}

}  // namespace weft
