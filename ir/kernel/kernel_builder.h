// Building kernels, and copying parts of one into another. Equal expressions are one: who adds one gets the number of
// the expression that is there already.
#pragma once
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include <weft/ir/kernel/kernel.h>

namespace weft {

std::size_t hash_of(const Index&);

/// A temporary more; a name that is taken gets underscores.
BufferId add_temporary(Program&, std::string name, Type);

/// Adds axes and expressions to a kernel; all else of it is its user's to fill in. Arguments precede users because they
/// have numbers before them.
class KernelBuilder {
 public:
  KernelBuilder() = default;
  explicit KernelBuilder(Kernel start);  ///< with all that is in it

  Kernel kernel;  // whose expressions nobody else adds or changes

  AxisId axis(std::string name, std::int64_t extent);  ///< a name that is taken gets underscores
  ExprId add(Expr);                                    ///< or finds the equal one
  ExprId find(const Expr&) const;                      ///< kNone: there is no such expression
  ExprId op(Op, DType, std::vector<ExprId> args);
  ExprId constant(DType, std::uint64_t bits);
  ExprId constant(const Array& scalar);
  ExprId index_value(const Index&);  ///< i64; a constant where it changes with nothing
  ExprId load(BufferId, std::vector<Index>, DType, ExprId predicate = kNone);
  ExprId accumulator(std::int32_t result, DType);

 private:
  std::unordered_multimap<std::size_t, ExprId> known_;  // by hash
};

/// Copies what another kernel computes: each expression on what its parts have become, in `to`.
///
///     KernelRewriter rw(old, builder, [&](AxisId a) { return a == row ? chunk_and_element : axis_index(a); });
///     for (ExprId e : rw.needed({stage.value})) rw.set(e, keep ? rw.copy(e) : something new in builder);
///     stage = rw.stage(old_stage);
class KernelRewriter {
 public:
  /// `axes`: the index in `to` that stands where the axis stood.
  KernelRewriter(const Kernel& old, KernelBuilder& to, std::function<Index(AxisId)> axes = axis_index);

  std::vector<ExprId> needed(const std::vector<ExprId>& roots) const;  ///< what computing them takes, in order
  Expr mapped(ExprId old) const;  ///< the expression on what its parts have become, for changes before it is added
  ExprId copy(ExprId old);        ///< adds that, or finds the equal one; also maps `old`
  void copy_all(const std::vector<ExprId>& roots);  ///< and what they need
  void set(ExprId old, ExprId now);

  ExprId operator()(ExprId old) const;  ///< kNone stays; so does what has not been set
  Index index(const Index&) const;
  std::vector<Index> access(const std::vector<Index>&) const;
  KernelStage stage(KernelStage) const;  ///< operands and stores; its own axis and result stay

 private:
  const Kernel& old_;
  KernelBuilder& to_;
  std::function<Index(AxisId)> axes_;
  std::vector<ExprId> map_;
};

}  // namespace weft
