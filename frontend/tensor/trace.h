// The graph that C++ code is being traced into, and the user's line that its nodes are charged to.
#pragma once
#include <map>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <weft/frontend/tensor/fair_mutex.h>
#include <weft/frontend/tensor/state_value.h>
#include <weft/ir/base/float_environment.h>
#include <weft/ir/graph/graph.h>

namespace weft {

/// A value kept between calls: a parameter, an optimiser slot, a counter. Every executable compiled from the trace
/// reads and writes `value`, so that a training step and an inference function share their weights.
struct Variable {
  ValueId id = kNoValue;
  std::string name;
  std::shared_ptr<StateValue> value;
  bool is_parameter = false;  // else a state
  bool trainable = true;      // Tensor::set_trainable()
};

/// One application of a layer, kept for Model::summary().
struct LayerCall {
  std::string name;  // "dense_1"
  std::string kind;  // "Dense"
  ValueId output = kNoValue;
  std::vector<ValueId> inputs;
  std::vector<ValueId> parameters;
};

/// A scalar that a model adds to its loss when `parameter` is among its parameters (an L1 or L2 penalty).
struct Penalty {
  ValueId parameter = kNoValue;
  ValueId value = kNoValue;
};

/// What a state becomes in a training step (update() in tensor.h).
struct StateUpdate {
  ValueId state = kNoValue;
  ValueId value = kNoValue;
  ValueId with = kNoValue;  // the result of the layer that the update is part of; none: of whatever has its inputs
};

/// The IR graph under construction with what the IR does not hold: the values of its states, its layers and penalties.
///
/// Tensors keep alive what they are computed from. What no tensor needs any more goes, the values of states at once and
/// nodes once they are worth it; that is looked at when a model goes or is compiled anew, and now and then when a
/// source is made. The state of the random ops stays: what is drawn goes on.
struct Trace {
  FairRecursiveMutex mutex;  // of those who trace what is compiled when it is needed first (Model)
  Graph graph;
  std::vector<Variable> variables;  // in the order of creation, which is that of their ids
  std::vector<LayerCall> layers;
  std::vector<Penalty> penalties;
  std::vector<StateUpdate> updates;  // in the order in which they were recorded
  std::map<std::string, int> name_counts;
  std::map<std::string, std::string> bases;  // unique_name()'s results -> what was asked for
  std::uint64_t seed = 0;                    // of initialisers: parameter i draws from the Philox stream (seed, i)
  std::uint64_t parameter_stream = 0;        // i of the next parameter
  std::int64_t random_calls = 0;             // each random call has a number of its own
  std::vector<ValueId> turns;                // i64[]: of the scans that are being traced, the outer ones first

  /// A name that no input and no layer has yet: "dense", then "dense_1", "dense_2", … Counting starts anew, and with it
  /// another `name_generation`, once nothing is left of the graph.
  std::string unique_name(const std::string& base);
  std::uint64_t name_generation = 0;
  void add(Variable);
  void add(LayerCall);
  Variable* find(ValueId id);
  Variable* find(const std::string& name);

  /// Something to hold while the value is needed, what a Tensor holds: the value's id, which collect() changes.
  using Root = std::shared_ptr<const ValueId>;
  Root root(ValueId id);
  /// Drops what no root needs. The nodes among it go, and the others move together, where they are a good part of the
  /// graph, or where their inputs' names are wanted. Nothing while another thread uses the graph (`mutex`). Whoever
  /// calls it holds no ids but by roots.
  enum Wanted : bool { memory, names };
  void collect(Wanted = memory);
  /// The same, if it might be worth the walk.
  void collect_if_grown();

 private:
  std::vector<std::shared_ptr<ValueId>> live_roots();
  /// The graph of the values that are live; they are found by their new ids, `roots` included.
  void compact(const std::vector<bool>& live, const std::vector<std::shared_ptr<ValueId>>& roots);

