// save() and load(): bit-exact resume, in mid-epoch too, and the messages about files that do not fit.
#include <filesystem>
#include <fstream>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("weft_checkpoint_test_" + name)).string();
}

/// A model with dropout (random state), layer names of its own and two layers of the same kind.
struct Net {
  std::shared_ptr<Trace> trace = std::make_shared<Trace>();
  std::optional<Model> model;

  explicit Net(const Optimizer& optimizer = Adam{0.01}, int skip_names = 0, std::int64_t hidden = 8) {
    GraphScope graph(trace);
    for (int k = 0; k < skip_names; ++k) current_trace()->unique_name("dense");  // as other models in the graph would
    set_seed(1);
    const Tensor x = input(f32, {4});
    model.emplace(x, Dense(3, {}, {.name = "head"})(Dropout(0.2)(Dense(hidden, relu)(Dense(hidden, relu)(x)))));
    model->compile({.optimizer = optimizer, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  }
  void fit(int epochs, std::vector<Callback> callbacks = {}) {
    const Array x = normal(0, 1)({50, 4}, 9, 0);
    Array y(Type{i32, {50}});
    for (std::int64_t k = 0; k < 50; ++k)
      y.as<std::int32_t>()[static_cast<std::size_t>(k)] =
          static_cast<std::int32_t>(x.at(4 * k) > 0) + (x.at(4 * k + 1) > 0);
    model->fit(x, y, {.batch_size = 8, .epochs = epochs, .seed = 6, .callbacks = std::move(callbacks), .verbose = 0});
  }
  void require_equal(const Net& other) const {
    const auto mine = model->weights(), theirs = other.model->weights();
    REQUIRE(mine.size() == theirs.size());
    for (const auto& [name, value] : mine) {
      CAPTURE(name);
      REQUIRE(value.same_bits(theirs.at(name)));
    }
  }
};

struct AtStep {
  std::function<void(FitRun&)> act;
  void on_step_end(FitRun& run) { act(run); }
};

}  // namespace

TEST_CASE("a run that is saved, loaded and continued gives the bits of one that was not") {
  const Optimizer optimizers[] = {SGD{0.05},     SGD{.learning_rate = 0.05, .momentum = 0.9},
                                  RMSprop{0.01}, Adagrad{0.1},
                                  Adam{0.01},    AdamW{cosine_decay(0.01, 60)}};
  const std::string path = temporary("resume.safetensors");
  for (const Optimizer& optimizer : optimizers) {
    Net straight(optimizer), first(optimizer),
        second(optimizer, 2);  // the second's layers have other names in their graph
    straight.fit(5);
    first.fit(2);
    first.model->save(path);
    second.model->load(path);
    second.require_equal(first);
    second.fit(3);
    second.require_equal(straight);
  }
  std::filesystem::remove(path);
}

TEST_CASE("resume is bit-exact in the middle of an epoch") {
  const std::string path = temporary("middle.safetensors");
  Net straight, first, second;
  straight.fit(3);
  first.fit(3, {AtStep{[&](FitRun& r) {
              if (r.step != 10) return;  // the third of seven batches of the second epoch
              r.model.save(path);
              r.stop("saved");
            }}});
  second.model->load(path);
  second.fit(2);  // the rest of epoch 2, then epoch 3
  second.require_equal(straight);
  std::filesystem::remove(path);
}

TEST_CASE("check_save says what save() would, and writes nothing") {
  const std::string path = temporary("tried.safetensors");
  std::filesystem::remove(path);
  Net net;
  net.model->check_save(path);
  REQUIRE_FALSE(std::filesystem::exists(path));
  net.model->save(path);
  const auto size = std::filesystem::file_size(path);
  net.model->check_save(path);
  REQUIRE(std::filesystem::file_size(path) == size);
  for (const std::string& bad : {std::string("/no/such/folder/x"), std::filesystem::temp_directory_path().string(),
                                 std::string("/dev/null"), path + "/x"}) {
    const std::string message = error_of([&] { net.model->save(bad); });
    REQUIRE(message.starts_with("cannot write '" + bad + "': "));
    REQUIRE(error_of([&] { net.model->check_save(bad); }) == message);
  }
  std::filesystem::remove(path);
}

TEST_CASE("a changed learning rate is saved") {
  const std::string path = temporary("rate.safetensors");
  Net first, second;
  first.model->set_learning_rate(0.125);
  first.model->save(path);
  second.model->load(path);
  REQUIRE(second.model->learning_rate() == 0.125);
  std::filesystem::remove(path);
}

TEST_CASE("weights alone can be loaded, by a model that is not compiled too") {
  const std::string path = temporary("weights.safetensors");
  Net trained;
  trained.fit(1);
  trained.model->save(path);
  const Checkpoint c = load_safetensors(path);
  std::vector<std::string> names;
  for (const NamedArray& a : c.arrays) names.push_back(a.name);
  for (const std::string name :
       {"dense.weight", "dense.bias", "dense_1.weight", "head.weight", "optimizer.m.dense_1.weight",
        "optimizer.v.head.bias", "optimizer.step", "optimizer.learning_rate", "weft.step", "weft.seed"}) {
    CAPTURE(name);
    REQUIRE(std::find(names.begin(), names.end(), name) != names.end());
  }
  GraphScope graph;
  const Tensor x = input(f32, {4});
  Model plain(x, Dense(3, {}, {.name = "head"})(Dropout(0.2)(Dense(8, relu)(Dense(8, relu)(x)))));
  plain.load(path);
  const Array rows = normal(0, 1)({5, 4}, 2, 0);
  REQUIRE(plain.predict(rows).same_bits(trained.model->predict(rows)));

  plain.save(path);
  Net compiled;
  compiled.model->load(path);
  compiled.require_equal(trained);
  REQUIRE(compiled.model->weights().at("head.bias").same_bits(plain.weights().at("head.bias")));
  std::filesystem::remove(path);
}

TEST_CASE("a checkpoint that does not fit changes nothing and says why") {
  const std::string path = temporary("other.safetensors");
  Net net, wide(Adam{0.01}, 0, 9), sgd(SGD{.learning_rate = 0.1, .momentum = 0.5});
  const auto before = net.model->weights();
  auto refused = [&](const std::vector<std::string>& parts) {
    require_parts(error_of([&] { net.model->load(path); }), parts);
    for (const auto& [name, value] : net.model->weights()) REQUIRE(value.same_bits(before.at(name)));
  };
  wide.model->save(path);
  refused({path, "'dense.weight' is f32[4,9]; the model expects f32[4,8]"});
  sgd.model->save(path);
  refused({path, "has no 'optimizer.step': it was saved with another optimiser"});
  net.model->save(path);
  Checkpoint c = load_safetensors(path);
  Checkpoint extra = c, lacking = c, broken = c;
  extra.arrays.push_back({"conv.weight", f({1}, {1})});
  save_safetensors(path, extra);
  refused({path, "has 'conv.weight' (f32[1]), which the model has not; is it the checkpoint of another model?"});
  std::erase_if(lacking.arrays, [](const NamedArray& a) { return a.name == "head.bias"; });
  save_safetensors(path, lacking);
  refused({path, "has no parameter 'head.bias'; expected f32[3]"});
  broken.metadata["weft.steps"] = "many";
  save_safetensors(path, broken);
  refused({path, "metadata 'weft.steps' is 'many'; expected a number, 0 or more"});
  std::ofstream(path) << "not a checkpoint";
  refused({path});
  std::filesystem::remove(path);
  refused({path, "No such file or directory"});
  require_reported({FAILS(net.model->save("/no/such/folder/x.safetensors"), "/no/such/folder/x.safetensors")});
  require_reported({FAILS(net.model->set_weights({}), "set_weights: 'dense.weight' is missing; expected f32[4,8]")});
}
