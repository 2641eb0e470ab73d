// The weft command as a function, for programs that are weft and something else too.
#pragma once

namespace weft::tools {

/// Runs a command line. Returns the exit code: 0 success, 1 failure, 2 a command line that does not parse.
int run_command(int argc, char** argv);

}  // namespace weft::tools
