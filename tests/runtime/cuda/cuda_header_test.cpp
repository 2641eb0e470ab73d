// weft's own declarations of the driver API against NVIDIA's header, on machines that have it.
#include "runtime/cuda/cuda_driver.h"

#include <type_traits>

#include "catch.h"

#if __has_include(<cuda.h>)
#include <cuda.h>

namespace {

/// As many parameters, each as large, pointers where there are pointers: the same call.
template <class... A, class... B>
constexpr bool same_call(CUresult (*)(A...), weft::cuda::Result (*)(B...)) {
  if constexpr (sizeof...(A) == sizeof...(B))
    return ((sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B>)&&...);
  else
    return false;
}
static_assert(sizeof(CUresult) == sizeof(weft::cuda::Result));
static_assert(sizeof(CUdeviceptr) == sizeof(weft::cuda::Address));

template <class Ours, class Theirs>
constexpr bool same_value(Ours ours, Theirs theirs) {
  return static_cast<long long>(ours) == static_cast<long long>(theirs);
}

}  // namespace

TEST_CASE("declarations of the driver API are those of cuda.h") {
#define SAME(member, symbol, parameters)                                        \
  {                                                                             \
    INFO(#symbol);                                                              \
    using Theirs = decltype(&::symbol);                                         \
    using Ours = weft::cuda::Result(*) parameters;                              \
    CHECK(same_call(static_cast<Theirs>(nullptr), static_cast<Ours>(nullptr))); \
  }
  using weft::cuda::Attribute, weft::cuda::Context, weft::cuda::Event, weft::cuda::Function, weft::cuda::Graph,
      weft::cuda::GraphExec, weft::cuda::JitOption, weft::cuda::Module, weft::cuda::Ordinal, weft::cuda::Result,
      weft::cuda::Stream, weft::cuda::Address, weft::cuda::CaptureMode, weft::cuda::FunctionAttribute;
  WEFT_CUDA_FUNCTIONS(SAME)
#undef SAME
  CHECK(same_value(weft::cuda::kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY));
  CHECK(same_value(Attribute::multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
  CHECK(same_value(Attribute::threads_per_multiprocessor, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR));
  CHECK(same_value(Attribute::major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR));
  CHECK(same_value(Attribute::minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
  CHECK(same_value(Attribute::registers_per_multiprocessor, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR));
  CHECK(same_value(Attribute::shared_bytes_per_block, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
  CHECK(same_value(FunctionAttribute::dynamic_shared_bytes, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES));
  CHECK(same_value(JitOption::error_log, CU_JIT_ERROR_LOG_BUFFER));
  CHECK(same_value(JitOption::error_log_bytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES));
  CHECK(same_value(CaptureMode::thread_local_calls, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  CHECK(same_value(weft::cuda::kStreamNonBlocking, CU_STREAM_NON_BLOCKING));
  CHECK(same_value(weft::cuda::kEventDisableTiming, CU_EVENT_DISABLE_TIMING));
}
#else
TEST_CASE("declarations of the driver API are those of cuda.h") { WARN("there is no cuda.h: nothing was compared"); }
#endif
