// Programs to artefacts: kernels in canonical form are loaded from the object cache, or emitted and compiled in
// parallel, one context and module each; then they are linked, and given the program's buffers.
#include <llvm/IR/LLVMContext.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <chrono>

#include "codegen/cache/forms.h"
#include "codegen/cache/object_cache.h"
#include "codegen/cache/thunks.h"
#include "codegen/codegen.h"
#include "codegen/llvm/llvm_target.h"
#include "codegen/llvm/llvm_version.h"
#include "codegen/llvm/module.h"
#include "codegen/llvm/parallel.h"
#include "ir/base/float_environment.h"
#include "ir/base/fork.h"

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

/// The positions of forms without code in the order in which to compile them: long compilations first, so that none is
/// left for one thread at the end.
std::vector<std::size_t> costly_first(const std::vector<Form>& forms, const std::vector<CompiledKernel>& code) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < forms.size(); ++i)
    if (!code[i].object) order.push_back(i);
  auto cost = [&](std::size_t i) {
    constexpr std::size_t kMicroKernels = 100;  // in expressions
    const Kernel& kernel = forms[i].kernel();
    return kernel.exprs.size() + (cpu_tile(kernel) ? kMicroKernels : 0);
  };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return cost(a) > cost(b); });
  return order;
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
  const Forms forms = forms_of(program, KeyMaker(target, options.sanitizer));
  std::vector<CompiledKernel> compiled(forms.list.size());  // by form
  ObjectCache cache(options.verify ? CacheOptions{} : options.cache);
  for (std::size_t i = 0; i < compiled.size(); ++i)
    if (auto found = cache.load(forms.list[i].key, forms.list[i].kernel().phases.size()))
      compiled[i] = std::move(*found);
  const std::vector<std::size_t> missing = costly_first(forms.list, compiled);
  parallel_for(missing.size(), options.threads, [&]() -> Work {
    return [&, machine = std::shared_ptr(make_target_machine(target))](std::size_t i) {
      const Form& f = forms.list[missing[i]];
      CompiledKernel& made = compiled[missing[i]];
      try {
        made = compile_kernel(f.canonical.program, f.kernel(), target, *machine, f.key.symbol(),
                              {options.verify, options.sanitizer});
      } catch (const InternalError& e) {
        throw InternalError(fmt::format("{} (in the kernel @{})", e.what(), f.first->name));
      }
      cache.store(f.key, made);
    };
  });
  if (options.statistics) cache.add_to(*options.statistics);

  const auto linking = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects;
  for (CompiledKernel& c : compiled) objects.push_back(std::move(c.object));
  auto code = std::make_shared<OwnedCode>();
  code->kernels = std::make_unique<LinkedCode>(std::move(objects), options.sanitizer != Sanitizer::none);

  HostArtifact artifact{.memory = std::make_shared<const BufferTable>(program), .code = {{}, code}};
  artifact.launches = launches_of(
      program, forms, [&](std::size_t form) -> const auto& { return compiled[form].phases; });
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
