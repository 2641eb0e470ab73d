// From kernels to machine code: the interface of codegen/, free of LLVM.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include <weft/codegen/cache/cache.h>
#include <weft/ir/base/target.h>
#include <weft/ir/artifact/host_artifact.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// What watches the accesses of compiled code.
enum class Sanitizer : std::uint8_t { none, address, thread };
/// The one that this process was built for, whose runtime it has.
#ifdef WEFT_SANITIZE
inline constexpr Sanitizer kSanitizer =
    std::string_view(WEFT_SANITIZE).find("thread") != std::string_view::npos    ? Sanitizer::thread
    : std::string_view(WEFT_SANITIZE).find("address") != std::string_view::npos ? Sanitizer::address
                                                                                : Sanitizer::none;
#else
inline constexpr Sanitizer kSanitizer = Sanitizer::none;
#endif

struct CodegenOptions {
  int threads = 0;      ///< kernels compiled at once; 0: one a core
  bool verify = false;  ///< run LLVM's verifier over each module; InternalError when it objects. Goes past the cache
  Sanitizer sanitizer = kSanitizer;  ///< another than `none` needs its runtime in the process
  CacheOptions cache = cache_from_environment();
  CacheStatistics* statistics = nullptr;  ///< what the cache did is added here
};

/// The machine this process runs on.
CpuTarget host_target();
/// A target by LLVM's name of the cpu ("znver4", "x86-64-v3", …); throws Error listing the valid names when it is
/// unknown.
CpuTarget target_for(std::string_view cpu);
/// Code for that cpu that `machine` can run: the cpu's vectors, registers, tuning and instructions, less those that the
/// machine lacks, and the machine's caches. "" and "native" are the machine itself. Throws Error as above, and where the
/// machine lacks an extension that vectors of this width are made of. Without `to_run` the code is to be read: there it
/// has all that the cpu has.
CpuTarget target_for(std::string_view cpu, const CpuTarget& machine, bool to_run = true);

/// Compiles every phase of every kernel, in order, or loads it from the cache. The code runs only where `target` is the
/// host or a subset of it. Thread-safe. Throws InternalError for a program that verify() would reject.
HostArtifact compile(const Program&, const CpuTarget&, const CodegenOptions& = {});

std::string emit_llvm(const Program&, const CpuTarget&);  ///< LLVM IR of all kernels, each under a comment with its name
std::string emit_asm(const Program&, const CpuTarget&);   ///< assembly of all kernels, each under a comment with its name

}  // namespace weft
