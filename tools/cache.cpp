// `weft cache`: what is in the object cache, emptying it, and verifying it.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "codegen/cache/cache.h"
#include "ir/base/error.h"
#include "tools/commands.h"
#include "tools/support/io.h"

namespace weft::tools {
namespace {

void info(bool json) {
  const CacheOptions options = cache_from_environment();
  const CacheInfo cache = cache_info(options);
  if (json) {
    nlohmann::ordered_json line;
    line["directory"] = options.directory;
    line["unusable"] = cache.unusable;
    line["entries"] = cache.entries;
    line["bytes"] = cache.bytes;
    line["limit_bytes"] = options.limit_bytes;
    return print_line(line.dump());
  }
  if (options.directory.empty()) return print_line("the object cache is off");
  print_line(fmt::format("directory  {}", options.directory));
  if (!cache.unusable.empty()) print_line(fmt::format("unusable   {}", cache.unusable));
  print_line(fmt::format("entries    {}", cache.entries));
  print_line(fmt::format("bytes      {}", cache.bytes));
  print_line(fmt::format("limit      {}", options.limit_bytes));
}

void clear() {
  const CacheOptions options = cache_from_environment();
  print_line(fmt::format("removed {} entries from {}", clear_cache(options), options.directory));
}

void verify(int threads) {
  const CacheVerification v = verify_cache(cache_from_environment(), threads);
  for (const CacheProblem& p : v.problems) print_line(fmt::format("{}: {}", p.file, p.found));
  print_line(fmt::format("{} entries compile to the same bytes, {} were removed, {} are another build's and were left",
                         v.verified, v.problems.size(), v.unchecked));
  if (!v.problems.empty()) fail("{} entries of the object cache were damaged or different", v.problems.size());
}

}  // namespace

void add_cache(CLI::App& app) {
  auto* command = app.add_subcommand("cache", "Show, empty or verify the cache of compiled kernels");
  command->require_subcommand(1);
  auto json = std::make_shared<bool>(false);
  auto threads = std::make_shared<int>(0);
  auto* show = command->add_subcommand("info", "Print its directory, its entries and its size");
  show->add_flag("--json", *json, "print one JSON object instead of text");
  show->callback([json] { info(*json); });
  command->add_subcommand("clear", "Remove all entries")->callback([] { clear(); });
  auto* check = command->add_subcommand("verify", "Compile every entry again, compare, and remove what is wrong");
  check->add_option("--threads", *threads, "kernels compiled at once (default: one a core)")
      ->check(CLI::Range(1, 1024));
  check->callback([threads] { verify(*threads); });
}

}  // namespace weft::tools
