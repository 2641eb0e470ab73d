// Control and status registers of the processors that weft runs on.
#include "ir/base/float_environment.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace weft {

#if defined(__x86_64__)
namespace {
constexpr unsigned kTrapNothing = 0x1f80;  // all masked, to nearest, no flag raised
constexpr unsigned kFlushToZero = 1u << 15, kDenormalsAreZero = 1u << 6;
}  // namespace
FloatEnvironment::FloatEnvironment(Subnormals subnormals) : control_(_mm_getcsr()) {
  _mm_setcsr(kTrapNothing | (subnormals == flush ? kFlushToZero | kDenormalsAreZero : 0));
}
FloatEnvironment::~FloatEnvironment() { _mm_setcsr(static_cast<unsigned>(control_)); }
#elif defined(__aarch64__)
namespace {
constexpr std::uint64_t kFlushToZero = 1u << 24;  // FPCR.FZ: operands and results
}  // namespace
FloatEnvironment::FloatEnvironment(Subnormals subnormals) {
  asm volatile("mrs %0, fpcr" : "=r"(control_));
  asm volatile("mrs %0, fpsr" : "=r"(status_));
  asm volatile("msr fpcr, %0" ::"r"(subnormals == flush ? kFlushToZero : std::uint64_t{0}));
}
FloatEnvironment::~FloatEnvironment() {
  asm volatile("msr fpsr, %0" ::"r"(status_));
  asm volatile("msr fpcr, %0" ::"r"(control_));
}
#else
#error "weft needs a way to set the floating-point environment of this processor"
#endif

}  // namespace weft
