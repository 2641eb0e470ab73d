// The weft command.
#include "tools/command_line.h"

int main(int argc, char** argv) { return weft::tools::run_command(argc, argv); }
