// The folder layout is the design: what each folder may include, how long a file may be, and that each says what it is
// for.
#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "catch.h"
#include "tools/command.h"

namespace fs = std::filesystem;
using Names = std::set<std::string>;

namespace {

struct Folder {
  std::string name;
  Names folders;    // whose headers it may include, besides its own
  Names libraries;  // first component of the third-party headers it may include
};
const Folder kFolders[] = {
    {"ir", {}, {"fmt"}},
    {"passes", {"ir"}, {"fmt"}},
    {"codegen", {"ir"}, {"fmt", "llvm", "llvm-c"}},
    {"runtime", {"ir"}, {"fmt", "nlohmann", "zlib.h"}},
    {"compiler", {"ir", "passes", "codegen", "runtime"}, {"fmt"}},
    {"frontend", {"ir", "passes", "codegen", "runtime", "compiler", "weft"}, {"fmt", "weft"}},
    {"tools",
     {"ir", "passes", "codegen", "runtime", "compiler", "frontend", "weft"},
     {"fmt", "CLI", "nlohmann", "weft"}},
};
// The folders within each, in an order that includes follow. Headers that lie in the folder itself are its interface,
// for all of them; sources there use all of them.
struct SubFolder {
  std::string name;
  Names folders;  // of the same library, whose headers it may include, besides its own
};
const SubFolder kSubFolders[] = {
    {"ir/base", {}},
    {"ir/ops", {"ir/base"}},
    {"ir/graph", {"ir/base", "ir/ops"}},
    {"ir/memory", {"ir/base", "ir/ops"}},
    {"ir/kernel", {"ir/base", "ir/ops", "ir/graph", "ir/memory"}},
    {"ir/kernel/interpreter", {"ir/base", "ir/ops", "ir/graph", "ir/memory", "ir/kernel"}},
    {"ir/simt", {"ir/base", "ir/ops", "ir/memory"}},
    {"ir/artifact", {"ir/base", "ir/memory", "ir/simt"}},
    {"passes/graph", {}},
    {"passes/transform", {"passes/graph"}},
    {"passes/schedule", {}},
    {"passes/kernel", {"passes/graph", "passes/schedule"}},
    {"codegen/cpu", {}},
    {"codegen/cpu/contract", {"codegen/cpu"}},
    {"codegen/gpu", {"codegen/cpu"}},
    {"codegen/llvm", {"codegen/cpu", "codegen/cpu/contract"}},
    {"codegen/ptx", {"codegen/cpu", "codegen/llvm"}},
    {"codegen/cache", {"codegen/cpu", "codegen/llvm"}},
    {"codegen/object", {"codegen/cpu", "codegen/llvm", "codegen/cache"}},
    {"runtime/host", {}},
    {"runtime/device", {"runtime/host"}},
    {"runtime/cuda", {"runtime/device"}},
    {"runtime/emulator", {"runtime/host", "runtime/device"}},
    {"runtime/files", {}},
    {"runtime/data", {"runtime/files"}},
    {"frontend/tensor", {}},
    {"frontend/executable", {"frontend/tensor"}},
    {"frontend/nn", {"frontend/tensor", "frontend/executable"}},
    {"frontend/train", {"frontend/tensor", "frontend/executable", "frontend/nn"}},
    {"tools/support", {}},
    {"tools/measure", {"tools/support"}},
    {"tools", {"tools/support", "tools/measure"}},
};
constexpr int kMostSources = 14;  // beside each other
// The runtime runs artefacts and knows neither graphs nor kernels: what an ahead-of-time compiled model links stays
// small.
const Names kInRuntime = {"ir/base", "ir/ops", "ir/memory", "ir/simt", "ir/artifact"};
const Names kLibraries = {"fmt", "llvm", "llvm-c", "CLI", "nlohmann", "zlib.h", "catch2", "benchmark", "weft"};

const fs::path kRoot = WEFT_SOURCE_DIR;

std::vector<fs::path> sources(const std::string& folder, const Names& extensions = {".h", ".cpp"}) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder))
    if (entry.is_regular_file() && extensions.contains(entry.path().extension().string()))
      found.push_back(entry.path());
  return found;
}

struct Include {
  char kind;  // '<' or '"'
  std::string header;
  /// "ir/graph/graph.h" for <weft/ir/graph/graph.h> and "ir/graph/graph.h", "" for what is not weft's.
  std::string own() const {
    if (kind == '"') return header;
    return header.starts_with("weft/") && header != "weft/weft.h" ? header.substr(5) : "";
  }
};
std::vector<Include> includes(const fs::path& path) {
  static const std::regex pattern(R"re(^\s*#\s*include\s*([<"])([^>"]+)[>"])re");
  std::vector<Include> found;
  std::istringstream text(weft::test::slurp(path));
  std::smatch match;
  for (std::string line; std::getline(text, line);)
    if (std::regex_search(line, match, pattern)) found.push_back({*match[1].first, match[2]});
  return found;
}

