// The emulator as a device: memory with bounds, programs, recorded sequences, and blocks shared out among host threads.
#include "runtime/emulator/emulator.h"

#include <atomic>
#include <cstring>
#include <map>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "ir/ops/sum_order.h"
#include "runtime/emulator/emulator_check.h"
#include "runtime/emulator/emulator_machine.h"
#include "runtime/host/thread_team.h"

namespace weft {
namespace emulator {
namespace {

/// Runs launches on a team of host threads.
class Launcher {
 public:
  explicit Launcher(const EmulatorOptions& options)
      : check_(options.check),
        team_(options.check ? 1 : options.threads),
        machines_(static_cast<std::size_t>(team_.size())) {}

  int threads() const { return team_.size(); }

  /// `initialised`: as Checker takes it; empty when everything is.
  void launch(const Code& code, const std::vector<std::byte*>& globals, const std::vector<Initialised>& initialised) {
    const std::int64_t blocks = code.function->blocks;
    if (blocks == 0) return;
    std::optional<Checker> checker;
    if (check_) checker.emplace(code, globals, initialised);
    std::atomic<std::int64_t> next = 0;
    const auto work = [&](Machine& m) {
      m.enter(code, globals, checker ? &*checker : nullptr);
      for (std::int64_t b; (b = next.fetch_add(1, std::memory_order_relaxed)) < blocks;)
        m.run_block(static_cast<std::int32_t>(b));
    };
    if (blocks == 1 || team_.size() == 1) {
      const FlushSubnormals flush;
      work(machines_[0]);
    } else {
      team_.run([&](int thread) {
        if (thread < blocks) work(machines_[static_cast<std::size_t>(thread)]);
      });
    }
  }

 private:
  bool check_;
  ThreadTeam team_;
  std::vector<Machine> machines_;  // one for each thread
};

struct FreeAligned {
  void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{256}); }
};

struct Allocation {
  std::unique_ptr<std::byte, FreeAligned> data;
  std::int64_t bytes = 0;
  std::vector<std::uint8_t> initialised;  // checking: one for each byte
};

/// The launches of an artefact, flattened.
struct Loaded {
  std::shared_ptr<const DeviceArtifact> artifact;
  std::vector<Code> codes;
};

class EmulatorDevice;

/// A launch, or a copy where `loaded` is null.
struct Command {
  std::shared_ptr<const Loaded> loaded;
  std::size_t launch = 0;
  std::vector<DeviceAddress> addresses;  // of a launch; to and from of a copy
  std::int64_t bytes = 0;                // of a copy
};

class EmulatorProgram : public DeviceProgram {
 public:
  EmulatorProgram(EmulatorDevice& device, std::shared_ptr<const Loaded> loaded)
      : device_(device), loaded_(std::move(loaded)) {}
  void launch(std::size_t i, std::span<const DeviceAddress> addresses) override;
  void launch_persistent(DeviceAddress table, DeviceAddress arrived, std::int64_t steps) override;

 private:
  EmulatorDevice& device_;
  std::shared_ptr<const Loaded> loaded_;
};

class EmulatorGraph : public DeviceGraph {
 public:
  EmulatorGraph(EmulatorDevice& device, std::vector<Command> commands)
      : device_(device), commands_(std::move(commands)) {}
  void launch() override;

 private:
  EmulatorDevice& device_;
  std::vector<Command> commands_;
};

class EmulatorDevice : public Device {
 public:
  explicit EmulatorDevice(const EmulatorOptions& options) : options_(options), launcher_(options) {}

