// `weft train gpt` and `weft generate`: a text is learnt, saved and continued; files that are no such model are
// refused.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "catch.h"
#include "runtime/files/safetensors.h"
#include "tools/command.h"

using namespace weft::test;
using nlohmann::json;

namespace {

const std::string kTrain =
    "weft train gpt --context 16 --layers 2 --heads 2 --width 16 --batch-size 8 --data text.txt ";

void write_text(const TempDir& dir) {
  std::string text;
  while (text.size() < 4000) text += "the loom, the weft \xe2\x80\x94 and the warp.\n";
  spill(dir.file("text.txt"), text);
}

}  // namespace

TEST_CASE("a text is learnt, and continued from the file that is saved") {
  const TempDir dir;
  write_text(dir);
  const Result trained = shell(kTrain + "--epochs 12 --save text.safetensors --json", dir.path());
  INFO(trained);
  REQUIRE(trained.code == 0);
  const json line = json::parse(trained.out);
  for (const char* key : {"model", "device", "cpu", "data", "epochs", "compile_s", "step_ms", "epoch_s", "train_loss",
                          "val_loss", "val_accuracy"})
    CHECK(line.contains(key));
  CHECK(line["model"] == "gpt");
  CHECK(line["val_loss"].get<double>() < line["train_loss"].get<double>() + 1);
  CHECK(line["val_loss"].get<double>() < 2);

  const Result spoken = shell(kTrain + "--epochs 1", dir.path());
  INFO(spoken);
  CHECK(spoken.code == 0);
  for (const char* text :
       {"model: gpt (2 layers of 2 heads, width 16, context 16)", "data: text.txt: 18 different characters",
        "block_1 (TransformerBlock)", "held-out loss ", "bits a character", "ms a step"})
    CHECK(contains(spoken.out, text));

  const std::string generate = "weft generate text.safetensors --prompt 'the w' --tokens 60 ";
  const Result one = shell(generate + "--seed 3", dir.path()),
               two = shell(generate + "--seed 3 --threads 2", dir.path()),
               other = shell(generate + "--seed 4 --temperature 2", dir.path()),
               object = shell(generate + "--seed 3 --json", dir.path());
  INFO(one << object);
  CHECK(one.code == 0);
  CHECK(one.out.starts_with("the w"));
  CHECK(one.out == two.out);
  CHECK(one.out != other.out);
  const json made = json::parse(object.out);
  CHECK(made["tokens"] == 60);
  CHECK(made["tokens_per_s"].get<double>() > 0);
  CHECK(made["prompt"].get<std::string>() + made["text"].get<std::string>() + "\n" == one.out);
  CHECK(shell("weft generate text.safetensors --tokens 0 --prompt t", dir.path()).out == "t\n");
}

TEST_CASE("what generate and train gpt cannot use is refused in one line") {
  const TempDir dir;
  write_text(dir);
  spill(dir.file("short.txt"), "too short");
  spill(dir.file("latin.txt"), "caf\xe9");
  spill(dir.file("empty.txt"), "");
  REQUIRE(shell(kTrain + "--epochs 1 --save good.safetensors", dir.path()).code == 0);
  weft::Checkpoint plain = weft::load_safetensors(dir.file("good.safetensors"));
  /// The good file, changed.
  const auto variant = [&](const std::string& name, const std::function<void(weft::Checkpoint&)>& change) {
    weft::Checkpoint c = plain;
    change(c);
    weft::save_safetensors(dir.file(name), c);
  };
  variant("none.safetensors", [](weft::Checkpoint& c) { c.metadata.erase("gpt.heads"); });
  variant("heads.safetensors", [](weft::Checkpoint& c) { c.metadata["gpt.heads"] = "3"; });
  variant("many.safetensors", [](weft::Checkpoint& c) { c.metadata["gpt.heads"] = "99999999999999999999"; });
  variant("fewer.safetensors", [](weft::Checkpoint& c) { c.metadata["gpt.characters"] = "abc"; });
  variant("bytes.safetensors", [](weft::Checkpoint& c) { c.metadata["gpt.characters"] = ""; });
  variant("wide.safetensors", [](weft::Checkpoint& c) {
    for (weft::NamedArray& a : c.arrays)
      if (a.name == "position_embedding.table") a.value = weft::Array(weft::Type{weft::f32, {1, 65536}});
  });
  variant("layers.safetensors", [](weft::Checkpoint& c) {
    c.arrays.push_back({"block_2.norm1.scale", weft::Array(weft::Type{weft::f32, {16}})});
  });
  variant("lost.safetensors", [](weft::Checkpoint& c) {
    std::erase_if(c.arrays, [](const weft::NamedArray& a) { return a.name == "block.up.bias"; });
  });
  struct Row {
    std::string command, message;
  };
  const std::string generate = "weft generate good.safetensors ";
  for (const Row& row : std::vector<Row>{
           {"weft train gpt", "train gpt: there is no text; expected --data FILE"},
           {"weft train gpt --data no.txt", "cannot open no.txt: No such file or directory"},
           {"weft train gpt --data empty.txt", "empty.txt: the text is empty"},
           {"weft train gpt --data latin.txt", "latin.txt: the text is no UTF-8: byte 0xe9 in line 1, column 4"},
           {"weft train gpt --data short.txt", "short.txt: next_token_windows: 9 tokens; expected at least 129"},
           {"weft train gpt --data text.txt --heads 3", "train gpt: a width of 128 for 3 heads; expected a multiple"},
           {"weft train gpt --data text.txt --batch-size 64", "expected a batch of 64 besides"},
           {"weft train mnist --model gpt", "it is trained on a text: weft train gpt --data FILE"},
           {"weft train text", "train: expected mnist or gpt, found 'text'"},
           {"weft compile gpt --demo main.c", "--demo is for models of digits; gpt is one of tokens"},
           {"weft generate no.safetensors", "cannot open 'no.safetensors': No such file or directory"},
           {"weft generate text.txt", "'text.txt' is not a valid safetensors file"},
           {"weft generate none.safetensors", "'none.safetensors' is no model of a text"},
           {"weft generate heads.safetensors", "and 3 heads; expected a width that these divide"},
           {"weft generate many.safetensors", "metadata 'gpt.heads' is '99999999999999999999'"},
           {"weft generate fewer.safetensors", "'embedding.table' is [18,16]; expected [3,16]"},
           {"weft generate bytes.safetensors", "the text is empty"},
           {"weft generate wide.safetensors", "'embedding.table' is [18,16]; expected [18,65536]"},
           {"weft generate layers.safetensors", "has no parameter 'block_2.attention.weight'"},
           {"weft generate lost.safetensors", "has no parameter 'block.up.bias'"},
           {generate + "--prompt ''", "--prompt is empty"},
           {generate + "--prompt Z",
            "--prompt: the character 'Z' (U+005A) in line 1, column 1 is not among the 18 known"},
           {generate + "--temperature -1", "SampleOptions: temperature is -1"},
           {generate + "--top-p 2", "SampleOptions: top_p is 2"},
       }) {
    const Result r = shell(row.command, dir.path());
    INFO(row.command << "\n" << r);
    CHECK(r.code == 1);
    CHECK(r.err.starts_with("weft: error: "));
    CHECK(contains(r.err, row.message));
  }
}
