// Private to codegen/: an entry of the object cache as bytes.
#pragma once
#include <string>
#include <string_view>

#include "codegen/module.h"

namespace weft::codegen {

struct CacheEntry {
  std::string_view key;           ///< text, see KernelKey
  std::vector<PhaseCode> phases;  ///< without their symbols
  std::string_view object;
};

std::string encode(const CacheEntry&);
/// Reads an entry, whose views then point into `bytes`. Returns "" or what is wrong with it; whatever the bytes are.
std::string decode(std::string_view bytes, CacheEntry&);

}  // namespace weft::codegen
