// What LLVM knows of the host and of named cpus, in the terms of ir/base/target.h.
#include <llvm/ADT/StringMap.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/TargetParser/Host.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "codegen/codegen.h"
#include "codegen/llvm/llvm_target.h"
#include "codegen/llvm/llvm_version.h"
#include "ir/base/error.h"
#include "ir/base/fork.h"
#include "ir/base/lexer.h"

namespace weft {
namespace {

bool start_x86() {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
  return true;
}

/// The other back ends: those of a static LLVM are not linked.
bool start_others() {
#ifndef WEFT_STATIC_LLVM
  llvm::InitializeAllTargetInfos();
  llvm::InitializeAllTargets();
  llvm::InitializeAllTargetMCs();
  llvm::InitializeAllAsmPrinters();
  llvm::InitializeAllAsmParsers();
#endif
  return true;
}

/// The back end for a triple. Throws Error when this LLVM has none.
const llvm::Target& back_end(const std::string& triple) {
  const codegen::LlvmUse use;
  static const bool x86 = start_x86();
  if (x86 && !CpuTarget{.triple = triple}.is_x86()) [[maybe_unused]]
    static const bool others = start_others();
  std::string error;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target) fail("this LLVM makes no code for {}", triple);
  return *target;
}

std::unique_ptr<llvm::MCSubtargetInfo> subtarget(const std::string& cpu, const std::string& features,
                                                 const std::string& triple = CpuTarget{}.triple) {
  return std::unique_ptr<llvm::MCSubtargetInfo>(back_end(triple).createMCSubtargetInfo(triple, cpu, features));
}

/// Every extension of the instruction set that LLVM knows, and whether the host has it.
const llvm::StringMap<bool>& host_features() {
  static const llvm::StringMap<bool>& features = *new llvm::StringMap<bool>(llvm::sys::getHostCPUFeatures());
  return features;
}

/// What loops are made of. Without one of these that a cpu has, code is that of another cpu; without any other feature
/// it is the same but for an instruction here or there.
constexpr std::string_view kVectorFeatures[] = {"sse4.1",  "avx",      "avx2",     "fma",
                                                "avx512f", "avx512vl", "avx512bw", "avx512dq"};

/// `has` tells whether the target has a feature, one of kVectorFeatures.
template <class Has>
void set_vectors(CpuTarget& t, Has has) {
  const bool avx512 = has("avx512f") && has("avx512vl") && has("avx512bw") && has("avx512dq");
  t.vector_bytes = avx512 ? 64 : has("avx") ? 32 : 16;
  t.vector_registers = avx512 ? 32 : 16;
  t.fma = avx512 || has("fma");
}

/// The parts of "+a,-b".
std::vector<std::string_view> llvm_features(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) parts.push_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

/// Bytes of the last cache that the first processor shares with others, 0 where the kernel does not say. sysconf adds
/// up what lies beside other processors, which this one does not fill.
std::int64_t shared_cache_bytes() {
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index3/size");  // "32768K"
  std::int64_t kib = 0;
  char unit = 0;
  return file >> kib >> unit && unit == 'K' ? kib << 10 : 0;
}

}  // namespace

CpuTarget host_target() {
  const ForkGuard guard;
  static const CpuTarget& host = *new CpuTarget([] {
    const codegen::LlvmUse use;
    CpuTarget t;
    t.cpu = llvm::sys::getHostCPUName().str();
    const llvm::StringMap<bool>& features = host_features();
    for (const auto& feature : features)
      t.features += (t.features.empty() ? "" : ",") + std::string(feature.second ? "+" : "-") + feature.first().str();
    set_vectors(t, [&](const char* name) { return features.lookup(name); });  // without starting LLVM's back end
    auto cache = [](int name, auto& value) {
      if (const long found = sysconf(name); found > 0)
        value = static_cast<std::remove_reference_t<decltype(value)>>(found);
    };
    cache(_SC_LEVEL1_DCACHE_SIZE, t.l1_bytes);
    cache(_SC_LEVEL1_DCACHE_ASSOC, t.l1_ways);
    cache(_SC_LEVEL2_CACHE_SIZE, t.l2_bytes);
    cache(_SC_LEVEL3_CACHE_SIZE, t.l3_bytes);
    if (const std::int64_t shared = shared_cache_bytes(); shared > 0) t.l3_bytes = std::min(t.l3_bytes, shared);
    return t;
  }());
  return host;
}

