// The emulator's loads, stores and asynchronous copies. Indices are checked before memory is touched, for all threads
// at once. Compiled with -O3, as runtime/emulator/emulator_apply.cpp.
#include <algorithm>
#include <array>
#include <cstring>

#include "ir/ops/scalar.h"
#include "ir/simt/simt_inst.h"
#include "runtime/emulator/emulator_check.h"
#include "runtime/emulator/emulator_machine.h"

namespace weft::emulator {
namespace {

using simt::Inst, simt::Memory;

bool all(const bool* flags, int n) {
  bool result = true;
  for (int i = 0; i < n; ++i) result &= flags[i];
  return result;
}

/// The threads that are here and whose predicate is true; null when that is all of them.
const bool* active_threads(const Step& s, Slot predicate, Machine& m) {
  // A value that all threads share: where there is no thread, its step is not reached.
  const bool* here = s.mask == kNoSlot || s.n == 1 ? nullptr : m.values<bool>(s.mask);
  if (here && here[s.n]) here = nullptr;
  const bool* wanted = predicate == kNoSlot ? nullptr : m.values<bool>(predicate);
  if (wanted && all(wanted, s.n)) wanted = nullptr;
  if (!here || !wanted) return here ? here : wanted;
  bool* both = m.active;
  for_lanes(s.n, [=](int i) { both[i] = here[i] & wanted[i]; });
  return both;
}

/// The thread of lane i: of a step that is done once for all, the first one that is here.
int thread_of(const Step& s, int lane, Machine& m) {
  if (s.n > 1 || s.mask == kNoSlot) return lane;
  const bool* here = m.values<bool>(s.mask);
  return static_cast<int>(std::find(here, here + m.function().threads, true) - here);
}

template <class I>
[[noreturn, gnu::cold, gnu::noinline]] void report_index(const Step& s, Machine& m, const Memory& memory,
                                                         const I* index, const bool* active) {
  for (int i = 0; i < s.n; ++i) {
    if (active && !active[i]) continue;
    const std::int64_t x = index[i];
    const bool outside = x < 0 || x > memory.elements - s.inst->width;
    if (!outside && x % s.inst->width == 0) continue;
    const auto& checks = m.function().checks;
    if (memory.space == Memory::global && x < 0 && x >= -static_cast<std::int64_t>(checks.size()))
      throw Error(checks[static_cast<std::size_t>(-1 - x)]);
    const std::string problem = outside
                                    ? fmt::format("is outside its {} elements", memory.elements)
                                    : fmt::format("is not a multiple of the {} elements that it moves", s.inst->width);
    throw InternalError(fmt::format("internal error: {}: index {} of %{} {}: thread {} of block {}: {}",
                                    place_of(m.function()), x, memory.name, problem, thread_of(s, i, m), m.block,
                                    what_it_does(m.function(), *s.inst)));
  }
  ensure(false, "emulator: no index is out of bounds");
  std::abort();
}

/// Throws when an index of an active thread is out of bounds or not a multiple of the width. Returns whether all
/// threads are active and access neighbours, one after the other.
template <class I>
bool check_indices(const Step& s, Machine& m, simt::MemoryId id, const I* index, const bool* active) {
  using U = std::make_unsigned_t<I>;
  const Memory& memory = at(m.function().memories, id);
  const int width = s.inst->width, n = s.n;
  const std::int64_t last = memory.elements - width;
  const U limit = static_cast<U>(std::min<std::int64_t>(last, std::numeric_limits<I>::max()));
  const U low_bits = static_cast<U>(width - 1), first = static_cast<U>(index[0]);
  U bad = 0, apart = active != nullptr;
  with_native_fma([=, &bad, &apart] {
    U wrong = 0, jumps = 0;
    if (!active) {
      for (int i = 0; i < n; ++i) {
        const U x = static_cast<U>(index[i]);
        wrong |= (x > limit ? U{1} : U{0}) | (x & low_bits);
        jumps |= x ^ (first + static_cast<U>(i * width));
      }
    } else {
      for (int i = 0; i < n; ++i) {
        const U x = static_cast<U>(index[i]);
        wrong |= active[i] ? (x > limit ? U{1} : U{0}) | (x & low_bits) : U{0};
      }
    }
    bad = wrong;
    apart |= jumps;
  });
  // With fewer elements than the width, every access is wrong; `limit` says nothing then.
  if (last < 0) bad = !active || std::any_of(active, active + n, [](bool a) { return a; });
  if (bad) [[unlikely]]
    report_index(s, m, memory, index, active);
  return apart == 0;
}

template <class T>
T element(const T* p) {
  if constexpr (std::is_same_v<T, bool>)
    return *reinterpret_cast<const std::uint8_t*>(p) != 0;  // shared memory that nobody has stored to holds no bool
  else
    return *p;
}

/// Eight rows of four 4-byte elements, as vectors whose halves hold rows i and i + 4.
template <class T>
struct Rows {
  typedef T Half __attribute__((vector_size(16)));
  typedef T Whole __attribute__((vector_size(32)));
  Whole rows[4];

