// A Device through the driver API: the primary context, one stream, pinned staging, CUDA graphs.
#include "runtime/cuda/cuda_device.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "ir/base/error.h"
#include "runtime/cuda/cuda_driver.h"

namespace weft {
namespace {

using cuda::Driver;

constexpr std::int64_t kStagingBytes = 4 << 20;        // of one of two halves
constexpr std::int64_t kStaticSharedBytes = 48 << 10;  // what a block has without asking
constexpr std::size_t kLogBytes = 16 << 10;
constexpr std::string_view kPrefix = "cuda: ";  // of every message here and of the driver's
constexpr std::string_view kNoDevice = "the driver is there, but no device";
constexpr std::int64_t kMaxBlocks = (std::int64_t{1} << 31) - 1;

std::string library_of(const CudaOptions& options) {
  if (!options.library.empty()) return options.library;
  const char* named = std::getenv("WEFT_CUDA_LIBRARY");
  return named && *named ? named : "libcuda.so.1";
}

std::shared_ptr<const Driver> start_driver(const CudaOptions& options) {
  auto driver = Driver::load(library_of(options));
  (*driver)("start the driver", "", driver->init, 0);
  return driver;
}

int count_devices(const Driver& driver) {
  int count = 0;
  driver("count the devices", "", driver.device_count, &count);
  return count;
}

DeviceInfo info_of(const Driver& driver, int ordinal) {
  cuda::Ordinal device = 0;
  const std::string what = fmt::format("device {}", ordinal);
  const std::string_view ask = "ask about";
  driver(ask, what, driver.device_get, &device, ordinal);
  const auto attribute = [&](cuda::Attribute a) {
    int value = 0;
    driver(ask, what, driver.device_attribute, &value, a, device);
    return value;
  };
  DeviceInfo info;
  info.ordinal = ordinal;
  char name[256] = {};
  driver(ask, what, driver.device_name, name, static_cast<int>(sizeof name) - 1, device);
  info.name = name;
  std::size_t bytes = 0;
  driver(ask, what, driver.device_memory, &bytes, device);
  info.memory_bytes = static_cast<std::int64_t>(bytes);
  int version = 0;
  driver(ask, "the driver's version", driver.driver_version, &version);
  info.driver = fmt::format("{}.{}", version / 1000, version % 1000 / 10);
  info.sm = fmt::format("sm_{}{}", attribute(cuda::Attribute::major), attribute(cuda::Attribute::minor));
  info.target.name = info.sm;
  info.target.multiprocessors = attribute(cuda::Attribute::multiprocessors);
  info.target.threads = attribute(cuda::Attribute::threads_per_multiprocessor);
  info.target.registers = attribute(cuda::Attribute::registers_per_multiprocessor);
  info.target.shared_bytes = attribute(cuda::Attribute::shared_bytes_per_block);
  return info;
}

/// The device's context, made current on whichever thread uses it, and its stream.
class Session {
 public:
  Session(std::shared_ptr<const Driver> driver, int ordinal) : driver_(std::move(driver)) {
    const Driver& d = *driver_;
    d("use device", std::to_string(ordinal), d.device_get, &device_, ordinal);
    d("make a context on device", std::to_string(ordinal), d.context_retain, &context_, device_);
    try {
      enter();
      d("make a stream", "", d.stream_create, &stream_, cuda::kStreamNonBlocking);
    } catch (...) {
      d.context_release.call(device_);
      throw;
    }
  }
  ~Session() {
    driver_->context_set.call(context_);
    driver_->stream_destroy.call(stream_);
    driver_->context_release.call(device_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// The driver, with the context current.
  const Driver& enter() const {
    (*driver_)("enter the context", "", driver_->context_set, context_);
    return *driver_;
  }
  /// The same where nothing may be thrown; null when the context is lost.
  const Driver* try_enter() const noexcept {
    return driver_->context_set.call(context_) == 0 ? driver_.get() : nullptr;
  }
  cuda::Stream stream() const { return stream_; }
  bool recording = false;

 private:
  std::shared_ptr<const Driver> driver_;
  cuda::Ordinal device_ = 0;
  cuda::Context context_ = nullptr;
  cuda::Stream stream_ = nullptr;
};

/// Two pinned buffers that take turns, so that one is copied while the other is transferred.
class Staging {
 public:
  explicit Staging(std::shared_ptr<Session> session) : session_(std::move(session)) {
    const Driver& d = session_->enter();
    try {
      for (Half& h : halves_) {
        void* bytes = nullptr;
        d("allocate pinned memory:", fmt::format("{} bytes", kStagingBytes), d.host_allocate, &bytes,
          static_cast<std::size_t>(kStagingBytes), 0);
        h.bytes = static_cast<std::byte*>(bytes);
        d("make an event", "", d.event_create, &h.event, cuda::kEventDisableTiming);
      }
    } catch (...) {
      release();
      throw;
    }
  }
  ~Staging() { release(); }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  void upload(DeviceAddress to, const std::byte* from, std::int64_t bytes) {
    const Driver& d = session_->enter();
    for (std::int64_t at = 0; at < bytes; at += kStagingBytes) {
      const std::int64_t n = std::min(kStagingBytes, bytes - at);
      Half& h = next();
      std::memcpy(h.bytes, from + at, static_cast<std::size_t>(n));
      d("upload", "", d.upload, to + static_cast<DeviceAddress>(at), h.bytes, static_cast<std::size_t>(n),
        session_->stream());
      record(h);
    }
  }

  void download(std::byte* to, DeviceAddress from, std::int64_t bytes) {
    const Driver& d = session_->enter();
    struct {
      Half* half = nullptr;
      std::int64_t at = 0, bytes = 0;
    } before;  // the piece that is under way
    const auto finish = [&] {
      if (!before.half) return;
      wait(*before.half);
      std::memcpy(to + before.at, before.half->bytes, static_cast<std::size_t>(before.bytes));
    };
    for (std::int64_t at = 0; at < bytes; at += kStagingBytes) {
      const std::int64_t n = std::min(kStagingBytes, bytes - at);
      Half& h = next();
      d("download", "", d.download, h.bytes, from + static_cast<DeviceAddress>(at), static_cast<std::size_t>(n),
        session_->stream());
      record(h);
      finish();
      before = {&h, at, n};
    }
    finish();
  }

 private:
  struct Half {
    std::byte* bytes = nullptr;
    cuda::Event event = nullptr;
    bool busy = false;  // until the event
  };
  Half& next() {
    Half& h = halves_[turn_ ^= 1];
    wait(h);
    return h;
  }
  void record(Half& h) {
    const Driver& d = session_->enter();
    d("record an event", "", d.event_record, h.event, session_->stream());
    h.busy = true;
  }
  void wait(Half& h) {
    if (!h.busy) return;
    const Driver& d = session_->enter();
    d("wait for the device", "", d.event_wait, h.event);
    h.busy = false;
  }
  void release() noexcept {
    const Driver* d = session_->try_enter();
    if (!d) return;
    d->stream_wait.call(session_->stream());
    for (Half& h : halves_) {
      if (h.event) d->event_destroy.call(h.event);
      if (h.bytes) d->host_release.call(h.bytes);
    }
  }

  std::shared_ptr<Session> session_;
  std::array<Half, 2> halves_;
  std::size_t turn_ = 0;
};

class CudaProgram final : public DeviceProgram {
 public:
  CudaProgram(std::shared_ptr<Session> session, std::shared_ptr<const DeviceArtifact> artifact, int multiprocessors)
      : session_(std::move(session)), artifact_(std::move(artifact)) {
    ensure(!artifact_->ptx.empty(), "artefact of {} launches without PTX", artifact_->launches.size());
    load_module();
    try {
      for (const DeviceLaunch& l : artifact_->launches) add_kernel(l);
      if (!artifact_->persistent.entry.empty()) add_persistent(artifact_->persistent, multiprocessors);
    } catch (...) {
      unload();
      throw;
    }
  }
  ~CudaProgram() override { unload(); }

  void launch(std::size_t i, std::span<const DeviceAddress> addresses) override {
    Kernel& k = kernels_[i];
    ensure(addresses.size() == k.parameters.size(), "launch @{}: {} addresses for {} buffers",
           artifact_->launches[i].name, addresses.size(), k.parameters.size());
    if (k.blocks == 0) return;
    std::ranges::copy(addresses, k.addresses.begin());
    const Driver& d = session_->enter();
    d("launch", artifact_->launches[i].symbol, d.launch, k.function, k.blocks, 1u, 1u, k.threads, 1u, 1u,
      k.dynamic_bytes, session_->stream(), k.parameters.data(), nullptr);
  }

  void launch_persistent(DeviceAddress table, DeviceAddress arrived, std::int64_t steps) override {
    const Kernel& k = persistent_;
    ensure(k.function != nullptr, "artefact without a persistent entry");
    cuda::Address addresses[] = {table, arrived};
    void* parameters[] = {&addresses[0], &addresses[1], &steps};
    const Driver& d = session_->enter();
    d("launch", artifact_->persistent.entry, d.launch_cooperative, k.function, k.blocks, 1u, 1u, k.threads, 1u, 1u,
      k.dynamic_bytes, session_->stream(), parameters);
  }

 private:
  struct Kernel {
    cuda::Function function = nullptr;
    unsigned blocks = 0, threads = 0, dynamic_bytes = 0;
    std::vector<cuda::Address> addresses;
    std::vector<void*> parameters;  // pointers to them
  };

  void load_module() {
    const Driver& d = session_->enter();
    std::string log(kLogBytes, '\0');
    cuda::JitOption options[] = {cuda::JitOption::error_log, cuda::JitOption::error_log_bytes};
    void* values[] = {log.data(), reinterpret_cast<void*>(log.size() - 1)};
    if (const cuda::Result r = d.module_load.call(&module_, artifact_->ptx.c_str(), 2, options, values); r != 0)
      fail("cuda: cannot load the code of '{}': {}, from {}\n{}", artifact_->memory ? artifact_->memory->name : "",
           d.describe(r), d.module_load.symbol, log.c_str());
  }
  void add_kernel(const DeviceLaunch& l) {
    Kernel k;
    ensure(l.blocks >= 0 && l.blocks <= kMaxBlocks, "launch @{}: {} blocks", l.name, l.blocks);
    k.blocks = static_cast<unsigned>(l.blocks);
    k.threads = static_cast<unsigned>(l.threads);
    find(k, l.symbol, l.shared_bytes);
    k.addresses.resize(l.buffers.size());
    for (cuda::Address& a : k.addresses) k.parameters.push_back(&a);
    kernels_.push_back(std::move(k));
  }
  void find(Kernel& k, const std::string& entry, std::int64_t shared) {
    const Driver& d = session_->enter();
    d("find the kernel", entry, d.module_function, &k.function, module_, entry.c_str());
    if (shared <= kStaticSharedBytes) return;
    k.dynamic_bytes = static_cast<unsigned>(shared);
    d("give shared memory to", entry, d.function_set, k.function, cuda::FunctionAttribute::dynamic_shared_bytes,
      static_cast<int>(shared));
  }
  /// As many blocks as run at once, since they wait for each other, and no more than there is work for.
  void add_persistent(const PersistentEntry& p, int multiprocessors) {
    find(persistent_, p.entry, p.shared_bytes);
    persistent_.threads = static_cast<unsigned>(p.threads);
    const Driver& d = session_->enter();
    int at_once = 0;
    d("size", p.entry, d.blocks_at_once, &at_once, persistent_.function, p.threads,
      static_cast<std::size_t>(persistent_.dynamic_bytes));
    if (at_once < 1) fail("cuda: a block of {} is more than a multiprocessor has room for", p.entry);
    std::int64_t most = 1;
    for (const DeviceLaunch& l : artifact_->launches) most = std::max(most, l.blocks);
    persistent_.blocks = static_cast<unsigned>(std::min(most, std::int64_t{at_once} * multiprocessors));
  }
  void unload() noexcept {
    if (const Driver* d = session_->try_enter()) d->module_unload.call(module_);
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<const DeviceArtifact> artifact_;
  cuda::Module module_ = nullptr;
  std::vector<Kernel> kernels_;
  Kernel persistent_;
};

class CudaGraph final : public DeviceGraph {
 public:
  CudaGraph(std::shared_ptr<Session> session, const std::function<void()>& body) : session_(std::move(session)) {
    const Driver& d = session_->enter();
    ensure(!session_->recording, "a recording inside a recording");
    // Only calls of this thread: others may use the device through another library meanwhile.
    d("begin a recording", "", d.capture_begin, session_->stream(), cuda::CaptureMode::thread_local_calls);
    session_->recording = true;
    cuda::Graph graph = nullptr;
    try {
      body();
    } catch (...) {
      session_->recording = false;
      if (d.capture_end.call(session_->stream(), &graph) == 0 && graph) d.graph_destroy.call(graph);
      throw;
    }
    session_->recording = false;
    d("end a recording", "", d.capture_end, session_->stream(), &graph);
    const cuda::Result r = d.graph_instantiate.call(&exec_, graph, 0);
    d.graph_destroy.call(graph);
    if (r != 0) d.throw_error("prepare a recording", "", d.graph_instantiate.symbol, r);
  }
  ~CudaGraph() override {
    if (const Driver* d = session_->try_enter(); d && exec_) d->graph_exec_destroy.call(exec_);
  }
  void launch() override {
    const Driver& d = session_->enter();
    d("launch a recording", "", d.graph_launch, exec_, session_->stream());
  }

 private:
  std::shared_ptr<Session> session_;
  cuda::GraphExec exec_ = nullptr;
};

class CudaDevice final : public Device {
 public:
  CudaDevice(const std::shared_ptr<const Driver>& driver, const DeviceInfo& info)
      : name_(fmt::format("{}, {}, driver {}", info.name, info.sm, info.driver)),
        multiprocessors_(info.target.multiprocessors),
        session_(std::make_shared<Session>(driver, info.ordinal)),
        staging_(session_) {}

  std::string name() const override { return name_; }

  DeviceAddress allocate(std::int64_t bytes) override {
    const Driver& d = session_->enter();
    cuda::Address address = 0;
    const cuda::Result r = d.allocate.call(&address, static_cast<std::size_t>(bytes));
    if (r == 0) return address;
    std::size_t free = 0, total = 0;
    if (r != cuda::kOutOfMemory || d.memory_info.call(&free, &total) != 0)
      d.throw_error("allocate", fmt::format("{} bytes", bytes), d.allocate.symbol, r);
    fail("cuda: {} is out of memory: this needs {} bytes, {} of {} are free", name_, bytes, free, total);
  }
  void release(DeviceAddress address) noexcept override {
    if (const Driver* d = session_->try_enter()) d->release.call(address);
  }
  void upload(DeviceAddress to, const std::byte* from, std::int64_t bytes) override {
    ensure(!session_->recording, "an upload inside a recording");
    staging_.upload(to, from, bytes);
  }
  void download(std::byte* to, DeviceAddress from, std::int64_t bytes) override {
    ensure(!session_->recording, "a download inside a recording");
    staging_.download(to, from, bytes);
  }
  void copy(DeviceAddress to, DeviceAddress from, std::int64_t bytes) override {
    const Driver& d = session_->enter();
    d("copy on the device", "", d.copy, to, from, static_cast<std::size_t>(bytes), session_->stream());
  }
  void synchronize() override {
    const Driver& d = session_->enter();
    d("wait for the device", "", d.stream_wait, session_->stream());
  }
  std::unique_ptr<DeviceProgram> load(std::shared_ptr<const DeviceArtifact> artifact) override {
    return std::make_unique<CudaProgram>(session_, std::move(artifact), multiprocessors_);
  }
  std::unique_ptr<DeviceGraph> record(const std::function<void()>& body) override {
    return std::make_unique<CudaGraph>(session_, body);
  }

 private:
  std::string name_;
  int multiprocessors_;
  std::shared_ptr<Session> session_;
  Staging staging_;
};

}  // namespace

DeviceList list_devices(const CudaOptions& options) {
  DeviceList list;
  try {
    const auto driver = start_driver(options);
    const int count = count_devices(*driver);
    for (int i = 0; i < count; ++i) list.devices.push_back(info_of(*driver, i));
    if (count == 0) list.why_none = kNoDevice;
  } catch (const Error& e) {
    list.devices.clear();
    list.why_none = std::string_view(e.what()).substr(kPrefix.size());
  }
  return list;
}

std::unique_ptr<Device> make_cuda(const CudaOptions& options) {
  const auto driver = start_driver(options);
  const int count = count_devices(*driver);
  if (count == 0) fail("{}{}", kPrefix, kNoDevice);
  if (options.ordinal < 0 || options.ordinal >= count)
    fail("cuda: there is no device {}; there are {}, numbered from 0", options.ordinal, count);
  return std::make_unique<CudaDevice>(driver, info_of(*driver, options.ordinal));
}

}  // namespace weft
