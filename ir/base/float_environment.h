// The floating-point environment that weft computes in, whatever the host's: rounding mode, traps, flushing of
// subnormals, and the flags that a computation leaves.
#pragma once
#include <cstdint>

namespace weft {

/// For the life of the object this thread rounds to nearest even, traps nothing, and treats subnormals as said. The end
/// puts everything back, flags included, however the scope is left. x86: MXCSR (nothing here computes in x87
/// registers); AArch64: FPCR and FPSR.
class FloatEnvironment {
 public:
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 protected:
  enum Subnormals : bool { keep, flush };
  explicit FloatEnvironment(Subnormals);
  ~FloatEnvironment();

 private:
  std::uint64_t control_, status_ = 0;
};

/// IEEE 754's default environment: for all that is computed beside tensors (constants, initial values, costs, metrics,
/// text). Public functions of the frontend begin with it.
class DefaultFloats : FloatEnvironment {
 public:
  DefaultFloats() : FloatEnvironment(keep) {}
};

/// The same, but subnormal operands and results are zero (FTZ and DAZ): for the ops of graphs, interpreted or compiled.
class FlushSubnormals : FloatEnvironment {
 public:
  FlushSubnormals() : FloatEnvironment(flush) {}
};

}  // namespace weft
