// Programs to images: kernels are emitted and compiled in parallel, one context and module each, then linked together.
#include <llvm/IR/LLVMContext.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "codegen/codegen.h"
#include "codegen/llvm_target.h"
#include "codegen/module.h"

namespace weft {
namespace {

using namespace codegen;

/// Calls work(i, machine) for i in [0, n) on `threads` threads, the caller's among them, each with a back end of its
/// own; rethrows the first exception.
void parallel_for(std::size_t n, int threads, const Target& target,
                  const std::function<void(std::size_t, llvm::TargetMachine&)>& work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  auto run = [&] {
    const auto machine = make_target_machine(target);
    for (std::size_t i; (i = next++) < n;) try {
        work(i, *machine);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
      }
  };
  std::vector<std::jthread> team;
  for (std::size_t t = 1; t < std::min(n, static_cast<std::size_t>(threads)); ++t) team.emplace_back(run);
  run();
  team.clear();
  if (failure) std::rethrow_exception(failure);
}

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

/// The kernels that are no copies in the order in which to compile them: long compilations first, so that none is left
/// for one thread at the end.
std::vector<std::size_t> costly_first(const Program& program, const std::vector<Copy>& copies) {
  std::vector<std::size_t> order;
  for (std::size_t k = 0; k < copies.size(); ++k)
    if (copies[k].of == kNone) order.push_back(k);
  auto cost = [&](std::size_t k) {
    constexpr std::size_t kMicroKernels = 100;  // in expressions
    const Kernel& kernel = program.kernels[k];
    return kernel.exprs.size() + (kernel.schedule.mr > 0 ? kMicroKernels : 0);
  };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return cost(a) > cost(b); });
  return order;
}

/// One module for all kernels that are copies; their phases become those of the originals under other symbols.
std::unique_ptr<llvm::MemoryBuffer> compile_copies(const Program& program, const std::vector<Copy>& copies,
                                                   std::vector<std::vector<PhaseCode>>& phases, const Target& target,
                                                   const BackEndOptions& options) {
  const auto machine = make_target_machine(target);
  machine->setOptLevel(llvm::CodeGenOptLevel::None);  // there is nothing to gain in calls, and there may be thousands
  llvm::LLVMContext context;
  llvm::Module module("copies", context);
  for (std::size_t k = 0; k < copies.size(); ++k) {
    if (copies[k].of == kNone) continue;
    const auto original = static_cast<std::size_t>(copies[k].of);
    emit_copy(module, copies[k], symbol_prefix(original), program.kernels[k].phases.size(), symbol_prefix(k));
    phases[k] = phases[original];
    for (std::size_t p = 0; p < phases[k].size(); ++p) phases[k][p].symbol = symbol_prefix(k) + "_" + std::to_string(p);
  }
  finish_functions(module, target);
  optimise(module, *machine, {.verify = options.verify});  // they touch no memory but tables of buffers
  return to_object(module, *machine);
}

}  // namespace

Image compile(std::shared_ptr<const Program> program, const Target& target, const CodegenOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::size_t n = program->kernels.size();
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  const std::vector<Copy> copies = find_copies(*program);
  const BackEndOptions back_end{options.verify, options.check_memory};
  std::vector<std::vector<PhaseCode>> phases(n);
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects(n);
  const std::vector<std::size_t> order = costly_first(*program, copies);
  const int threads = options.threads ? options.threads : static_cast<int>(cores);
  parallel_for(order.size(), threads, target, [&](std::size_t i, llvm::TargetMachine& machine) {
    const std::size_t k = order[i];
    llvm::LLVMContext context;
    KernelModule m = emit_kernel(context, *program, program->kernels[k], target, symbol_prefix(k));
    optimise(*m.module, machine, back_end);
    objects[k] = to_object(*m.module, machine);
    phases[k] = std::move(m.phases);
  });
  if (std::any_of(copies.begin(), copies.end(), [](const Copy& c) { return c.of != kNone; }))
    objects.push_back(compile_copies(*program, copies, phases, target, back_end));
  std::erase(objects, nullptr);

  Image image{program, {}, nullptr, 0, 0};
  std::vector<std::string> symbols;
  for (std::size_t k = 0; k < n; ++k)
    for (const PhaseCode& p : phases[k]) {
      image.code.push_back({nullptr, p.units, p.scratch_bytes, p.cost, static_cast<std::int32_t>(k)});
      symbols.push_back(p.symbol);
    }
  const auto linking = std::chrono::steady_clock::now();
  auto linked = std::make_shared<LinkedCode>(std::move(objects), options.check_memory);
  const std::vector<void*> addresses = linked->addresses(symbols);
  for (std::size_t i = 0; i < addresses.size(); ++i) image.code[i].fn = reinterpret_cast<KernelFn>(addresses[i]);
  image.owner = std::move(linked);
  const auto end = std::chrono::steady_clock::now();
  image.link_seconds = std::chrono::duration<double>(end - linking).count();
  image.compile_seconds = std::chrono::duration<double>(end - start).count();
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
