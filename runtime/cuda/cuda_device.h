// NVIDIA GPUs: what there is on this machine, and a Device on one of them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <weft/ir/base/target.h>
#include <weft/runtime/device/device.h>

namespace weft {

struct CudaOptions {
  /// The driver's library; by default $WEFT_CUDA_LIBRARY, else libcuda.so.1 as the loader finds it.
  std::string library = {};
  int ordinal = 0;  ///< which device, in the driver's order ($CUDA_VISIBLE_DEVICES changes that)
};

struct DeviceInfo {
  int ordinal = 0;
  std::string name;  // "NVIDIA H200"
  std::string sm;    // "sm_90"
  std::int64_t memory_bytes = 0;
  std::string driver;  // the newest CUDA version that the driver serves: "12.8"
  GpuTarget target;    // what the driver says of it, under the name `sm`; the rest as for the reference machine
};

struct DeviceList {
  std::vector<DeviceInfo> devices;
  std::string why_none;  ///< no library, the driver's error, or no device
};
DeviceList list_devices(const CudaOptions& = {});

/// Throws Error saying why when there is no such device or it cannot be used.
std::unique_ptr<Device> make_cuda(const CudaOptions& = {});

}  // namespace weft
