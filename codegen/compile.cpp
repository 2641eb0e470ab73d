// Programs to artefacts: kernels in canonical form are loaded from the object cache, or emitted and compiled in
// parallel, one context and module each; then they are linked, and given the program's buffers.
#include <llvm/IR/LLVMContext.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "codegen/cache/canonical.h"
#include "codegen/cache/kernel_key.h"
#include "codegen/cache/object_cache.h"
#include "codegen/cache/thunks.h"
#include "codegen/codegen.h"
#include "codegen/llvm/llvm_target.h"
#include "codegen/llvm/llvm_version.h"
#include "codegen/llvm/module.h"
#include "codegen/llvm/parallel.h"
#include "ir/base/at.h"
#include "ir/base/float_environment.h"
#include "ir/base/fork.h"
#include "ir/kernel/footprint.h"
#include "ir/kernel/unproven.h"

namespace weft {
namespace {

using namespace codegen;

std::string symbol_prefix(std::size_t kernel) { return "kernel" + std::to_string(kernel); }

/// Emits and optimises every kernel in turn and concatenates what `print` makes of the modules.
template <class F>
std::string dump(const Program& program, const CpuTarget& target, const char* comment, F print) {
  const ForkGuard guard;
  const DefaultFloats floats;
  const LlvmUse use;
  const auto machine = make_target_machine(target);
  std::string text;
  for (std::size_t k = 0; k < program.kernels.size(); ++k) {
    llvm::LLVMContext context;
    KernelModule m = emit_kernel(context, program, program.kernels[k], target, symbol_prefix(k));
    optimise(*m.module, *machine, {.verify = true});
    text += fmt::format("{} kernel @{}\n{}\n", comment, program.kernels[k].name, print(*m.module, *machine));
  }
  return text;
}

/// The kernels of a program by their forms: those that are copies of one another are compiled once.
struct Form {
  const Kernel* first;  // of the kernels that have it
  CanonicalKernel canonical;
  KernelKey key;
  CompiledKernel code;
  const Kernel& kernel() const { return canonical.kernel(); }
};
struct Forms {
  std::vector<Form> list;
  std::vector<std::size_t> of;                   // of each kernel: its form
  std::vector<std::vector<Argument>> arguments;  // of each kernel: what the form's buffers stand for
};
Forms forms_of(const Program& program, const KeyMaker& make_key) {
  Forms result;
  std::unordered_map<std::string, std::size_t> known;  // by digest
  for (const Kernel& kernel : program.kernels) {
    CanonicalKernel form = canonical(program, kernel);
    KernelKey key = make_key(form.program);
    result.arguments.push_back(std::move(form.arguments));
    const auto [at, is_new] = known.emplace(key.digest, result.list.size());
    result.of.push_back(at->second);
    if (is_new) result.list.push_back({&kernel, std::move(form), std::move(key), {}});
  }
  return result;
}

/// Forms without code in the order in which to compile them: long compilations first, so that none is left for one
/// thread at the end.
std::vector<Form*> costly_first(std::vector<Form>& forms) {
  std::vector<Form*> order;
  for (Form& f : forms)
    if (!f.code.object) order.push_back(&f);
  auto cost = [&](const Form* f) {
    constexpr std::size_t kMicroKernels = 100;  // in expressions
    return f->kernel().exprs.size() + (cpu_tile(f->kernel()) ? kMicroKernels : 0);
  };
  std::stable_sort(order.begin(), order.end(), [&](const Form* a, const Form* b) { return cost(a) > cost(b); });
  return order;
}

HostLaunch launch_of(const Program& program, std::size_t k, std::size_t phase, const Forms& forms) {
  const Kernel& kernel = program.kernels[k];
  const PhaseCode& code = forms.list[forms.of[k]].code.phases[phase];
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

/// A thunk for each launch.
std::vector<Thunk> thunks_of(const std::vector<HostLaunch>& launches, const LinkedCode& code) {
  std::vector<std::string> symbols;
  for (const HostLaunch& l : launches) symbols.push_back(l.symbol);
  const std::vector<void*> addresses = code.addresses(symbols);
  std::vector<Thunk> thunks;
  for (std::size_t i = 0; i < launches.size(); ++i)
    thunks.push_back({reinterpret_cast<KernelFn>(addresses[i]), launches[i].arguments});
  return thunks;
}

/// What an artefact owns.
struct OwnedCode {
  std::unique_ptr<LinkedCode> kernels;
  std::unique_ptr<Thunks> thunks;
};

}  // namespace

HostArtifact compile(const Program& program, const CpuTarget& target, const CodegenOptions& options) {
  const ForkGuard guard;
  const DefaultFloats floats;
  const auto start = std::chrono::steady_clock::now();
  const LlvmUse use;
  Forms forms = forms_of(program, KeyMaker(target, options.sanitizer));
  ObjectCache cache(options.verify ? CacheOptions{} : options.cache);
  for (Form& f : forms.list)
    if (auto code = cache.load(f.key, f.kernel().phases.size())) f.code = std::move(*code);
  const std::vector<Form*> missing = costly_first(forms.list);
  parallel_for(missing.size(), options.threads, [&]() -> Work {
    return [&, machine = std::shared_ptr(make_target_machine(target))](std::size_t i) {
      Form& f = *missing[i];
      try {
        f.code = compile_kernel(f.canonical.program, f.kernel(), target, *machine, f.key.symbol(),
                                {options.verify, options.sanitizer});
      } catch (const InternalError& e) {
        throw InternalError(fmt::format("{} (in the kernel @{})", e.what(), f.first->name));
      }
      cache.store(f.key, f.code);
    };
  });
  if (options.statistics) cache.add_to(*options.statistics);

  const auto linking = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects;
  for (Form& f : forms.list) objects.push_back(std::move(f.code.object));
  auto code = std::make_shared<OwnedCode>();
  code->kernels = std::make_unique<LinkedCode>(std::move(objects), options.sanitizer != Sanitizer::none);

  HostArtifact artifact{.memory = std::make_shared<const BufferTable>(program), .code = {{}, code}};
  for (std::size_t k = 0; k < program.kernels.size(); ++k)
    for (std::size_t p = 0; p < program.kernels[k].phases.size(); ++p)
      artifact.launches.push_back(launch_of(program, k, p, forms));
  code->thunks = std::make_unique<Thunks>(thunks_of(artifact.launches, *code->kernels));
  artifact.code.functions = code->thunks->functions();
  const auto end = std::chrono::steady_clock::now();
  artifact.link_seconds = std::chrono::duration<double>(end - linking).count();
  artifact.compile_seconds = std::chrono::duration<double>(end - start).count();
  return artifact;
}

std::string emit_llvm(const Program& program, const CpuTarget& target) {
  return dump(program, target, ";", [](llvm::Module& m, llvm::TargetMachine&) {
    std::string text;
    llvm::raw_string_ostream out(text);
    m.print(out, nullptr);
    return text;
  });
}

std::string emit_asm(const Program& program, const CpuTarget& target) {
  return dump(program, target, "#",
              [](llvm::Module& m, llvm::TargetMachine& machine) { return to_assembly(m, machine); });
}

}  // namespace weft
