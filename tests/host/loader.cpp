// A host that is linked with another LLVM, and loads libraries: `host_loader PLUGIN local|global` loads weft in one.
#include <dlfcn.h>

#include <cstdio>
#include <cstring>

#include "host/other_llvm.h"

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  if (!host::other_llvm_works()) return std::puts("the other LLVM fails by itself"), 3;
  void* plugin = dlopen(argv[1], RTLD_NOW | (std::strcmp(argv[2], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL));
  if (!plugin) return std::puts(dlerror()), 4;
  const auto weft_works = reinterpret_cast<bool (*)()>(dlsym(plugin, "weft_works"));
  for (int i = 0; i < 2; ++i)
    if (!weft_works() || !host::other_llvm_works()) return std::puts("wrong"), 5;
  std::puts("right");
}
