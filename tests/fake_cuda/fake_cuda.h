// What tests see of the driver that is none: a library with the driver API's functions on host memory, that can be told
// to fail.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace weft::test {

/// The state of the loaded library; fake_cuda() in it returns it. Streams are lazy, as a device's may be: what is asked
/// for is done when somebody waits, so whoever reuses memory too early, or forgets to wait, computes with wrong bytes.
struct FakeCuda {
  struct Launch {
    std::string entry;
    unsigned blocks = 0, threads = 0, shared_bytes = 0;
    std::vector<std::uint64_t> parameters;
  };

  // What it is. The environment sets the first two: FAKE_CUDA_DEVICES=0, FAKE_CUDA_FAIL=cuInit:100.
  int devices = 1;
  std::map<std::string, int> failures;  // by symbol: the result of each call of it
  int failure_of_work = 0;              // what waiting returns, as after a fault of a kernel
  std::size_t memory_bytes = std::size_t{1} << 30;
  int driver_version = 12080, major = 9, minor = 0;
  int blocks_at_once = 2;  // of any kernel on a multiprocessor
  std::string jit_log;     // of cuModuleLoadDataEx
  std::function<void(const Launch&)> on_launch;

  // What was asked of it.
  std::map<std::string, int> calls;          // by symbol
  std::vector<Launch> launches;              // in the order in which they were done
  std::map<std::string, int> shared_limits;  // by entry: dynamic shared memory that it was given
  std::string module;                        // text of the last
  std::map<std::string, int> alive;          // contexts, streams, …: made and not yet destroyed
  std::size_t used_bytes = 0;
};

}  // namespace weft::test
