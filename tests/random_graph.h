// Random graphs, random inputs, and a shrinker: what differential tests of any stage are made of.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "ir/graph/graph.h"

namespace weft::test {

/// A small deterministic generator (splitmix64): the same numbers on every platform.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n)); }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  bool chance(double p) { return uniform() < p; }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  template <class C>
  const auto& pick(const C& list) {
    return list[static_cast<std::size_t>(below(static_cast<std::int64_t>(std::size(list))))];
  }

 private:
  std::uint64_t state_;
};

struct RandomGraphOptions {
  int nodes = 30;             // ops to add, helpers not counted
  std::vector<Op> ops;        // empty: every op of the table
  std::vector<DType> dtypes;  // of inputs; empty: all
  double large = 0.05;        // share of shapes with thousands of elements
  double empty = 0.03;        // share of shapes without elements
  bool views = false;         // ops are mostly views, on top of each other, of iotas, gathers, scatters and the like
  bool bodies = false;        // functions that are called, and branches, among them some within each other
  bool layers = true;         // add a dense layer with softmax and a state update now and then
  double wild = 0.02;         // share of operands of log, sqrt, div, exp, … that may make results infinite or NaN
};

/// A valid graph of at least one output, a function of the seed alone. It may have state inputs with updates.
Graph random_graph(std::uint64_t seed, const RandomGraphOptions& = {});

/// A scalar, empty, size-1, odd or large shape.
Shape random_shape(Rng&, const RandomGraphOptions& = {});

/// Adds `op` on `operands` with random attributes and, where it must be declared, a random result type; kNoValue where
/// the operands do not fit the op.
ValueId add_random(Graph&, Op op, std::vector<ValueId> operands, Rng&, LocSet);

enum class Values : std::uint8_t {
  tame,     // moderate numbers, zeros and ties among them
  special,  // also -0, infinities, NaN, subnormals, the largest and smallest finite
};
Array random_array(const Type&, Rng&, Values = Values::tame);

/// One array for each input. An input's value depends on the seed, its name and its type only, so that it survives
/// shrinking.
std::vector<Array> random_inputs(const Graph&, std::uint64_t seed, Values = Values::tame);

/// The smallest graph found on which `fails` still holds: drops outputs and updates, and replaces nodes by an operand,
/// a zero constant or an input.
Graph shrink(const Graph&, const std::function<bool(const Graph&)>& fails);

/// Runs a graph some way: through a pass and the interpreter, lowered, or compiled.
using RunFn = std::function<Evaluation(const Graph&, std::span<const Array> inputs)>;

/// "" when both hold the same bits, else where they differ first.
std::string difference(const Evaluation& expected, const Evaluation& actual, const Graph&);

/// Requires `run` to agree in bits with interpret() on random inputs; on failure reports the seed, the first difference
/// and the shrunk graph as text.
void compare(const Graph&, const RunFn& run, std::uint64_t seed, Values = Values::tame);

}  // namespace weft::test
