// Kernels in canonical form, told apart by the digests of their keys.
#include "codegen/cache/forms.h"

#include <unordered_map>

#include "ir/base/at.h"
#include "ir/kernel/footprint.h"
#include "ir/kernel/unproven.h"

namespace weft::codegen {

Forms forms_of(const Program& program, const KeyMaker& make_key) {
  Forms result;
  std::unordered_map<std::string, std::size_t> known;  // by digest
  for (const Kernel& kernel : program.kernels) {
    CanonicalKernel form = canonical(program, kernel);
    KernelKey key = make_key(form.program);
    result.arguments.push_back(std::move(form.arguments));
    const auto [at, is_new] = known.emplace(key.digest, result.list.size());
    result.of.push_back(at->second);
    if (is_new) result.list.push_back({&kernel, std::move(form), std::move(key)});
  }
  return result;
}

namespace {

HostLaunch launch_of(const Program& program, std::size_t k, std::size_t phase, const Forms& forms,
                     const PhaseCode& code) {
  const Kernel& kernel = program.kernels[k];
  const AxisSplit& s = code.split;
  HostLaunch launch{.kernel = static_cast<std::int32_t>(k),
                    .name = kernel.name,
                    .symbol = code.symbol,
                    .arguments = forms.arguments[k],
                    .units = code.units,
                    .scratch_bytes = code.scratch_bytes,
                    .cycles = code.cost};
  if (s.axis != kNone) launch.split = {at(kernel.axes, s.axis).extent, s.units, s.values, s.fewer, s.last};
  Footprint touched = footprint(program, kernel, kernel.phases[phase], s.axis);
  launch.uses = std::move(touched.uses);
  launch.bytes = touched.bytes;
  if (program.check_indices)
    for (const UnprovenIndex& u : unproven_indices(program, kernel))
      launch.checks.push_back(out_of_bounds_text(program, kernel, u));
  return launch;
}

}  // namespace

std::vector<HostLaunch> launches_of(const Program& program, const Forms& forms,
                                    llvm::function_ref<const std::vector<PhaseCode>&(std::size_t)> phases_of) {
  std::vector<HostLaunch> launches;
  for (std::size_t k = 0; k < program.kernels.size(); ++k)
    for (std::size_t p = 0; p < program.kernels[k].phases.size(); ++p)
      launches.push_back(launch_of(program, k, p, forms, phases_of(forms.of[k])[p]));
  return launches;
}

}  // namespace weft::codegen