  /// The elements of eight threads in a slot.
  static Whole* at(T* p) { return reinterpret_cast<Whole*>(p); }
  static const Whole* at(const T* p) { return reinterpret_cast<const Whole*>(p); }
  void read(int i, const T* low, const T* high) {
    Half a, b;
    std::memcpy(&a, low, sizeof a);
    std::memcpy(&b, high, sizeof b);
    rows[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
  }
  void write(int i, T* low, T* high) const {
    const Half a = __builtin_shufflevector(rows[i], rows[i], 0, 1, 2, 3);
    const Half b = __builtin_shufflevector(rows[i], rows[i], 4, 5, 6, 7);
    std::memcpy(low, &a, sizeof a);
    std::memcpy(high, &b, sizeof b);
  }
  /// In each half, and its own inverse: element k of row i becomes element i of row k.
  void transpose() {
    const Whole a = __builtin_shufflevector(rows[0], rows[2], 0, 8, 1, 9, 4, 12, 5, 13);
    const Whole b = __builtin_shufflevector(rows[0], rows[2], 2, 10, 3, 11, 6, 14, 7, 15);
    const Whole c = __builtin_shufflevector(rows[1], rows[3], 0, 8, 1, 9, 4, 12, 5, 13);
    const Whole d = __builtin_shufflevector(rows[1], rows[3], 2, 10, 3, 11, 6, 14, 7, 15);
    rows[0] = __builtin_shufflevector(a, c, 0, 8, 1, 9, 4, 12, 5, 13);
    rows[1] = __builtin_shufflevector(a, c, 2, 10, 3, 11, 6, 14, 7, 15);
    rows[2] = __builtin_shufflevector(b, d, 0, 8, 1, 9, 4, 12, 5, 13);
    rows[3] = __builtin_shufflevector(b, d, 2, 10, 3, 11, 6, 14, 7, 15);
  }
};
/// Eight rows of two 4-byte elements: columns 0 and 1 of pairs[0] (rows 0 to 3) and pairs[1] (rows 4 to 7).
template <class T>
struct Pairs {
  typedef T Whole __attribute__((vector_size(32)));
  typedef std::int64_t Four __attribute__((vector_size(32)));

