// Memory of the machine, of the control group (cgroup v2 and v1) and of the process (RLIMIT_AS).
#include "ir/base/memory_limit.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "ir/base/error.h"

namespace weft {
namespace {

std::int64_t find_limit() {
  std::int64_t limit = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    if (std::int64_t bytes = 0; file >> bytes && bytes > 0) limit = std::min(limit, bytes);  // "max" is no number
  }
  rlimit space{};
  if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
    limit = static_cast<std::int64_t>(std::min<rlim_t>(static_cast<rlim_t>(limit), space.rlim_cur));
  return limit;
}

}  // namespace

std::string size_text(std::int64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) value /= 1024, ++unit;
  return fmt::format("{:.{}f} {}", value, unit ? 1 : 0, kUnits[unit]);
}

std::int64_t memory_limit() {
  static const std::int64_t limit = find_limit();
  return limit;
}

void check_memory(std::int64_t bytes, std::string_view what) {
  if (bytes > memory_limit())
    fail("{} needs {} of memory, more than the {} that this process may use", what, size_text(bytes),
         size_text(memory_limit()));
}

}  // namespace weft
