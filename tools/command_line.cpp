// The weft command line: joins the subcommands, and turns failures into messages on stderr and an exit code.
#include "tools/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>
#include <string_view>

#include "ir/base/error.h"
#include "ir/base/memory_limit.h"
#include "tools/commands.h"
#include "tools/support/io.h"

namespace {

int report(std::string_view message, int code = 1) {
  // A message from a parser begins "file:line:col: error: " already.
  const bool placed = message.find(": error: ") != message.npos;
  weft::tools::say(fmt::format("{}{}\n", placed ? "" : "weft: error: ", message));
  return code;
}

/// The names of the subcommands, or "" when `name` is one of them (or an option).
std::string unless_command(const CLI::App& app, const std::string& name) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (name.starts_with("-") || command->get_name() == name) return "";
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return names;
}

}  // namespace

int weft::tools::run_command(int argc, char** argv) {
  prepare_standard_streams();
  CLI::App app("weft compiles computation graphs: trains, measures, prints and runs them.", "weft");
  app.set_version_flag("--version", "weft " WEFT_VERSION);
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& e) {
    return fmt::format("weft: error: {}\nRun with --help for more information.\n", e.what());
  });
  for (auto* add : {weft::tools::add_train, weft::tools::add_bench, weft::tools::add_dump, weft::tools::add_opt,
                    weft::tools::add_run, weft::tools::add_tune, weft::tools::add_import, weft::tools::add_compile,
                    weft::tools::add_generate, weft::tools::add_cache, weft::tools::add_devices})
    add(app);
  if (argc > 1)
    if (const std::string names = unless_command(app, argv[1]); !names.empty())
      return report(fmt::format("there is no command '{}'; there are: {}", argv[1], names), 2);
  int code = 0;
  try {
    try {
      app.parse(argc, argv);
    } catch (const CLI::RuntimeError& e) {
      code = e.get_exit_code();
    } catch (const CLI::ParseError& e) {  // --help and --version, too
      if (app.exit(e) != 0) return 2;
    }
    check_stdout();
  } catch (const weft::Error& e) {
    return report(e.what(), code ? code : 1);
  } catch (const weft::InternalError& e) {
    return report(std::string(e.what()) +
                  "\nThis is a bug in weft, not in your program: please report it with the input.");
  } catch (const std::bad_alloc&) {
    return report(fmt::format("out of memory: this process may use {} in all", weft::size_text(weft::memory_limit())));
  } catch (const std::exception& e) {
    return report(e.what());
  }
  return code;
}
