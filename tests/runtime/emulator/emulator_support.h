// Runs device code on the emulator, on arrays.
#pragma once
#include <initializer_list>
#include <vector>

#include "ir/artifact/device_artifact.h"
#include "ir/base/array.h"
#include "runtime/emulator/emulator.h"
#include "simt_builder.h"

namespace weft::test {

/// An array of n elements x(0), x(1), ….
template <class F>
auto array_of(std::int64_t n, F&& x) {
  Array a({dtype_of<decltype(x(0))>, {n}});
  auto values = a.as<decltype(x(0))>();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = x(static_cast<int>(i));
  return a;
}

/// A launch of an artefact for the emulator.
inline void add_function(DeviceArtifact& a, simt::Function f) {
  a.launches.push_back(launch_of(f, f.name));
  a.functions.push_back(std::move(f));
}

/// Runs f on its global memories, in order: unchecked on one thread or, when asked, on two; or checked.
inline void emulate_on(const simt::Function& f, std::vector<Array*> globals, EmulatorOptions options = {.threads = 1}) {
  std::vector<std::byte*> addresses;
  for (Array* a : globals) addresses.push_back(a->data());
  emulate(f, addresses, options);
}

/// The same way of running, thrice: with one thread, with three, and checked.
inline const EmulatorOptions kWays[] = {{.threads = 1}, {.threads = 3}, {.check = true}};

}  // namespace weft::test
