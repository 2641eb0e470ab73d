// Builds the kernel of one fused group from graph values: views become index arithmetic, stored values loads, the rest
// ops.
#pragma once
#include <unordered_map>

#include <weft/ir/graph/graph.h>
#include <weft/ir/kernel/kernel_builder.h>

namespace weft {

/// What a kernel may load: where each stored value, input and dense constant lies.
struct BufferMap {
  virtual ~BufferMap() = default;
  /// The buffer of value v as seen from kernel group `group`, or kNone when v must be computed there. An index of v
  /// becomes that of the element in the buffer.
  virtual BufferId place_of(ElementBuilder&, ValueId v, std::int32_t group, std::vector<Index>&) = 0;
};

class GroupBuilder final : public KernelBuilder, public ElementBuilder {
 public:
  GroupBuilder(const Graph& g, std::int32_t group, BufferMap& buffers) : g_(g), group_(group), buffers_(buffers) {}

  /// The index of a value of `shape`: one new axis for each extent that is not 1, named `prefix`0, 1, ….
  std::vector<Index> axes(const Shape& shape, std::string_view prefix = "i");
  ExprId value(ValueId v, const std::vector<Index>& index, ExprId predicate = kNone) override;
  /// From now on, v at `index` is accumulator `result`.
  void bind_accumulator(ValueId v, const std::vector<Index>& index, std::int32_t result);

  using ElementBuilder::constant;
  ExprId op(Op o, DType t, std::vector<ExprId> args) override { return KernelBuilder::op(o, t, std::move(args)); }
  ExprId literal(const Array& scalar) override { return KernelBuilder::constant(scalar); }
  ExprId index_value(const Index& index) override { return KernelBuilder::index_value(index); }

 private:
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
};

}  // namespace weft
