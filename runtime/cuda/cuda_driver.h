// NVIDIA's driver API, loaded when it is first needed: one binary for machines with and without a GPU, built without a
// toolkit. Declared here from the API's documentation; the names are those of the symbols, versions included.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <weft/ir/base/error.h>

namespace weft::cuda {

using Result = int;  // 0: success
using Ordinal = int;
using Address = unsigned long long;
using Context = struct ContextObject*;
using Module = struct ModuleObject*;
using Function = struct FunctionObject*;
using Stream = struct StreamObject*;
using Event = struct EventObject*;
using Graph = struct GraphObject*;
using GraphExec = struct GraphExecObject*;

inline constexpr Result kOutOfMemory = 2;
/// Of enumerations of the API: what is used of them.
enum class Attribute : int {
  multiprocessors = 16,
  threads_per_multiprocessor = 39,
  major = 75,
  minor = 76,
  registers_per_multiprocessor = 82,
  shared_bytes_per_block = 97,  // that a function may ask for
};
enum class FunctionAttribute : int { dynamic_shared_bytes = 8 };
enum class JitOption : int { error_log = 5, error_log_bytes = 6 };
enum class CaptureMode : int { thread_local_calls = 1 };
inline constexpr unsigned kStreamNonBlocking = 1, kEventDisableTiming = 2;

/// member, symbol, parameters: every function returns a Result.
#define WEFT_CUDA_FUNCTIONS(X)                                                                                  \
  X(init, cuInit, (unsigned flags))                                                                             \
  X(driver_version, cuDriverGetVersion, (int*))                                                                 \
  X(error_name, cuGetErrorName, (Result, const char**))                                                         \
  X(error_text, cuGetErrorString, (Result, const char**))                                                       \
  X(device_count, cuDeviceGetCount, (int*))                                                                     \
  X(device_get, cuDeviceGet, (Ordinal*, int))                                                                   \
  X(device_name, cuDeviceGetName, (char*, int bytes, Ordinal))                                                  \
  X(device_memory, cuDeviceTotalMem_v2, (std::size_t*, Ordinal))                                                \
  X(device_attribute, cuDeviceGetAttribute, (int*, Attribute, Ordinal))                                         \
  X(context_retain, cuDevicePrimaryCtxRetain, (Context*, Ordinal))                                              \
  X(context_release, cuDevicePrimaryCtxRelease_v2, (Ordinal))                                                   \
  X(context_set, cuCtxSetCurrent, (Context))                                                                    \
  X(stream_create, cuStreamCreate, (Stream*, unsigned flags))                                                   \
  X(stream_destroy, cuStreamDestroy_v2, (Stream))                                                               \
  X(stream_wait, cuStreamSynchronize, (Stream))                                                                 \
  X(event_create, cuEventCreate, (Event*, unsigned flags))                                                      \
  X(event_destroy, cuEventDestroy_v2, (Event))                                                                  \
  X(event_record, cuEventRecord, (Event, Stream))                                                               \
  X(event_wait, cuEventSynchronize, (Event))                                                                    \
  X(memory_info, cuMemGetInfo_v2, (std::size_t * free, std::size_t * total))                                    \
  X(allocate, cuMemAlloc_v2, (Address*, std::size_t))                                                           \
  X(release, cuMemFree_v2, (Address))                                                                           \
  X(host_allocate, cuMemHostAlloc, (void**, std::size_t, unsigned flags))                                       \
  X(host_release, cuMemFreeHost, (void*))                                                                       \
  X(upload, cuMemcpyHtoDAsync_v2, (Address to, const void* from, std::size_t, Stream))                          \
  X(download, cuMemcpyDtoHAsync_v2, (void* to, Address from, std::size_t, Stream))                              \
  X(copy, cuMemcpyDtoDAsync_v2, (Address to, Address from, std::size_t, Stream))                                \
  X(module_load, cuModuleLoadDataEx, (Module*, const void* image, unsigned options, JitOption*, void** values)) \
  X(module_unload, cuModuleUnload, (Module))                                                                    \
  X(module_function, cuModuleGetFunction, (Function*, Module, const char* name))                                \
  X(function_set, cuFuncSetAttribute, (Function, FunctionAttribute, int))                                       \
  X(launch, cuLaunchKernel,                                                                                     \
    (Function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,           \
     unsigned block_z, unsigned shared_bytes, Stream, void** parameters, void** extra))                         \
  X(launch_cooperative, cuLaunchCooperativeKernel,                                                              \
    (Function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,           \
     unsigned block_z, unsigned shared_bytes, Stream, void** parameters))                                       \
  X(blocks_at_once, cuOccupancyMaxActiveBlocksPerMultiprocessor,                                                \
    (int* blocks, Function, int threads, std::size_t shared_bytes))                                             \
  X(capture_begin, cuStreamBeginCapture_v2, (Stream, CaptureMode))                                              \
  X(capture_end, cuStreamEndCapture, (Stream, Graph*))                                                          \
  X(graph_instantiate, cuGraphInstantiateWithFlags, (GraphExec*, Graph, unsigned long long flags))              \
  X(graph_launch, cuGraphLaunch, (GraphExec, Stream))                                                           \
  X(graph_exec_destroy, cuGraphExecDestroy, (GraphExec))                                                        \
  X(graph_destroy, cuGraphDestroy, (Graph))

/// A function of the driver and the name that messages give it.
template <class... Parameters>
struct Entry {
  const char* symbol;
  Result (*call)(Parameters...);
};

class Driver {
 public:
  /// Loads the library and finds every function; not yet initialised. Throws Error saying why it cannot be used.
  static std::shared_ptr<const Driver> load(const std::string& library);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  /// Calls it. Throws Error "cuda: cannot {attempt} {what}: CUDA_ERROR_… (the driver's explanation), from cuFunction"
  /// when it fails.
  template <class... Parameters>
  void operator()(std::string_view attempt, std::string_view what, const Entry<Parameters...>& entry,
                  std::type_identity_t<Parameters>... arguments) const {
    if (const Result r = entry.call(arguments...); r != 0) [[unlikely]]
      throw_error(attempt, what, entry.symbol, r);
  }
  /// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)"
  std::string describe(Result) const;
  [[noreturn]] void throw_error(std::string_view attempt, std::string_view what, const char* symbol, Result) const;

#define WEFT_CUDA_MEMBER(member, symbol, parameters) \
  decltype(entry_of(static_cast<Result(*) parameters>(nullptr))) member{#symbol, nullptr};

 private:
  template <class... Parameters>
  static Entry<Parameters...> entry_of(Result (*)(Parameters...));

 public:
  WEFT_CUDA_FUNCTIONS(WEFT_CUDA_MEMBER)
#undef WEFT_CUDA_MEMBER

 private:
  Driver() = default;
  void* library_ = nullptr;
};

}  // namespace weft::cuda
