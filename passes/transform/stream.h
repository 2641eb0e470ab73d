// A function of whole sequences as one of a few frames of them, which keeps what later frames need.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <weft/ir/graph/graph.h>

namespace weft {

struct Streamed {
  /// Data inputs and outputs have `frames` frames where they had the whole sequence. New states, NAME.history.N,
  /// NAME.carry.N and NAME.start.N for a function NAME, are updated by each call.
  Graph graph;
  std::map<std::string, Array> initial;  // of the new states
  /// Of each output, in frames: what a call gives is the result for frames that came so much earlier. Less than nothing
  /// comes out of the first ones: their results mean nothing.
  std::vector<std::int64_t> latency;
};

/// Streams `g` along an axis of its data inputs; those of a lower rank are the same for all frames. The results are those
/// of the whole sequence, bit for bit, and no frame is computed twice: windows along the axis keep the frames that they
/// reach back to (Le Paine et al. 2016, arXiv:1611.09482), and loops over it what they carry. An extent of the axis that is
/// a symbol may be unbound. Throws Error, which names the op and its line, where a frame depends on all others, on its number, or on
/// what comes before the first one in a way that is no constant.
Streamed stream(const Graph& g, int axis, std::int64_t frames);

}  // namespace weft
