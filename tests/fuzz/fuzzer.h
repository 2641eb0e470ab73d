// Hostile texts of programs and graphs through the whole compiler. A case is a function of its seed alone: a text made
// by mutation of what the compiler prints for random graphs (as a program, then as tokens), and what is done with it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft::test {

enum class Fuzzed : std::uint8_t { programs, graphs };

/// How far a text came, each stage with those before it. What it must do at each is at execute().
struct FuzzCounts {
  std::uint64_t executions = 0;
  std::uint64_t accepted = 0;     // parsed and verified
  std::uint64_t interpreted = 0;  // small enough, and ran
  std::uint64_t refused = 0;      // the interpreter found a race, or an index outside its buffer
  std::uint64_t generated = 0;    // LLVM IR or device code was made, and not compiled
  std::uint64_t compiled = 0;     // machine code, run on one or two threads
  std::uint64_t emulated = 0;     // device code, run on the emulator
  FuzzCounts& operator+=(const FuzzCounts&);
};

/// Of the accepted texts, one in `generate` goes through code generation, and one in `compile` through the back end and
/// a run, on the CPU or on the emulator. 0: none.
struct FuzzShares {
  int generate = 4, compile = 40;
};

class Fuzzer {
 public:
  explicit Fuzzer(Fuzzed);  ///< makes the texts that others are mutated from
  std::string text(std::uint64_t seed) const;
  /// Runs a text: "" or what is wrong with weft. It must be parsed, or rejected with a place; print must parse back to
  /// the same text; compiled code and the emulator must give the interpreter's bits, or an Error where it gives one for
  /// an index outside its buffer; no stage may throw anything but Error, nor touch memory that is not its own (which
  /// sanitizers see).
  std::string execute(const std::string& text, std::uint64_t seed, const FuzzShares&, FuzzCounts&) const;

 private:
  Fuzzed what_;
  std::vector<std::string> corpus_;
};

}  // namespace weft::test
