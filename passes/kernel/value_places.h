// Where the values of a fused graph lie when it runs: in buffers of their own, as pieces of concats, in the rows of what
// a loop reads and stacks, or nowhere, since whoever reads them computes them.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include <weft/passes/kernel/group_builder.h>

namespace weft {

/// What lowering makes, of a graph and of the bodies in it.
struct Lowered {
  Program program;
  std::set<std::string> buffer_names, kernel_names;
  std::vector<std::int64_t> turns;  // of the loops around what is made now, the outermost first
  std::int64_t listed = 0;          // listed_size() of the outermost loops
};

class ValuePlaces : public BufferMap {
 public:
  /// `around`: of the graph whose node `scan` has this graph as its body; null: it is nobody's.
  ValuePlaces(const Graph&, std::int64_t large_bytes, Lowered&, ValuePlaces* around = nullptr, ValueId scan = kNoValue);

  BufferId place_of(ElementBuilder&, ValueId v, std::int32_t group, std::vector<Index>& index) override;
  /// Where a stored value lies. `index` becomes that of the element there.
  BufferId locate(ElementBuilder&, ValueId v, std::vector<Index>& index);
  /// A buffer that holds v alone. kNone: v is computed by the group itself, or wherever it is read.
  BufferId buffer_of(ValueId v, std::int32_t group);

 protected:
  BufferId add_buffer(Buffer);  ///< a name that is taken gets underscores
  BufferId add_buffer(Buffer::Kind, std::string name, const Type&);
  BufferId add_temp(ValueId v);
  /// Where the new value of an update goes, until all is computed.
  BufferId add_new_value(std::size_t update);

  /// Buffers for what a graph is given and gives, and for all that kernels store.
  void make_buffers();
  /// Of a body: what is carried lies in these buffers; new values of it go to the buffers that are returned, kNone where
  /// it stays as it is. What it stacks lies in rows of `stacked` (kNone: nobody reads it) where it can.
  std::vector<BufferId> place_carries(const std::vector<BufferId>& carried);
  void place_stacks(const std::vector<BufferId>& stacked);
  /// Temporaries for the values that are stored and have no other place.
  void place_others();

  std::size_t carries() const { return static_cast<std::size_t>(around_->g[scan_].attrs.scalar(Attr::carries)); }
  std::size_t slices() const { return static_cast<std::size_t>(around_->g[scan_].attrs.scalar(Attr::slices)); }
  /// The index of an element, in the row that belongs to the turn of what is sliced or stacked.
  std::vector<Index> in_row(std::vector<Index> index) const;

  std::string kernel_name(ValueId v) const { return prefix_ + g.groups()[static_cast<std::size_t>(g[v].group)].name; }
  static bool is_empty(const Shape& s) { return std::ranges::count(s, 0) > 0; }
  /// The value is stored by the kernel of its group, where its buffer is.
  bool is_computed(ValueId v) const;
  /// Some kernel, or a loop, leaves the value in memory.
  bool is_in_memory(ValueId v) const { return stored[v] || g[v].op == Op::result; }
  bool is_piece(ValueId v) const { return pieces_.contains(v); }
  /// The value lies within the buffer of a concat, or of a stack.
  bool is_part(ValueId v) const { return is_piece(v) || in_row_.contains(v); }

  const Graph& g;
  const std::int64_t large_bytes_;
  const std::vector<bool> large, stored, concats;
  Lowered& made_;
  Program& p;
  const std::string prefix_;       // of names
  std::vector<BufferId> buffers;   // of values that are in memory
  std::vector<BufferId> news;      // of each update: the temporary of the state's new value
  std::vector<bool> under_shape_;  // outputs that are another shape of a value, which is stored there by its kernel

  /// A value that is stored as a piece of a concat, from `begin` on along its axis. `as` is the concat's operand: the
  /// value, with other unit axes perhaps.
  struct Piece {
    ValueId whole = kNoValue, as = kNoValue;
    std::int64_t begin = 0;
  };
  std::map<ValueId, Piece> pieces_;

 private:
  BufferId add_view(BufferId base, std::string name, const Type&);
  BufferId constant(ValueId v);
  BufferId reshape_view(ValueId v);
  BufferId locate_operand(ElementBuilder&, ValueId input, std::vector<Index>& index);
  void store_under_shape(ValueId output);
  std::vector<bool> read_plainly(const std::vector<std::vector<ValueId>>& uses) const;
  void find_pieces();

  ValuePlaces* const around_;
  const ValueId scan_;
  const AxisId loop_;             // that counts its turns
  std::vector<BufferId> views_;   // of reshapes
  std::set<ValueId> in_row_;      // values that lie in the row of a stack
};

}  // namespace weft
