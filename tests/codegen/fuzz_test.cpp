// The fuzzer of texts: what it has found, and a few of its seeds (CONTRIBUTING.md says how to run many).
#include <filesystem>
#include <fstream>
#include <sstream>

#include "catch.h"
#include "fuzz/fuzzer.h"

using namespace weft::test;

namespace {

void replay(Fuzzed what, const std::string& folder) {
  const Fuzzer fuzzer(what);
  FuzzCounts counts;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(WEFT_SOURCE_DIR "/tests/fuzz/" + folder)) {
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    ++files;
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {  // on the CPU, on the emulator, checking and not
      INFO(entry.path() << ", seed " << seed);
      CHECK(fuzzer.execute(text.str(), seed, {1, 1}, counts) == "");
    }
  }
  CHECK(files > 0);
}

void run_seeds(Fuzzed what, std::uint64_t count, const FuzzShares& shares) {
  const Fuzzer fuzzer(what);
  FuzzCounts counts;
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    const std::string found = fuzzer.execute(fuzzer.text(seed), seed, shares, counts);
    INFO("seed " << seed << "\n" << fuzzer.text(seed));
    REQUIRE(found == "");
  }
  // It must try what it says: most texts are rejected, and of the others every stage sees some.
  CHECK(counts.accepted > count / 20);
  CHECK(counts.accepted < count);
  CHECK(counts.interpreted > count / 40);
  CHECK(counts.generated > 0);
  CHECK(counts.compiled + counts.emulated > 0);
}

}  // namespace

TEST_CASE("texts that crashed the compiler") {
  replay(Fuzzed::programs, "programs");
  replay(Fuzzed::graphs, "graphs");
}
TEST_CASE("mutated programs go through the compiler") { run_seeds(Fuzzed::programs, 3000, {8, 40}); }
TEST_CASE("mutated graphs go through the compiler") { run_seeds(Fuzzed::graphs, 1500, {8, 40}); }
