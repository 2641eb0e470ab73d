// A C++ program that runs a function from an object file, without weft's library.
#include <array>
#include <cstdio>

#include "dense.h"

static dense_cpp::instance dense;

int main() {
  const std::array<float, 6> points{1, 0, 0, 0, 1, 0};
  std::array<float, 4> probability{};
  if (dense.fault() || dense.dense(points, probability)) return 1;
  std::printf("%g\n", double(probability[0] + probability[1]));
}
