// Programs without what only CPUs do for speed, so that states are bound as they are.
#pragma once
#include "passes/pipeline.h"

namespace weft::test {

inline const std::vector<std::string> kCpuPasses = {"column-sums", "row-sums", "contraction-sums", "layout"};

}  // namespace weft::test
