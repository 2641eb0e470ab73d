// Internal to frontend/: objects that threads take and give back.
#pragma once
#include <array>
#include <atomic>
#include <memory>

namespace weft {

/// Up to `kSlots` idle objects. No locks: a thread that vanishes (fork) keeps what it took, and nobody waits.
template <class T>
class Pool {
 public:
  Pool() = default;
  ~Pool() {
    for (auto& slot : slots_) delete slot.load();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// An idle object, or null.
  std::unique_ptr<T> take() {
    for (auto& slot : slots_)
      if (slot.load(std::memory_order_relaxed))
        if (T* object = slot.exchange(nullptr, std::memory_order_acquire)) return std::unique_ptr<T>(object);
    return nullptr;
  }
  /// Ends an object for which there is no room.
  void give(std::unique_ptr<T> object) {
    for (auto& slot : slots_) {
      T* expected = nullptr;
      if (!slot.load(std::memory_order_relaxed) &&
          slot.compare_exchange_strong(expected, object.get(), std::memory_order_release, std::memory_order_relaxed))
        return static_cast<void>(object.release());
    }
  }

 private:
  static constexpr std::size_t kSlots = 32;
  std::array<std::atomic<T*>, kSlots> slots_{};
};

}  // namespace weft
