// The emulator as a device: memory, programs, recorded sequences, and what it says of mistakes with them.
#include "catch.h"
#include "emulator_support.h"
#include "error_of.h"

using namespace weft;
using test::array_of, test::SimtBuilder;

namespace {

constexpr std::int64_t kElements = 256, kBytes = kElements * 4;

std::string internal_error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const InternalError& e) {
    return e.what();
  }
  return "nothing";
}

/// y = x + 1, then y = 2 y.
std::shared_ptr<const DeviceArtifact> artifact() {
  auto made = std::make_shared<DeviceArtifact>();
  SimtBuilder add("add", 2, 128);
  const auto x = add.global("x", f32, kElements, true), y = add.global("y", f32, kElements);
  const auto i = add.add(add.times(add.block(), 128), add.thread());
  add.store(y, i, add.add(add.load(x, i), add.constant(1.0f)));
  test::add_function(*made, std::move(add.f));
  SimtBuilder twice("twice", 4, 64);
  const auto z = twice.global("z", f32, kElements);
  const auto j = twice.add(twice.times(twice.block(), 64), twice.thread()), w = twice.load(z, j);
  twice.store(z, j, twice.add(w, w));
  test::add_function(*made, std::move(twice.f));
  return made;
}

Array iota() {
  return array_of(kElements, [](int i) { return static_cast<float>(i); });
}

}  // namespace

TEST_CASE("emulator: a device allocates, runs launches in order, and replays what it recorded", "[emulator]") {
  for (const EmulatorOptions& options : test::kWays) {
    const auto device = make_emulator(options);
    const auto program = device->load(artifact());
    const DeviceAddress x = device->allocate(kBytes), y = device->allocate(kBytes);
    CHECK(x % 256 == 0);
    CHECK(y % 256 == 0);
    Array in = iota(), out({f32, {kElements}});
    device->upload(x, in.data(), kBytes);
    program->launch(0, std::vector{x, y});
    program->launch(1, std::vector{y});
    device->download(out.data(), y, kBytes);
    CHECK(out.same_bits(array_of(kElements, [](int i) { return 2 * static_cast<float>(i + 1); })));

    // Recorded, nothing happens; replayed, it happens each time. The program need not live on.
    std::unique_ptr<DeviceGraph> graph;
    {
      const auto again = device->load(artifact());
      graph = device->record([&] {
        again->launch(1, std::vector{x});
        device->copy(y, x, kBytes / 2);
        again->launch(0, std::vector{x, x});
      });
    }
    device->download(out.data(), x, kBytes);
    CHECK(out.same_bits(in));
    graph->launch();
    graph->launch();
    device->synchronize();
    device->download(out.data(), x, kBytes);
    CHECK(out.same_bits(array_of(kElements, [](int i) { return 2 * (2 * static_cast<float>(i) + 1) + 1; })));
    device->download(out.data(), y, kBytes);
    CHECK(out.as<float>()[3] == 2 * (2 * 3 + 1));
    CHECK(out.as<float>()[kElements - 1] == 2 * kElements);
    device->release(y);
    device->release(x);
  }
}

TEST_CASE("emulator: names", "[emulator]") {
  CHECK(make_emulator({.threads = 1})->name() == "emulator, 1 thread");
  CHECK(make_emulator({.threads = 3})->name() == "emulator, 3 threads");
  CHECK(make_emulator({.check = true})->name() == "emulator, 1 thread, checking");
}

TEST_CASE("emulator: memory runs out with a message, and comes back", "[emulator]") {
  const auto device = make_emulator({.threads = 1, .memory = 1000});
  const DeviceAddress a = device->allocate(600);
  CHECK(error_of([&] { device->allocate(500); }) == "emulator: an allocation needs 500 bytes, 400 are free");
  CHECK(error_of([&] { device->allocate(std::int64_t{1} << 62); }) ==
        "emulator: an allocation needs 4611686018427387904 bytes, 400 are free");
  CHECK(device->allocate(0) != device->allocate(0));
  device->release(a);
  device->release(device->allocate(1000));
  device->release(DeviceAddress{12345});  // nobody's: nothing happens
}

