// Internal to frontend/: constants that are objects of classes.
#pragma once
#include <cstddef>
#include <new>
#include <utility>

namespace weft {

/// Memory for a T that is made once and never destroyed.
template <class T>
struct Everlasting {
  template <class Make>
  explicit Everlasting(Make make) {
    new (memory) T(make());
  }
  alignas(T) std::byte memory[sizeof(T)];
};

}  // namespace weft

/// Defines the constant `extern const T& name;`. It is made before every object of a program that does not ask for the
/// same, and is there to the end of the process: a program's globals may use it in their initialisers and destructors,
/// and its threads while one of them calls exit(). Initialisers that use weft itself cannot come so early.
#define WEFT_CONSTANT(T, name, ...)                                                                \
  namespace {                                                                                      \
  [[gnu::init_priority(200)]] const Everlasting<T> name##_everlasting([] { return __VA_ARGS__; }); \
  }                                                                                                \
  const T& name = reinterpret_cast<const T&>(name##_everlasting.memory);
