// Builds the expressions of one kernel from graph values: views become index arithmetic, stored values loads, the rest
// ops.
#pragma once
#include <map>
#include <tuple>
#include <unordered_map>

#include <weft/ir/graph/graph.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// What a kernel may load: where each stored value, input and dense constant lies.
struct BufferMap {
  virtual ~BufferMap() = default;
  /// The buffer of value v as seen from kernel group `group`, or kNone when v must be computed there.
  virtual BufferId buffer_of(ValueId v, std::int32_t group) = 0;
};

class KernelBuilder {
 public:
  KernelBuilder(const Graph& g, std::int32_t group, BufferMap& buffers) : g_(g), group_(group), buffers_(buffers) {}

  Kernel kernel;

  AxisId axis(std::string name, std::int64_t extent);
  /// The index of a value of `shape`: one new axis for each extent that is not 1, named `prefix`0, 1, ….
  std::vector<Index> axes(const Shape& shape, std::string_view prefix = "i");
  /// Value v at `index`. Loads happen only where `predicate` holds (kNone: everywhere).
  ExprId value(ValueId v, const std::vector<Index>& index, ExprId predicate = kNone);
  /// From now on, v at `index` is accumulator `result`.
  void bind_accumulator(ValueId v, const std::vector<Index>& index, std::int32_t result);

  ExprId op(Op, DType, std::vector<ExprId> args);
  ExprId constant(DType, double value);
  ExprId index_value(const Index&);  ///< i64
  ExprId load(BufferId, const std::vector<Index>&, DType, ExprId predicate = kNone);
  /// The index into x (shape `from`) that y = reshape(x) (shape `to`) reads at `index`. Where axes of x are merged, it
  /// is a quotient and a remainder.
  std::vector<Index> reshaped(const Shape& from, const Shape& to, const std::vector<Index>& index);
  /// 0 <= x < extent, for an i64 expression.
  ExprId in_range(ExprId x, std::int64_t extent);

 private:
  ExprId add(Expr e);
  ExprId compute(ValueId v, const std::vector<Index>& index, ExprId predicate);
  ExprId view(ValueId v, const std::vector<Index>& index, ExprId predicate);
  ExprId pad(const Node&, const std::vector<Index>& index, ExprId predicate);
  ExprId concat(const Node&, const std::vector<Index>& index, ExprId predicate);
  ExprId gather(const Node&, const std::vector<Index>& index, ExprId predicate);
  ExprId both(ExprId p, ExprId q);  ///< p and q, either of which may be kNone
  // Index arithmetic. What an Index cannot hold, a factor of its indirect part or a second one, is an expression.
  Index times(const Index&, std::int64_t factor);
  Index plus(const Index&, const Index&);
  Index by_number(Op, const Index&, std::int64_t);  ///< quotient or remainder

  struct Key {
    ValueId value;
    std::vector<Index> index;
    ExprId predicate;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key&) const;
  };
  const Graph& g_;
  std::int32_t group_;
  BufferMap& buffers_;
  std::unordered_map<Key, ExprId, KeyHash> memo_;
  std::unordered_multimap<std::size_t, ExprId> exprs_;  // hash -> expression, for sharing equal ones
};

}  // namespace weft
