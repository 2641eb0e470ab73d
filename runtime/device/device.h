// A device with memory of its own that runs compiled launches: a GPU through its driver, or the emulator.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include <weft/ir/artifact/device_artifact.h>

namespace weft {

/// An address in a device's memory. Only that device may follow it.
using DeviceAddress = std::uint64_t;

/// The launches of an artefact, ready to run on their device. Work is done in the order in which it is asked for.
class DeviceProgram {
 public:
  virtual ~DeviceProgram() = default;
  /// Starts launches[i]; `addresses`: one for each of its buffers.
  virtual void launch(std::size_t i, std::span<const DeviceAddress> addresses) = 0;
  /// Starts all launches in order, `steps` times, as one: ir/artifact/device_artifact.h says what lies at `table` and `arrived` in
  /// the device's memory. Only where the artefact has that entry. Not recorded.
  virtual void launch_persistent(DeviceAddress table, DeviceAddress arrived, std::int64_t steps) = 0;
};

/// A sequence of launches and copies that is started as one (on a GPU: a CUDA graph).
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  virtual void launch() = 0;
};

/// Not thread-safe: whoever shares one holds its mutex while using it. Throws Error, naming the device and the driver's
/// own message, when something fails.
class Device {
 public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;  ///< "NVIDIA H200, sm_90, driver 12.8", "emulator, 2 threads"
  /// 256-byte aligned, contents undefined. Throws Error "… needs N bytes, M are free" when there is no room.
  virtual DeviceAddress allocate(std::int64_t bytes) = 0;
  virtual void release(DeviceAddress) noexcept = 0;
  virtual void upload(DeviceAddress to, const std::byte* from, std::int64_t bytes) = 0;
  virtual void download(std::byte* to, DeviceAddress from, std::int64_t bytes) = 0;  ///< waits for all work before it
  virtual void copy(DeviceAddress to, DeviceAddress from, std::int64_t bytes) = 0;   ///< on the device
  virtual void synchronize() = 0;
  virtual std::unique_ptr<DeviceProgram> load(std::shared_ptr<const DeviceArtifact>) = 0;
  /// Records what `body` asks of this device (launches and copies on the device only) instead of doing it.
  virtual std::unique_ptr<DeviceGraph> record(const std::function<void()>& body) = 0;

  std::mutex mutex;
};

}  // namespace weft
