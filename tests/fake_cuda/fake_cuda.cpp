// The driver API's functions on host memory: lazy streams, captured graphs, bookkeeping of everything made.
#include "fake_cuda/fake_cuda.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <regex>
#include <set>

#include "runtime/cuda/cuda_driver.h"

using weft::test::FakeCuda;
namespace cuda = weft::cuda;

namespace weft::cuda {
struct ContextObject {};
struct ModuleObject {
  std::map<std::string, std::unique_ptr<FunctionObject>> functions;
};
struct FunctionObject {
  std::string entry;
  std::size_t parameters = 0;
};
struct EventObject {
  std::uint64_t work = 0;  // number of the last piece of work before it
};
using Work = std::function<void()>;
struct GraphObject {
  std::vector<Work> work;
};
struct GraphExecObject {
  std::vector<Work> work;
};
struct StreamObject {
  std::deque<Work> queue;
  std::uint64_t done = 0;
  std::unique_ptr<GraphObject> capture;
};
}  // namespace weft::cuda

namespace {

constexpr cuda::Result kInvalidValue = 1, kInvalidContext = 201, kInvalidPtx = 218, kNotFound = 500,
                       kIllegalState = 401;
constexpr int kMultiprocessors = 16;

FakeCuda& fake() {
  static FakeCuda* state = [] {
    auto* f = new FakeCuda;
    if (const char* n = std::getenv("FAKE_CUDA_DEVICES")) f->devices = std::atoi(n);
    if (const char* s = std::getenv("FAKE_CUDA_FAIL")) {
      const std::string text = s;
      f->failures[text.substr(0, text.find(':'))] = std::atoi(text.c_str() + text.find(':') + 1);
    }
    return f;
  }();
  return *state;
}

cuda::ContextObject the_context;
thread_local cuda::Context current = nullptr;
bool started = false;
std::map<std::uint64_t, std::size_t> blocks;  // of the device

bool in_block(std::uint64_t address, std::size_t bytes) {
  auto after = blocks.upper_bound(address);
  if (after == blocks.begin()) return false;
  const auto& [begin, size] = *std::prev(after);
  return address + bytes <= begin + size;
}

/// Counts the call; the result that it has before it does anything.
cuda::Result enter(const char* symbol, bool needs_context = true) {
  ++fake().calls[symbol];
  if (const auto it = fake().failures.find(symbol); it != fake().failures.end()) return it->second;
  if (needs_context && (!started || current != &the_context)) return kInvalidContext;
  return 0;
}

cuda::Result drain(cuda::Stream s, std::uint64_t until) {
  for (; s->done < until; ++s->done) {
    const cuda::Work work = std::move(s->queue.front());
    s->queue.pop_front();
    work();
  }
  return fake().failure_of_work;
}
cuda::Result drain(cuda::Stream s) { return drain(s, s->done + s->queue.size()); }

void add(cuda::Stream s, cuda::Work work) {
  if (s->capture)
    s->capture->work.push_back(std::move(work));
  else
    s->queue.push_back(std::move(work));
}

std::set<cuda::Stream>& streams() {
  static std::set<cuda::Stream> all;
  return all;
}

template <class T>
void made(const char* what, T** to, T* object) {
  *to = object;
  ++fake().alive[what];
}
template <class T>
cuda::Result destroyed(const char* what, T* object) {
  delete object;
  --fake().alive[what];
  return 0;
}

const std::map<int, std::pair<const char*, const char*>> kErrors = {
    {1, {"CUDA_ERROR_INVALID_VALUE", "invalid argument"}},
    {2, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}},
    {100, {"CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"}},
    {218, {"CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"}},
    {700, {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"}},
    {999, {"CUDA_ERROR_UNKNOWN", "unknown error"}},
};

}  // namespace

// Results of entering end a function at once.
#define ENTER(...) \
  if (const cuda::Result r = enter(__VA_ARGS__); r != 0) return r

extern "C" {

FakeCuda* fake_cuda() { return &fake(); }

cuda::Result cuGetErrorName(cuda::Result r, const char** name) {
  const auto it = kErrors.find(r);
  if (it == kErrors.end()) return kInvalidValue;
  *name = it->second.first;
  return 0;
}
cuda::Result cuGetErrorString(cuda::Result r, const char** text) {
  const auto it = kErrors.find(r);
  if (it == kErrors.end()) return kInvalidValue;
  *text = it->second.second;
  return 0;
}

cuda::Result cuInit(unsigned) {
  ENTER("cuInit", false);
  started = true;
  return 0;
}
cuda::Result cuDriverGetVersion(int* version) {
  ENTER("cuDriverGetVersion", false);
  *version = fake().driver_version;
  return 0;
}
cuda::Result cuDeviceGetCount(int* count) {
  ENTER("cuDeviceGetCount", false);
  *count = fake().devices;
  return 0;
}
cuda::Result cuDeviceGet(cuda::Ordinal* device, int ordinal) {
  ENTER("cuDeviceGet", false);
  *device = ordinal;
  return ordinal < fake().devices ? 0 : kInvalidValue;
}
cuda::Result cuDeviceGetName(char* name, int bytes, cuda::Ordinal) {
  ENTER("cuDeviceGetName", false);
  std::strncpy(name, "Fake GPU", static_cast<std::size_t>(bytes));
  return 0;
}
cuda::Result cuDeviceTotalMem_v2(std::size_t* bytes, cuda::Ordinal) {
  ENTER("cuDeviceTotalMem_v2", false);
  *bytes = fake().memory_bytes;
  return 0;
}
cuda::Result cuDeviceGetAttribute(int* value, cuda::Attribute attribute, cuda::Ordinal) {
  ENTER("cuDeviceGetAttribute", false);
  switch (attribute) {
    case cuda::Attribute::major: *value = fake().major; break;
    case cuda::Attribute::minor: *value = fake().minor; break;
    case cuda::Attribute::multiprocessors: *value = kMultiprocessors; break;
    case cuda::Attribute::threads_per_multiprocessor: *value = 1536; break;
    case cuda::Attribute::registers_per_multiprocessor: *value = 65536; break;
    case cuda::Attribute::shared_bytes_per_block: *value = 100 << 10; break;
    default: return kInvalidValue;
  }
  return 0;
}

cuda::Result cuDevicePrimaryCtxRetain(cuda::Context* context, cuda::Ordinal) {
  ENTER("cuDevicePrimaryCtxRetain", false);
  *context = &the_context;
  ++fake().alive["contexts"];
  return 0;
}
cuda::Result cuDevicePrimaryCtxRelease_v2(cuda::Ordinal) {
  --fake().alive["contexts"];
  return 0;
}
cuda::Result cuCtxSetCurrent(cuda::Context context) {
  ENTER("cuCtxSetCurrent", false);
  current = context;
  return 0;
}

cuda::Result cuStreamCreate(cuda::Stream* stream, unsigned) {
  ENTER("cuStreamCreate");
  made("streams", stream, new cuda::StreamObject);
  streams().insert(*stream);
  return 0;
}
cuda::Result cuStreamDestroy_v2(cuda::Stream stream) {
  streams().erase(stream);
  return destroyed("streams", stream);
}
cuda::Result cuStreamSynchronize(cuda::Stream stream) {
  ENTER("cuStreamSynchronize");
  return stream->capture ? kIllegalState : drain(stream);
}

cuda::Result cuEventCreate(cuda::Event* event, unsigned) {
  ENTER("cuEventCreate");
  made("events", event, new cuda::EventObject);
  return 0;
}
cuda::Result cuEventDestroy_v2(cuda::Event event) { return destroyed("events", event); }
cuda::Result cuEventRecord(cuda::Event event, cuda::Stream stream) {
  ENTER("cuEventRecord");
  if (stream->capture) return kIllegalState;
  event->work = stream->done + stream->queue.size();
  return 0;
}
cuda::Result cuEventSynchronize(cuda::Event event) {
  ENTER("cuEventSynchronize");
  return drain(*streams().begin(), event->work);
}

cuda::Result cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  ENTER("cuMemGetInfo_v2");
  *free = fake().memory_bytes - fake().used_bytes;
  *total = fake().memory_bytes;
  return 0;
}
cuda::Result cuMemAlloc_v2(cuda::Address* address, std::size_t bytes) {
  ENTER("cuMemAlloc_v2");
  if (bytes == 0) return kInvalidValue;
  if (bytes > fake().memory_bytes - fake().used_bytes) return cuda::kOutOfMemory;
  void* p = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(p, 0xff, bytes);  // what reads memory that it has not written computes with NaN
  *address = reinterpret_cast<std::uintptr_t>(p);
  blocks[*address] = bytes;
  fake().used_bytes += bytes;
  ++fake().alive["blocks"];
  return 0;
}
cuda::Result cuMemFree_v2(cuda::Address address) {
  ENTER("cuMemFree_v2");
  for (cuda::Stream s : streams()) drain(s);
  const auto it = blocks.find(address);
  if (it == blocks.end()) return kInvalidValue;
  fake().used_bytes -= it->second;
  blocks.erase(it);
  std::free(reinterpret_cast<void*>(address));
  --fake().alive["blocks"];
  return 0;
}
cuda::Result cuMemHostAlloc(void** p, std::size_t bytes, unsigned) {
  ENTER("cuMemHostAlloc");
  *p = std::malloc(bytes);
  ++fake().alive["pinned"];
  return 0;
}
cuda::Result cuMemFreeHost(void* p) {
  ENTER("cuMemFreeHost");
  std::free(p);
  --fake().alive["pinned"];
  return 0;
}

cuda::Result cuMemcpyHtoDAsync_v2(cuda::Address to, const void* from, std::size_t bytes, cuda::Stream stream) {
  ENTER("cuMemcpyHtoDAsync_v2");
  if (!in_block(to, bytes)) return kInvalidValue;
  if (stream->capture) return kIllegalState;
  add(stream, [=] { std::memcpy(reinterpret_cast<void*>(to), from, bytes); });
  return 0;
}
cuda::Result cuMemcpyDtoHAsync_v2(void* to, cuda::Address from, std::size_t bytes, cuda::Stream stream) {
  ENTER("cuMemcpyDtoHAsync_v2");
  if (!in_block(from, bytes)) return kInvalidValue;
  if (stream->capture) return kIllegalState;
  add(stream, [=] { std::memcpy(to, reinterpret_cast<const void*>(from), bytes); });
  return 0;
}
cuda::Result cuMemcpyDtoDAsync_v2(cuda::Address to, cuda::Address from, std::size_t bytes, cuda::Stream stream) {
  ENTER("cuMemcpyDtoDAsync_v2");
  if (!in_block(to, bytes) || !in_block(from, bytes)) return kInvalidValue;
  add(stream, [=] { std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes); });
  return 0;
}

