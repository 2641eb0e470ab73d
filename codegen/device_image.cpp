// From a program to what a device loads.
#include <chrono>

#include "codegen/device.h"

namespace weft {

DeviceImage compile_device(std::shared_ptr<const Program> program, const GpuTarget& target, bool with_ptx) {
  const auto start = std::chrono::steady_clock::now();
  DeviceImage image;
  image.launches = device_functions(*program, target);
  image.program = std::move(program);
  if (with_ptx) {
    PtxModule ptx = emit_ptx(image.launches, target);
    image.ptx = std::move(ptx.text);
    image.entries = std::move(ptx.entries);
  }
  image.compile_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return image;
}

}  // namespace weft