  std::string name() const override {
    const int n = launcher_.threads();
    return fmt::format("emulator, {} thread{}{}", n, n == 1 ? "" : "s", options_.check ? ", checking" : "");
  }
  DeviceAddress allocate(std::int64_t bytes) override;
  void release(DeviceAddress address) noexcept override {
    const auto found = allocations_.find(address);
    if (found == allocations_.end()) return;
    used_ -= found->second.bytes;
    allocations_.erase(found);
  }
  void upload(DeviceAddress to, const std::byte* from, std::int64_t bytes) override {
    not_while_recording("upload");
    if (bytes == 0) return;
    const Found place = find(to, bytes, "upload");
    std::memcpy(place.data, from, static_cast<std::size_t>(bytes));
    if (place.initialised) std::memset(place.initialised, 1, static_cast<std::size_t>(bytes));
  }
  void download(std::byte* to, DeviceAddress from, std::int64_t bytes) override {
    not_while_recording("download");
    if (bytes > 0) std::memcpy(to, find(from, bytes, "download").data, static_cast<std::size_t>(bytes));
  }
  void copy(DeviceAddress to, DeviceAddress from, std::int64_t bytes) override {
    submit({nullptr, 0, {to, from}, bytes});
  }
  void synchronize() override { not_while_recording("synchronize"); }
  std::unique_ptr<DeviceProgram> load(std::shared_ptr<const DeviceArtifact>) override;
  std::unique_ptr<DeviceGraph> record(const std::function<void()>& body) override;

  /// Runs the command, or records it.
  void submit(Command c) {
    if (recording_)
      recording_->push_back(std::move(c));
    else
      execute(c);
  }
  void execute(const Command&);

 private:
  struct Found {
    std::byte* data;
    std::uint8_t* initialised;  // null when nothing is checked
  };
  Found find(DeviceAddress, std::int64_t bytes, const std::string& what);
  void not_while_recording(const char* what) const {
    ensure(!recording_, "emulator: {} while launches are recorded", what);
  }

  EmulatorOptions options_;
  Launcher launcher_;
  std::map<DeviceAddress, Allocation> allocations_;
  std::int64_t used_ = 0;
  std::vector<Command>* recording_ = nullptr;
};

void EmulatorProgram::launch(std::size_t i, std::span<const DeviceAddress> addresses) {
  ensure(i < loaded_->codes.size(), "emulator: launch {} of {}", i, loaded_->codes.size());
  device_.submit({loaded_, i, {addresses.begin(), addresses.end()}, 0});
}

void EmulatorProgram::launch_persistent(DeviceAddress table, DeviceAddress, std::int64_t steps) {
  struct Row {
    DeviceAddress first, stride;
  };
  std::size_t globals = 0;
  for (const Code& code : loaded_->codes) globals += code.globals;
  std::vector<Row> rows(globals);
  device_.download(reinterpret_cast<std::byte*>(rows.data()), table, static_cast<std::int64_t>(globals * sizeof(Row)));
  std::vector<DeviceAddress> addresses;
  for (DeviceAddress step = 0; step < static_cast<DeviceAddress>(steps); ++step) {
    auto row = rows.begin();
    for (std::size_t i = 0; i < loaded_->codes.size(); ++i) {
      addresses.clear();
      for (std::size_t g = 0; g < loaded_->codes[i].globals; ++g, ++row)
        addresses.push_back(row->first + step * row->stride);
      launch(i, addresses);
    }
  }
}

void EmulatorGraph::launch() {
  for (const Command& c : commands_) device_.execute(c);
}

DeviceAddress EmulatorDevice::allocate(std::int64_t bytes) {
  ensure(bytes >= 0, "emulator: {} bytes to allocate", bytes);
  const std::int64_t free = options_.memory - used_;
  const auto no_room = [&] { fail("emulator: an allocation needs {} bytes, {} are free", bytes, free); };
  if (bytes > free) no_room();
  Allocation a{.bytes = bytes};
  try {
    const auto size = static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1));  // addresses are distinct
    a.data.reset(static_cast<std::byte*>(::operator new (size, std::align_val_t{256})));
    std::memset(a.data.get(), 0xff, size);  // undefined contents that show: NaN, -1
    if (options_.check) a.initialised.resize(size);
  } catch (const std::bad_alloc&) {
    no_room();
  }
  used_ += bytes;
  const auto address = reinterpret_cast<DeviceAddress>(a.data.get());
  allocations_.emplace(address, std::move(a));
  return address;
}

