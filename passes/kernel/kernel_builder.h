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

class KernelBuilder final : public ElementBuilder {
 public:
  KernelBuilder(const Graph& g, std::int32_t group, BufferMap& buffers) : g_(g), group_(group), buffers_(buffers) {}

  Kernel kernel;

  AxisId axis(std::string name, std::int64_t extent);
  /// The index of a value of `shape`: one new axis for each extent that is not 1, named `prefix`0, 1, ….
  std::vector<Index> axes(const Shape& shape, std::string_view prefix = "i");
  ExprId value(ValueId v, const std::vector<Index>& index, ExprId predicate = kNone) override;
  /// From now on, v at `index` is accumulator `result`.
  void bind_accumulator(ValueId v, const std::vector<Index>& index, std::int32_t result);

  ExprId op(Op, DType, std::vector<ExprId> args) override;
  ExprId literal(const Array& scalar) override;
  ExprId index_value(const Index&) override;
  ExprId load(BufferId, const std::vector<Index>&, DType, ExprId predicate = kNone);

 private:
  ExprId add(Expr e);
  ExprId compute(ValueId v, const std::vector<Index>& index, ExprId predicate);

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
