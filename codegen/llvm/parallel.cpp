// A loop whose iterations are taken by whichever thread is free.
#include "codegen/llvm/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "ir/base/fork.h"

namespace weft::codegen {

void parallel_for(std::size_t n, int threads, const std::function<Work()>& make_work) {
  const std::size_t team_size =
      threads > 0 ? static_cast<std::size_t>(threads) : std::max(1u, std::thread::hardware_concurrency());
  const ForkGuard guard;
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  auto run = [&] {
    const ForkGuard joined(ForkGuard::joined);
    Work work;
    for (std::size_t i; (i = next++) < n;) try {
        if (!work) work = make_work();
        work(i);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
      }
  };
  std::vector<std::jthread> team;
  for (std::size_t t = 1; t < std::min(n, team_size); ++t) team.emplace_back(run);
  run();
  team.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace weft::codegen
