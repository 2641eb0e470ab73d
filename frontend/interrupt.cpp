// The SIGINT handler of fit().
#include "frontend/interrupt.h"

#include <atomic>

namespace weft {
namespace {

std::atomic<bool> seen{false};  // written by the handler, read by any thread of a team
static_assert(std::atomic<bool>::is_always_lock_free);
bool active = false;

}  // namespace

InterruptGuard::InterruptGuard() {
  if (active) return;
  seen = false;
  struct sigaction action {};
  action.sa_handler = [](int) { seen = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  installed_ = active = sigaction(SIGINT, &action, &saved_) == 0;
}

InterruptGuard::~InterruptGuard() {
  if (!installed_) return;
  sigaction(SIGINT, &saved_, nullptr);
  active = false;
}

bool InterruptGuard::interrupted() const { return seen; }

}  // namespace weft