  template <class I>
  static void read(const T* from, const I* index, T* first, T* second) {
    Whole halves[2];
    for (int half = 0; half < 2; ++half, index += 4) {
      std::int64_t row[4];
      for (int i = 0; i < 4; ++i) std::memcpy(&row[i], from + index[i], 8);
      halves[half] = reinterpret_cast<Whole>(Four{row[0], row[1], row[2], row[3]});
    }
    *Rows<T>::at(first) = __builtin_shufflevector(halves[0], halves[1], 0, 2, 4, 6, 8, 10, 12, 14);
    *Rows<T>::at(second) = __builtin_shufflevector(halves[0], halves[1], 1, 3, 5, 7, 9, 11, 13, 15);
  }
};
template <class T, int W>
constexpr bool kPairs = std::is_arithmetic_v<T> && sizeof(T) == 4 && W == 2;
template <class T, int W>
constexpr bool kTransposes = std::is_arithmetic_v<T> && sizeof(T) == 4 && W == 4;

/// to[k][i] = from[index[i] + k]. The number of threads is a multiple of 8 where it is not 1.
template <class T, class I, int W>
void gather(const T* from, const I* index, int n, std::array<T*, W> to) {
  if constexpr (kTransposes<T, W>) {
    for (int i = 0; n > 1 && i < n; i += 8) {
      Rows<T> r;
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) r.read(k, from + index[i + k], from + index[i + k + 4]);
      r.transpose();
#pragma GCC unroll 4
      for (std::size_t k = 0; k < 4; ++k) *Rows<T>::at(to[k] + i) = r.rows[k];
    }
    if (n > 1) return;
  } else if constexpr (kPairs<T, W>) {
    for (int i = 0; n > 1 && i < n; i += 8) Pairs<T>::read(from, index + i, to[0] + i, to[1] + i);
    if (n > 1) return;
  }
  for (int i = 0; i < n; ++i)
    for (std::size_t k = 0; k < W; ++k) to[k][i] = element(from + index[i] + k);
}

/// to[index[i] + k] = from[k][i]
template <class T, class I, int W>
void scatter(T* to, const I* index, int n, std::array<const T*, W> from) {
  if constexpr (kTransposes<T, W>) {
    for (int i = 0; i < n; i += 8) {
      Rows<T> r;
#pragma GCC unroll 4
      for (std::size_t k = 0; k < 4; ++k) r.rows[k] = *Rows<T>::at(from[k] + i);
      r.transpose();
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) r.write(k, to + index[i + k], to + index[i + k + 4]);
    }
  } else {
    for (int i = 0; i < n; ++i)
      for (std::size_t k = 0; k < W; ++k) to[index[i] + static_cast<I>(k)] = from[k][i];
  }
}

template <class T, int W>
std::array<T*, W> listed(const Step& s, Machine& m) {
  std::array<T*, W> slots;
  for (std::size_t k = 0; k < W; ++k) slots[k] = m.values<std::remove_const_t<T>>(m.code->slots[s.more + k]);
  return slots;
}

template <class T, class I, int W>
void load(const Step& s, Machine& m) {
  const I* index = m.values<I>(s.at[0]);
  const bool* active = active_threads(s, s.at[1], m);
  const bool neighbours = check_indices(s, m, s.inst->memory, index, active);
  if (m.checker) m.checker->load(s, m, active);
  const T* from = reinterpret_cast<const T*>(at(m.data, s.inst->memory));
  const std::array<T*, W> to = listed<T, W>(s, m);
  const int n = s.n;
  if (active) {
    for (int i = 0; i < n; ++i)
      for (std::size_t k = 0; k < W; ++k) to[k][i] = active[i] ? element(from + index[i] + k) : T{0};
  } else if (W == 1 && neighbours && !std::is_same_v<T, bool>) {
    std::memcpy(to[0], from + index[0], static_cast<std::size_t>(n) * sizeof(T));
  } else {
    with_native_fma([=] { gather<T, I, W>(from, index, n, to); });
  }
}

template <class T, class I, int W>
void store(const Step& s, Machine& m) {
  const I* index = m.values<I>(s.at[0]);
  const bool* active = active_threads(s, s.at[1], m);
  const bool neighbours = check_indices(s, m, s.inst->memory, index, active);
  if (m.checker) m.checker->store(s, m, active);
  T* to = reinterpret_cast<T*>(at(m.data, s.inst->memory));
  const std::array<const T*, W> from = listed<const T, W>(s, m);
  const int n = s.n;
  if (active) {
    for (int i = 0; i < n; ++i)
      if (active[i])
        for (std::size_t k = 0; k < W; ++k) to[index[i] + static_cast<I>(k)] = from[k][i];
  } else if (W == 1 && neighbours) {
    std::memcpy(to + index[0], from[0], static_cast<std::size_t>(n) * sizeof(T));
  } else {
    with_native_fma([=] { scatter<T, I, W>(to, index, n, from); });
  }
}

template <class I, class J>
void copy_async(const Step& s, Machine& m) {
  const Inst& inst = *s.inst;
  const I* to = m.values<I>(s.at[0]);
  const J* from = m.values<J>(s.at[1]);
  const bool* here = active_threads(s, kNoSlot, m);
  check_indices(s, m, inst.memory, to, here);
  const bool* wanted = active_threads(s, s.at[2], m);
  check_indices(s, m, inst.source, from, wanted);
  if (m.checker) m.checker->copy(s, m, here, wanted);
  const auto size = static_cast<std::int64_t>(size_of(at(m.function().memories, inst.memory).dtype));
  const auto bytes = static_cast<std::int32_t>(inst.width * size);
  std::byte *shared = at(m.data, inst.memory), *global = at(m.data, inst.source);
  for (int i = 0; i < s.n; ++i) {
    if (here && !here[i]) continue;
    const std::byte* source = !wanted || wanted[i] ? global + from[i] * size : nullptr;
    m.pending.copies.push_back({shared + to[i] * size, source, &s, i, bytes, to[i]});
  }
}

void complete(const PendingCopies::Copy& c, Machine& m) {
  if (m.checker) m.checker->complete(c);
  // Constant sizes, so that no function is called to move them.
  const auto move = [&](auto bytes) {
    if (c.from)
      std::memcpy(c.to, c.from, bytes);
    else
      std::memset(c.to, 0, bytes);
  };
  if (c.bytes == 16)
    move(std::integral_constant<std::size_t, 16>{});
  else if (c.bytes == 8)
    move(std::integral_constant<std::size_t, 8>{});
  else
    move(std::integral_constant<std::size_t, 4>{});
}

/// f(index) with a number of the index's type.
template <class F>
Handler visit_index(DType t, F&& f) {
  return t == i32 ? f(std::int32_t{}) : f(std::int64_t{});
}

/// f(element, index, width), the width a constant; accesses move at most 16 bytes (verify()).
template <class F>
Handler visit_access(DType t, DType index, int width, F&& f) {
  return visit_dtype(t, [&](auto zero) {
    return visit_index(index, [&](auto i) -> Handler {
      constexpr std::size_t most = 16 / sizeof zero;
      const auto with = [&]<int W>() { return f(zero, i, std::integral_constant<int, W>{}); };
      if (width == 1) return with.template operator()<1>();
      if (width == 2) return with.template operator()<2>();
      if constexpr (most >= 4)
        if (width == 4) return with.template operator()<4>();
      if constexpr (most >= 16) return width == 8 ? with.template operator()<8>() : with.template operator()<16>();
      throw InternalError("internal error: emulator: an access is too wide");
    });
  });
}

}  // namespace

