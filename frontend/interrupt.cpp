// The SIGINT handler of fit().
#include "frontend/interrupt.h"

namespace weft {
namespace {

volatile std::sig_atomic_t seen = 0;
bool active = false;

}  // namespace

InterruptGuard::InterruptGuard() {
  if (active) return;
  seen = 0;
  struct sigaction action {};
  action.sa_handler = [](int) { seen = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  installed_ = active = sigaction(SIGINT, &action, &saved_) == 0;
}

InterruptGuard::~InterruptGuard() {
  if (!installed_) return;
  sigaction(SIGINT, &saved_, nullptr);
  active = false;
}

bool InterruptGuard::interrupted() const { return seen != 0; }

}  // namespace weft
