// A Gpt in a file: its weights, and as metadata its heads and characters; all else is told by the weights' shapes.
#pragma once
#include <string>

#include "frontend/train/gpt.h"
#include "frontend/train/model.h"
#include "runtime/data/text.h"

namespace weft::tools {

struct TextModel {
  data::Characters characters;
  Gpt net;
  Model model;
};

/// A new one of that many characters, not compiled, in a graph of its own.
TextModel make_text_model(const data::Characters& characters, GptOptions options, std::uint64_t seed);
/// What a text begins with where nobody says: a line's end, or the first character where there is none.
std::string first_of(const data::Characters& characters);
void save_text_model(const std::string& path, const TextModel& text);
/// Error, before anything is made of it, when the file holds no Gpt that `weft train gpt` has saved.
TextModel load_text_model(const std::string& path);

}  // namespace weft::tools
