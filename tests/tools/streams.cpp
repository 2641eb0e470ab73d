// Standard streams that do not take what is written: closed, full, a pipe that nobody reads. Every subcommand ends with
// exit code 1 and one line on stderr; no file is taken for a stream; weft the library does not mind.
#include <algorithm>
#include <sstream>
#include <string>

#include "catch.h"
#include "tools/command.h"

using namespace weft::test;

namespace {

const char* const kCommands[] = {
    "weft --help",
    "weft --version",
    "weft train --help",
    "weft train mnist --epochs 1 --data data --save saved.safetensors",
    "weft train mnist --epochs 1 --data data --json --save saved.safetensors",
    "weft bench mlp --steps 10",
    "weft bench mlp --steps 10 --json",
    "weft bench mlp --steps 10 --report",
    "weft bench ops --small --device emulator",
    "weft dump mlp",
    "weft dump mlp --emit asm",
    "weft dump mlp --emit ptx",
    "weft dump mlp -o -",
    "weft opt dense.weft --batch 4",
    "weft opt dense.weft --batch 4 --emit llvm",
    "weft run dense.weft --input x=x.npy",
    "weft tune dense.weft --batch 4 --seconds 0.1 -o tuned.schedules",
    "weft tune dense.weft --batch 4 --seconds 0.1 -o tuned.schedules --json",
    "weft compile dense.weft --batch 4 -o dense.o --report",
    "weft compile dense.weft --batch 4 -o dense.o --json",
    "weft verify-object object.o",
    "weft train gpt --data text.txt --context 8 --layers 1 --heads 1 --width 4 --batch-size 4 --epochs 1",
    "weft generate text.safetensors --tokens 20",
    "weft generate text.safetensors --tokens 20 --json",
    "weft cache info",
    "weft cache info --json",
    "weft cache verify",
    "weft cache clear",
    "weft devices",
    "weft devices --json",
};

struct Stream {
  const char* name;
  const char* redirection;  // of stdout
  const char* reason;
};
const Stream kStreams[] = {
    {"closed", ">&-", "Bad file descriptor"},
    {"full", ">/dev/full", "No space left on device"},
    {"a pipe that nobody reads", ">&5", "Broken pipe"},
};

/// A folder with what the commands need.
struct Folder : TempDir {
  Folder() {
    write_tiny_mnist(file("data"), 300, 50);
    for (const char* name : {"dense.weft", "x.npy"})
      spill(file(name), slurp(WEFT_SOURCE_DIR "/examples/" + std::string(name)));
    REQUIRE(shell("weft compile dense.weft --batch 4 -o object.o", path()).code == 0);
    std::string text;
    while (text.size() < 400) text += "warp and weft\n";
    spill(file("text.txt"), text);
    REQUIRE(shell("weft train gpt --data text.txt --context 8 --layers 1 --heads 1 --width 4 --batch-size 4 --epochs 1 "
                  "--save text.safetensors",
                  path())
                .code == 0);
  }
  Result run(const std::string& command) const {
    // Descriptor 5: the end of a pipe whose other end is closed already.
    return shell("unset WEFT_CACHE; export WEFT_CACHE_DIR=$PWD/cache; exec 5> >(:); wait $!\n" + command, path());
  }
};

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("every subcommand is among those whose streams are tested") {
  std::istringstream help(shell("weft --help", "/").out);
  std::string all;
  for (const char* command : kCommands) all += std::string(command) + "\n";
  bool listed = false;
  int found = 0;
  for (std::string line; std::getline(help, line); listed = listed || line == "Subcommands:") {
    std::istringstream words(line);
    if (std::string name; listed && words >> name && name != "import") {  // not yet built in
      INFO(name);
      CHECK(contains(all, "weft " + name + " "));
      ++found;
    }
  }
  CHECK(found >= 8);
}

TEST_CASE("a command whose stdout does not take its result says so and fails") {
  const Folder folder;
  for (const Stream& stream : kStreams)
    for (const std::string command : kCommands) {
      const Result r = folder.run(command + " " + stream.redirection);
      INFO(command << ", stdout is " << stream.name << "\n" << r);
      CHECK(r.code == 1);
      std::string said = r.err;
      if (const std::size_t at = said.find("weft: error: "); at != said.npos) said.erase(0, at);
      CHECK(lines(said) == 1);
      CHECK(contains(said, "weft: error: cannot write stdout: "));
    }
}

TEST_CASE("a stdout that takes nothing costs no file that a command was to write") {
  const Folder folder;
  const char* const commands[] = {
      "weft train mnist --epochs 1 --data data --save F",
      "weft train mnist --epochs 1 --data data --json --save F",
      "weft tune dense.weft --batch 4 --seconds 0.1 -o F",
      "weft tune dense.weft --batch 4 --seconds 0.1 -o F --json",
      "weft dump mlp -o F",
      "weft opt dense.weft --batch 4 --stats --print-after-all -o F",
      "weft run dense.weft --input x=x.npy --output-dir . && mv probability.npy F",
  };
  for (const std::string command : commands) {
    REQUIRE(folder.run("rm -f F").code == 0);
    REQUIRE(folder.run(command).code == 0);
    const std::string size = folder.run("stat -c %s F").out;
    for (const Stream& stream : kStreams) {
      const Result r = folder.run("rm -f F; { " + command + "; } " + stream.redirection);
      INFO(command << ", stdout is " << stream.name << "\n" << r);
      if (contains(command, " train ")) {
        CHECK(r.code == 1);
        CHECK(contains(r.err, "weft: error: cannot write stdout: " + std::string(stream.reason)));
      }
      CHECK((contains(command, " tune ") || folder.run("stat -c %s F").out == size));
      CHECK(folder.run("test -s F").code == 0);
    }
  }
}

TEST_CASE("the exit code of a signal stays when stdout takes nothing") {
  const Folder folder;
  const Result r =
      folder.run("weft train mnist --epochs 1000000 --data data --save F >/dev/full & sleep 1; kill -TERM $!; wait $!");
  INFO(r);
  CHECK(r.code == 143);
  CHECK(contains(r.err, "weft: error: cannot write stdout: No space left on device"));
  CHECK(folder.run("test -s F").code == 0);
}

TEST_CASE("a command whose stderr is closed or full does its work all the same") {
  const Folder folder;
  for (const char* redirection : {"2>&-", "2>/dev/full", "2>&5", "<&- 2>&-"})
    for (const std::string command : kCommands) {
      const Result r = folder.run(command + " " + redirection);
      INFO(command << " " << redirection << "\n" << r);
      CHECK(r.code == 0);
      CHECK_FALSE(r.out.empty());
    }
  for (const char* wrong : {"weft", "weft nonsense", "weft dump mlp --nonsense"})
    for (const char* redirection : {"2>&-", "2>/dev/full", "2>&5", ">&- 2>&-"}) {
      INFO(wrong << " " << redirection);
      CHECK(folder.run(std::string(wrong) + " " + redirection).code == 2);
    }
  CHECK(folder.run("weft opt missing.weft >&- 2>&-").code == 1);
}

TEST_CASE("a reader that leaves early does not end the training whose model is to be saved") {
  const Folder folder;
  const Result r =
      folder.run("weft train mnist --epochs 3 --data data --save saved.safetensors | head -1; echo ${PIPESTATUS[0]}");
  INFO(r);
  CHECK(contains(r.out, "model: mlp"));
  CHECK(folder.run("test -s saved.safetensors").code == 0);
}

TEST_CASE("no file is taken for a standard stream that is closed") {
  const Folder folder;
  const Result r = folder.run(
      "weft dump mlp -o step.weft <&- >&- 2>&-; weft opt step.weft --emit graph | cmp - <(weft dump mlp --emit "
      "optimized)");
  INFO(r);
  CHECK(r.code == 0);
  CHECK(folder.run("weft opt - --emit graph <&- 2>&1").out ==
        "weft: error: cannot read <stdin>: Bad file descriptor\n");
}

TEST_CASE("a limit on the size of files is an error, not a signal") {
  const Folder folder;
  const std::string limit = "ulimit -f 16; ";  // KiB: more than the messages, less than a model
  for (const char* command :
       {"weft train mnist --epochs 1 --data data --save big.safetensors", "weft dump mlp --emit asm -o big.s"}) {
    const Result r = folder.run(limit + command);
    INFO(command << "\n" << r);
    CHECK(r.code == 1);
    CHECK(contains(r.err, "weft: error: cannot write "));
    CHECK(contains(r.err, "File too large"));
  }
  CHECK(folder.run("ls big.safetensors* 2>/dev/null").out.empty());  // all or nothing
  // The cache of kernels is done without.
  const Result r = folder.run("rm -rf cache; " + limit + "weft run dense.weft --input x=x.npy");
  INFO(r);
  CHECK(r.code == 0);
}
