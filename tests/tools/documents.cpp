// Every `weft …` command line in README and the guides is run, on a tiny data set, and every file that they name
// exists.
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "catch.h"
#include "tools/command.h"

using namespace weft::test;
namespace fs = std::filesystem;

namespace {

const fs::path kRoot = WEFT_SOURCE_DIR;

std::vector<fs::path> documents() {
  std::vector<fs::path> found = {kRoot / "README.md", kRoot / "CONTRIBUTING.md", kRoot / "ir/README.md"};
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "docs"))
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  return found;
}

/// Lines of code blocks marked `sh` that hold commands, without their comments.
std::vector<std::string> shell_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("```")) {
      inside = line == "```sh";
      continue;
    }
    if (const std::size_t comment = line.find("  #"); comment != line.npos) line.resize(comment);
    if (inside && !line.empty() && line[0] != '#') lines.push_back(line);
  }
  return lines;
}

/// A command as a test can run it: two epochs, ten steps.
std::string shortened(std::string line) {
  line = std::regex_replace(line, std::regex("--epochs [0-9]+"), "--epochs 2");
  line = std::regex_replace(line, std::regex("--steps [0-9]+"), "--steps 10");
  line = std::regex_replace(line, std::regex("(weft train mnist)(?!.*--epochs)"), "$1 --epochs 2");
  return line;
}

}  // namespace

TEST_CASE("every weft command of the documents runs") {
  const TempDir dir;
  write_tiny_mnist(dir.file("data"), 600, 100);
  // The commands are meant for the root of the tree: a folder that looks like it, where they may write.
  fs::create_directories(dir.file("build/bin"));
  fs::create_symlink(WEFT_BIN, dir.file("build/bin/weft"));
  for (const char* name : {"examples", "README.md"}) fs::create_symlink(kRoot / name, dir.file(name));
  int commands = 0;
  for (const fs::path& document : documents())
    for (const std::string& line : shell_lines(slurp(document))) {
      if (line.find("weft ") == line.npos) continue;
      ++commands;
      const Result r = shell("set -o pipefail; unset WEFT_DATA; " + shortened(line), dir.path());
      INFO(document << ": " << line << "\n" << r);
      CHECK(r.code == 0);
    }
  CHECK(commands >= 8);
}

TEST_CASE("the C program of docs/objects.md links what its command makes, and trains") {
  const std::string text = slurp(kRoot / "docs/objects.md");
  const std::size_t begin = text.find("```c\n") + 5;
  const TempDir dir;
  spill(dir.file("train.c"), text.substr(begin, text.find("```", begin) - begin));
  const Result r = shell(
      shell_lines(text).at(0).replace(0, std::string("build/bin/").size(), "") +
          " && " WEFT_CXX " -x c -std=c99 -Wall -Wextra -Wpedantic -Werror train.c -x none mlp.o -o train && ./train",
      dir.path());
  INFO(r);
  CHECK(r.code == 0);
  CHECK(std::regex_match(r.out, std::regex("loss [0-9.]+e-0[3-9]\n")));
}

TEST_CASE("README's model is examples/quickstart.cpp and that runs") {
  const std::string source = slurp(kRoot / "examples/quickstart.cpp"), readme = slurp(kRoot / "README.md");
  CHECK(contains(readme, "```cpp\n" + source.substr(source.find("#include")) + "```"));
  const TempDir dir;
  write_tiny_mnist(dir.file("data"), 600, 100);
  const Result r = shell("unset WEFT_DATA; quickstart", dir.path());
  INFO(r);
  CHECK(r.code == 0);
  for (const char* text : {"accuracy: 1.0000", "func @", "kernel @", "update %dense.weight"})
    CHECK(contains(r.out, text));
}

TEST_CASE("README shows the kernel that dump prints", "[golden]") {
  const TempDir dir;
  const std::string dump = shell("weft dump mlp", dir.path()).out;
  const std::size_t update = dump.find("= sub %dense.weight,");
  REQUIRE(update != dump.npos);
  const std::size_t begin = dump.rfind("  kernel @", update), end = dump.find("\n  }\n", update) + 5;
  const std::string kernel = dump.substr(begin, end - begin);

  const std::string path = kRoot / "README.md", readme = slurp(path);
  const std::string fence = "```text\n";
  const std::size_t shown = readme.find(fence + "  kernel @") + fence.size(), shown_end = readme.find("```", shown);
  REQUIRE(shown_end != readme.npos);
  if (const char* bless = std::getenv("BLESS"); bless && std::string(bless) == "1")
    return spill(path, readme.substr(0, shown) + kernel + readme.substr(shown_end));
  // Numbers of values shift with every change elsewhere in the step.
  const std::regex numbers("([%@][a-z]*)[0-9]+");
  CHECK(std::regex_replace(readme.substr(shown, shown_end - shown), numbers, "$1") ==
        std::regex_replace(kernel, numbers, "$1"));
}

