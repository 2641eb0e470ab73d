// Which types are callbacks: their hooks are counted when they are compiled (tests/no_compile has the
// messages).
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

template <class T>
constexpr bool counts(int hooks, int wrong_signature, int misspelt) {
  constexpr hook_check::Count n = hook_check::count<T>();
  return n.hooks == hooks && n.wrong_signature == wrong_signature && n.misspelt == misspelt;
}

struct All {
  void on_train_begin(FitRun&) {}
  void on_epoch_begin(const FitRun&) const {}
  void on_step_end(FitRun&) noexcept {}
  static void on_epoch_end(FitRun&) {}
  template <class Run>
  void on_train_end(Run&) {}
  bool online = false;  // any other name is the user's own
  void on_call() {}
};
struct Final final {
  void on_step_end(FitRun&) {}
  void on_batch_end(FitRun&) {}
};
struct Inherits : All {};
struct Nothing {};
struct ByValue {
  void on_step_end(FitRun) {}
};
struct OtherArgument {
  void on_epoch_end(int) {}
};
struct NoArgument {
  void on_epoch_begin() {}
};
struct GivesResult {
  bool on_epoch_end(FitRun&) { return true; }
};
struct Temporary {
  void on_train_begin(FitRun&&) {}
};
class Private {
  void on_train_end(FitRun&) {}
};
struct Member {
  std::function<void(FitRun&)> on_step_end;  // a callable is as good as a function
  int on_train_begin = 0;
};
struct Overloaded {
  void on_epoch_ends(FitRun&) {}
  void on_epoch_ends(int) {}
  void on_epoch_end(FitRun&) {}
};
struct Generic {
  template <class Run>
  void on_train_batch_end(Run&) {}
};
struct Plural {
  int on_steps_end = 0;
  void on_step_end(FitRun&) {}
};

static_assert(counts<All>(5, 0, 0));
static_assert(counts<Inherits>(5, 0, 0));
static_assert(counts<Final>(1, 0, 1));
static_assert(counts<Nothing>(0, 0, 0));
static_assert(counts<ByValue>(0, 1, 0));
static_assert(counts<OtherArgument>(0, 1, 0));
static_assert(counts<NoArgument>(0, 1, 0));
static_assert(counts<GivesResult>(0, 1, 0));
static_assert(counts<Temporary>(0, 1, 0));
static_assert(counts<Private>(0, 1, 0));
static_assert(counts<Member>(1, 1, 0));
static_assert(counts<Overloaded>(1, 0, 1));
static_assert(counts<Generic>(0, 0, 1));
static_assert(counts<Plural>(1, 0, 1));
static_assert(counts<EarlyStopping>(3, 0, 0));
static_assert(counts<BestCheckpoint>(3, 0, 0));
static_assert(counts<CsvLog>(2, 0, 0));
static_assert(counts<LearningRate>(1, 0, 0));
static_assert(counts<StopOnNaN>(2, 0, 0));
static_assert(!std::is_copy_constructible_v<FitRun>);

struct Careless {
  static constexpr bool handles_nan = false;
  void on_step_end(FitRun&) {}
};

}  // namespace

TEST_CASE("a callback has the hooks that its type has, and handles NaN when it says so") {
  REQUIRE(Callback(StopOnNaN{}).handles_nan());
  REQUIRE(Callback(StopOnNaN{}).has_step_end());
  REQUIRE_FALSE(Callback(Careless{}).handles_nan());
  REQUIRE_FALSE(Callback(CsvLog{"log"}).handles_nan());
  REQUIRE_FALSE(Callback(CsvLog{"log"}).has_step_end());
  REQUIRE(Callback(All{}).has_step_end());
}
