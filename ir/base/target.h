// What passes and code generation need to know of a machine.
#pragma once
#include <cstdint>
#include <string>
#include <variant>

#include <weft/ir/base/numerics.h>

namespace weft {

/// A CPU. Sizes in bytes; caches of one core, but for the L3.
struct CpuTarget {
  std::string triple = "x86_64-unknown-linux-gnu";  // LLVM's, of architecture and system
  std::string cpu = "x86-64-v2";                    // LLVM's name
  std::string features;           // LLVM's feature string, "+avx2,…"; empty: what the cpu has
  int vector_bytes = 16;          // widest register
  int vector_registers = 16;
  bool fma = false;
  bool flushes = true;  // it can flush subnormals by itself
  std::int64_t l1_bytes = 32 << 10;
  int l1_ways = 8;  // lines that a set of the first-level cache holds
  std::int64_t l2_bytes = 512 << 10;
  std::int64_t l3_bytes = 8 << 20;
  bool is_x86() const { return triple.starts_with("x86_64"); }
  friend bool operator==(const CpuTarget&, const CpuTarget&) = default;
};

/// What schedules and code generation need to know of a GPU. The figures are those of one multiprocessor unless said.
struct GpuTarget {
  std::string name = "sm_90a";            // LLVM's name of the architecture
  int multiprocessors = 132;              // of the device
  int threads = 2048;                     // resident at once
  int registers = 65536;                  // 32-bit
  int fma_per_cycle = 128;                // f32 lanes
  std::int64_t shared_bytes = 227 << 10;  // most that one block may use
  double l2_bytes_per_cycle = 3000;       // of the device, as are the next
  double dram_bytes_per_cycle = 2400;
  int mma_per_cycle = 1024;  // multiply-adds of tf32 operands on tensor cores; twice as many of bf16
  Numerics numerics = Numerics::exact;
  friend bool operator==(const GpuTarget&, const GpuTarget&) = default;
};

/// What a program is made for.
using Target = std::variant<CpuTarget, GpuTarget>;

}  // namespace weft
