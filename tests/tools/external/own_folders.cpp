// A user's program with folders that are called as weft's, before weft's headers and after them.
#include "ir/graph/graph.h"

#include <weft/weft.h>

#include "runtime/data/data.h"

#if __has_include("ir/ops/op.h") || __has_include(<passes/pipeline.h>)
#error weft offers its headers under names that are not its own
#endif

int main() {
  const weft::Tensor x = weft::placeholder(weft::f32, {3});
  fmt::print("{} {} {}\n", MyGraph{}.nodes, MyData{}.rows, x.rank());
}