TEST_CASE("emulator: no address leads outside of its allocation", "[emulator]") {
  const auto device = make_emulator({.threads = 1});
  const auto program = device->load(artifact());
  const DeviceAddress x = device->allocate(kBytes), y = device->allocate(kBytes), small = device->allocate(kBytes - 4);
  Array in = iota();
  struct Row {
    std::function<void()> mistake;
    const char* message;
  };
  const Row rows[] = {
      {[&] {
         program->launch(0, std::vector{x, small});
       },
       "launch of @add, %y: 1024 bytes at offset 0 of an allocation of 1020"},
      {[&] {
         program->launch(0, std::vector{x, y + 4});
       },
       "launch of @add, %y: 1024 bytes at offset 4 of an allocation of 1024"},
      {[&] { program->launch(1, std::vector{DeviceAddress{64}}); },
       "launch of @twice, %z: no memory is allocated at 0x40"},
      {[&] {
         program->launch(1, std::vector{x, y});
       },
       "launch of @twice: 2 addresses, expected 1"},
      {[&] { program->launch(0, std::vector{x}); }, "launch of @add: 1 addresses, expected 2"},
      {[&] { program->launch(2, std::vector{x}); }, "launch 2 of 2"},
      {[&] { device->upload(small, in.data(), kBytes); }, "upload: 1024 bytes at offset 0 of an allocation of 1020"},
      {[&] { device->download(in.data(), x + 8, kBytes); },
       "download: 1024 bytes at offset 8 of an allocation of 1024"},
      {[&] { device->copy(small, x, kBytes); }, "copy to: 1024 bytes at offset 0 of an allocation of 1020"},
      {[&] { device->copy(x, small, kBytes); }, "copy from: 1024 bytes at offset 0 of an allocation of 1020"},
      {[&] { device->record([&] { device->upload(x, in.data(), kBytes); }); }, "upload while launches are recorded"},
      {[&] { device->record([&] { device->synchronize(); }); }, "synchronize while launches are recorded"},
      {[&] { device->allocate(-1); }, "-1 bytes to allocate"},
  };
  for (const Row& row : rows)
    CHECK(internal_error_of(row.mistake) == std::string("internal error: emulator: ") + row.message);
  // A mistake while recording leaves the device as it was.
  device->upload(x, in.data(), kBytes);
  program->launch(0, std::vector{x, y});
}

TEST_CASE("emulator: global memory that was never uploaded or stored to is not read unseen", "[emulator]") {
  const auto device = make_emulator({.check = true});
  const auto program = device->load(artifact());
  const DeviceAddress x = device->allocate(kBytes), y = device->allocate(kBytes), z = device->allocate(kBytes);
  const Array in = iota();
  const auto message = [](const char* function, const char* element, int thread, const char* origin) {
    return fmt::format(
        "internal error: device @{}, phase 0 (model.cpp:12:3): uninitialised global {}: thread {} of block 0 in "
        "interval 0 loads ({})",
        function, element, thread, origin);
  };
  const char* load_x = "%6: f32 = load %x[%4]";
  CHECK(internal_error_of([&] { program->launch(0, std::vector{x, y}); }) == message("add", "%x[0]", 0, load_x));
  device->upload(x, in.data(), 400);
  CHECK(internal_error_of([&] { program->launch(0, std::vector{x, y}); }) == message("add", "%x[100]", 100, load_x));
  CHECK(internal_error_of([&] { program->launch(1, std::vector{z}); }) ==
        message("twice", "%z[0]", 0, "%5: f32 = load %z[%4]"));
  device->copy(z, x, kBytes);  // what a copy brings is as initialised as what it was copied from
  CHECK(internal_error_of([&] { program->launch(0, std::vector{z, y}); }) == message("add", "%x[100]", 100, load_x));
  device->upload(x, in.data(), kBytes);
  program->launch(0, std::vector{x, y});
  program->launch(1, std::vector{y});  // stored by the launch before
}

TEST_CASE("emulator: broken device code is refused when it is loaded", "[emulator]") {
  auto broken = std::make_shared<DeviceArtifact>();
  SimtBuilder b("broken", 1, 33);
  test::add_function(*broken, std::move(b.f));
  CHECK(internal_error_of([&] { make_emulator({.threads = 1})->load(broken); }) ==
        "internal error: verify: device @broken: 33 threads, expected a multiple of 32 up to 1024");
}