TEST_CASE("every C++ snippet of the documents is part of a program that the tests run") {
  // Without indentation, which a snippet has less of.
  const auto flat = [](const std::string& code) { return std::regex_replace(code, std::regex("\\n +"), "\n"); };
  std::string programs;
  for (const auto& entry : fs::directory_iterator(kRoot / "examples"))
    if (entry.path().extension() == ".cpp") programs += flat("\n" + slurp(entry.path()));
  int found = 0;
  for (const fs::path& document : documents()) {
    const std::string text = slurp(document);
    for (std::size_t at = 0; (at = text.find("```cpp\n", at)) != text.npos; ++found) {
      const std::size_t begin = at + 6, end = text.find("```", begin);
      const std::string code = flat(text.substr(begin, end - begin));
      INFO(document << ":\n" << code);
      CHECK(contains(programs, code));
      at = end;
    }
  }
  CHECK(found >= 4);
}

TEST_CASE("every public name stands in a document") {
  // What weft.h includes and the readers and writers of files; not what only tools and tests of weft use.
  std::set<std::string> headers = {"runtime/files/idx.h", "runtime/files/npy.h", "runtime/files/safetensors.h"},
                        documented;
  const std::set<std::string> inner = {"runtime/cuda/cuda_device.h"};
  std::string all;
  for (const fs::path& document : documents()) all += slurp(document);
  const std::regex include("#include <weft/((frontend|runtime)/[a-z_/]+\\.h)>"), word("[A-Za-z_][A-Za-z_0-9]*"),
      declared(
          "(^|\n)(?:(?:class|struct) ([A-Z][A-Za-z]*)(?= final| :| \\{|\n)|extern const [A-Za-z]+ ([a-z_0-9]+);|"
          "[A-Za-z][A-Za-z0-9_:<>, ]*[ &*]([a-z][a-z_0-9]*)\\()");
  const auto each = [](const std::string& text, const std::regex& r, auto&& f) {
    for (auto it = std::sregex_iterator(text.begin(), text.end(), r); it != std::sregex_iterator(); ++it) f(*it);
  };
  each(slurp(kRoot / "frontend/include/weft/weft.h"), include, [&](const std::smatch& m) { headers.insert(m[1]); });
  each(all, word, [&](const std::smatch& m) { documented.insert(m[0]); });
  std::size_t names = 0;
  for (const std::string& header : headers) {
    if (inner.contains(header)) continue;
    each(slurp(kRoot / header), declared, [&](const std::smatch& m) {
      const std::string name = m[2].matched ? m[2] : m[3].matched ? m[3] : m[4];
      INFO(header << ": " << name);
      CHECK(documented.contains(name));
      ++names;
    });
  }
  CHECK(names >= 150);
}

TEST_CASE("scripts named in the documents exist and can be executed") {
  const std::regex script(R"(\./(scripts/[A-Za-z0-9_]+\.(sh|py)))");
  int found = 0;
  for (const fs::path& document : documents()) {
    const std::string text = slurp(document);
    for (auto it = std::sregex_iterator(text.begin(), text.end(), script); it != std::sregex_iterator();
         ++it, ++found) {
      INFO(document << ": " << it->str());
      const fs::path path = kRoot / it->str(1);
      REQUIRE(fs::exists(path));
      CHECK((fs::status(path).permissions() & fs::perms::owner_exec) != fs::perms::none);
    }
  }
  CHECK(found >= 2);
}

TEST_CASE("links between the documents lead somewhere") {
  const std::regex code(R"(```[^`]*```)");  // where a lambda looks like a link
  const std::regex link(R"(\]\(([^)#:]+)(#[^)]*)?\))");
  for (const fs::path& document : documents()) {
    const std::string text = std::regex_replace(slurp(document), code, "");
    for (auto it = std::sregex_iterator(text.begin(), text.end(), link); it != std::sregex_iterator(); ++it) {
      INFO(document << ": " << it->str());
      CHECK(fs::exists(document.parent_path() / it->str(1)));
    }
  }
}
