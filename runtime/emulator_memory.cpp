// The emulator's loads, stores and asynchronous copies. Indices are checked before memory is touched, for all threads
// at once. Compiled with -O3, as runtime/emulator_apply.cpp.
#include <algorithm>
#include <cstring>

#include "ir/scalar.h"
#include "ir/simt_inst.h"
#include "runtime/emulator_check.h"
#include "runtime/emulator_machine.h"

namespace weft::emulator {
namespace {

using simt::Inst, simt::Memory;

bool all(const bool* flags, int n) {
  bool result = true;
  for (int i = 0; i < n; ++i) result &= flags[i];
  return result;
}

/// The threads that are here and whose predicate is true; null when that is all of them.
const bool* active_threads(const Step& s, Place predicate, Machine& m) {
  // A value that all threads share: where there is no thread, its step is not reached.
  const bool* here = s.mask == kNowhere || s.n == 1 ? nullptr : m.values<bool>(s.mask);
  if (here && here[s.n]) here = nullptr;
  const bool* wanted = predicate == kNowhere ? nullptr : m.values<bool>(predicate);
  if (wanted && all(wanted, s.n)) wanted = nullptr;
  if (!here || !wanted) return here ? here : wanted;
  bool* both = m.active;
  for_lanes(s.n, [=](int i) { both[i] = here[i] & wanted[i]; });
  return both;
}

/// The thread of lane i: of a step that is done once for all, the first one that is here.
int thread_of(const Step& s, int lane, Machine& m) {
  if (s.n > 1 || s.mask == kNowhere) return lane;
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

template <class I>
void check_indices(const Step& s, Machine& m, simt::MemoryId id, const I* index, const bool* active) {
  using U = std::make_unsigned_t<I>;
  const Memory& memory = at(m.function().memories, id);
  const int width = s.inst->width;
  const std::int64_t last = memory.elements - width;
  const U limit = static_cast<U>(std::min<std::int64_t>(last, std::numeric_limits<I>::max()));
  const U low_bits = static_cast<U>(width - 1);
  const int n = s.n;
  bool bad = false;
  with_native_fma([&, index, active] {
    U wrong = 0;
    if (!active) {
      for (int i = 0; i < n; ++i) {
        const U x = static_cast<U>(index[i]);
        wrong |= (x > limit ? U{1} : U{0}) | (x & low_bits);
      }
    } else {
      for (int i = 0; i < n; ++i) {
        const U x = static_cast<U>(index[i]);
        wrong |= active[i] ? (x > limit ? U{1} : U{0}) | (x & low_bits) : U{0};
      }
    }
    bad = wrong != 0;
  });
  // With fewer elements than the width, every access is wrong; `limit` says nothing then.
  if (last < 0) bad = !active || std::any_of(active, active + n, [](bool a) { return a; });
  if (bad) [[unlikely]]
    report_index(s, m, memory, index, active);
}

template <class T>
T element(const T* p) {
  if constexpr (std::is_same_v<T, bool>)
    return *reinterpret_cast<const std::uint8_t*>(p) != 0;  // shared memory that nobody has stored to holds no bool
  else
    return *p;
}

template <class T, class I, int W>
void load(const Step& s, Machine& m) {
  const I* index = m.values<I>(s.at[0]);
  const bool* active = active_threads(s, s.at[1], m);
  check_indices(s, m, s.inst->memory, index, active);
  if (m.checker) m.checker->load(s, m, active);
  const T* from = reinterpret_cast<const T*>(at(m.data, s.inst->memory));
  T* to[W];
  for (int k = 0; k < W; ++k) to[k] = m.values<T>(m.code->places[s.more + static_cast<std::uint32_t>(k)]);
  if (!active) {
    for (int i = 0; i < s.n; ++i)
      for (int k = 0; k < W; ++k) to[k][i] = element(from + index[i] + k);
  } else {
    for (int i = 0; i < s.n; ++i)
      for (int k = 0; k < W; ++k) to[k][i] = active[i] ? element(from + index[i] + k) : T{0};
  }
}

template <class T, class I, int W>
void store(const Step& s, Machine& m) {
  const I* index = m.values<I>(s.at[0]);
  const bool* active = active_threads(s, s.at[1], m);
  check_indices(s, m, s.inst->memory, index, active);
  if (m.checker) m.checker->store(s, m, active);
  T* to = reinterpret_cast<T*>(at(m.data, s.inst->memory));
  const T* from[W];
  for (int k = 0; k < W; ++k) from[k] = m.values<T>(m.code->places[s.more + static_cast<std::uint32_t>(k)]);
  for (int i = 0; i < s.n; ++i)
    if (!active || active[i])
      for (int k = 0; k < W; ++k) to[index[i] + k] = from[k][i];
}

template <class I, class J>
void copy_async(const Step& s, Machine& m) {
  const Inst& inst = *s.inst;
  const I* to = m.values<I>(s.at[0]);
  const J* from = m.values<J>(s.at[1]);
  const bool* here = active_threads(s, kNowhere, m);
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
  if (c.from)
    std::memcpy(c.to, c.from, static_cast<std::size_t>(c.bytes));
  else
    std::memset(c.to, 0, static_cast<std::size_t>(c.bytes));
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
