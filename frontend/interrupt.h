// Internal to frontend/: Ctrl-C while training.
#pragma once
#include <csignal>

namespace weft {

/// Catches the first SIGINT while it lives and remembers it; a second one ends the process as usual. The handler that
/// was installed before is put back afterwards. Guards do not nest: an inner one leaves the outer one's handler in
/// place.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  bool interrupted() const;

 private:
  struct sigaction saved_ {};
  bool installed_ = false;
};

}  // namespace weft
