// Private to codegen/: independent pieces of work on several threads.
#pragma once
#include <cstddef>
#include <functional>

namespace weft::codegen {

/// Calls work(i) for i in [0, n) on `threads` threads (0: one a core), the caller's among them; rethrows the first
/// exception.
void parallel_for(std::size_t n, int threads, const std::function<void(std::size_t)>& work);

}  // namespace weft::codegen
