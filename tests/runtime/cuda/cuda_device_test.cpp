// The CUDA device on a driver that is none: loading, memory, copies, launches, recordings, and every error by its name.
#include "runtime/cuda/cuda_device.h"

#include <numeric>
#include <thread>

#include "catch.h"
#include "fake_cuda/loaded.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// A kernel that adds 1 to each float of its first memory and stores to its second; one with 64 KiB of shared memory;
/// one without work.
std::shared_ptr<DeviceArtifact> artifact() {
  auto table = std::make_shared<BufferTable>();
  table->name = "test";
  return std::make_shared<DeviceArtifact>(DeviceArtifact{
      .memory = table,
      .launches =
          {{.name = "add", .symbol = "add", .blocks = 3, .threads = 64, .shared_bytes = 64, .buffers = {0, 1}},
           {.name = "big", .symbol = "big", .blocks = 1, .threads = 1024, .shared_bytes = 64 << 10, .buffers = {1}},
           {.name = "none", .symbol = "none", .threads = 32}},
      .ptx = ".entry add(.param .u64 a, .param .u64 b) {}\n.entry big(.param .u64 a) {}\n.entry none() {}\n"
             ".entry all(.param .u64 table, .param .u64 arrived, .param .u64 steps) {}",
      .persistent = {.entry = "all", .threads = 96, .shared_bytes = 64 << 10}});
}

void add_one(const FakeCuda::Launch& l) {
  if (l.entry != "add") return;
  for (int i = 0; i < 4; ++i)
    reinterpret_cast<float*>(l.parameters[1])[i] = reinterpret_cast<const float*>(l.parameters[0])[i] + 1;
}

std::byte* bytes(std::vector<float>& v) { return reinterpret_cast<std::byte*>(v.data()); }

}  // namespace

TEST_CASE("devices are listed with what the driver says of them") {
  LoadedFakeCuda fake;
  fake->devices = 2;
  const DeviceList list = list_devices(kFakeCuda);
  REQUIRE(list.devices.size() == 2);
  CHECK(list.why_none == "");
  const DeviceInfo& d = list.devices[1];
  CHECK(d.ordinal == 1);
  CHECK(d.name == "Fake GPU");
  CHECK(d.sm == "sm_90");
  CHECK(d.driver == "12.8");
  CHECK(d.memory_bytes == 1 << 30);
  CHECK(d.target.name == "sm_90");
  CHECK(d.target.multiprocessors == 16);
  CHECK(d.target.threads == 1536);
  CHECK(d.target.registers == 65536);
  CHECK(d.target.shared_bytes == 100 << 10);
}

TEST_CASE("where there is no device, the reason is given") {
  LoadedFakeCuda fake;
  const auto why = [](const std::string& library) { return list_devices({.library = library}).why_none; };
  CHECK(why("/nowhere/libcuda.so.1").starts_with("no driver: /nowhere/libcuda.so.1: cannot open shared object"));
  CHECK(why(WEFT_OLD_CUDA) == fmt::format("{} has no cuDriverGetVersion: the driver is too old; weft needs one "
                                          "for CUDA 12.0 or newer",
                                          WEFT_OLD_CUDA));
  fake->failures["cuInit"] = 100;
  CHECK(why(WEFT_FAKE_CUDA) ==
        "cannot start the driver: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected), from cuInit");
  fake->failures["cuInit"] = 12345;  // a code that the driver does not name
  CHECK(why(WEFT_FAKE_CUDA) == "cannot start the driver: error 12345, from cuInit");
  fake->failures.clear();
  fake->devices = 0;
  CHECK(why(WEFT_FAKE_CUDA) == "the driver is there, but no device");
  CHECK(error_of([] { make_cuda(kFakeCuda); }) == "cuda: the driver is there, but no device");
  fake->devices = 1;
  CHECK(error_of([] { make_cuda({.library = WEFT_FAKE_CUDA, .ordinal = 1}); }) ==
        "cuda: there is no device 1; there are 1, numbered from 0");
}

