// Programs to images: kernels in canonical form are loaded from the object cache, or emitted and compiled in parallel,
// one context and module each; then they are linked, and given the program's buffers.
#include <llvm/IR/LLVMContext.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "codegen/canonical.h"
#include "codegen/codegen.h"
#include "codegen/kernel_key.h"
#include "codegen/llvm_target.h"
#include "codegen/module.h"
#include "codegen/object_cache.h"
#include "codegen/parallel.h"
#include "codegen/thunks.h"

namespace weft {
namespace {

using namespace codegen;

std::string symbol_prefix(std::size_t kernel) { return "kernel" + std::to_string(kernel); }

/// Emits and optimises every kernel in turn and concatenates what `print` makes of the modules.
template <class F>
std::string dump(const Program& program, const Target& target, const char* comment, F print) {
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

/// The distinct kernels of a program: those that are copies of one another on other buffers are compiled once.
struct Unit {
  const Kernel* original;  // the first of them
  CanonicalKernel form;
  KernelKey key;
  CompiledKernel code;
};
struct Units {
  std::vector<Unit> units;
  std::vector<std::size_t> of;                 // of each kernel: its unit
  std::vector<std::vector<BufferId>> buffers;  // of each kernel: the program's buffers that the unit's stand for
};
Units distinct(const Program& program, const KeyMaker& make_key) {
  Units result;
  std::unordered_map<std::string, std::size_t> known;  // by digest
  for (const Kernel& kernel : program.kernels) {
    CanonicalKernel form = canonical(program, kernel);
    KernelKey key = make_key(form.program);
    result.buffers.push_back(std::move(form.buffers));
    const auto [at, is_new] = known.emplace(key.digest, result.units.size());
    result.of.push_back(at->second);
    if (is_new) result.units.push_back({&kernel, std::move(form), std::move(key), {}});
  }
  return result;
}

/// Units without code in the order in which to compile them: long compilations first, so that none is left for one
/// thread at the end.
std::vector<Unit*> costly_first(std::vector<Unit>& units) {
  std::vector<Unit*> order;
  for (Unit& u : units)
    if (!u.code.object) order.push_back(&u);
  auto cost = [&](const Unit* u) {
    constexpr std::size_t kMicroKernels = 100;  // in expressions
    const Kernel& kernel = u->form.kernel();
    return kernel.exprs.size() + (kernel.schedule.mr > 0 ? kMicroKernels : 0);
  };
  std::stable_sort(order.begin(), order.end(), [&](const Unit* a, const Unit* b) { return cost(a) > cost(b); });
  return order;
}

/// What an image owns.
struct Code {
  std::unique_ptr<LinkedCode> kernels;
  std::unique_ptr<Thunks> thunks;
};

}  // namespace

Image compile(std::shared_ptr<const Program> program, const Target& target, const CodegenOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  Units kernels = distinct(*program, KeyMaker(target, options.check_memory));
  ObjectCache cache(options.verify ? CacheOptions{} : options.cache);
  for (Unit& u : kernels.units)
    if (auto code = cache.load(u.key, u.form.kernel().phases.size())) u.code = std::move(*code);
  const std::vector<Unit*> missing = costly_first(kernels.units);
  parallel_for(missing.size(), options.threads, [&](std::size_t i) {
    Unit& u = *missing[i];
    try {
      u.code = compile_kernel(u.form.program, u.form.kernel(), target, u.key.symbol(),
                              {options.verify, options.check_memory});
    } catch (const InternalError& e) {
      throw InternalError(fmt::format("{} (in the kernel @{})", e.what(), u.original->name));
    }
    cache.store(u.key, u.code);
  });
  if (options.statistics) cache.add_to(*options.statistics);

  std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects;
  std::vector<std::string> symbols;
  std::vector<std::size_t> first_symbol;
  for (Unit& u : kernels.units) {
    objects.push_back(std::move(u.code.object));
    first_symbol.push_back(symbols.size());
    for (const PhaseCode& p : u.code.phases) symbols.push_back(p.symbol);
  }
  auto code = std::make_shared<Code>();
  code->kernels = std::make_unique<LinkedCode>(std::move(objects), options.check_memory);
  const std::vector<void*> addresses = code->kernels->addresses(symbols);

  Image image{program, {}, code, 0};
  std::vector<Thunk> thunks;
  for (std::size_t k = 0; k < program->kernels.size(); ++k) {
    const std::size_t unit = kernels.of[k];
    const std::vector<PhaseCode>& phases = kernels.units[unit].code.phases;
    for (std::size_t p = 0; p < phases.size(); ++p) {
      image.code.push_back(
          {nullptr, phases[p].units, phases[p].scratch_bytes, phases[p].cost, static_cast<std::int32_t>(k)});
      thunks.push_back({reinterpret_cast<KernelFn>(addresses[first_symbol[unit] + p]), kernels.buffers[k]});
    }
  }
  code->thunks = std::make_unique<Thunks>(thunks);
  for (std::size_t i = 0; i < thunks.size(); ++i) image.code[i].fn = code->thunks->functions()[i];
  image.compile_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return image;
}

std::string emit_llvm(const Program& program, const Target& target) {
  return dump(program, target, ";", [](llvm::Module& m, llvm::TargetMachine&) {
    std::string text;
    llvm::raw_string_ostream out(text);
    m.print(out, nullptr);
    return text;
  });
}

std::string emit_asm(const Program& program, const Target& target) {
  return dump(program, target, "#",
              [](llvm::Module& m, llvm::TargetMachine& machine) { return to_assembly(m, machine); });
}

}  // namespace weft
