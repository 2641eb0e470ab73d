// Objects that hold nothing: every member says so.
#include <set>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// Members of a handle class, each by a use of it.
template <class T>
struct Member {
  const char* name;
  std::function<void(T&)> use;
};

template <class T>
void require_refused(T& empty, const std::vector<Member<T>>& members, const std::string& what) {
  for (const Member<T>& m : members) {
    CAPTURE(m.name);
    require_parts(error_of([&] { m.use(empty); }), {what});
  }
}

const std::vector<Member<Executable>> kExecutable = {
    {"()", [](auto& e) { e(); }},
    {"(vector)", [](auto& e) { e(std::vector<Array>{}); }},
    {"(named)", [](auto& e) { e(std::vector<NamedArray>{}); }},
    {"run_steps", [](auto& e) { e.run_steps(1, {}); }},
    {"input_names", [](auto& e) { e.input_names(); }},
    {"output_names", [](auto& e) { e.output_names(); }},
    {"output_types", [](auto& e) { e.output_types(); }},
    {"state_names", [](auto& e) { e.state_names(); }},
    {"state", [](auto& e) { e.state("s"); }},
    {"set_state", [](auto& e) { e.set_state("s", Array()); }},
    {"dump graph", [](auto& e) { e.dump(Stage::graph); }},
    {"dump optimized", [](auto& e) { e.dump(Stage::optimized); }},
    {"dump kernels", [](auto& e) { e.dump(Stage::kernels); }},
    {"dump ptx", [](auto& e) { e.dump(Stage::ptx); }},
    {"graph", [](auto& e) { e.graph(); }},
    {"optimized", [](auto& e) { e.optimized(); }},
    {"memory", [](auto& e) { e.memory(); }},
    {"compile_seconds", [](auto& e) { e.compile_seconds(); }},
    {"threads", [](auto& e) { e.threads(); }},
    {"backend", [](auto& e) { e.backend(); }},
    {"device", [](auto& e) { e.device(); }},
    {"prepare", [](auto& e) { e.prepare(1); }},
};

const Array kRows(Type{f32, {4, 2}});

const std::vector<Member<Model>> kModel = {
    {"inputs", [](auto& m) { m.inputs(); }},
    {"outputs", [](auto& m) { m.outputs(); }},
    {"parameters", [](auto& m) { m.parameters(); }},
    {"parameter_count", [](auto& m) { m.parameter_count(); }},
    {"()", [](auto& m) { m({}); }},
    {"compile", [](auto& m) { m.compile({.loss = mse}); }},
    {"summary", [](auto& m) { m.summary(false); }},
    {"fit", [](auto& m) { m.fit(kRows, kRows); }},
    {"fit (data set)",
     [](auto& m) {
       m.fit(Dataset{kRows, kRows, ""});
     }},
    {"evaluate", [](auto& m) { m.evaluate(kRows, kRows); }},
    {"evaluate (data set)",
     [](auto& m) {
       m.evaluate(Dataset{kRows, kRows, ""});
     }},
    {"predict", [](auto& m) { m.predict(kRows); }},
    {"save", [](auto& m) { m.save("/nonexistent/model"); }},
    {"load", [](auto& m) { m.load("/nonexistent/model"); }},
    {"training_step", [](auto& m) { m.training_step({}, {}, 1); }},
    {"dump", [](auto& m) { m.dump(Stage::graph); }},
    {"compile_seconds", [](auto& m) { m.compile_seconds(); }},
    {"threads", [](auto& m) { m.threads(); }},
    {"device", [](auto& m) { m.device(); }},
    {"learning_rate", [](auto& m) { m.learning_rate(); }},
    {"set_learning_rate", [](auto& m) { m.set_learning_rate(1); }},
    {"weights", [](auto& m) { m.weights(); }},
    {"set_weights", [](auto& m) { m.set_weights({}); }},
};

