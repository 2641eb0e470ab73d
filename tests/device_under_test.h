// The device that tests of device code run on: the emulator with its checks or, where $WEFT_TEST_DEVICE is "cuda", a
// GPU.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "ir/base/target.h"
#include "ir/graph/graph.h"
#include "ir/kernel/kernel.h"
#include "runtime/device/device.h"

namespace weft::test {

/// $WEFT_TEST_DEVICE is set: tests leave out what does not run on a device.
bool only_device();

/// Made when first asked for, and kept. Throws Error when there is no such device.
std::shared_ptr<Device> device_under_test();

/// Two to compile for: the device, whose schedules spread small work thinly, and, so that tiles are large too, one of a
/// single multiprocessor.
const std::vector<GpuTarget>& device_targets();

/// Compiles the program for the target and runs it once on copies of the inputs (data and states, in their order).
Evaluation run_on_device(const Program&, std::span<const Array> inputs, const GpuTarget&);

}  // namespace weft::test