Handler load_handler(DType t, DType index, int width) {
  return visit_access(t, index, width, [](auto zero, auto i, auto w) -> Handler {
    return load<decltype(zero), decltype(i), decltype(w)::value>;
  });
}

Handler store_handler(DType t, DType index, int width) {
  return visit_access(t, index, width, [](auto zero, auto i, auto w) -> Handler {
    return store<decltype(zero), decltype(i), decltype(w)::value>;
  });
}

Handler copy_async_handler(DType index, DType source_index) {
  return visit_index(index, [&](auto to) {
    return visit_index(source_index, [](auto from) -> Handler { return copy_async<decltype(to), decltype(from)>; });
  });
}

void commit_async(const Step&, Machine& m) { m.pending.groups.push_back(m.pending.copies.size()); }

void wait_async(const Step& s, Machine& m) {
  PendingCopies& p = m.pending;
  if (p.groups.size() <= s.inst->bits) return;
  const std::size_t groups = p.groups.size() - s.inst->bits, copies = p.groups[groups - 1];
  for (std::size_t i = 0; i < copies; ++i) complete(p.copies[i], m);
  p.copies.erase(p.copies.begin(), p.copies.begin() + static_cast<std::ptrdiff_t>(copies));
  p.groups.erase(p.groups.begin(), p.groups.begin() + static_cast<std::ptrdiff_t>(groups));
  for (std::size_t& end : p.groups) end -= copies;
}

void barrier(const Step&, Machine& m) {
  if (m.checker) m.checker->barrier();
}

}  // namespace weft::emulator
