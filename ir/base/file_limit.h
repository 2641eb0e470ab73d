// Writing to files under a limit on their size (RLIMIT_FSIZE): the system reports the write that crosses it by a signal
// that ends the process, before it reports it as an error.
#pragma once
#include <cerrno>
#include <csignal>
#include <ctime>

namespace weft {

/// While it lives, such a write on this thread fails with EFBIG and raises no signal.
class FileLimitGuard {
 public:
  FileLimitGuard() {
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGXFSZ) == 1;
    const sigset_t signal = xfsz();
    pthread_sigmask(SIG_BLOCK, &signal, &saved_);
  }
  ~FileLimitGuard() {
    const int error = errno;  // of the write
    const sigset_t signal = xfsz();
    const timespec now{};
    while (!was_pending_ && sigtimedwait(&signal, nullptr, &now) == SIGXFSZ) {}
    pthread_sigmask(SIG_SETMASK, &saved_, nullptr);
    errno = error;
  }
  FileLimitGuard(const FileLimitGuard&) = delete;
  FileLimitGuard& operator=(const FileLimitGuard&) = delete;

 private:
  static sigset_t xfsz() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    return set;
  }

  sigset_t saved_;
  bool was_pending_ = false;
};

}  // namespace weft
