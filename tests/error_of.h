// The message of a user error, for tests that assert it.
#pragma once
#include <string>

#include "ir/base/error.h"

namespace weft {

/// The message of the weft::Error that f throws; "no error" when it returns. Anything else passes through and fails the
/// test.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace weft
