// How many CPUs this process may use.
#pragma once
#include <string_view>
#include <vector>

namespace weft {

/// The CPUs that this thread may run on (its affinity mask), in order; empty where a mask cannot hold them.
std::vector<int> affinity();

/// How many of them there are, at most as many as the time that the process's control groups give it is worth; at
/// least 1.
int usable_cpus();

/// What a control group's cpu.max says, in CPUs: 1.5 for "150000 100000"; infinite for "max 100000" and what is no
/// cpu.max.
double cpus_worth(std::string_view cpu_max);

}  // namespace weft
