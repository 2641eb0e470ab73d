// Where compiled functions run. Teams of threads and devices are shared by all executables of the process that ask for
// the same.
#pragma once
#include <memory>
#include <string>

#include <weft/compiler/backend.h>
#include <weft/ir/base/target.h>
#include <weft/runtime/device/device.h>
#include <weft/runtime/host/executor.h>

namespace weft {

struct Placement {
  Backend backend = Backend::cpu;
  int threads = 0;     // of the CPU and the emulator; 0: as many as the process may use
  bool check = false;  // the emulator's checking mode
  Numerics numerics = Numerics::exact;
  bool persistent = false;  // many steps are one launch
  bool pin = false;         // threads of the CPU to CPUs
  std::string cpu = {};     // that code is made for, as target_for() takes it
  friend auto operator<=>(const Placement&, const Placement&) = default;
};

/// A device that is open, and what to compile for.
struct PlacedDevice {
  std::shared_ptr<Device> device;
  GpuTarget target;
};
/// The device at a place, shared by all that ask for it. Throws Error when there is none, saying why.
std::shared_ptr<PlacedDevice> device_at(Placement);

/// What code for the device at a place is made for, in the place's numerics.
GpuTarget gpu_target_of(const Placement&);

/// The team of threads at a place on the CPU, shared by all that ask for it.
std::shared_ptr<ThreadTeam> team_of(const Placement&);
/// Compiles the program, scheduled for gpu_target_of(place), for the device at the place and loads it there. Throws
/// Error when there is none, saying why, or when memory cannot be had.
std::unique_ptr<ProgramExecutor> device_executor(std::shared_ptr<const Program>, const Placement&);
/// The threads that it runs on; 1 where that means nothing.
int threads_of(const Placement&);
/// "NVIDIA H200, sm_90, driver 12.8"; what a CPU is called is left to the reader.
std::string describe(const Placement&);

}  // namespace weft
