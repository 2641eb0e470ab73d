// What weft's libraries do before main() and at exit, read from their object files: nothing that depends on an order.
//
// A program may use weft in the initialisers of its globals, in their destructors, and on one thread while another
// calls exit(). So tables are constants of the compiler's, what is made at the first use is never destroyed, and
// neither are the constants that are objects of classes (frontend/nn/early.h), which come first.
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "catch.h"
#include "tools/command.h"

using namespace weft::test;

namespace {

struct Symbol {
  std::string object;  // "ops.cpp.o"
  char type;           // nm's letter
  std::string name;
};

/// The symbols of weft's libraries, as `nm -A` prints them.
const std::vector<Symbol>& symbols() {
  static const std::vector<Symbol> all = [] {
    std::vector<Symbol> found;
    std::istringstream libraries(WEFT_LIBRARIES);
    for (std::string library; std::getline(libraries, library, ':');) {
      const Result r = shell("nm -A --no-demangle '" + library + "' 2>/dev/null", "/");
      INFO(library << "\n" << r.err);
      REQUIRE(r.code == 0);
      std::istringstream lines(r.out);
      for (std::string line; std::getline(lines, line);) {  // LIBRARY:OBJECT:[ADDRESS] TYPE NAME
        const std::size_t object = line.find(':') + 1, end = line.find(':', object);
        const std::size_t name = line.rfind(' ') + 1;
        if (end == line.npos || name < 3) continue;
        found.push_back({line.substr(object, end - object), line[name - 2], line.substr(name)});
      }
    }
    REQUIRE(found.size() > 1000);
    return found;
  }();
  return all;
}

// With constants that are objects, made by WEFT_CONSTANT.
const std::set<std::string> kEarly = {"losses.cpp.o", "metrics.cpp.o"};

}  // namespace

#ifndef WEFT_SANITIZE  // sanitizers run code of their own, and at exit

TEST_CASE("no library of weft runs code before main(), but for the early constants") {
  std::set<std::string> early;
  for (const Symbol& s : symbols()) {
    if (s.name.find("_GLOBAL__sub_I") == s.name.npos && s.name.find("_GLOBAL__I") == s.name.npos &&
        s.name.find("__cxx_global_var_init") == s.name.npos)
      continue;
    INFO(s.object << ": " << s.name);
    CHECK(s.name.find("_GLOBAL__sub_I.00200_") != s.name.npos);
    early.insert(s.object);
  }
  CHECK(early == kEarly);
}

TEST_CASE("no library of weft has something destroyed at exit") {
  for (const Symbol& s : symbols())
    if (s.name == "__cxa_atexit" || s.name == "atexit") {
      INFO(s.object << " has a static object with a destructor: make it `static T& x = *new T(…)`");
      CHECK(s.object == "llvm_version.cpp.o");  // which takes note of exit()
    }
}

#endif

TEST_CASE("LLVM's code that is compiled into weft is nobody else's") {
  // With default visibility a shared library that weft is linked into would exchange it with another LLVM's.
  std::istringstream libraries(WEFT_LIBRARIES);
  int found = 0;
  for (std::string library; std::getline(libraries, library, ':');) {
    std::istringstream lines(shell("readelf --symbols --wide '" + library + "' 2>/dev/null", "/").out);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);  // Num: Value Size Type Bind Vis Ndx Name
      std::string number, value, size, type, bind, visibility, index, name;
      words >> number >> value >> size >> type >> bind >> visibility >> index >> name;
      if (index == "UND" || bind == "LOCAL" || name.find("4llvm") == name.npos) continue;
      ++found;
      if (visibility == "HIDDEN") continue;
      INFO(library << ": " << line);
      CHECK(visibility == "HIDDEN");
    }
  }
  CHECK(found > 100);
}