bool codegen::is_x86_64_cpu(std::string_view cpu) {
  return subtarget("generic", "")->isCPUStringValid(cpu) && subtarget(std::string(cpu), "")->checkFeatures("+64bit");
}

std::vector<std::string_view> codegen::x86_64_cpus() {
  std::vector<std::string_view> names;
  const auto info = subtarget("generic", "");
  for (const llvm::SubtargetSubTypeKV& known : info->getAllProcessorDescriptions())
    if (is_x86_64_cpu(known.Key)) names.emplace_back(known.Key);
  return names;
}

CpuTarget target_for(std::string_view cpu) {
  const ForkGuard guard;
  CpuTarget t;
  t.cpu = std::string(cpu);
  if (!codegen::is_x86_64_cpu(t.cpu)) {
    const std::vector<std::string_view> names = codegen::x86_64_cpus();
    fail("unknown cpu '{}'{}; expected one of {}", cpu, suggestion(cpu, names), fmt::join(names, ", "));
  }
  const auto known = subtarget(t.cpu, "");
  set_vectors(t, [&](const char* name) { return known->checkFeatures(std::string("+") + name); });
  return t;
}

CpuTarget target_for(std::string_view cpu, const CpuTarget& machine, bool to_run) {
  if (cpu.empty() || cpu == "native") return machine;
  const ForkGuard guard;
  CpuTarget t = target_for(cpu);
  t.l1_bytes = machine.l1_bytes, t.l1_ways = machine.l1_ways;
  t.l2_bytes = machine.l2_bytes, t.l3_bytes = machine.l3_bytes;

  const auto wanted = subtarget(t.cpu, ""), there = subtarget(machine.cpu, machine.features);
  std::vector<std::string_view> missing, needed;
  for (const llvm::SubtargetFeatureKV& feature : wanted->getAllProcessorFeatures()) {
    // What the host's list does not have is a matter of tuning.
    if (!wanted->getFeatureBits().test(feature.Value) || there->getFeatureBits().test(feature.Value) ||
        !host_features().contains(feature.Key))
      continue;
    missing.emplace_back(feature.Key);
    if (std::ranges::count(kVectorFeatures, missing.back()) > 0) needed.push_back(missing.back());
  }
  if (!needed.empty() && to_run)
    fail("this machine ({}) cannot run code for '{}': it has no {}", machine.cpu, cpu, fmt::join(needed, ", "));
  if (needed.empty() && !missing.empty()) t.features = fmt::format("-{}", fmt::join(missing, ",-"));
  return t;
}

std::unique_ptr<llvm::TargetMachine> codegen::make_target_machine(const CpuTarget& target, bool jit) {
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  if (target.triple.starts_with("riscv64")) options.MCOptions.ABIName = "lp64d";
  return std::unique_ptr<llvm::TargetMachine>(
      back_end(target.triple)
          .createTargetMachine(target.triple, target.cpu, target.features, options, llvm::Reloc::PIC_,
                               llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default, jit));
}

void codegen::set_vectors(CpuTarget& t) {
  const auto known = subtarget(t.cpu, t.features, t.triple);
  weft::set_vectors(t, [&](const char* name) { return known->checkFeatures(std::string("+") + name); });
}

void codegen::check_cpu(const CpuTarget& target) {
  const auto generic = subtarget("", "", target.triple);
  std::vector<std::string_view> names;
  for (const std::string_view feature : llvm_features(target.features)) {
    for (const llvm::SubtargetFeatureKV& known : generic->getAllProcessorFeatures()) names.emplace_back(known.Key);
    if (feature[0] != '+' && feature[0] != '-')
      fail("features '{}': expected + or - before each name, as in \"+{}\"", target.features, feature);
    if (std::ranges::find(names, feature.substr(1)) == names.end())
      fail("unknown feature '{}' of {}{}; expected LLVM's names with + or -, as in \"+{}\"", feature, target.triple,
           suggestion(feature.substr(1), names), target.is_x86() ? "avx2" : names.front());
    names.clear();
  }
  if (generic->isCPUStringValid(target.cpu)) return;
  for (const llvm::SubtargetSubTypeKV& known : generic->getAllProcessorDescriptions()) names.emplace_back(known.Key);
  fail("unknown cpu '{}' of {}{}; expected one of {}", target.cpu, target.triple, suggestion(target.cpu, names),
       fmt::join(names, ", "));
}

bool codegen::has_feature(const CpuTarget& target, std::string_view feature) {
  return subtarget(target.cpu, target.features, target.triple)->checkFeatures("+" + std::string(feature));
}

}  // namespace weft