TEST_CASE("$WEFT_CUDA_LIBRARY names the driver's library") {
  LoadedFakeCuda fake;
  ::setenv("WEFT_CUDA_LIBRARY", WEFT_FAKE_CUDA, 1);
  CHECK(list_devices().devices.size() == 1);
  ::unsetenv("WEFT_CUDA_LIBRARY");
}

TEST_CASE("bytes go to a device and back, in pieces as large as the staging memory") {
  LoadedFakeCuda fake;
  const auto device = make_cuda(kFakeCuda);
  CHECK(device->name() == "Fake GPU, sm_90, driver 12.8");
  for (const std::int64_t n : {1, 1000, 1 << 20, (3 << 20) + 17}) {
    std::vector<float> from(static_cast<std::size_t>(n)), to(from.size());
    std::iota(from.begin(), from.end(), 0.0f);
    const DeviceAddress a = device->allocate(4 * n), b = device->allocate(4 * n);
    CHECK(a % 256 == 0);
    device->upload(a, bytes(from), 4 * n);
    device->copy(b, a, 4 * n);
    std::vector<float> other(from.size(), 1.0f);
    device->upload(a, bytes(other), 4 * n);  // the copy was asked for before
    device->download(bytes(to), b, 4 * n);
    CHECK(to == from);
    device->release(a);
    device->release(b);
  }
  CHECK(fake->alive["blocks"] == 0);
}

TEST_CASE("kernels are launched with their sizes, shared memory and addresses") {
  LoadedFakeCuda fake;
  fake->on_launch = add_one;
  const auto device = make_cuda(kFakeCuda);
  const auto program = device->load(artifact());
  CHECK(fake->module == artifact()->ptx);
  std::vector<float> x{1, 2, 3, 4}, y(4);
  const DeviceAddress a = device->allocate(16), b = device->allocate(16);
  device->upload(a, bytes(x), 16);
  program->launch(0, std::vector{a, b});
  program->launch(1, std::vector{b});
  program->launch(2, {});  // nothing to do
  CHECK(fake->launches.empty());
  device->download(bytes(y), b, 16);
  CHECK(y == std::vector<float>{2, 3, 4, 5});
  REQUIRE(fake->launches.size() == 2);
  const FakeCuda::Launch &add = fake->launches[0], &big = fake->launches[1];
  CHECK((add.entry == "add" && add.blocks == 3 && add.threads == 64 && add.shared_bytes == 0));
  CHECK(add.parameters == std::vector<std::uint64_t>{a, b});
  CHECK((big.entry == "big" && big.blocks == 1 && big.threads == 1024 && big.shared_bytes == 64 << 10));
  CHECK(big.parameters == std::vector<std::uint64_t>{b});
  CHECK(fake->shared_limits == std::map<std::string, int>{{"all", 64 << 10}, {"big", 64 << 10}});
  CHECK_THROWS_AS(program->launch(0, std::vector{a}), InternalError);
  device->release(a);
  device->release(b);
}

TEST_CASE("a persistent kernel has as many blocks as run at once, or as there is work for") {
  for (const int at_once : {1, 0}) {
    LoadedFakeCuda fake;
    fake->blocks_at_once = at_once;
    const auto device = make_cuda(kFakeCuda);
    auto many = artifact();
    many->launches[0].blocks = 1000;
    if (at_once == 0) {
      CHECK(error_of([&] { device->load(many); }) == "cuda: a block of all is more than a multiprocessor has room for");
      continue;
    }
    for (const auto& [loaded, blocks] : {std::pair{artifact(), 3u}, {many, 16u}}) {
      fake->launches.clear();
      const auto program = device->load(loaded);
      program->launch_persistent(16, 32, 7);
      device->synchronize();
      REQUIRE(fake->launches.size() == 1);
      const FakeCuda::Launch& l = fake->launches[0];
      CHECK(l.entry == "all");
      CHECK(l.blocks == blocks);
      CHECK(l.threads == 96);
      CHECK(l.shared_bytes == 64 << 10);
      CHECK(l.parameters == std::vector<std::uint64_t>{16, 32, 7});
    }
  }
}

