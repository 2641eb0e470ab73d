// `weft generate`: continues a text with a model that `weft train gpt` has saved.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "frontend/train/interrupt.h"
#include "tools/commands.h"
#include "tools/support/io.h"
#include "tools/support/options.h"
#include "tools/support/text_model.h"

namespace weft::tools {
namespace {

struct Options {
  std::string file, cpu;
  std::optional<std::string> prompt;
  std::int64_t count = 500;
  SampleOptions sample;
  int threads = 1;
  bool json = false;
};

void generate(const Options& o) {
  using Clock = std::chrono::steady_clock;
  const TextModel text = load_text_model(o.file);
  const std::string begin = o.prompt.value_or(first_of(text.characters));
  const Array prompt = about("--prompt", [&] { return text.characters.encode(begin); });
  if (prompt.size() == 0) fail("--prompt is empty; expected at least one character to go on from");
  Continuation continuation(text.net, {.threads = o.threads, .cpu = o.cpu});
  const InterruptGuard interrupt;
  continuation.read(prompt.as<std::int32_t>());
  std::string made;
  std::int64_t count = 0;
  const auto start = Clock::now();
  bool is_taken = o.json || print_text(begin);
  for (; count < o.count && is_taken && interrupt.signal() == 0; ++count) {
    const std::int32_t token = continuation.next(o.sample);
    const std::string character = text.characters.decode({&token, 1});
    if (o.json)
      made += character;
    else
      is_taken = print_text(character);
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (o.json)
    print_line(nlohmann::ordered_json{{"prompt", begin},
                                      {"text", made},
                                      {"tokens", count},
                                      {"tokens_per_s", seconds > 0 ? static_cast<double>(count) / seconds : 0}}
                   .dump());
  else
    print_line("");
  if (const int signal = interrupt.signal()) throw CLI::RuntimeError(kSignalExit + signal);
}

}  // namespace

void add_generate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("generate", "Continue a text with a model that `weft train gpt` has saved");
  command->add_option("FILE", o->file, "the .safetensors file")->required();
  command->add_option(
      "--prompt", o->prompt,
      "what the text begins with (default: a line's end, or the first character where the model knows none)");
  command->add_option("--tokens", o->count, "characters to write")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 30));
  command->add_option("--temperature", o->sample.temperature, "divides the scores; 0: always the likeliest")
      ->capture_default_str();
  command->add_option("--top-k", o->sample.top_k, "choose among the k likeliest alone (0: all)")->capture_default_str();
  command->add_option("--top-p", o->sample.top_p, "choose among the likeliest that add up to this probability")
      ->capture_default_str();
  command->add_option("--seed", o->sample.seed, "of the choices")->capture_default_str();
  add_cpu_option(*command, o->cpu);
  command->add_option("--threads", o->threads, "threads to run on")->capture_default_str()->check(CLI::Range(1, 1024));
  command->add_flag("--json", o->json, "print one JSON object instead of the text as it comes");
  command->callback([o] { generate(*o); });
}

}  // namespace weft::tools
