// The emulator's checking mode: shadow memory that remembers who touched each element and when, to find races, missing
// barriers and waits, and reads of what nobody has written.
//
// A block's run is cut into intervals by its barriers. Accesses of one element, one of them a store, race when they are
// by different threads of a block in the same interval, or by different blocks at all.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <weft/runtime/emulator/emulator_machine.h>

namespace weft::emulator {

/// One byte for each byte of a global memory: does it hold a value? Null: all of it does.
using Initialised = std::uint8_t*;

/// For one launch, whose blocks run one after another. Its functions throw InternalError naming the function, its
/// kernel's lines, the phase and interval, the element, the threads and what each did.
class Checker {
 public:
  /// `globals` and `initialised`: for each global memory, in order.
  Checker(const Code&, const std::vector<std::byte*>& globals, const std::vector<Initialised>& initialised);

  void begin_block(std::int32_t number);
  void barrier() { ++interval_; }
  // Before the access; `active`: the lanes that take part, null for all.
  void load(const Step&, Machine&, const bool* active);
  void store(const Step&, Machine&, const bool* active);
  void copy(const Step&, Machine&, const bool* here, const bool* wanted);
  void complete(const PendingCopies::Copy&);

 private:
  struct Touch {
    std::int32_t block = kNone;
    std::uint32_t interval = 0, step = 0;
    std::int32_t thread = 0;
  };
  /// Of one grain of storage. Two readers, of different blocks if there were such, else of different threads of the
  /// last interval with any, are enough to find one that conflicts with any store that conflicts with some reader.
  struct Shadow {
    Touch writer, readers[2];
  };
  /// Storage that memories share: several may be views of it.
  struct Storage {
    std::byte* begin = nullptr;
    std::int64_t bytes = 0;
    std::int64_t grain = 8;  // bytes; elements consist of whole grains
    bool stored = false;     // else nothing can race
    std::vector<Shadow> shadow;
    std::vector<Touch> pending;  // shared arrays: asynchronous copies that have not been waited for
  };
  enum class Access : std::uint8_t { load, store };

  void add_global(std::size_t memory, std::byte*);
  void add_shared(std::size_t memory);
  template <class F>
  void each_thread(const Step&, Machine&, const bool* active, Slot index, DType, F&&);
  void touch(Access, const Touch& now, simt::MemoryId, std::int64_t element);
  void remember_reader(Shadow&, const Touch& now) const;
  bool conflicts(const Touch& earlier, const Touch& now, bool shared) const;
  Touch now(const Step& s, int thread) const;

  std::string who(const Touch&, const char* does) const;
  std::string element_name(simt::MemoryId, std::int64_t element) const;
  [[noreturn]] void report(const std::string& what) const;
  const simt::Memory& memory(simt::MemoryId) const;

  const Code& code_;
  std::vector<Storage> storage_;
  std::vector<std::int32_t> storage_of_;  // of each memory
  std::vector<std::int64_t> start_;       // of each memory: bytes from the begin of its storage
  std::vector<Initialised> initialised_;  // of each memory
  std::int32_t block_ = kNone;
  std::uint32_t interval_ = 0;
};

}  // namespace weft::emulator
