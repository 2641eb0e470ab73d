// Branches and loops: functions that C++ code builds, of which one counts or which is run again and again.
#pragma once
#include <functional>
#include <vector>

#include <weft/frontend/tensor/here.h>
#include <weft/frontend/tensor/tensor.h>

namespace weft {

/// What `then` gives where the predicate (bool, a scalar) holds, else what `otherwise` gives: each is called once, at
/// once, and builds its branch from any tensors of the graph. Both give the same number of tensors (at least one) of
/// the same types.
///
///     Tensor y = cond(sum(x) > 0, [&] { return log(x); }, [&] { return x; });
///
/// The branch that is not taken has no part in the result or its gradients, so that `log` above never makes a NaN.
/// Compiled code computes both so far; for a choice element by element use where(). Indices that a branch gathers by
/// are not checked by Model's functions.
///
/// Error, at the caller's line, when the predicate is no bool scalar, when the branches differ in number or types, and
/// when a tensor is of another graph.
Tensor cond(const Tensor& predicate, const std::function<Tensor()>& then, const std::function<Tensor()>& otherwise,
            WEFT_HERE);
std::vector<Tensor> cond(const Tensor& predicate, const std::function<std::vector<Tensor>()>& then,
                         const std::function<std::vector<Tensor>()>& otherwise, WEFT_HERE);

/// What a turn of scan() begins with or gives: values that go from turn to turn, and one slice or result of each turn.
struct Turn {
  std::vector<Tensor> carry;
  std::vector<Tensor> each;
};
using TurnFunction = std::function<Turn(const Turn&)>;

struct ScanOptions {
  std::int64_t length = 0;  ///< turns; needed where there are no slices that say it
  bool reverse = false;     ///< from the last slice to the first; results lie as the slices do
};

/// Runs `body` for each slice of `xs` along their first axis: it is given the carry, first `init`, and the slices, and
/// gives the next carry, of the same types, and results, which are stacked along a new first axis: [length, …].
///
///     // The running sum of x [time, n]:
///     Turn sums = scan({full(f32, {n}, 0)}, {x}, [](const Turn& t) {
///       Tensor s = t.carry[0] + t.each[0];
///       return Turn{{s}, {s}};
///     });                                       // sums.carry[0]: the whole sum; sums.each[0]: [time, n]
///
/// The body is called once, at once, and may use any tensors of the graph; what it is given is nothing outside of it. Random
/// numbers in it are other ones in each turn. Gradients flow through carries, slices and whatever it uses. The
/// kernels of the body are made once and listed for each turn. Indices that it gathers by are not checked by Model's
/// functions.
///
/// Error, at the caller's line, when the slices differ in length, when the carries change in number or type, when the
/// body gives nothing, and when a tensor is of another graph.
Turn scan(const std::vector<Tensor>& init, const std::vector<Tensor>& xs, const TurnFunction& body,
          const ScanOptions& options = {}, WEFT_HERE);

}  // namespace weft
