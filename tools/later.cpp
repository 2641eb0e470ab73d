// `weft import`: its command line is fixed, what is behind it is not yet built in.
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

}  // namespace weft::tools
