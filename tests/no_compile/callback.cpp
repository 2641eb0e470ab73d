// Callbacks that must not compile: CASE picks one (tests/CMakeLists.txt has the messages).
#include <weft/weft.h>

using namespace weft;

struct Mistake {
#if CASE == 0
  void on_epoch_end(FitRun&) {}  // as it should be
#elif CASE == 1
  void on_epoch_end(FitRun&) {}
  void on_epoch_ends(FitRun&) {}
#elif CASE == 2
  void on_epoch_end(int) {}
#elif CASE == 3
  void on_epoch_end(FitRun) {}
#elif CASE == 4
  void at_the_end(FitRun&) {}
#endif
};

int main() { const FitOptions options{.callbacks = {Mistake{}}}; }
