// Internal to weft: signals that ask a process to end, while it trains.
#pragma once
#include <csignal>
#include <iterator>
#include <string>

namespace weft {

/// While it lives, SIGINT, SIGTERM and SIGHUP are remembered instead of ending the process, so that what has been
/// trained can be saved; the third within a second ends it at once. The handlers that were installed before are put
/// back afterwards. A signal that is ignored stays ignored (nohup), and SIGTERM and SIGHUP are left to a program that
/// handles them itself. Guards do not nest: an inner one leaves the outer one's handlers in place.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  int signal() const;          ///< the first that came; 0: none
  std::string reason() const;  ///< "interrupted", "interrupted by SIGTERM"

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
  struct Saved {
    struct sigaction action {};
    bool replaced = false;
  } saved_[std::size(kSignals)];
  bool outermost_ = false;
};

}  // namespace weft
