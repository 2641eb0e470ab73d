// Private to codegen/: what determines the object code of a kernel, as text and as a digest.
#pragma once
#include <string>

#include "codegen/codegen.h"
#include "ir/base/target.h"
#include "ir/kernel/kernel.h"

namespace weft::codegen {

/// The code generator, the target, the options that change code, and the kernel: two kernels whose texts are equal have
/// the same code. The text can be read by people and parsed back.
struct KernelKey {
  std::string text;
  std::string digest;                                  ///< 256 bits of it, in hexadecimal
  std::string symbol() const { return "k" + digest; }  ///< prefix of the kernel's symbols
};

/// Makes keys for one target and one set of options.
class KeyMaker {
 public:
  KeyMaker(const CpuTarget&, Sanitizer);
  /// The key of a kernel in its canonical form.
  KernelKey operator()(const Program& canonical) const;

 private:
  std::string header_;
};

/// What a key was made of.
struct KeyParts {
  std::string generator;
  CpuTarget target;
  Sanitizer sanitizer = Sanitizer::none;
  Program program;
};
/// Throws Error when the text is not a key's.
KeyParts parse_key(const std::string& text);
std::string digest(const std::string& text);
/// The generator of a key's text, without parsing the rest.
std::string_view generator_of(std::string_view text);

}  // namespace weft::codegen
