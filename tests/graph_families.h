// Families of large graphs that users really make, traced through the DSL: what compile time is measured and tested on.
#pragma once
#include <cstdint>
#include <ctime>
#include <span>
#include <string_view>

#include "ir/graph/graph.h"

namespace weft::test {

/// Seconds of processor time of this process, all threads together: unlike time on the clock, the same on a busy
/// machine.
inline double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Adds the processor time that f takes to `total`.
template <class F>
decltype(auto) timed(double& total, F&& f) {
  struct Add {
    double& total;
    const double start = processor_seconds();
    ~Add() { total += processor_seconds() - start; }
  } add{total};
  return f();
}

/// Processor time that the front end spent on a graph.
struct FrontEndTimes {
  double trace = 0;     // the user's C++ code
  double autodiff = 0;  // grad()
  double extract = 0;   // from the trace to one function
};

struct GraphFamily {
  std::string_view name, doc;
  /// A graph of about `nodes` nodes.
  Graph (*build)(std::int64_t nodes, FrontEndTimes&);
};

/// Every family is there: chain, wide, mlp, recurrent, tree, fan_out, fan_in, random.
std::span<const GraphFamily> graph_families();
/// The family of that name.
const GraphFamily& graph_family(std::string_view name);

}  // namespace weft::test
