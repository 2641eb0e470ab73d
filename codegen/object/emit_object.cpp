// One LLVM module for a whole object: the kernels of all functions and levels, each form once, and the functions that
// call them.
#include "codegen/object.h"

#include <llvm/IR/LLVMContext.h>
#include <llvm/Linker/Linker.h>

#include <charconv>
#include <map>

#include "codegen/cache/forms.h"
#include "codegen/llvm/legalise.h"
#include "codegen/llvm/llvm_target.h"
#include "codegen/llvm/llvm_version.h"
#include "codegen/llvm/module.h"
#include "codegen/object/emit_object.h"
#include "ir/base/float_environment.h"
#include "ir/base/fork.h"
#include "ir/memory/buffer_text.h"

namespace weft {
namespace {

using namespace codegen;

/// Kernels as internal functions of a module, each form of all programs once.
class KernelLibrary {
 public:
  explicit KernelLibrary(llvm::Module& module) : module_(module) {}

  HostArtifact add(const Program& program, const CpuTarget& target) {
    ensure(!program.check_indices, "object: the program @{} checks indices", program.name);
    const Forms forms = forms_of(program, KeyMaker(target, Sanitizer::none));
    for (const Form& form : forms.list) {
      digests_ += form.key.digest;
      if (auto [at, is_new] = phases_.try_emplace(form.key.digest); is_new) at->second = emit(form, target);
    }
    HostArtifact artifact{.memory = std::make_shared<const BufferTable>(program)};
    artifact.launches = launches_of(program, forms, [&](std::size_t i) -> const std::vector<PhaseCode>& {
      return phases_.at(forms.list[i].key.digest);
    });
    return artifact;
  }

  /// Of all kernels that were added.
  const std::string& digests() const { return digests_; }

 private:
  std::vector<PhaseCode> emit(const Form& form, const CpuTarget& target) {
    KernelModule made =
        emit_kernel(module_.getContext(), form.canonical.program, form.kernel(), target, form.key.symbol());
    for (llvm::Function& f : *made.module)  // what kernels have in common is one
      if (f.getName().starts_with(kShared)) f.setLinkage(llvm::GlobalValue::LinkOnceODRLinkage);
    ensure(!llvm::Linker::linkModules(module_, std::move(made.module)), "object: LLVM cannot join the kernel @{}",
           form.first->name);
    for (const PhaseCode& phase : made.phases)
      module_.getFunction(phase.symbol)->setLinkage(llvm::GlobalValue::InternalLinkage);
    return std::move(made.phases);
  }

  llvm::Module& module_;
  std::map<std::string, std::vector<PhaseCode>> phases_;  // by digest
  std::string digests_;
};

/// A number for all that the object's code depends on; never 0.
std::uint64_t id_of(const ObjectModule& o, const std::vector<PlannedFunction>& functions, const std::string& kernels) {
  std::string text = fmt::format("{} {} tasks\n{}\n", o.name, o.tasks, kernels);
  for (const ObjectState& s : o.states)
    text += fmt::format("{} {} {} [{}]\n", s.name, to_string(s.type), s.offset, fmt::join(s.panels, ","));
  for (const PlannedFunction& f : functions) {
    text += f.function->name + "\n";
    for (const HostArtifact& a : f.artifacts) {
      text += buffers_text(*a.memory);
      for (const HostLaunch& l : a.launches) {
        text += l.symbol;
        for (const Argument& argument : l.arguments) text += fmt::format(" {}+{}", argument.buffer, argument.bytes);
      }
    }
  }
  const std::string hex = digest(text).substr(0, 16);
  std::uint64_t id = 0;
  std::from_chars(hex.data(), hex.data() + hex.size(), id, 16);
  return id | 1;
}

/// What the functions beside the kernels need too.
void finish(llvm::Module& module, const CpuTarget& base) {
  for (llvm::Function& f : module) {
    if (f.hasLinkOnceODRLinkage()) f.setLinkage(llvm::GlobalValue::InternalLinkage);
    f.addFnAttr(llvm::Attribute::NoUnwind);
    if (f.hasFnAttribute("target-cpu")) continue;
    f.addFnAttr("target-cpu", base.cpu);
    if (!base.features.empty()) f.addFnAttr("target-features", base.features);
  }
}

}  // namespace

ObjectCode emit_object(const ObjectModule& o, const ObjectPlanner& plan) {
  const ForkGuard guard;
  const DefaultFloats floats;
  const LlvmUse use;
  ensure(!o.levels.empty() && o.tasks >= 1, "object @{} has no level or no task", o.name);
  llvm::LLVMContext context;
  llvm::Module module(o.name, context);
  KernelLibrary kernels(module);
  std::vector<PlannedFunction> functions;
  for (const ObjectFunction& f : o.functions) {
    PlannedFunction planned{&f, {}, {}};
    for (std::size_t level = 0; level < o.levels.size(); ++level) {
      planned.artifacts.push_back(kernels.add(*f.programs.at(level), o.levels[level]));
      planned.plans.push_back(plan(planned.artifacts.back(), o.tasks));
    }
    functions.push_back(std::move(planned));
  }
  ObjectCode code;
  code.id = id_of(o, functions, kernels.digests());
  emit_state_functions(module, o, code.id);
  for (const PlannedFunction& f : functions) code.functions.push_back(emit_function(module, o, f, code.id));
  finish(module, o.levels[0]);

  const auto machine = make_target_machine(o.levels[0], /*jit=*/false);
  optimise(module, *machine, {.verify = true});
  for (llvm::GlobalVariable& g : module.globals()) g.setConstant(true);  // emit_opaque()'s are none before this point
  const auto object = to_object(module, *machine);
  code.bytes = object->getBuffer().str();
  return code;
}

}  // namespace weft