EmulatorDevice::Found EmulatorDevice::find(DeviceAddress address, std::int64_t bytes, const std::string& what) {
  auto after = allocations_.upper_bound(address);
  ensure(after != allocations_.begin(), "emulator: {}: no memory is allocated at {:#x}", what, address);
  Allocation& a = std::prev(after)->second;
  const DeviceAddress offset = address - std::prev(after)->first;
  const auto size = static_cast<DeviceAddress>(a.bytes);
  ensure(bytes >= 0 && offset <= size && static_cast<DeviceAddress>(bytes) <= size - offset,
         "emulator: {}: {} bytes at offset {} of an allocation of {}", what, bytes, offset, a.bytes);
  return {a.data.get() + offset, a.initialised.empty() ? nullptr : a.initialised.data() + offset};
}

std::unique_ptr<DeviceProgram> EmulatorDevice::load(std::shared_ptr<const DeviceArtifact> artifact) {
  ensure(artifact->functions.size() == artifact->launches.size(), "emulator: {} launches with {} functions",
         artifact->launches.size(), artifact->functions.size());
  auto loaded = std::make_shared<Loaded>();
  loaded->artifact = std::move(artifact);
  for (const simt::Function& f : loaded->artifact->functions)
    loaded->codes.push_back(flatten(std::shared_ptr<const simt::Function>(loaded->artifact, &f)));
  return std::make_unique<EmulatorProgram>(*this, std::move(loaded));
}

std::unique_ptr<DeviceGraph> EmulatorDevice::record(const std::function<void()>& body) {
  not_while_recording("record");
  std::vector<Command> commands;
  recording_ = &commands;
  try {
    body();
  } catch (...) {
    recording_ = nullptr;
    throw;
  }
  recording_ = nullptr;
  return std::make_unique<EmulatorGraph>(*this, std::move(commands));
}

void EmulatorDevice::execute(const Command& c) {
  if (!c.loaded) {
    if (c.bytes == 0) return;
    const Found to = find(c.addresses[0], c.bytes, "copy to"), from = find(c.addresses[1], c.bytes, "copy from");
    std::memmove(to.data, from.data, static_cast<std::size_t>(c.bytes));
    if (to.initialised) std::memmove(to.initialised, from.initialised, static_cast<std::size_t>(c.bytes));
    return;
  }
  const Code& code = c.loaded->codes[c.launch];
  ensure(c.addresses.size() == code.globals, "emulator: launch of @{}: {} addresses, expected {}", code.function->name,
         c.addresses.size(), code.globals);
  std::vector<std::byte*> globals;
  std::vector<Initialised> initialised;
  std::size_t next = 0;
  for (const simt::Memory& m : code.function->memories) {
    if (m.space != simt::Memory::global) continue;
    const DeviceAddress address = c.addresses[next++];
    const std::int64_t bytes = m.elements * static_cast<std::int64_t>(size_of(m.dtype));
    const Found place =
        bytes == 0 ? Found{} : find(address, bytes, fmt::format("launch of @{}, %{}", code.function->name, m.name));
    ensure(address % size_of(m.dtype) == 0, "emulator: launch of @{}: %{} is not aligned", code.function->name, m.name);
    globals.push_back(place.data);
    initialised.push_back(place.initialised);
  }
  launcher_.launch(code, globals, initialised);
}

}  // namespace
}  // namespace emulator

std::unique_ptr<Device> make_emulator(EmulatorOptions options) {
  return std::make_unique<emulator::EmulatorDevice>(options);
}

void emulate(const simt::Function& f, std::span<std::byte* const> globals, EmulatorOptions options) {
  const auto borrowed = std::shared_ptr<const simt::Function>(std::shared_ptr<void>(), &f);
  const emulator::Code code = emulator::flatten(borrowed);
  ensure(globals.size() == code.globals, "emulate: @{}: {} addresses, expected {}", f.name, globals.size(),
         code.globals);
  emulator::Launcher(options).launch(code, {globals.begin(), globals.end()}, {});
}

}  // namespace weft
