// NVIDIA's assembler, run as a command; its report, parsed.
#include "ptxas.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "ir/base/error.h"

namespace weft::test {
namespace {

std::string output_of(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " 2>&1").c_str(), "r"), &pclose);
  ensure(pipe != nullptr, "cannot run {}", command);
  std::string text;
  std::array<char, 4096> part{};
  for (std::size_t n; (n = fread(part.data(), 1, part.size(), pipe.get())) > 0;) text.append(part.data(), n);
  return text;
}

}  // namespace

const std::string& ptxas() {
  static const std::string found = [] {
    std::vector<std::string> folders;
    if (const char* path = std::getenv("PATH")) {
      std::istringstream list(path);
      for (std::string folder; std::getline(list, folder, ':');) folders.push_back(folder);
    }
    if (const char* home = std::getenv("CUDA_HOME")) folders.push_back(std::string(home) + "/bin");
    folders.emplace_back("/usr/local/cuda/bin");
    for (const std::string& folder : folders)
      if (const std::string file = folder + "/ptxas"; access(file.c_str(), X_OK) == 0) return file;
    return std::string();
  }();
  return found;
}

const std::string& ptxas_version() {
  static const std::string version = [] {
    std::smatch match;
    const std::string text = output_of("'" + ptxas() + "' --version");
    return std::regex_search(text, match, std::regex("release ([0-9.]+)")) ? match[1].str() : std::string("unknown");
  }();
  return version;
}

PtxReport assemble(const std::string& ptx, const std::string& arch) {
  std::string pattern = std::filesystem::temp_directory_path() / "weft-ptx-XXXXXX";
  const int file = mkstemp(pattern.data());
  ensure(file >= 0, "cannot make a temporary file");
  close(file);
  std::ofstream(pattern, std::ios::binary) << ptx;
  const std::string text = output_of(fmt::format("'{}' -v -arch={} -o /dev/null '{}'", ptxas(), arch, pattern));
  std::filesystem::remove(pattern);

  PtxReport report;
  struct Figure {
    const char* what;
    int PtxUse::*place;
  };
  constexpr Figure kFigures[] = {{" registers", &PtxUse::registers},
                                 {" bytes spill stores", &PtxUse::spill_stores},
                                 {" bytes spill loads", &PtxUse::spill_loads}};
  static const std::regex entry("Compiling entry function '([^']+)'");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (std::smatch match; std::regex_search(line, match, entry)) report.functions.push_back({match[1]});
    if (line.find("error") != line.npos || line.find("fatal") != line.npos) report.errors += line + "\n";
    for (const Figure& f : kFigures)
      if (std::smatch match;
          !report.functions.empty() && std::regex_search(line, match, std::regex("([0-9]+)" + std::string(f.what))))
        report.functions.back().*f.place = std::stoi(match[1]);
  }
  std::ranges::sort(report.functions, {}, &PtxUse::function);
  return report;
}

}  // namespace weft::test
