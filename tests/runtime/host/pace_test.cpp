// Together or alone: which one a simulated machine makes a program choose, and what it costs to find out.
#include "runtime/host/pace.h"

#include "catch.h"

using namespace weft;

namespace {

/// Seconds of `runs` runs that take `together` or `alone`, and how many of them were done together.
struct Done {
  double seconds = 0;
  int together = 0;
};
Done done(Pace& pace, int runs, double together, double alone) {
  Done d;
  for (int i = 0; i < runs; ++i) {
    const double taken = pace.together() ? together : alone;
    d.together += pace.together();
    d.seconds += taken;
    pace.record(taken);
  }
  return d;
}

constexpr double kMs = 1e-3;

}  // namespace

TEST_CASE("nobody disturbs: the team is used, but for one short trial") {
  for (const double step : {0.005 * kMs, 0.3 * kMs, 1.5 * kMs, 30 * kMs}) {
    Pace pace(2);
    const int runs = static_cast<int>(10 / step);
    const Done d = done(pace, runs, step, 2 * step);
    CAPTURE(step, d.together, runs);
    CHECK(d.seconds < 1.01 * runs * step);
  }
  Pace wide(64);  // a run alone would take long: it is not tried
  CHECK(done(wide, 1000, 10 * kMs, 640 * kMs).together == 1000);
}

TEST_CASE("a team that a neighbour holds up is left, and taken again when the neighbour goes") {
  Pace pace(2);
  done(pace, 1000, 0.3 * kMs, 0.5 * kMs);
  const Done busy = done(pace, 20'000, 17 * kMs, 0.5 * kMs);
  CHECK(busy.seconds < 1.1 * 20'000 * 0.5 * kMs);
  done(pace, 8'000, 0.3 * kMs, 0.5 * kMs);  // at most kLongest
  CHECK(done(pace, 10'000, 0.3 * kMs, 0.5 * kMs).seconds < 1.05 * 10'000 * 0.3 * kMs);
}

TEST_CASE("a neighbour that is there from the beginning is noticed too") {
  Pace pace(2);
  CHECK(done(pace, 20'000, 17 * kMs, 0.5 * kMs).seconds < 1.1 * 20'000 * 0.5 * kMs);
}

TEST_CASE("one thread has no choice") {
  Pace pace(1);
  CHECK(pace.is_fixed());
  CHECK(!pace.together());
}
