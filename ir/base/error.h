// The two kinds of failure: what a user can mend, and what only weft's authors can.
#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace weft {

/// A mistake in the user's program or input. The message says where, what was found and what was expected.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A broken invariant inside weft: always a bug here, never the user's fault.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Throws Error with a formatted message.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws InternalError with a formatted message unless `ok`.
template <class... Args>
void ensure(bool ok, fmt::format_string<Args...> format, Args&&... args) {
  if (!ok) [[unlikely]]
    throw InternalError("internal error: " + fmt::format(format, std::forward<Args>(args)...));
}

/// "1 input", "2 inputs".
template <class Count>
std::string counted(Count n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == Count{1} ? "" : "s");
}

}  // namespace weft
