// Where the time of a compiled step goes, kernel by kernel.
#pragma once
#include <string>
#include <vector>

#include "compiler/placement.h"
#include "ir/graph/graph.h"
#include "passes/schedule/schedule_table.h"

namespace weft::tools {

/// Compiles the fused graph for a place on the CPU, runs it on `inputs` (data and states, in the order of
/// Graph::inputs(); states are copied) and returns a table: for each kernel the median time of several runs, its rates,
/// the share of the limiting roof that they reach (multiply-adds, or a copy within the program's memory), and the
/// source lines it came from.
std::string profile_report(const Graph& fused, const std::vector<Array>& inputs, const Placement& place,
                           const ScheduleTable* schedules = nullptr);

/// "model.cpp:12,14 main.cpp:3": file names without their folders.
std::string source_lines(LocSet locs);

}  // namespace weft::tools
