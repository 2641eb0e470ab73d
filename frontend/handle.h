// What classes whose copies share an object are made of.
#pragma once
#include <memory>
#include <utility>

#include <weft/ir/error.h>

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

}  // namespace weft
