// Streaming kernels beside their roofs: each row times a compiled function and, in turn, a copy of as many bytes on as
// many threads, and prints how near the function comes to the roof that limits it.
#pragma once
#include <vector>

#include "bench/bench.h"

namespace weft::bench {

/// What is compiled: built anew for each row inside a GraphScope.
struct Traced {
  std::vector<NamedTensor> outputs = {};
  std::vector<Assignment> updates = {};
};

inline Tensor operand(std::int64_t rows, std::int64_t columns, const char* name = "x") {
  return placeholder(f32, {rows, columns}, name);
}

using Function = Tensor (*)(const Tensor&);

template <Function f>
Traced forward(std::int64_t rows, std::int64_t columns) {
  return {{f(operand(rows, columns))}};
}

/// The gradient of x for a gradient dy of y = f(x).
template <Function f>
Traced backward(std::int64_t rows, std::int64_t columns) {
  const Tensor x = operand(rows, columns), dy = operand(rows, columns, "dy");
  return {{grad(sum(f(x) * dy), {x})[0]}};
}

struct StreamRow {
  const char* name;
  Traced (*trace)(std::int64_t rows, std::int64_t columns);
  std::int64_t columns = 1024;
  int arrays = 2;  ///< f32 arrays of rows x columns that it reads and writes: bytes are shared out among them
};

/// Registers each row at sizes that fit L1, L2 and L3 and one that fits none, on one thread and on all.
/// WEFT_BENCH_TARGET names another cpu to compile for, as `weft bench --cpu` takes it; roofs are in its registers too.
int register_stream(const std::vector<StreamRow>&);
/// One row at one size.
void register_stream(const StreamRow&, const char* place, std::int64_t rows);

}  // namespace weft::bench
