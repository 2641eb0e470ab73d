// Teams and devices, made when they are first asked for and kept while somebody uses them.
#include "compiler/placement.h"

#include <map>
#include <mutex>

#include "codegen/device.h"
#include "ir/base/fork.h"
#include "runtime/cuda/cuda_device.h"
#include "runtime/device/device_executor.h"
#include "runtime/emulator/emulator.h"

namespace weft {
namespace {

/// The object under a key: the one that others hold, else a new one.
template <class Key, class T>
class Shared {
 public:
  template <class F>
  std::shared_ptr<T> get(const Key& key, F&& make) {
    const ForkGuard guard;
    std::lock_guard lock(mutex_);
    std::shared_ptr<T> object = objects_[key].lock();
    if (!object) objects_[key] = object = make();
    return object;
  }

 private:
  std::mutex mutex_;
  std::map<Key, std::weak_ptr<T>> objects_;
};

PlacedDevice open(const Placement& place) {
  if (place.backend == Backend::emulator)
    return {make_emulator({.threads = place.threads, .check = place.check}), GpuTarget{}};
  const DeviceList list = list_devices();
  if (list.devices.empty()) fail("cuda: {}", list.why_none);
  const GpuTarget target = target_for_gpu(list.devices[0].target);
  return {make_cuda(), target};
}

}  // namespace

std::shared_ptr<ThreadTeam> team_of(const Placement& place) {
  const Pinning pinning = place.pin ? Pinning::each_to_a_cpu : Pinning::none;
  static auto& teams = *new Shared<std::pair<int, Pinning>, ThreadTeam>;
  return teams.get({place.threads, pinning}, [&] { return std::make_shared<ThreadTeam>(place.threads, pinning); });
}

std::shared_ptr<PlacedDevice> device_at(Placement place) {
  if (!is_device(place.backend)) fail("a CPU is no device: expected cuda or emulator");
  static auto& devices = *new Shared<Placement, PlacedDevice>;
  if (place.backend == Backend::cuda) place.threads = 0, place.check = false;
  place.numerics = Numerics::exact, place.persistent = place.pin = false, place.cpu = "";  // one device for all
  return devices.get(place, [&] { return std::make_shared<PlacedDevice>(open(place)); });
}

GpuTarget gpu_target_of(const Placement& place) {
  GpuTarget target = device_at(place)->target;
  target.numerics = place.numerics;
  return target;
}

std::unique_ptr<ProgramExecutor> device_executor(std::shared_ptr<const Program> program, const Placement& place) {
  const std::shared_ptr<PlacedDevice> on = device_at(place);
  return std::make_unique<DeviceExecutor>(
      compile_device(std::move(program), gpu_target_of(place),
                     {.ptx = place.backend == Backend::cuda, .persistent = place.persistent}),
      std::shared_ptr<Device>(on, on->device.get()), ChunkLimits{.persistent = place.persistent});
}

int threads_of(const Placement& place) {
  if (place.backend == Backend::cpu) return team_of(place)->size();
  if (place.backend != Backend::emulator || place.check) return 1;
  return place.threads > 0 ? place.threads : usable_cpus();
}

std::string describe(const Placement& place) {
  if (place.backend == Backend::cpu || place.backend == Backend::interpreter) return std::string(name(place.backend));
  return device_at(place)->device->name();
}

}  // namespace weft
