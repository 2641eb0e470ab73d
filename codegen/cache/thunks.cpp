// Thunks as machine code. They are a fixed sequence of instructions with a few for each buffer, written directly: LLVM
// would take longer to start than a program takes to load from the object cache.
#include "codegen/cache/thunks.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "ir/base/error.h"

namespace weft::codegen {
namespace {

constexpr std::int64_t kSlot = sizeof(void*);

template <class T>
void append(std::string& code, T value) {
  code.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Appends the code of a thunk (System V calling convention: rdi is the program's table of buffers; rsi, rdx and rcx
/// pass through). The frame is a chain of rbp, which profilers and debuggers follow.
void assemble(std::string& code, const Thunk& thunk) {
  const auto n = static_cast<std::int64_t>(thunk.arguments.size());
  constexpr std::int64_t kMaxBuffers = INT32_MAX / kSlot - 1;
  ensure(
      n < kMaxBuffers && std::ranges::all_of(thunk.arguments, [](const Argument& a) { return a.buffer < kMaxBuffers; }),
      "a program or a kernel with more than {} buffers", kMaxBuffers);
  code += "\x55";          // push rbp
  code += "\x48\x89\xe5";  // mov rbp, rsp
  code += "\x48\x81\xec";  // sub rsp, table; a multiple of 16
  append(code, static_cast<std::int32_t>((n + 1) / 2 * 2 * kSlot));
  // Downwards from the caller's frame, so that the pages of a long table are touched in the order in which a stack
  // grows.
  for (std::int64_t i = n; i-- > 0;) {
    const Argument& argument = thunk.arguments[static_cast<std::size_t>(i)];
    code += "\x48\x8b\x87";  // mov rax, [rdi + buffer]
    append(code, static_cast<std::int32_t>(argument.buffer * kSlot));
    if (argument.bytes) {
      code += "\x49\xbb";  // mov r11, bytes
      append(code, argument.bytes);
      code += "\x4c\x01\xd8";  // add rax, r11
    }
    code += "\x48\x89\x84\x24";  // mov [rsp + i], rax
    append(code, static_cast<std::int32_t>(i * kSlot));
  }
  code += "\x48\x89\xe7";  // mov rdi, rsp
  code += "\x48\xb8";      // mov rax, target
  append(code, reinterpret_cast<std::uint64_t>(thunk.target));
  code += "\xff\xd0";  // call rax
  code += "\xc9\xc3";  // leave; ret
}

}  // namespace

Thunks::Thunks(std::span<const Thunk> thunks) {
  std::string code;
  std::vector<std::size_t> starts;
  for (const Thunk& t : thunks) {
    code.append(-code.size() % 16, '\xcc');
    starts.push_back(code.size());
    assemble(code, t);
  }
  if (code.empty()) return;
  void* const pages = mmap(nullptr, code.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) fail("cannot allocate {} bytes for code", code.size());
  pages_ = pages;
  bytes_ = code.size();
  std::memcpy(pages_, code.data(), code.size());
  if (mprotect(pages_, bytes_, PROT_READ | PROT_EXEC) != 0) {
    munmap(pages_, bytes_);
    fail("the system does not let this process run code that it has compiled");
  }
  for (std::size_t start : starts)
    functions_.push_back(reinterpret_cast<KernelFn>(static_cast<std::byte*>(pages_) + start));
}

Thunks::~Thunks() {
  if (pages_) munmap(pages_, bytes_);
}

}  // namespace weft::codegen
