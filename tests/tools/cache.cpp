// `weft cache`: what programs left in the object cache, seen by other processes.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "catch.h"
#include "tools/command.h"

using nlohmann::json;
using weft::test::contains;
using weft::test::Result;
using weft::test::shell;
using weft::test::TempDir;
namespace fs = std::filesystem;

namespace {

/// The object cache in a directory of its own; `weft` run there sees no other.
struct Cache {
  TempDir dir;
  std::string directory = dir.file("cache");
  Result run(const std::string& command) const {
    return shell("export WEFT_CACHE=1 WEFT_CACHE_DIR='" + directory + "'\n" + command, dir.path());
  }
  /// Compiles and runs the graph of examples/dense.weft.
  Result run_example() const {
    const std::string examples = WEFT_SOURCE_DIR "/examples";
    return run("weft run '" + examples + "/dense.weft' --input x='" + examples + "/x.npy'");
  }
  json info() const { return json::parse(run("weft cache info --json").out); }
};

}  // namespace

TEST_CASE("weft cache: info and clear") {
  const Cache cache;
  CHECK(cache.info()["directory"] == cache.directory);
  CHECK(cache.info()["entries"] == 0);
  CHECK_FALSE(fs::exists(cache.directory));  // asking makes nothing
  const Result first = cache.run_example();
  REQUIRE(first.code == 0);
  const json info = cache.info();
  CHECK(info["entries"].get<int>() > 0);
  CHECK(info["bytes"].get<int>() > 0);
  CHECK(info["limit_bytes"] == 256 << 20);
  CHECK(info["unusable"] == "");
  CHECK(cache.run_example().out == first.out);
  CHECK(cache.info() == info);  // the second run added nothing
  const Result text = cache.run("WEFT_CACHE_LIMIT=1M weft cache info");
  CHECK(contains(text.out, "directory  " + cache.directory + "\n"));
  CHECK(contains(text.out, "limit      1048576\n"));
  const Result cleared = cache.run("weft cache clear");
  CHECK(cleared.code == 0);
  CHECK(cleared.out == "removed " + info["entries"].dump() + " entries from " + cache.directory + "\n");
  CHECK(cache.info()["entries"] == 0);
  CHECK(fs::is_empty(cache.directory));
  CHECK(cache.run("WEFT_CACHE=0 weft cache info").out == "the object cache is off\n");
  const Result limit = cache.run("WEFT_CACHE_LIMIT=lots weft cache info");
  CHECK(limit.code == 1);
  CHECK(limit.err == "weft: error: WEFT_CACHE_LIMIT: expected a number of bytes such as 64M, found 'lots'\n");
}

TEST_CASE("whatever the cache's folder is, what is compiled runs") {
  Cache cache;
  const Result expected = cache.run_example();
  REQUIRE(expected.code == 0);
  weft::test::spill(cache.dir.file("file"), "x");
  REQUIRE(cache.run("mkfifo fifo; ln -s loop loop; mkdir locked closed; chmod 0 closed; mkdir -p full/usage").code ==
          0);
  struct Row {
    std::string directory, before;
  };
  std::vector<Row> rows = {
      {"file", ""},
      {"fifo", ""},
      {"loop", ""},
      {"file/x", ""},
      {"closed", ""},
      {"full", ""},
      {"/dev/null", ""},
      {"/proc/weft", ""},
      {std::string(300, 'x'), ""},
      {"limited", "trap '' XFSZ; ulimit -f 1; "},
      {"locked", "exec 9<locked; flock 9; "},
  };
  if (cache.run("unshare -rm mount -t tmpfs none locked").code == 0)  // where a user may mount
    for (const std::string option : {"size=16k", "ro"})
      rows.push_back({"mounted", "mkdir -p mounted; exec unshare -rm bash -c 'mount -t tmpfs -o " + option +
                                     " none mounted && exec \"$@\"' - "});
  for (const Row& row : rows) {
    cache.directory = row.directory[0] == '/' ? row.directory : cache.dir.file(row.directory);
    const std::string examples = WEFT_SOURCE_DIR "/examples";
    const Result r =
        cache.run(row.before + "weft run '" + examples + "/dense.weft' --input x='" + examples + "/x.npy'");
    INFO(row.before << row.directory << "\n" << r);
    CHECK(r.code == 0);
    CHECK(r.out == expected.out);
  }
}

TEST_CASE("weft cache verify: another process compiles the same bytes, and damage is found once") {
  const Cache cache;
  const Result example = cache.run_example();
  REQUIRE(example.code == 0);
  const auto entries = cache.info()["entries"].get<int>();
  const Result good = cache.run("weft cache verify");
  INFO(good);
  CHECK(good.code == 0);
  CHECK(good.out == std::to_string(entries) +
                        " entries compile to the same bytes, 0 were removed, 0 are another build's and were left\n");
  std::string damaged;
  for (const auto& e : fs::directory_iterator(cache.directory))
    if (e.path().filename() != "usage") damaged = e.path();
  fs::resize_file(damaged, fs::file_size(damaged) / 2);
  const Result bad = cache.run("weft cache verify --threads 2");
  CHECK(bad.code == 1);
  CHECK(bad.out.starts_with(damaged + ": its checksum is wrong\n"));
  CHECK(bad.err == "weft: error: 1 entries of the object cache were damaged or different\n");
  CHECK_FALSE(fs::exists(damaged));
  CHECK(cache.run("weft cache verify").code == 0);
  CHECK(cache.run_example().out == example.out);
  CHECK(cache.info()["entries"] == entries);
}
