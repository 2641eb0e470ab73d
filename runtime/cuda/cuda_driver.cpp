// Finding the driver's library and its functions; what its errors say.
#include "runtime/cuda/cuda_driver.h"

#include <dlfcn.h>

namespace weft::cuda {

std::shared_ptr<const Driver> Driver::load(const std::string& library) {
  std::shared_ptr<Driver> d(new Driver);
  d->library_ = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!d->library_) fail("cuda: no driver: {} (the library comes with NVIDIA's driver)", ::dlerror());
  const auto find = [&](auto& entry) {
    void* symbol = ::dlsym(d->library_, entry.symbol);
    if (!symbol)
      fail("cuda: {} has no {}: the driver is too old; weft needs one for CUDA 12.0 or newer", library, entry.symbol);
    entry.call = reinterpret_cast<decltype(entry.call)>(symbol);
  };
#define WEFT_CUDA_FIND(member, symbol, parameters) find(d->member);
  WEFT_CUDA_FUNCTIONS(WEFT_CUDA_FIND)
#undef WEFT_CUDA_FIND
  return d;
}

Driver::~Driver() {
  if (library_) ::dlclose(library_);
}

std::string Driver::describe(Result r) const {
  const char *name = nullptr, *text = nullptr;
  if (error_name.call(r, &name) != 0 || !name) return fmt::format("error {}", r);
  if (error_text.call(r, &text) != 0 || !text) return name;
  return fmt::format("{} ({})", name, text);
}

void Driver::throw_error(std::string_view attempt, std::string_view what, const char* symbol, Result r) const {
  fail("cuda: cannot {}{}{}: {}, from {}", attempt, what.empty() ? "" : " ", what, describe(r), symbol);
}

}  // namespace weft::cuda
