// `weft import` and `weft compile`: their command lines are fixed, what is behind them is not yet built in.
#include <CLI/CLI.hpp>

#include "tools/commands.h"
#include "tools/support/io.h"

namespace weft::tools {

void add_import(CLI::App& app) {
  auto* command = app.add_subcommand("import", "Translate an ONNX model into weft's text form (not yet built in)");
  command->add_option("FILE", "the .onnx file")->required();
  command->add_option("-o,--output", "the .weft file to write");
  command->callback([] { not_built_in("reading ONNX"); });
}

void add_compile(CLI::App& app) {
  auto* command = app.add_subcommand("compile", "Compile a graph ahead of time into an object file (not yet built in)");
  command->add_option("FILE", "the .weft or .onnx file")->required();
  command->add_option("-o,--output", "the object file to write");
  command->add_option("--header", "the C++ header to write");
  command->callback([] { not_built_in("ahead-of-time compilation"); });
}

}  // namespace weft::tools