TEST_CASE("a recording does what it recorded, each time it is launched") {
  LoadedFakeCuda fake;
  fake->on_launch = add_one;
  const auto device = make_cuda(kFakeCuda);
  const auto program = device->load(artifact());
  std::vector<float> x{1, 2, 3, 4}, y(4);
  const DeviceAddress a = device->allocate(16), b = device->allocate(16);
  device->upload(a, bytes(x), 16);
  const auto graph = device->record([&] {
    program->launch(0, std::vector{a, b});
    device->copy(a, b, 16);
  });
  device->synchronize();
  CHECK(fake->launches.empty());
  for (int i = 0; i < 3; ++i) graph->launch();
  device->download(bytes(y), a, 16);
  CHECK(y == std::vector<float>{4, 5, 6, 7});
  CHECK(fake->calls["cuGraphLaunch"] == 3);
  CHECK(error_of([&] { device->record([] { fail("changed my mind"); }); }) == "changed my mind");
  CHECK_THROWS_AS(device->record([&] { device->download(bytes(y), a, 16); }), InternalError);
  CHECK_THROWS_AS(device->record([&] { device->upload(a, bytes(x), 16); }), InternalError);
  CHECK_THROWS_AS(device->record([&] { device->record([] {}); }), InternalError);
  program->launch(0, std::vector{a, b});
  device->download(bytes(y), b, 16);
  CHECK(y == std::vector<float>{5, 6, 7, 8});
  device->release(a);
  device->release(b);
}

TEST_CASE("a device may be used from one thread after the other") {
  LoadedFakeCuda fake;
  const auto device = make_cuda(kFakeCuda);
  std::vector<float> from{1, 2, 3}, to(3);
  const DeviceAddress a = device->allocate(12);
  std::thread([&] { device->upload(a, bytes(from), 12); }).join();
  std::thread([&] { device->download(bytes(to), a, 12); }).join();
  CHECK(to == from);
  std::thread([&] { device->release(a); }).join();
}

TEST_CASE("out of memory says what was asked for and what is free") {
  LoadedFakeCuda fake;
  const auto device = make_cuda(kFakeCuda);
  const DeviceAddress a = device->allocate(1 << 20);
  CHECK(
      error_of([&] { device->allocate(1 << 30); }) ==
      "cuda: Fake GPU, sm_90, driver 12.8 is out of memory: this needs 1073741824 bytes, 1072693248 of 1073741824 are "
      "free");
  fake->failures["cuMemGetInfo_v2"] = 999;
  CHECK(error_of([&] { device->allocate(1 << 30); }) ==
        "cuda: cannot allocate 1073741824 bytes: CUDA_ERROR_OUT_OF_MEMORY (out of memory), from cuMemAlloc_v2");
  device->release(a);
}

TEST_CASE("code that the driver does not take is shown with the driver's log") {
  LoadedFakeCuda fake;
  const auto device = make_cuda(kFakeCuda);
  auto broken = artifact();
  broken->ptx = "nonsense";
  fake->jit_log = "ptxas application ptx input, line 1; fatal : Parsing error near 'nonsense'";
  CHECK(error_of([&] { device->load(broken); }) ==
        "cuda: cannot load the code of 'test': CUDA_ERROR_INVALID_PTX (a PTX JIT compilation failed), from "
        "cuModuleLoadDataEx\n" +
            fake->jit_log);
  auto other = artifact();
  other->launches[0].symbol = "subtract";
  CHECK(error_of([&] { device->load(other); }) ==
        "cuda: cannot find the kernel subtract: error 500, from cuModuleGetFunction");
  auto none = artifact();
  none->ptx.clear();
  CHECK_THROWS_AS(device->load(none), InternalError);
}