/// An operand of every kind of function; all begin with the same check.
const std::set<std::string_view> kMembers = {"type", "dtype", "shape", "rank", "name", "str", "value", "set_value"};
const std::vector<Member<Tensor>> kTensor = {
    {"type", [](auto& t) { t.type(); }},
    {"dtype", [](auto& t) { t.dtype(); }},
    {"shape", [](auto& t) { t.shape(); }},
    {"rank", [](auto& t) { t.rank(); }},
    {"name", [](auto& t) { t.name(); }},
    {"str", [](auto& t) { t.str(); }},
    {"value", [](auto& t) { t.value(); }},
    {"set_value", [](auto& t) { t.set_value(Array()); }},
    {"-", [](auto& t) { -t; }},
    {"~", [](auto& t) { ~t; }},
    {"t + 1", [](auto& t) { t + 1.0; }},
    {"1 + t", [](auto& t) { 1.0 + t; }},
    {"t * t", [](auto& t) { t* t; }},
    {"t < t", [](auto& t) { t < t; }},
    {"x - t", [](auto& t) { placeholder(f32, {2}) - t; }},
    {"exp", [](auto& t) { exp(t); }},
    {"rsqrt", [](auto& t) { rsqrt(t); }},
    {"square", [](auto& t) { square(t); }},
    {"reciprocal", [](auto& t) { reciprocal(t); }},
    {"isnan", [](auto& t) { isnan(t); }},
    {"pow", [](auto& t) { pow(t, 3); }},
    {"clip", [](auto& t) { clip(t, 0, 1); }},
    {"maximum", [](auto& t) { maximum(t, 1); }},
    {"minimum", [](auto& t) { minimum(t, t); }},
    {"prod", [](auto& t) { prod(t); }},
    {"mean", [](auto& t) { mean(t, -1); }},
    {"variance", [](auto& t) { variance(t); }},
    {"logsumexp", [](auto& t) { logsumexp(t); }},
    {"argmax", [](auto& t) { argmax(t); }},
    {"extent", [](auto& t) { extent(t, 0); }},
    {"layer_norm", [](auto& t) { layer_norm(t); }},
    {"log_softmax", [](auto& t) { log_softmax(t); }},
    {"leaky_relu", [](auto& t) { leaky_relu(t); }},
    {"elu", [](auto& t) { elu(t); }},
    {"silu", [](auto& t) { silu(t); }},
    {"log_sigmoid", [](auto& t) { log_sigmoid(t); }},
    {"gelu_tanh", [](auto& t) { gelu_tanh(t); }},
    {"flatten", [](auto& t) { flatten(t); }},
    {"squeeze", [](auto& t) { squeeze(t); }},
    {"broadcast_to", [](auto& t) { broadcast_to(t, {2}); }},
    {"stack",
     [](auto& t) {
       stack({t, t});
     }},
    {"slice", [](auto& t) { slice(t, 0, 0, 1); }},
    {"pad", [](auto& t) { pad(t, {1}, {1}); }},
    {"take", [](auto& t) { take(t, t); }},
    {"scatter_add", [](auto& t) { scatter_add(t, t, t); }},
    {"one_hot", [](auto& t) { one_hot(t, 3); }},
    {"cond",
     [](auto& t) {
       cond(
           t, [&] { return t; }, [&] { return t; });
     }},
    {"contract", [](auto& t) { contract(t, t, {0}, {0}); }},
    {"sum", [](auto& t) { sum(t); }},
    {"sum over an axis", [](auto& t) { sum(t, 0); }},
    {"softmax", [](auto& t) { softmax(t); }},
    {"reshape", [](auto& t) { reshape(t, {1}); }},
    {"transpose", [](auto& t) { transpose(t); }},
    {"matmul", [](auto& t) { matmul(t, t); }},
    {"matmul, second",
     [](auto& t) {
       matmul(placeholder(f32, {2, 2}), t);
     }},
    {"where", [](auto& t) { where(t, t, t); }},
    {"gather", [](auto& t) { gather(t, t); }},
    {"concat",
     [](auto& t) {
       concat({t, t}, 0);
     }},
    {"astype", [](auto& t) { astype(t, f64); }},
    {"zeros_like", [](auto& t) { zeros_like(t); }},
    {"ones_like", [](auto& t) { ones_like(t); }},
    {"expand_dims", [](auto& t) { expand_dims(t, 0); }},
    {"dropout", [](auto& t) { dropout(t, 0.5); }},
    {"relu", [](auto& t) { relu(t); }},
    {"gelu", [](auto& t) { gelu(t); }},
    {"grad of", [](auto& t) { grad(t, {}); }},
    {"grad with respect to", [](auto& t) { grad(sum(placeholder(f32, {2})), {t}); }},
    {"substitute in", [](auto& t) { substitute({t}, {}); }},
    {"substitute",
     [](auto& t) {
       substitute({placeholder(f32, {2})}, {{t, t}});
     }},
    {"compile", [](auto& t) { compile({t}); }},
    {"compile, updated",
     [](auto& t) {
       compile({}, {.updates = {{t, t}}});
     }},
    {"compile, input", [](auto& t) { compile({placeholder(f32, {2})}, {.inputs = {t}}); }},
    {"Dense", [](auto& t) { Dense(3)(t); }},
    {"Activate",
     [](auto& t) {
       Activate act(relu);
       act(t);
     }},
    {"Flatten", [](auto& t) { Flatten()(t); }},
    {"Dropout", [](auto& t) { Dropout(0.1)(t); }},
    {"LayerNorm", [](auto& t) { LayerNorm()(t); }},
    {"Embedding", [](auto& t) { Embedding(3, 2)(t); }},
    {"Model input", [](auto& t) { Model(t, input(f32, {2})); }},
    {"Model output", [](auto& t) { Model(input(f32, {2}), t); }},
    {"mse", [](auto& t) { mse(t, t); }},
    {"softmax_cross_entropy", [](auto& t) { softmax_cross_entropy(t, t); }},
    {"clip_by_norm", [](auto& t) { clip_by_norm({t}, 1); }},
};

}  // namespace

TEST_CASE("an empty executable says so, whatever is asked of it") {
  Executable empty;
  require_refused(empty, kExecutable, "an empty Executable is used; expected one that compile() returned");
  GraphScope graph;
  Executable full = compile({placeholder(f32, {2}) * 2.0});
  const Executable moved = std::move(full);
  require_refused(full, kExecutable, "an empty Executable is used");
  CHECK(moved.input_names().size() == 1);
}

