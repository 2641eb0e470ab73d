// The scheduler's mask, and the quotas of control groups (version 2, where /sys/fs/cgroup is mounted).
#include "runtime/host/cpus.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>

namespace weft {
namespace {

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

/// The least that this process's group and those around it allow.
double quota() {
  std::string group = first_line("/proc/self/cgroup");
  if (!group.starts_with("0::/")) return std::numeric_limits<double>::infinity();
  group.erase(0, 3);
  double least = cpus_worth(first_line("/sys/fs/cgroup/cpu.max"));
  for (; group.size() > 1; group.erase(group.rfind('/')))
    least = std::min(least, cpus_worth(first_line("/sys/fs/cgroup" + group + "/cpu.max")));
  return least;
}

}  // namespace

double cpus_worth(std::string_view cpu_max) {
  double quota = 0, period = 0;
  const char *begin = cpu_max.data(), *end = begin + cpu_max.size();
  const auto first = std::from_chars(begin, end, quota);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return std::numeric_limits<double>::infinity();
  const auto second = std::from_chars(first.ptr + 1, end, period);
  if (second.ec != std::errc() || !(quota > 0) || !(period > 0)) return std::numeric_limits<double>::infinity();
  return quota / period;
}

std::vector<int> affinity() {
  std::vector<int> cpus;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

int usable_cpus() {
  const auto mask = affinity().size();
  const double cpus = mask > 0 ? static_cast<double>(mask) : static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  return static_cast<int>(std::max(1.0, std::min(cpus, std::ceil(quota()))));
}

}  // namespace weft