TEST_CASE("each function that fails is an error that names it, and nothing is leaked") {
  // All that a device does, with one function failing.
  const auto use = [] {
    const auto device = make_cuda(kFakeCuda);
    std::vector<float> x{1, 2, 3, 4};
    const auto program = device->load(artifact());
    const DeviceAddress a = device->allocate(16);
    struct Release {
      Device& device;
      DeviceAddress address;
      ~Release() { device.release(address); }
    } release{*device, a};
    device->upload(a, bytes(x), 16);
    device->copy(a, a, 16);
    program->launch(1, std::vector{a});
    program->launch_persistent(a, a, 1);
    const auto graph = device->record([&] { program->launch(0, std::vector{a, a}); });
    graph->launch();
    device->download(bytes(x), a, 16);
    device->synchronize();
  };
  const struct {
    const char *symbol, *attempt;
  } cases[] = {
      {"cuInit", "start the driver"},
      {"cuDeviceGetCount", "count the devices"},
      {"cuDeviceGet", "ask about device 0"},
      {"cuDeviceGetName", "ask about device 0"},
      {"cuDeviceTotalMem_v2", "ask about device 0"},
      {"cuDeviceGetAttribute", "ask about device 0"},
      {"cuDriverGetVersion", "ask about the driver's version"},
      {"cuDevicePrimaryCtxRetain", "make a context on device 0"},
      {"cuCtxSetCurrent", "enter the context"},
      {"cuStreamCreate", "make a stream"},
      {"cuMemHostAlloc", "allocate pinned memory: 4194304 bytes"},
      {"cuEventCreate", "make an event"},
      {"cuModuleLoadDataEx", "load the code of 'test'"},
      {"cuModuleGetFunction", "find the kernel add"},
      {"cuFuncSetAttribute", "give shared memory to big"},
      {"cuOccupancyMaxActiveBlocksPerMultiprocessor", "size all"},
      {"cuMemAlloc_v2", "allocate 16 bytes"},
      {"cuMemcpyHtoDAsync_v2", "upload"},
      {"cuMemcpyDtoDAsync_v2", "copy on the device"},
      {"cuEventRecord", "record an event"},
      {"cuEventSynchronize", "wait for the device"},
      {"cuLaunchKernel", "launch big"},
      {"cuLaunchCooperativeKernel", "launch all"},
      {"cuStreamBeginCapture_v2", "begin a recording"},
      {"cuStreamEndCapture", "end a recording"},
      {"cuGraphInstantiateWithFlags", "prepare a recording"},
      {"cuGraphLaunch", "launch a recording"},
      {"cuMemcpyDtoHAsync_v2", "download"},
      {"cuStreamSynchronize", "wait for the device"},
  };
  for (const auto& c : cases) {
    INFO(c.symbol);
    LoadedFakeCuda fake;
    fake->failures[c.symbol] = 999;
    const std::string message = error_of(use);
    const std::string expected =
        fmt::format("cuda: cannot {}: CUDA_ERROR_UNKNOWN (unknown error), from {}", c.attempt, c.symbol);
    CHECK(message.substr(0, message.find('\n')) == expected);
  }
  LoadedFakeCuda fake;
  CHECK(error_of(use) == "no error");
}

TEST_CASE("a fault of a kernel is reported where its results are asked for") {
  LoadedFakeCuda fake;
  const auto device = make_cuda(kFakeCuda);
  std::vector<float> x(4);
  const DeviceAddress a = device->allocate(16);
  fake->failure_of_work = 700;
  CHECK(error_of([&] { device->download(bytes(x), a, 16); }) ==
        "cuda: cannot wait for the device: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered), from "
        "cuEventSynchronize");
  fake->failure_of_work = 0;
  device->release(a);
}