TEST_CASE("a model that was moved from says so") {
  GraphScope graph;
  const Tensor x = input(f32, {2});
  Model full(x, Dense(2)(x));
  const Model moved = std::move(full);
  require_refused(full, kModel, "an empty Model is used; expected one made of inputs and outputs");
  CHECK(moved.parameter_count() == 6);
}

TEST_CASE("an empty tensor says so as operand of anything") {
  GraphScope graph;
  Tensor empty;
  CHECK(!empty.defined());
  CHECK(empty.locs().empty());
  for (const Member<Tensor>& m : kTensor) {
    CAPTURE(m.name);
    const std::string error = error_of([&] { m.use(empty); });
    CAPTURE(error);
    CHECK((error.find("empty Tensor") != std::string::npos || error.find("undefined") != std::string::npos));
    // The function that was called, not one that it is made of.
    const std::string_view function = std::string_view(m.name).substr(0, std::string_view(m.name).find_first_of(", "));
    const bool is_member = kMembers.contains(function),
               is_operator = !std::isalpha(function[0]) || function.size() == 1;
    if (!is_member && !is_operator) CHECK(error.find(fmt::format(": {}: ", function)) != std::string::npos);
  }
}

TEST_CASE("an array that was moved from is empty, and says so") {
  Array full = f({1, 2, 3}, {3});
  const Array moved = std::move(full);
  CHECK(full.type() == Type{f32, {0}});
  CHECK(full.size() == 0);
  CHECK(full.bytes() == 0);
  CHECK(full.as<float>().empty());
  CHECK(full.clone().type() == full.type());
  CHECK(full.converted(f64).size() == 0);
  CHECK(full.same_bits(full));
  CHECK(full.str() == "f32[0] {}");
  CHECK(full.view_rows(0, 0).size() == 0);
  require_reported(
      {FAILS(full.item<float>(), "the item of an empty array, f32[0]"), FAILS(full.rows(0, 1), "rows [0, 1)")});
  GraphScope graph;
  const Tensor x = placeholder(f32, {3}), s = state(moved, "s");
  const Executable exe = compile({x + s}, {});
  require_reported({FAILS(exe({full}), "expected f32[3], got f32[0]"),
                    FAILS(s.set_value(full), "the new value is f32[0]"), FAILS(exe.set_state("s", full), "f32[0]")});
  Array other = i({4}, {1});
  other = std::move(full);
  CHECK(other.size() == 0);
  full = moved;
  CHECK(full.same_bits(moved));
}

TEST_CASE("what holds a function says when it holds none") {
  GraphScope graph;
  const Tensor x = input(f32, {2});
  const auto learn = [&](const TrainOptions& o) {
    Model model(x, Dense(1)(x));
    model.compile(o);
    model.fit(kRows, Array(Type{f32, {4, 1}}), {.batch_size = 4, .verbose = 0});
  };
  const auto moved = [](auto object) {
    [[maybe_unused]] const auto taken = std::move(object);
    return object;  // NOLINT(bugprone-use-after-move)
  };
  using Own = std::function<Tensor(const Tensor&)>;
  require_reported({
      FAILS(Activation(Own{}), "Activation: the function is empty"),
      FAILS(Activation(ActivationFn{}), "Activation: the function is empty"),
      FAILS(Loss(std::function<Tensor(Tensor, Tensor)>{}), "Loss: the function is empty"),
      FAILS(RateSchedule(std::function<float(int)>{}), "RateSchedule: the function is empty"),
      FAILS(Dense(1, {}, {.weight_init = Initializer{}}), "Dense: weight_init: the function is empty"),
      FAILS(moved(Dense(1))(x), "an empty Initializer is called"),
      FAILS(moved(Embedding(3, 2))(input(i32, {})), "an empty Initializer is called"),
      FAILS(learn({.optimizer = moved(Optimizer(SGD{})), .loss = mse}), "an empty Optimizer is called"),
      FAILS(learn({.loss = moved(Loss(mse))}), "no loss"),
      FAILS(learn({.loss = mse, .metrics = {Metric{"none", {}, {}}}}), "metric 'none' has no function 'sums'"),
      FAILS(learn({.loss = mse, .metrics = {Metric{"half", accuracy.sums, {}}}}),
            "metric 'half' has no function 'result'"),
      FAILS(moved(Callback(StopOnNaN{})).has_step_end(), "an empty Callback is used"),
  });
  CHECK(Activation()(x).same(x));
  CHECK_FALSE(moved(Activation(relu)));
}

TEST_CASE("losses and data that hold nothing are refused where they are used") {
  GraphScope graph;
  const Tensor x = input(f32, {2});
  Model model(x, Dense(1)(x));
  require_reported({
    FAILS(Loss()(x, x), "an empty Loss was called"), FAILS(model.compile({}), "no loss"),
        FAILS(model.compile({.loss = mse}); model.fit(Dataset{}), "fit"), FAILS(model.evaluate(Dataset{}), "evaluate"),
        FAILS(model.predict(Array()), "predict"),
  });
}
