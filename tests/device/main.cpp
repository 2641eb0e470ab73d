// weft-gpu: the weft command and the tests of device code in one program, for a machine that has a GPU and nothing
// else. `weft-gpu test [Catch2's arguments]` runs the tests on $WEFT_TEST_DEVICE; anything else is a command line of
// weft.
#include <string_view>

#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif
#include "tools/command_line.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "test") return Catch::Session().run(argc - 1, argv + 1);
  return weft::tools::run_command(argc, argv);
}
