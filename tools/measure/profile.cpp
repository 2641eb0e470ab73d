// Times each kernel of a compiled step and sets it beside its work: multiply-adds of its contractions, and bytes of the
// elements that it loads and stores (each counted once, wherever it comes from). Its roof is the time that either would
// take at the best rate measured in this run.
#include "tools/measure/profile.h"

#include <algorithm>
#include <set>

#include "compiler/compilation.h"
#include "ir/kernel/kernel_walk.h"
#include "runtime/host/executor.h"
#include "tools/measure/peak.h"

namespace weft::tools {
namespace {

constexpr int kRuns = 50;

double extent_product(const Kernel& k, const std::set<AxisId>& axes) {
  double product = 1;
  for (const AxisId axis : axes) product *= static_cast<double>(k.axes[static_cast<std::size_t>(axis)].extent);
  return product;
}

double contraction_flops(const Kernel& k) {
  double flops = 0;
  for (const Phase& phase : k.phases)
    for (const KernelStage& stage : phase.stages) {
      if (stage.kind != KernelStage::contract) continue;
      std::set<AxisId> axes(phase.parallel.begin(), phase.parallel.end());
      axes.insert(stage.roles.k.begin(), stage.roles.k.end());
      axes.erase(stage.chunk_axis);
      flops += 2 * extent_product(k, axes);
    }
  return flops;
}

/// The axes that an access varies with, those of its indirect indices included.
void collect_axes(const Kernel& k, const std::vector<Index>& access, std::set<AxisId>& axes);
void collect_axes(const Kernel& k, ExprId id, std::set<AxisId>& axes) {
  const Expr& e = k.exprs[static_cast<std::size_t>(id)];
  collect_axes(k, e.access, axes);
  for (const ExprId arg : e.args) collect_axes(k, arg, axes);
}
void collect_axes(const Kernel& k, const std::vector<Index>& access, std::set<AxisId>& axes) {
  for (const Index& index : access) {
    for (const auto& term : index.terms) axes.insert(term.first);
    if (index.indirect != kNone) collect_axes(k, index.indirect, axes);
  }
}

double bytes_moved(const Program& p, const Kernel& k) {
  double bytes = 0;
  for_each_access(k, [&](BufferId buffer, const std::vector<Index>& access, ExprId) {
    std::set<AxisId> axes;
    collect_axes(k, access, axes);
    const Type& type = p.buffers[static_cast<std::size_t>(buffer)].type;
    const double elements = std::min(extent_product(k, axes), static_cast<double>(element_count(type.shape)));
    bytes += elements * static_cast<double>(size_of(type.dtype));
  });
  return bytes;
}

}  // namespace

std::string source_lines(LocSet locs) {
  std::string text, file;
  std::set<std::pair<std::string, std::uint32_t>> lines;
  for (const Loc& loc : locs.locs()) lines.insert({loc.file.substr(loc.file.rfind('/') + 1), loc.line});
  for (const auto& [name, line] : lines) {
    text += name == file ? fmt::format(",{}", line) : fmt::format("{}{}:{}", text.empty() ? "" : " ", name, line);
    file = name;
  }
  return text;
}

std::string profile_report(const Graph& fused, const std::vector<Array>& inputs, const Placement& place,
                           const ScheduleTable* schedules) {
  PipelineOptions options;
  options.schedules = schedules;
  const Machine machine = machine_of(place);
  Compilation compilation(fused, machine, options);
  const std::shared_ptr<const Program> program = compilation.program();
  Executor executor(compilation.artifact(), team_of(place));
  for (std::size_t i = 0; i < inputs.size(); ++i) executor.bind(i, inputs[i].clone());

  std::vector<std::vector<double>> times(program->kernels.size(), std::vector<double>(kRuns, 0.0));
  for (int run = 0; run < kRuns; ++run) {
    const std::vector<double> seconds = executor.run_profiled();
    for (std::size_t c = 0; c < seconds.size(); ++c)
      times[static_cast<std::size_t>(executor.artifact().launches[c].kernel)][static_cast<std::size_t>(run)] +=
          seconds[c];
  }

  const MemoryReport& m = executor.memory();
  const double peak = measure_peak_flops(executor.threads(), machine.host),
               copy = measure_copy_rate(executor.threads(), m.state_bytes + m.arena_bytes + m.output_bytes);
  std::string table = fmt::format("{:<32} {:>9} {:>9} {:>10} {:>8} {:>10}  {}\n", "kernel", "ms", "GFLOP/s", "bytes",
                                  "GB/s", "of roof", "lines");
  double total = 0, least = 0;
  for (std::size_t i = 0; i < program->kernels.size(); ++i) {
    const Kernel& kernel = program->kernels[i];
    std::ranges::sort(times[i]);
    const double seconds = times[i][kRuns / 2], bytes = bytes_moved(*program, kernel),
                 flops = contraction_flops(kernel), arithmetic = flops / peak, traffic = bytes / copy;
    total += seconds;
    least += std::max(arithmetic, traffic);
    table += fmt::format(
        "{:<32} {:>9.4f} {:>9.1f} {:>10.0f} {:>8.1f} {:>10}  {}\n", kernel.name, seconds * 1e3, flops / seconds * 1e-9,
        bytes, bytes / seconds * 1e-9,
        fmt::format("{:.0f}% {}", std::max(arithmetic, traffic) / seconds * 100, arithmetic > traffic ? "fma" : "copy"),
        source_lines(kernel.locs));
  }
  table += fmt::format("{:<32} {:>9.4f} {:>40}\n", "all", total * 1e3, fmt::format("{:.0f}%", least / total * 100));
  table +=
      fmt::format("code for {}; roofs, measured on {} threads: {} {:.1f} GFLOP/s; copy {:.1f} GB/s within {:.1f} MB\n",
                  machine.host.cpu, executor.threads(), peak_name(machine.host), peak * 1e-9, copy * 1e-9,
                  static_cast<double>(m.state_bytes + m.arena_bytes + m.output_bytes) * 1e-6);
  table +=
      fmt::format("memory: states {} B, temporaries {} B, outputs {} B, scratch {} B, inputs {} B, constants {} B\n",
                  m.state_bytes, m.arena_bytes, m.output_bytes, m.scratch_bytes, m.input_bytes, m.constant_bytes);
  return table;
}

}  // namespace weft::tools