std::string first_component(const std::string& header) { return header.substr(0, header.find('/')); }

const std::string kAllFolders[] = {"ir",       "passes", "codegen", "runtime",  "compiler",
                                   "frontend", "tools",  "tests",   "examples", "bench"};

}  // namespace

TEST_CASE("includes follow the design's table") {
  for (const Folder& folder : kFolders) {
    const auto files = sources(folder.name);
    REQUIRE_FALSE(files.empty());
    for (const fs::path& file : files) {
      INFO(file);
      for (const Include& include : includes(file)) {
        INFO("#include " << include.kind << include.header);
        if (const std::string own = include.own(); !own.empty()) {
          const std::string first = first_component(own);
          CHECK((first == folder.name || folder.folders.contains(first)));
          if (folder.name == "runtime" && first == "ir") CHECK(kInRuntime.contains(own.substr(0, own.rfind('/'))));
        } else if (const std::string first = first_component(include.header); kLibraries.contains(first)) {
          CHECK(folder.libraries.contains(first));
        }
      }
    }
  }
}

TEST_CASE("includes within a library go one way, and no folder is crowded") {
  Names known;
  for (const SubFolder& folder : kSubFolders) {
    known.insert(folder.name);
    const std::string library = first_component(folder.name);
    int count = 0;
    for (const fs::path& file : sources(folder.name)) {
      INFO(file);
      if (file.parent_path() != kRoot / folder.name) continue;  // of a folder in it
      count += file.extension() == ".cpp";
      for (const Include& include : includes(file)) {
        const std::string from = fs::path(include.own()).parent_path().string();
        if (first_component(from) != library || from == folder.name || from == library) continue;
        INFO("#include " << include.kind << include.header);
        CHECK(folder.folders.contains(from));
      }
    }
    INFO(folder.name);
    CHECK(count > 0);
    CHECK(count <= kMostSources);
  }
  for (const Folder& folder : kFolders) {
    for (const fs::path& file : sources(folder.name)) {
      const std::string where = fs::relative(file.parent_path(), kRoot).string();
      INFO(file);
      CHECK((where == folder.name || known.contains(where) || where == "frontend/include/weft"));
    }
  }
}

TEST_CASE("installed headers include each other as <weft/…>, and nothing that is not installed") {
  // By quotes, a user's own ir/graph/graph.h would be taken for weft's.
  std::set<std::string> installed{"weft/weft.h"};
  std::istringstream list(WEFT_INSTALLED_HEADERS);
  for (std::string header; std::getline(list, header, ':');) installed.insert("weft/" + header);
  REQUIRE(installed.size() > 50);
  for (const std::string& header : installed) {
    INFO(header);
    const fs::path file = fs::path(WEFT_BINARY_DIR) / "include" / header;
    REQUIRE(fs::exists(file));
    for (const Include& include : includes(file)) {
      INFO("#include " << include.kind << include.header);
      CHECK(include.kind == '<');
      if (first_component(include.header) == "weft") CHECK(installed.contains(include.header));
    }
  }
}

TEST_CASE("LLVM headers stay inside codegen and out of its public headers") {
  for (const std::string& folder : kAllFolders)
    for (const fs::path& file : sources(folder)) {
      static const Names kPublic = {"codegen.h", "cache.h", "device.h", "object.h"};
      if (folder == "codegen" && !kPublic.contains(file.filename().string())) continue;
      INFO(file);
      for (const auto& include : includes(file)) CHECK_FALSE(first_component(include.header).starts_with("llvm"));
    }
}

TEST_CASE("every source file is short and starts by saying what it is for") {
  const std::map<std::string, std::string> comment = {
      {".h", "//"}, {".cpp", "//"}, {".sh", "#"}, {".py", "#"}, {".cmake", "#"}};
  std::vector<std::string> folders(std::begin(kAllFolders), std::end(kAllFolders));
  folders.insert(folders.end(), {"scripts", "cmake"});
  for (const std::string& folder : folders)
    for (const fs::path& file : sources(folder, {".h", ".cpp", ".sh", ".py", ".cmake"})) {
      INFO(file);
      const std::string text = weft::test::slurp(file);
      CHECK(std::count(text.begin(), text.end(), '\n') <= 500);
      std::istringstream lines(text);
      std::string first;
      std::getline(lines, first);
      if (first.starts_with("#!")) std::getline(lines, first);
      const bool docstring = file.extension() == ".py" && first.starts_with("\"\"\"");
      CHECK((docstring || first.starts_with(comment.at(file.extension().string()))));
    }
}
