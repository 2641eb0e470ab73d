// Runs a loop with the processor's own fma instruction. weft is compiled for any x86-64, where std::fma is a library
// call that costs more than all else in an interpreted contraction; the result is the same bits either way.
#pragma once

namespace weft {

#if defined(__x86_64__)
template <class F>
[[gnu::target("avx2,fma"), gnu::flatten]] void call_with_fma(F& f) {
  f();
}
#endif

/// Calls f(): where the processor has fma, in a copy of it, with all that it inlines, compiled for such processors.
template <class F>
void with_native_fma(F&& f) {
#if defined(__x86_64__)
  static const bool has_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (has_fma) return call_with_fma(f);
#endif
  f();
}

}  // namespace weft
