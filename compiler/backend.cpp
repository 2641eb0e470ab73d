// Names of backends.
#include "compiler/backend.h"

#include "ir/base/error.h"
#include "runtime/cuda/cuda_device.h"

namespace weft {
namespace {

constexpr struct {
  Backend backend;
  std::string_view name;
} kBackends[] = {{Backend::cpu, "cpu"},
                 {Backend::cuda, "cuda"},
                 {Backend::emulator, "emulator"},
                 {Backend::interpreter, "interpreter"}};

}  // namespace

std::string_view name(Backend backend) {
  for (const auto& b : kBackends)
    if (b.backend == backend) return b.name;
  return "";
}

Backend backend_named(std::string_view name) {
  for (const auto& b : kBackends)
    if (b.name == name) return b.backend;
  if (name == "auto") return list_devices().devices.empty() ? Backend::cpu : Backend::cuda;
  fail("expected cpu, cuda, emulator, interpreter or auto, found '{}'", name);
}

}  // namespace weft
