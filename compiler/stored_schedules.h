// Files of measured schedules: where compile() finds them, and how `weft tune` adds to them.
#pragma once
#include <memory>
#include <string>

#include <weft/ir/base/target.h>
#include <weft/passes/schedule/schedule_table.h>

namespace weft {

/// The tables in the files `paths` (separated by ':'; later files win), or, when that is empty, in those that the
/// environment variable WEFT_SCHEDULES names; null when there are none. Throws Error for a file that cannot be read, or
/// that is no table whose rows of `target` are legal.
std::shared_ptr<const ScheduleTable> read_schedules(const std::string& paths, const CpuTarget& target);

/// Adds rows to the file, in place of its rows of the same kernels and machine; others stay, those too that other
/// processes add at the same time. The file is replaced at once, or made. Throws Error as read_schedules() does, and
/// when it cannot be written.
void add_schedules(const std::string& path, const ScheduleTable& rows, const CpuTarget& target);

}  // namespace weft
