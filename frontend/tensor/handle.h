// What classes are made of whose copies share an object, or which hold a function of the user's.
#pragma once
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <weft/frontend/tensor/here.h>
#include <weft/frontend/tensor/trace.h>
#include <weft/ir/base/error.h>

namespace weft {

/// A shared pointer that is never followed when it is empty: a default-constructed or moved-from owner says so.
template <class T>
class Handle {
 public:
  /// Empty; `type` is the owner's name, and `expected` how one comes by a full one, in the message.
  constexpr Handle(const char* type, const char* expected) : type_(type), expected_(expected) {}
  void set(std::shared_ptr<T> object) { object_ = std::move(object); }

  T& operator*() const {
    if (!object_) fail("an empty {} is used; expected {} (one that was moved from is empty)", type_, expected_);
    return *object_;
  }
  T* operator->() const { return &**this; }

 private:
  const char *type_, *expected_;
  std::shared_ptr<T> object_;
};

template <class F>
bool is_empty_function(const F& f) {
  if constexpr (std::is_pointer_v<F>)
    return f == nullptr;
  else
    return false;
}
template <class S>
bool is_empty_function(const std::function<S>& f) {
  return !f;
}
/// Throws Error "file:line: owner: the function is empty; …".
[[noreturn]] void empty_function(std::string_view owner, const std::source_location& where);
/// `f`, to be kept. Error when it is an empty std::function or a null pointer.
template <class F>
F callable(F f, std::string_view owner, WEFT_HERE) {
  if (is_empty_function(f)) empty_function(owner, where);
  return f;
}

/// Calls a function of the user's, which may have been moved from: an Error.
template <class F, class... A>
decltype(auto) call(const F& f, const char* type, A&&... arguments) {
  if (!f) fail("an empty {} is called (one that was moved from is empty)", type);
  const UserScope scope;
  return f(std::forward<A>(arguments)...);
}

}  // namespace weft
