// The handler of an InterruptGuard.
#include "frontend/train/interrupt.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <ctime>

namespace weft {
namespace {

// Written by the handler, in any thread; several may be in it at once.
std::atomic<int> first{0};
std::atomic<unsigned> count{0};
std::atomic<std::int64_t> times[3];  // ms; when the last signals came; 0: not yet written
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free);
bool active = false;

void handle(int signal) {
  const int saved_errno = errno;
  int none = 0;
  first.compare_exchange_strong(none, signal);
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  const std::int64_t now = std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
  const unsigned n = count++;
  times[n % 3] = now;
  const std::int64_t last_but_one = times[(n + 1) % 3];
  if (n >= 2 && (last_but_one == 0 || now - last_but_one < 1000)) {
    std::signal(signal, SIG_DFL);
    raise(signal);  // takes effect when this handler returns
  }
  errno = saved_errno;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  if (active) return;
  outermost_ = active = true;
  first = 0;
  count = 0;
  for (auto& t : times) t = 0;
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    Saved& s = saved_[i];
    if (sigaction(kSignals[i], nullptr, &s.action) != 0) continue;
    const bool plain = (s.action.sa_flags & SA_SIGINFO) == 0;
    const bool ignored = plain && s.action.sa_handler == SIG_IGN, ends = plain && s.action.sa_handler == SIG_DFL;
    if (!ignored && (ends || kSignals[i] == SIGINT)) s.replaced = sigaction(kSignals[i], &action, nullptr) == 0;
  }
}

InterruptGuard::~InterruptGuard() {
  if (!outermost_) return;
  for (std::size_t i = 0; i < std::size(kSignals); ++i)
    if (saved_[i].replaced) sigaction(kSignals[i], &saved_[i].action, nullptr);
  active = false;
}

int InterruptGuard::signal() const { return first; }

std::string InterruptGuard::reason() const {
  const int s = first;
  return s == SIGTERM ? "interrupted by SIGTERM" : s == SIGHUP ? "interrupted by SIGHUP" : "interrupted";
}

}  // namespace weft
