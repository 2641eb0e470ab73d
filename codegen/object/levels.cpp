// Which code a machine can run: the levels of an object by name, and the function that asks the processor.
#include <llvm/IR/InlineAsm.h>

#include <algorithm>
#include <array>

#include "codegen/codegen.h"
#include "codegen/llvm/llvm_target.h"
#include "codegen/object/emit_object.h"
#include "ir/base/error.h"
#include "ir/base/lexer.h"

namespace weft {
namespace {

/// Extensions that generated code may use, by LLVM's names, and where CPUID shows them: the bit of the register (0 to
/// 3: eax to edx) that `leaf` gives, with 0 in ecx, or `subleaf`.
struct Extension {
  const char* name;
  std::uint32_t leaf;
  int reg, bit;
  std::uint32_t subleaf = 0;
};
enum { eax, ebx, ecx, edx };
constexpr Extension kExtensions[] = {
    {"sse3", 1, ecx, 0},          {"ssse3", 1, ecx, 9},
    {"fma", 1, ecx, 12},          {"cx16", 1, ecx, 13},
    {"sse4.1", 1, ecx, 19},       {"sse4.2", 1, ecx, 20},
    {"movbe", 1, ecx, 22},        {"popcnt", 1, ecx, 23},
    {"avx", 1, ecx, 28},          {"f16c", 1, ecx, 29},
    {"bmi", 7, ebx, 3},           {"avx2", 7, ebx, 5},
    {"bmi2", 7, ebx, 8},          {"avx512f", 7, ebx, 16},
    {"avx512dq", 7, ebx, 17},     {"adx", 7, ebx, 19},
    {"avx512ifma", 7, ebx, 21},   {"avx512cd", 7, ebx, 28},
    {"avx512bw", 7, ebx, 30},     {"avx512vl", 7, ebx, 31},
    {"avx512vbmi", 7, ecx, 1},    {"avx512vbmi2", 7, ecx, 6},
    {"gfni", 7, ecx, 8},          {"avx512vnni", 7, ecx, 11},
    {"avx512bitalg", 7, ecx, 12}, {"avx512vpopcntdq", 7, ecx, 14},
    {"avx512fp16", 7, edx, 23},   {"avxvnni", 7, eax, 4, 1},
    {"avx512bf16", 7, eax, 5, 1}, {"lzcnt", 0x80000001, ecx, 5},
    {"xop", 0x80000001, ecx, 11}, {"fma4", 0x80000001, ecx, 16},
    {"tbm", 0x80000001, ecx, 21},
};
/// What the system must save of a thread, by XCR0, where code has such registers.
constexpr std::uint32_t kSavesAvx = 0x6, kSavesAvx512 = 0xe6;

using Features = std::array<std::string_view, 5>;  // by LLVM's names; unused ones are empty

/// An architecture that objects are made for beside x86-64.
struct Architecture {
  std::string_view name, triple, cpu, features;
  int vector_bytes, vector_registers;
  bool flushes;
  Features needs;  // that generated code relies on
};
constexpr Architecture kArchitectures[] = {
    {"aarch64", "aarch64-unknown-linux-gnu", "generic", "", 16, 32, true, {"fp-armv8", "neon"}},
    {"riscv64", "riscv64-unknown-linux-gnu", "generic-rv64", "+m,+a,+f,+d,+c", 16, 32, false, {"m", "f", "d", "zicsr"}},
    {"riscv64v",
     "riscv64-unknown-linux-gnu",
     "generic-rv64",
     "+m,+a,+f,+d,+c,+v,+zvl128b",
     16,
     32,
     false,
     {"m", "f", "d", "zicsr", "v"}},
    {"cortex-m4", "thumbv7em-none-eabihf", "cortex-m4", "", 16, 16, true, {"fpregs", "vfp4d16sp"}},
    {"cortex-m7", "thumbv7em-none-eabihf", "cortex-m7", "", 16, 16, true, {"fpregs", "vfp4d16sp"}},
};

/// Error unless the target has these features.
void check_needs(const CpuTarget& t, std::string_view name, const Features& needs) {
  for (const std::string_view feature : needs)
    if (!feature.empty() && !codegen::has_feature(t, feature))
      fail("the target '{}'{} lacks {}, which objects need", name, t.features.empty() ? "" : " with these features",
           feature);
}

CpuTarget of_name(std::string_view cpu, std::string_view features = {}) {
  CpuTarget t = target_for(cpu);
  if (!features.empty()) {
    t.features = features;
    codegen::check_cpu(t);
    codegen::set_vectors(t);
  }
  const CpuTarget host = host_target();  // whose caches are as good a guess as any
  t.l1_bytes = host.l1_bytes, t.l1_ways = host.l1_ways, t.l2_bytes = host.l2_bytes, t.l3_bytes = host.l3_bytes;
  return t;
}

}  // namespace

std::string object_target_names() {
  std::string names = "native, multi, an x86-64 cpu (x86-64-v2, x86-64-v3, x86-64-v4, znver3, …)";
  for (const Architecture& a : kArchitectures) names += fmt::format(", {}", a.name);
  return names;
}

std::vector<CpuTarget> object_targets(std::string_view name, std::string_view features) {
  if ((name == "native" || name == "multi") && !features.empty())
    fail("features '{}' for the target '{}'; expected the name of one cpu as the target, such as x86-64-v3", features,
         name);
  if (name == "native") return {host_target()};
  if (name == "multi") return {of_name("x86-64-v2"), of_name("x86-64-v3"), of_name("x86-64-v4")};
  const std::string_view architecture = name.substr(0, name.find(':'));
  for (const Architecture& a : kArchitectures) {
    if (a.name != architecture) continue;
    CpuTarget t;
    t.triple = a.triple;
    t.cpu = architecture.size() < name.size() ? name.substr(architecture.size() + 1) : a.cpu;
    t.features = a.features;
    if (!features.empty()) t.features += fmt::format("{}{}", t.features.empty() ? "" : ",", features);
    t.vector_bytes = a.vector_bytes, t.vector_registers = a.vector_registers;
    t.fma = true;  // Cortex-M: of f32; of f64 it is a function
    t.flushes = a.flushes;
    codegen::check_cpu(t);
    check_needs(t, name, a.needs);
    return {t};
  }
  if (!codegen::is_x86_64_cpu(name)) {
    std::vector<std::string_view> names{"native", "multi"};
    for (const Architecture& a : kArchitectures) names.push_back(a.name);
    const std::vector<std::string_view> cpus = codegen::x86_64_cpus();
    names.insert(names.end(), cpus.begin(), cpus.end());
    fail("unknown target '{}'{}; expected one of {}", name, suggestion(name, names), fmt::join(names, ", "));
  }
  CpuTarget target = of_name(name, features);
  check_needs(target, name, {"64bit", "sse2", "sse4.1"});  // what x86-64-v2 has
  if (codegen::has_feature(target, "avx512f")) check_needs(target, name, {"avx512vl", "avx512bw", "avx512dq"});
  if (codegen::has_feature(target, "soft-float"))
    fail("the target '{}' has soft-float; expected floats in registers", name);
  return {std::move(target)};
}

namespace codegen {
namespace {

struct Registers {
  llvm::Value* of[4];
};

Registers cpuid(ObjectBuilder& b, std::uint32_t leaf, std::uint32_t subleaf) {
  llvm::Type* i32 = b.getInt32Ty();
  auto* result = llvm::StructType::get(b.getContext(), {i32, i32, i32, i32});
  auto* code = llvm::InlineAsm::get(llvm::FunctionType::get(result, {i32, i32}, false), "cpuid",
                                    "={ax},={bx},={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},~{flags}", false);
  llvm::Value* all = b.CreateCall(code, {b.getInt32(leaf), b.getInt32(subleaf)});
  Registers r{};
  for (unsigned i = 0; i < 4; ++i) r.of[i] = b.CreateExtractValue(all, i);
  return r;
}

/// XCR0, the low half.
llvm::Value* xgetbv(ObjectBuilder& b) {
  llvm::Type* i32 = b.getInt32Ty();
  auto* result = llvm::StructType::get(b.getContext(), {i32, i32});
  auto* code = llvm::InlineAsm::get(llvm::FunctionType::get(result, {i32}, false), "xgetbv",
                                    "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}", true);
  return b.CreateExtractValue(b.CreateCall(code, {b.getInt32(0)}), 0);
}

/// condition ? body() : false, without a look at what the body asks where the condition is false.
llvm::Value* and_then(ObjectBuilder& b, llvm::Value* condition, llvm::function_ref<llvm::Value*()> body) {
  llvm::Function* f = b.GetInsertBlock()->getParent();
  auto* before = b.GetInsertBlock();
  auto* inside = llvm::BasicBlock::Create(b.getContext(), "then", f);
  auto* after = llvm::BasicBlock::Create(b.getContext(), "after", f);
  b.CreateCondBr(condition, inside, after);
  b.SetInsertPoint(inside);
  llvm::Value* value = body();
  auto* last = b.GetInsertBlock();
  b.CreateBr(after);
  b.SetInsertPoint(after);
  llvm::PHINode* result = b.CreatePHI(b.getInt1Ty(), 2);
  result->addIncoming(b.getFalse(), before);
  result->addIncoming(value, last);
  return result;
}

/// Whether the processor, and the system, let code of this target run.
llvm::Value* can_run(ObjectBuilder& b, const CpuTarget& target) {
  std::vector<const Extension*> needed;
  for (const Extension& e : kExtensions)
    if (has_feature(target, e.name)) needed.push_back(&e);
  llvm::Value* result = b.getTrue();
  const auto all_of = [&](std::uint32_t leaf, std::uint32_t subleaf) {
    if (std::ranges::none_of(needed, [&](const Extension* e) { return e->leaf == leaf && e->subleaf == subleaf; }))
      return;
    result = and_then(b, result, [&] {
      const std::uint32_t base = leaf & 0x80000000u;
      llvm::Value* has_leaf = b.CreateICmpUGE(cpuid(b, base, 0).of[eax], b.getInt32(leaf));
      return and_then(b, has_leaf, [&] {
        const Registers r = cpuid(b, leaf, subleaf);
        llvm::Value* holds = b.getTrue();
        for (int reg = 0; reg < 4; ++reg) {
          std::uint32_t mask = 0;
          for (const Extension* e : needed)
            if (e->leaf == leaf && e->subleaf == subleaf && e->reg == reg) mask |= 1u << e->bit;
          if (mask) holds = b.CreateAnd(holds, b.CreateICmpEQ(b.CreateAnd(r.of[reg], mask), b.getInt32(mask)));
        }
        return holds;
      });
    });
  };
  all_of(1, 0), all_of(7, 0), all_of(7, 1), all_of(0x80000001, 0);
  if (target.vector_bytes <= 16) return result;
  const std::uint32_t saved = target.vector_bytes == 64 ? kSavesAvx512 : kSavesAvx;
  return and_then(b, result, [&] {
    constexpr std::uint32_t kXgetbv = 1u << 27;  // the system has enabled it
    return and_then(b, b.CreateICmpNE(b.CreateAnd(cpuid(b, 1, 0).of[ecx], kXgetbv), b.getInt32(0)),
                    [&] { return b.CreateICmpEQ(b.CreateAnd(xgetbv(b), saved), b.getInt32(saved)); });
  });
}

}  // namespace

llvm::Function* level_function(llvm::Module& module, const std::vector<CpuTarget>& levels) {
  ObjectBuilder b(module.getContext());
  llvm::Function* f = begin_function(module, b, b.getInt32Ty(), "level", {}, false);
  if (!levels[0].is_x86()) {
    b.CreateRet(b.getInt32(0));
    return f;
  }
  for (std::size_t i = levels.size(); i-- > 0;) {
    auto* yes = llvm::BasicBlock::Create(b.getContext(), "yes", f);
    auto* no = llvm::BasicBlock::Create(b.getContext(), "no", f);
    b.CreateCondBr(can_run(b, levels[i]), yes, no);
    b.SetInsertPoint(yes);
    b.CreateRet(b.getInt32(static_cast<std::uint32_t>(i)));
    b.SetInsertPoint(no);
  }
  b.CreateRet(b.getInt32(~0u));
  return f;
}

}  // namespace codegen
}  // namespace weft
