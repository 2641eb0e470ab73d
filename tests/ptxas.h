// NVIDIA's assembler, where there is one: what it says of the functions of a PTX module.
#pragma once
#include <string>
#include <vector>

namespace weft::test {

/// What an assembled function uses.
struct PtxUse {
  std::string function;
  int registers = 0, spill_stores = 0, spill_loads = 0;  // spills in bytes
  int spilled() const { return spill_stores + spill_loads; }
};

/// The ptxas on PATH, in $CUDA_HOME/bin or in /usr/local/cuda/bin; "" when there is none.
const std::string& ptxas();
inline constexpr const char* kNoPtxas =
    "no ptxas on PATH, in $CUDA_HOME/bin or in /usr/local/cuda/bin: nothing was assembled";
/// Its version, "13.0".
const std::string& ptxas_version();

struct PtxReport {
  std::vector<PtxUse> functions;  // in the order of their names
  std::string errors;             // "" when all was assembled
};
/// Assembles PTX text for an architecture ("sm_90a").
PtxReport assemble(const std::string& ptx, const std::string& arch);

}  // namespace weft::test