  std::vector<std::weak_ptr<ValueId>> roots_;
  std::size_t roots_limit_ = 64;                           // where roots_ is pruned next
  std::size_t nodes_limit_ = 1024, variables_limit_ = 64;  // beyond either, collecting might be worth it
  std::unordered_set<std::string> layer_names_;
};

/// Which values the roots are computed from, the roots included.
std::vector<bool> reached_from(const Graph&, const std::vector<ValueId>& roots);

// Values that weft itself puts into a graph.
inline constexpr std::string_view kSeedName = "weft.seed";  // state i64[]: seed of the random ops
inline constexpr std::string_view kStepName =
    "weft.step";  // state i64[]: calls so far, advanced where random ops are used
inline constexpr std::string_view kTurnName = "weft.turn";  // what a turn of scan() is given, while it is traced
/// What random call number i adds to the step (frontend/tensor/random.h).
constexpr std::int64_t call_offset(std::int64_t i) { return (i + 1) << 40; }
inline constexpr std::int64_t kMostCalls = (1 << 23) - 1;           // of a graph
/// bool[], a constant once compiled: whether it is a training step; "weft.training:NAME": and the state NAME is trainable.
inline constexpr std::string_view kTrainingName = "weft.training";

/// The graph that this thread's tensors are built in: the innermost GraphScope's, else the thread's own.
const std::shared_ptr<Trace>& current_trace();
/// Whether this thread builds in that graph, now or outside of its scopes.
bool is_built_here(const std::shared_ptr<Trace>&);

/// While it lives, this thread builds into a new, empty graph (or into `trace`); afterwards into the previous one.
/// Tensors and models keep their graph alive, so a model outlives the scope it was built in; executables need none.
class GraphScope {
 public:
  GraphScope();
  explicit GraphScope(std::shared_ptr<Trace> trace);
  ~GraphScope();
  GraphScope(const GraphScope&) = delete;
  GraphScope& operator=(const GraphScope&) = delete;

 private:
  std::shared_ptr<Trace> saved_;
};

/// Starts the random numbers of this thread's graph anew: parameters created from now on get the initial values that
/// they would get in a new graph, and its random ops start at step 0 under this seed.
void set_seed(std::uint64_t seed);

/// What every function that traces begins with. Charges the nodes built on this thread to `where` while it lives,
/// unless an enclosing scope already names a line: the outermost call is the user's, so a node that a layer or an
/// activation builds carries the line that called the layer. Constants and initial values are computed in IEEE 754's
/// default environment, whatever the caller's.
class LocScope {
 public:
  /// `function`: the name of the user's call, or the signature, by default that of the function that the scope is in.
  explicit LocScope(const std::source_location& where,
                    std::string_view function = std::source_location::current().function_name());
  explicit LocScope(LocSet locs, std::string_view function = std::source_location::current().function_name());
  ~LocScope();
  LocScope(const LocScope&) = delete;
  LocScope& operator=(const LocScope&) = delete;
  /// The name of the function that the outermost scope stands in, or that it was given: what the user called. A
  /// class's, where that is its constructor or operator(); empty outside of every scope.
  static std::string function();
  static LocSet current();  ///< the active scope's line; empty outside of every scope, and in a UserScope
  static bool is_nested();  ///< whether a function of weft's called, which may hold ids of values

 private:
  DefaultFloats floats_;
  LocSet saved_;
  std::string_view saved_function_;
};

/// Held while weft calls a function of the user's (a loss, a metric, an optimiser, an activation): in it the outermost
/// call is again the user's, so that its mistakes and its nodes carry its own lines.
class UserScope {
 public:
  UserScope();
  ~UserScope();
  UserScope(const UserScope&) = delete;
  UserScope& operator=(const UserScope&) = delete;

 private:
  LocSet current_, caller_;
  std::string_view function_;
};

/// What a function of weft's begins with that stands where a user's might (a built-in loss): it is charged to the line
/// that called it, which the UserScope around it has set aside. `name` is what its errors call it.
class BuiltinScope : LocScope {
 public:
  explicit BuiltinScope(std::string_view name);
};

}  // namespace weft