// An entry of PTX text: ".entry name( .param … , .param … )".
cuda::Result cuModuleLoadDataEx(cuda::Module* module, const void* image, unsigned options, cuda::JitOption* option,
                                void** values) {
  const cuda::Result failed = enter("cuModuleLoadDataEx");
  fake().module = static_cast<const char*>(image);
  const std::string& text = fake().module;
  auto loaded = std::make_unique<cuda::ModuleObject>();
  static const std::regex entry(R"(\.entry\s+([A-Za-z0-9_$]+)\s*\(([^)]*)\))"), parameter(R"(\.param)");
  for (std::sregex_iterator i(text.begin(), text.end(), entry), end; i != end; ++i) {
    const std::string list = (*i)[2];
    auto f = std::make_unique<cuda::FunctionObject>();
    f->entry = (*i)[1];
    f->parameters =
        static_cast<std::size_t>(std::distance(std::sregex_iterator(list.begin(), list.end(), parameter), {}));
    loaded->functions[f->entry] = std::move(f);
  }
  if (failed != 0 || loaded->functions.empty()) {
    for (unsigned o = 0; o < options; ++o)
      if (option[o] == cuda::JitOption::error_log) std::strcpy(static_cast<char*>(values[o]), fake().jit_log.c_str());
    return failed != 0 ? failed : kInvalidPtx;
  }
  made("modules", module, loaded.release());
  return 0;
}
cuda::Result cuModuleUnload(cuda::Module module) { return destroyed("modules", module); }
cuda::Result cuModuleGetFunction(cuda::Function* function, cuda::Module module, const char* name) {
  ENTER("cuModuleGetFunction");
  const auto it = module->functions.find(name);
  if (it == module->functions.end()) return kNotFound;
  *function = it->second.get();
  return 0;
}
cuda::Result cuFuncSetAttribute(cuda::Function function, cuda::FunctionAttribute, int value) {
  ENTER("cuFuncSetAttribute");
  fake().shared_limits[function->entry] = value;
  return 0;
}
cuda::Result cuLaunchKernel(cuda::Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                            unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                            cuda::Stream stream, void** parameters, void**) {
  ENTER("cuLaunchKernel");
  const int given = fake().shared_limits.contains(function->entry) ? fake().shared_limits[function->entry] : 48 << 10;
  if (grid_x == 0 || grid_y != 1 || grid_z != 1 || block_x == 0 || block_x > 1024 || block_y != 1 || block_z != 1 ||
      static_cast<int>(shared_bytes) > given)
    return kInvalidValue;
  FakeCuda::Launch launch{function->entry, grid_x, block_x, shared_bytes, {}};
  for (std::size_t i = 0; i < function->parameters; ++i)
    launch.parameters.push_back(*static_cast<const std::uint64_t*>(parameters[i]));
  add(stream, [launch] {
    fake().launches.push_back(launch);
    if (fake().on_launch) fake().on_launch(launch);
  });
  return 0;
}
// A cooperative launch waits for blocks that may never run when there are more than fit: the driver refuses it.
cuda::Result cuLaunchCooperativeKernel(cuda::Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                       cuda::Stream stream, void** parameters) {
  ENTER("cuLaunchCooperativeKernel");
  if (grid_x > static_cast<unsigned>(fake().blocks_at_once * kMultiprocessors) || stream->capture) return kInvalidValue;
  return cuLaunchKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream, parameters,
                        nullptr);
}
cuda::Result cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, cuda::Function, int, std::size_t) {
  ENTER("cuOccupancyMaxActiveBlocksPerMultiprocessor");
  *blocks = fake().blocks_at_once;
  return 0;
}

