// Device functions to PTX: one LLVM module each, compiled in parallel, joined into one text.
#include "codegen/ptx/ptx.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Utils/Mem2Reg.h>

#include <algorithm>
#include <cctype>
#include <unordered_set>

#include "codegen/llvm/llvm_version.h"
#include "codegen/llvm/module.h"
#include "codegen/llvm/parallel.h"
#include "ir/base/float_environment.h"
#include "ir/base/fork.h"

namespace weft {
namespace codegen {
namespace {

constexpr const char* kTriple = "nvptx64-nvidia-cuda";

/// GPUs that have what device code needs (asynchronous copies, tf32 and bf16 matrix products), each with the least PTX
/// version that knows it, so that old drivers load the code, and with the figures of a machine that has it.
struct Gpu {
  const char* ptx;
  GpuTarget target;  // figures in the order of ir/base/target.h
};
const std::vector<Gpu>& gpus() {
  // clang-format off
  static const auto& table = *new std::vector<Gpu>{
    //        name    multiprocessors, threads, registers, f32 lanes, shared, L2 and DRAM bytes a cycle, tensor cores
    {"ptx70", {"sm_80",  108, 2048, 65536,  64, 163 << 10, 2800, 1100,  512}},  // A100
    {"ptx71", {"sm_86",   82, 1536, 65536, 128,  99 << 10, 1500,  550,  128}},  // RTX 3090
    {"ptx74", {"sm_87",   16, 1536, 65536, 128, 163 << 10,  500,  157,  512}},  // Jetson AGX Orin
    {"ptx78", {"sm_89",  128, 1536, 65536, 128,  99 << 10, 2000,  400,  128}},  // RTX 4090
    {"ptx78", {"sm_90",  132, 2048, 65536, 128, 227 << 10, 3000, 2400, 1024}},  // H200
    {"ptx80", {"sm_90a", 132, 2048, 65536, 128, 227 << 10, 3000, 2400, 1024}},  // H200, with what only it can run
  };
  // clang-format on
  return table;
}

const Gpu* find_gpu(std::string_view name) {
  const auto found = std::ranges::find(gpus(), name, [](const Gpu& g) -> std::string_view { return g.target.name; });
  return found == gpus().end() ? nullptr : &*found;
}

const llvm::Target& nvptx() {
  static const llvm::Target* const target = [] {
    const LlvmUse use;
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    std::string error;
    const llvm::Target* t = llvm::TargetRegistry::lookupTarget(kTriple, error);
    ensure(t != nullptr, "LLVM has no NVPTX target: {}", error);
    return t;
  }();
  return *target;
}

/// Names as PTX has them, each once.
std::vector<std::string> entry_names(const std::vector<simt::Function>& functions) {
  std::vector<std::string> names;
  std::unordered_set<std::string> taken;
  for (const simt::Function& f : functions) {
    std::string name;
    for (char c : f.name) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    if (name.empty() || !std::isalpha(static_cast<unsigned char>(name[0]))) name.insert(0, "f");
    std::string unique = name;
    for (int n = 1; !taken.insert(unique).second; ++n) unique = name + "_" + std::to_string(n);
    names.push_back(std::move(unique));
  }
  return names;
}

void optimise_device(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::PassBuilder builder(&machine);
  llvm::FunctionAnalysisManager analyses;
  builder.registerFunctionAnalyses(analyses);
  for (llvm::Function& f : module) {
    if (f.isDeclaration()) continue;
    llvm::PromotePass().run(f, analyses);
    make_arithmetic_exact(f);
    analyses.invalidate(f, llvm::PreservedAnalyses::none());
    llvm::EarlyCSEPass().run(f, analyses);
  }
}

/// The PTX of a module without its header (.version, .target, .address_size), and that header.
struct Text {
  std::string header, body;
};
Text split_header(std::string text) {
  constexpr std::string_view kLast = ".address_size 64\n";
  const std::size_t end = text.find(kLast);
  ensure(end != text.npos, "LLVM's PTX has no header");
  return {text.substr(0, end + kLast.size()), text.substr(end + kLast.size())};
}

/// The PTX of the module that `emit`(context, data layout) makes.
template <class Emit>
Text compile_module(llvm::TargetMachine& machine, Emit emit) {
  llvm::LLVMContext context;
  const std::unique_ptr<llvm::Module> module = emit(context, machine.createDataLayout());
  module->setTargetTriple(kTriple);
  std::string message;
  llvm::raw_string_ostream out(message);
  ensure(!llvm::verifyModule(*module, &out), "device function {}: LLVM rejects the code: {}", module->getName().str(),
         message);
  optimise_device(*module, machine);
  return split_header(to_assembly(*module, machine));
}

}  // namespace

std::unique_ptr<llvm::TargetMachine> make_target_machine(const GpuTarget& target) {
  const Gpu* gpu = find_gpu(target.name);
  ensure(gpu != nullptr, "unknown GPU {}", target.name);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(
      nvptx().createTargetMachine(kTriple, target.name, std::string("+") + gpu->ptx, options, llvm::Reloc::PIC_));
}

}  // namespace codegen

GpuTarget gpu_target(std::string_view name) {
  if (const codegen::Gpu* gpu = codegen::find_gpu(name)) return gpu->target;
  std::string names;
  for (const codegen::Gpu& known : codegen::gpus()) names += (names.empty() ? "" : ", ") + known.target.name;
  fail("unknown GPU '{}'; expected one of {}", name, names);
}

PtxModule emit_ptx(const std::vector<simt::Function>& functions, const GpuTarget& target, bool persistent) {
  const ForkGuard guard;
  const DefaultFloats floats;
  const codegen::LlvmUse use;
  PtxModule result{{}, codegen::entry_names(functions), {}};
  if (persistent && !functions.empty()) {
    PersistentEntry& p = result.persistent;
    p.entry = "persistent$";  // no function's name has a $
    for (const simt::Function& f : functions) {
      p.threads = std::max(p.threads, f.threads);
      p.shared_bytes = std::max(p.shared_bytes, shared_layout(f).back());
    }
  }
  const std::size_t extra = result.persistent.entry.empty() ? 0 : 1;  // first: it takes longest
  std::vector<codegen::Text> texts(functions.size() + extra);
  codegen::parallel_for(texts.size(), 0, [&]() -> codegen::Work {
    return [&, machine = std::shared_ptr(codegen::make_target_machine(target))](std::size_t i) {
      texts[i] = codegen::compile_module(*machine, [&](llvm::LLVMContext& context, const llvm::DataLayout& layout) {
        if (i < extra) return codegen::emit_persistent(context, functions, result.persistent, layout);
        return codegen::emit_launch(context, functions[i - extra], result.entries[i - extra], layout);
      });
    };
  });
  for (std::size_t i = 0; i < texts.size(); ++i) result.text += (i ? "" : texts[0].header) + texts[i].body;
  return result;
}

}  // namespace weft
