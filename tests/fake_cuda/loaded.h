// The driver that is none, loaded for the length of a test.
#pragma once
#include <dlfcn.h>

#include <stdexcept>

#include "catch.h"
#include "runtime/cuda/cuda_device.h"
#include "fake_cuda/fake_cuda.h"

namespace weft::test {

inline const CudaOptions kFakeCuda{.library = WEFT_FAKE_CUDA};

/// The library, as it is at first. Checks at the end that all that was made has been destroyed.
class LoadedFakeCuda {
 public:
  LoadedFakeCuda() : library_(::dlopen(WEFT_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL)) {
    if (!library_) throw std::runtime_error(::dlerror());
    state_ = reinterpret_cast<FakeCuda* (*)()>(::dlsym(library_, "fake_cuda"))();
    *state_ = FakeCuda{};
  }
  ~LoadedFakeCuda() {
    for (const auto& [what, count] : state_->alive) {
      INFO(what);
      CHECK(count == 0);
    }
    *state_ = FakeCuda{};
    ::dlclose(library_);
  }
  LoadedFakeCuda(const LoadedFakeCuda&) = delete;
  LoadedFakeCuda& operator=(const LoadedFakeCuda&) = delete;
  FakeCuda* operator->() const { return state_; }

 private:
  void* library_;
  FakeCuda* state_;
};

}  // namespace weft::test
