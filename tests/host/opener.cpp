// A host that loads another LLVM by itself: `host_opener LLVM local|global first|last`, before weft works or after.
#include <dlfcn.h>

#include <cstdio>
#include <cstring>

extern "C" bool weft_works();  // plugin.cpp

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  if (std::strcmp(argv[3], "last") == 0 && !weft_works()) return 3;
  void* llvm = dlopen(argv[1], RTLD_NOW | (std::strcmp(argv[2], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL));
  if (!llvm) return std::puts(dlerror()), 4;
  const auto create = reinterpret_cast<void* (*)()>(dlsym(llvm, "LLVMContextCreate"));
  const auto dispose = reinterpret_cast<void (*)(void*)>(dlsym(llvm, "LLVMContextDispose"));
  for (int i = 0; i < 2; ++i) {
    dispose(create());
    if (!weft_works()) return std::puts("wrong"), 5;
  }
  std::puts("right");
}
