// The check of LLVM's version by its C interface, and of where functions that every LLVM has were found: a program that
// links another LLVM may have given weft's calls to that one.
#include "codegen/llvm/llvm_version.h"

#include <dlfcn.h>
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm/Config/llvm-config.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cstdlib>

#include "ir/base/error.h"

namespace weft::codegen {
namespace {

constinit std::atomic<int> under_way{0};  // threads that use LLVM
thread_local int depth = 0;               // of this thread's uses

// Set when exit() begins with what was made after LLVM's first use.
constinit std::atomic<bool> ending{false};
pthread_t ending_thread;

void leave() {
  under_way.fetch_sub(1);
  if (ending) under_way.notify_all();
}

/// Runs before the destructors of what LLVM made up to its registration, which is repeated: LLVM goes on making statics
/// when they are first needed.
void at_exit() {
  ending_thread = pthread_self();
  ending = true;
  const int own = depth > 0;
  for (int others; (others = under_way.load()) > own;) under_way.wait(others);
}

template <class F>
std::string file_of(F* function) {
  Dl_info info{};
  return dladdr(reinterpret_cast<const void*>(function), &info) != 0 && info.dli_fname ? info.dli_fname : "?";
}

}  // namespace

std::string llvm_problem(LlvmVersion built, LlvmVersion loaded, const std::vector<std::string>& files) {
  constexpr const char* kApart = "weft built with -DWEFT_SHARED=ON keeps the two apart";
  const bool same = loaded.major == built.major && loaded.minor == built.minor;
  if (!same)
    return fmt::format(
        "weft was built with LLVM {}.{}.{}, and this program has given it LLVM {}.{}.{} ({}). "
        "Install the first, or, if the program links both, {}",
        built.major, built.minor, built.patch, loaded.major, loaded.minor, loaded.patch, files[0], kApart);
  for (const std::string& file : files)
    if (file != files[0])
      return fmt::format(
          "this program links two LLVMs, and weft's calls have been given to both: {} and {}; "
          "weft needs LLVM {}.{} alone. {}",
          files[0], file, built.major, built.minor, kApart);
  return "";
}

namespace {

/// Once: this is the LLVM that weft was built for.
void check_llvm() {
  static const bool checked = [] {
    LlvmVersion loaded;
    LLVMGetVersion(&loaded.major, &loaded.minor, &loaded.patch);
    const std::string problem =
        llvm_problem({LLVM_VERSION_MAJOR, LLVM_VERSION_MINOR, LLVM_VERSION_PATCH}, loaded,
                     {file_of(&LLVMGetVersion), file_of(&LLVMContextCreate), file_of(&LLVMInitializeX86Target)});
    if (!problem.empty()) fail("{}", problem);
    return std::atexit(at_exit) == 0;
  }();
  (void)checked;
}

}  // namespace

LlvmUse::LlvmUse() {
  check_llvm();
  if (depth++ > 0) return;
  under_way.fetch_add(1);
  if (!ending) return;
  --depth;
  leave();
  if (pthread_equal(ending_thread, pthread_self()))
    fail(
        "the program is ending, and LLVM has been taken down: "
        "what is compiled runs, and nothing more can be compiled");
  for (;;) pause();
}

LlvmUse::~LlvmUse() {
  if (--depth > 0) return;
  static constinit std::atomic<std::uint32_t> done{0};
  if (std::has_single_bit(done.fetch_add(1) + 1)) std::atexit(at_exit);
  leave();
}

}  // namespace weft::codegen
