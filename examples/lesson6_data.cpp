// Lesson 6: data from a file, made ready, and random numbers.
#include <weft/weft.h>

#include <fstream>

using namespace weft;

int main() {
  // 1. A table. Columns of text become numbers, i32 codes of their categories, in sorted order.
  std::ofstream("flowers.csv") << "length,width,kind\n5.1,3.5,setosa\n7.0,NA,versicolor\n4.9,3.0,setosa\n"
                                  "6.4,3.2,versicolor\n5.0,3.6,setosa\n6.9,3.1,versicolor\n";
  const Table table = read_csv("flowers.csv", {.fill = "3.2"});  // what a missing value stands for; else it is an error
  fmt::print("{} rows; kinds: {}\n", table.rows, fmt::join(table.column("kind").categories, ", "));
  // prints: 6 rows; kinds: setosa, versicolor

  // 2. A data set: x is f32[N,2], y is i32[N]. The scale is measured on the training part and applied to both.
  const Dataset all = table.dataset({"length", "width"}, "kind");
  auto [train, test] = data::split(all, 1.0 / 3, 0);  // shuffled by seed 0
  const data::Standardiser standard(train.x);
  train = standard.apply(train);
  test = standard.apply(test);
  fmt::print("train {}, test {}\n", to_string(train.x.type()), to_string(test.x.type()));
  // prints: train f32[4,2], test f32[2,2]

  // 3. Rows by number, inside of a graph: gather. Embedding is the layer of it.
  {
    GraphScope scope;  // a graph of its own, beside what this thread builds otherwise
    const Tensor rows = placeholder(i32, {3}, "rows");
    const Tensor labels = gather(constant(all.y), rows, 0);
    fmt::print("{}\n", compile({labels})({Array::from<std::int32_t>({0, 1, 5}, {3})})[0].str());
    // prints: i32[3] {0, 1, 1}
  }

  // 4. Random numbers follow from the seed of the graph alone: initial weights, and each call of a random function.
  const auto draw = [] {
    GraphScope scope;
    set_seed(7);
    return compile({random_uniform({3}, -1, 1), random_normal({3}), random_bernoulli({3}, 0.5)})();
  };
  const std::vector<Array> once = draw(), again = draw();
  fmt::print("the same numbers: {}\n", once[0].same_bits(again[0]) && once[1].same_bits(again[1]));
  // prints: the same numbers: true

  // 5. A model takes data sets as they are. Its initial weights follow from the graph's seed, the order of samples and
  // dropout from that of fit().
  set_seed(7);
  const Tensor x = input(f32, {2}, "x");
  Model model(x, Dense(2)(Dropout(0.1)(Dense(8, relu)(x))));
  model.compile({.optimizer = Adam{0.05}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  model.fit(train, {.batch_size = 2, .epochs = 60, .seed = 7, .verbose = 0});
  fmt::print("accuracy {}\n", model.evaluate(train)["accuracy"]);
  // prints: accuracy 1
}
