// weft inside programs that have a life of their own: globals, exit() where it likes, another LLVM. The programs are
// tests/host/*.cpp.
#include <string>

#include "catch.h"
#include "tools/command.h"

using namespace weft::test;

namespace {

/// The program prints "right" and ends well, every time.
void require_right(const std::string& command, int times = 1) {
  for (int i = 0; i < times; ++i) {
    const Result r = shell("WEFT_CACHE=0 timeout 120 " + command, "/");
    INFO(command << "\n" << r);
    REQUIRE(r.code == 0);
    REQUIRE(r.out == "right\n");
  }
}

}  // namespace

TEST_CASE("weft works before main, after it, and while the program ends") {
  for (const char* mode : {"static", "late", "after"}) require_right(std::string("host_life ") + mode);
  for (const char* mode : {"thread", "inside", "quick"}) require_right(std::string("host_life ") + mode, 5);
}

TEST_CASE("another LLVM in the process and weft leave each other alone") {
  const std::string other = WEFT_OTHER_LLVM;
  if (other.empty()) {
    WARN("skipped: there is no shared library of another LLVM here (Debian: libllvm14)");
    return;
  }
  require_right("host_linked_shared");
  // From archives, weft's calls go to whichever LLVM comes first on the command line of the linker.
  const Result r = shell("WEFT_CACHE=0 host_linked", "/");
  INFO(r);
  CHECK(r.code == 5);
  CHECK(contains(r.out, "this program links two LLVMs, and weft's calls have been given to both: "));
  CHECK(contains(r.out, other.substr(other.find("libLLVM"), 10)));
  CHECK(contains(r.out, "weft built with -DWEFT_SHARED=ON keeps the two apart"));
  for (const std::string how : {"local", "global"}) {
    require_right("host_loader '" WEFT_HOST_PLUGIN "' " + how);
    for (const std::string when : {"first", "last"}) require_right("host_opener '" + other + "' " + how + " " + when);
  }
}
