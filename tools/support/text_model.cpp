// A Gpt in a file.
#include "tools/support/text_model.h"

#include <charconv>

#include "runtime/files/safetensors.h"

namespace weft::tools {
namespace {

constexpr const char *kHeads = "gpt.heads", *kCharacters = "gpt.characters";

/// The name of block i's arrays, as models have them in files.
std::string block_name(std::int64_t i) { return i == 0 ? "block" : fmt::format("block_{}", i); }

}  // namespace

TextModel make_text_model(const data::Characters& characters, GptOptions options, std::uint64_t seed) {
  GraphScope graph;
  set_seed(seed);
  options.vocabulary = characters.size();
  Gpt net(options);
  const Tensor tokens = input(i32, {options.context}, "tokens");
  Model model(tokens, net(tokens));
  return {characters, net, model};
}

std::string first_of(const data::Characters& characters) {
  constexpr std::int32_t kFirst[] = {0};
  return characters.text().find('\n') != std::string::npos ? "\n" : characters.decode(kFirst);
}

void save_text_model(const std::string& path, const TextModel& text) {
  text.model.save(path, {{kHeads, std::to_string(text.net.options().heads)}, {kCharacters, text.characters.text()}});
}

// Every array that the model will have is looked for in the file, with its shape, so that no file asks for more memory
// than it has.
TextModel load_text_model(const std::string& path) {
  const Checkpoint file = load_safetensors(path);
  const auto heads_text = file.metadata.find(kHeads), characters_text = file.metadata.find(kCharacters);
  if (heads_text == file.metadata.end() || characters_text == file.metadata.end())
    fail("'{}' is no model of a text: expected what weft train gpt has saved, with the metadata '{}' and '{}'", path,
         kHeads, kCharacters);
  GptOptions options;
  const std::string& digits = heads_text->second;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), options.heads);
  if (error != std::errc() || end != digits.data() + digits.size() || options.heads < 1)
    fail("'{}': metadata '{}' is '{}'; expected a number, 1 or more", path, kHeads, digits);
  const data::Characters characters(characters_text->second);
  options.vocabulary = characters.size();
  const auto shape_of = [&](const std::string& name) {
    const Array* a = file.find(name);
    if (!a) fail("'{}' has no parameter '{}'", path, name);
    return a->shape();
  };
  const auto expect = [&](const std::string& name, const Shape& shape) {
    if (const Shape found = shape_of(name); !(found == shape))
      fail("'{}': '{}' is {}; expected {}", path, name, to_string(found), to_string(shape));
  };
  const Shape positions = shape_of("position_embedding.table");
  if (positions.rank() != 2)
    fail("'{}': 'position_embedding.table' is {}; expected 2 axes", path, to_string(positions));
  options.context = positions[0], options.width = positions[1];
  const std::int64_t width = options.width;
  if (options.context < 1 || width < 1 || width % options.heads != 0)
    fail("'{}': positions {} and {} heads; expected a width that these divide", path, to_string(positions),
         options.heads);
  expect("embedding.table", {options.vocabulary, width});
  expect("dense.weight", {width, options.vocabulary});
  options.layers = 0;
  while (file.find(block_name(options.layers) + ".norm1.scale")) {
    const std::string block = block_name(options.layers++);
    expect(block + ".attention.weight", {width, 3 * width});
    expect(block + ".attention.mix", {width, width});
    expect(block + ".up.weight", {width, 4 * width});
    expect(block + ".down.weight", {4 * width, width});
  }
  if (options.layers == 0) fail("'{}' has no parameter 'block.norm1.scale'", path);
  TextModel made = make_text_model(characters, options, 0);
  made.model.load(path);
  return made;
}

}  // namespace weft::tools
