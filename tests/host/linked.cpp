// A host that is linked with another LLVM and with weft: both work, in turns.
#include <cstdio>

#include "host/other_llvm.h"

extern "C" bool weft_works();  // plugin.cpp

int main() {
  for (int i = 0; i < 2; ++i)
    if (!host::other_llvm_works() || !weft_works()) return std::puts("wrong"), 5;
  std::puts("right");
}
