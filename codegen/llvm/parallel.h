// Private to codegen/: independent pieces of work on several threads.
#pragma once
#include <cstddef>
#include <functional>

namespace weft::codegen {

/// What one thread does for an item; it may own what the thread needs for all of them.
using Work = std::function<void(std::size_t)>;
/// Calls make_work()(i) for i in [0, n) on `threads` threads (0: one a core), the caller's among them; make_work once
/// on each thread that has anything to do. Rethrows the first exception.
void parallel_for(std::size_t n, int threads, const std::function<Work()>& make_work);

}  // namespace weft::codegen
