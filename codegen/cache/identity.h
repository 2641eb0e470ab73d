// Private to codegen/: which code generator this is.
#pragma once
#include <string>

namespace weft::codegen {

/// A line that is the same only for builds of weft whose code generator is the same, to the source: the hash of the
/// sources that determine what is emitted (cmake/generator_hash.cmake), LLVM's version and the build id of the very
/// LLVM library that is loaded, where it has one.
const std::string& generator_identity();

/// The hash of the sources, made when weft is built.
extern const char* const kGeneratorHash;

}  // namespace weft::codegen
