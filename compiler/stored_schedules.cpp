// Files of measured schedules.
#include "compiler/stored_schedules.h"

#include <cstdlib>
#include <filesystem>
#include <span>
#include <string_view>

#include "runtime/files/file.h"

namespace weft {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{16} << 20;  // of a file: tens of thousands of kernels

ScheduleTable read_table(const std::string& path, const CpuTarget& target) {
  const std::vector<std::byte> bytes = read_file(path, kMostBytes);
  return ScheduleTable::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path, target);
}

}  // namespace

std::shared_ptr<const ScheduleTable> read_schedules(const std::string& paths, const CpuTarget& target) {
  const char* fallback = std::getenv("WEFT_SCHEDULES");
  std::string_view rest = !paths.empty() ? std::string_view(paths) : fallback ? fallback : "";
  std::shared_ptr<ScheduleTable> all;
  while (!rest.empty()) {
    const std::string path(rest.substr(0, rest.find(':')));
    rest.remove_prefix(std::min(path.size() + 1, rest.size()));
    if (path.empty()) continue;
    if (!all) all = std::make_shared<ScheduleTable>();
    all->merge(read_table(path, target));
  }
  return all;
}

void add_schedules(const std::string& path, const ScheduleTable& rows, const CpuTarget& target) {
  const FolderLock lock(path);  // nobody else adds rows between reading and writing
  ScheduleTable all;
  if (std::filesystem::exists(path)) all = read_table(path, target);
  all.merge(rows);
  const std::string text = all.str();
  const std::span<const std::byte> piece = std::as_bytes(std::span(text));
  atomic_write(path, {&piece, 1});
}

}  // namespace weft
