// Object code into executable memory: ORC's execution session with JITLink, nothing compiled lazily.
#if __has_include(<llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>)  // LLVM 20 and later
#include <llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>
#endif
#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/ExecutorProcessControl.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>

#include <cmath>
#include <cstring>
#include <set>

#include "codegen/llvm/module.h"

namespace weft::codegen {
namespace {

namespace orc = llvm::orc;

template <class T>
T take(llvm::Expected<T> value) {
  if (!value) throw InternalError("internal error: linking: " + llvm::toString(value.takeError()));
  return std::move(*value);
}
void check(llvm::Error error) {
  if (error) throw InternalError("internal error: linking: " + llvm::toString(std::move(error)));
}

/// What LLVM may call where the target lacks an instruction, with the C library's semantics.
struct Runtime {
  const char* name;
  void* address;
};
const Runtime kRuntime[] = {
    {"fmaf", reinterpret_cast<void*>(static_cast<float (*)(float, float, float)>(&std::fma))},
    {"fma", reinterpret_cast<void*>(static_cast<double (*)(double, double, double)>(&std::fma))},
    {"floorf", reinterpret_cast<void*>(static_cast<float (*)(float)>(&std::floor))},
    {"floor", reinterpret_cast<void*>(static_cast<double (*)(double)>(&std::floor))},
    {"ceilf", reinterpret_cast<void*>(static_cast<float (*)(float)>(&std::ceil))},
    {"ceil", reinterpret_cast<void*>(static_cast<double (*)(double)>(&std::ceil))},
    {"roundevenf", reinterpret_cast<void*>(static_cast<float (*)(float)>(&std::nearbyint))},
    {"roundeven", reinterpret_cast<void*>(static_cast<double (*)(double)>(&std::nearbyint))},
    {"memcpy", reinterpret_cast<void*>(&std::memcpy)},
    {"memset", reinterpret_cast<void*>(&std::memset)},
    {"memmove", reinterpret_cast<void*>(&std::memmove)},
};

}  // namespace

struct LinkedCode::Session {
  orc::ExecutionSession session{
      take(orc::SelfExecutorProcessControl::Create(nullptr, std::make_unique<orc::InPlaceTaskDispatcher>()))};
  orc::ObjectLinkingLayer linker{session};
  orc::JITDylib& library = session.createBareJITDylib("kernels");

  ~Session() { llvm::cantFail(session.endSession()); }
};

LinkedCode::LinkedCode(std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects, bool whole_process)
    : session_(std::make_unique<Session>()) {
  orc::SymbolMap runtime;
  for (const Runtime& r : kRuntime)
    runtime[session_->session.intern(r.name)] = {orc::ExecutorAddr::fromPtr(r.address), llvm::JITSymbolFlags::Exported};
  check(session_->library.define(orc::absoluteSymbols(std::move(runtime))));
  if (whole_process)
    session_->library.addGenerator(take(orc::DynamicLibrarySearchGenerator::GetForCurrentProcess('\0')));
  for (auto& object : objects) check(session_->linker.add(session_->library, std::move(object)));
}

LinkedCode::~LinkedCode() = default;

std::vector<void*> LinkedCode::addresses(const std::vector<std::string>& symbols) const {
  orc::SymbolLookupSet set;
  for (const std::string& s : std::set(symbols.begin(), symbols.end())) set.add(session_->session.intern(s));
  const orc::SymbolMap found =
      take(session_->session.lookup(orc::makeJITDylibSearchOrder(&session_->library), std::move(set)));
  std::vector<void*> result;
  for (const std::string& s : symbols)
    result.push_back(found.lookup(session_->session.intern(s)).getAddress().toPtr<void*>());
  return result;
}

}  // namespace weft::codegen