cuda::Result cuStreamBeginCapture_v2(cuda::Stream stream, cuda::CaptureMode) {
  ENTER("cuStreamBeginCapture_v2");
  if (stream->capture) return kIllegalState;
  stream->capture = std::make_unique<cuda::GraphObject>();
  return 0;
}
cuda::Result cuStreamEndCapture(cuda::Stream stream, cuda::Graph* graph) {
  ++fake().calls["cuStreamEndCapture"];
  if (!stream->capture) return kIllegalState;
  auto captured = std::move(stream->capture);
  if (const auto it = fake().failures.find("cuStreamEndCapture"); it != fake().failures.end()) return it->second;
  made("graphs", graph, captured.release());
  return 0;
}
cuda::Result cuGraphInstantiateWithFlags(cuda::GraphExec* exec, cuda::Graph graph, unsigned long long) {
  ENTER("cuGraphInstantiateWithFlags");
  made("graph execs", exec, new cuda::GraphExecObject{graph->work});
  return 0;
}
cuda::Result cuGraphLaunch(cuda::GraphExec exec, cuda::Stream stream) {
  ENTER("cuGraphLaunch");
  for (const cuda::Work& work : exec->work) add(stream, work);
  return 0;
}
cuda::Result cuGraphExecDestroy(cuda::GraphExec exec) {
  for (cuda::Stream s : streams()) drain(s);
  return destroyed("graph execs", exec);
}
cuda::Result cuGraphDestroy(cuda::Graph graph) { return destroyed("graphs", graph); }

}  // extern "C"
