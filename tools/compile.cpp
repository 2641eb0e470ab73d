// `weft compile`: functions as an object file and a header in C, for programs without weft.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "compiler/object.h"
#include "frontend/train/builtin.h"
#include "runtime/files/file.h"
#include "runtime/files/safetensors.h"
#include "tools/commands.h"
#include "tools/support/emit.h"
#include "tools/support/io.h"
#include "tools/support/options.h"

namespace weft::tools {
namespace {

struct Options {
  std::vector<std::string> sources;
  std::string output, header, demo, weights, threads = "none";
  std::vector<std::int64_t> batch;
  ExtentOptions extents;
  ObjectOptions object;
  ScheduleOptions schedules;
  std::optional<std::uint64_t> seed;
  std::optional<std::int64_t> max_memory;
  bool train = false, report = false, json = false;
};

bool is_builtin(const std::string& name) {
  return std::ranges::any_of(builtin_models(), [&](const BuiltinModel& m) { return m.name == name; });
}

std::string model_names() {
  std::string names;
  for (const BuiltinModel& m : builtin_models()) names += fmt::format("{}{}", names.empty() ? "" : ", ", m.name);
  return names;
}

/// The number of tasks that `--threads` names.
int tasks_of(const std::string& threads) {
  if (threads == "none") return 1;
  if (threads == "callback") return threads_of({});
  constexpr int kMost = ObjectOptions::kMostTasks;
  int n = 0;
  const auto [end, error] = std::from_chars(threads.data(), threads.data() + threads.size(), n);
  if (error != std::errc() || end != threads.data() + threads.size())
    fail("--threads: expected none, callback or a number, found '{}'", threads);
  if (n < 1 || n > kMost) fail("--threads: expected 1 to {}, found {}", kMost, n);
  return n;
}

/// Rows for a demonstration of a reference model.
std::map<std::string, Array> digits() {
  constexpr std::int64_t kRows = 256;
  const data::Mnist mnist = data::digits({.train_count = kRows, .test_count = 1});
  const Array labels(Type{u8, {kRows}});
  std::ranges::copy(mnist.train.y.as<std::int32_t>(), labels.as<std::uint8_t>().begin());
  return {{"image", mnist.train.x}, {"target", labels}};
}

ObjectFile compile_model(const Options& o, ObjectOptions object) {
  if (!o.extents.named.empty()) fail("--extent is for .weft files");
  const BuiltinModel& builtin = builtin_model(o.sources[0]);
  if (!o.demo.empty()) {
    if (builtin.window > 0) fail("--demo is for models of digits; {} is one of tokens", builtin.name);
    object.samples = digits();
  }
  if (object.name.empty()) object.name = o.sources[0];
  Model model = builtin.make(o.seed.value_or(0), train_options());
  if (!o.weights.empty()) model.load(o.weights);
  try {
    return model.compile_object(
        {.batch = o.batch.empty() ? std::vector<std::int64_t>{o.train ? builtin.batch : 1} : o.batch,
         .training = o.train,
         .object = object});
  } catch (const Error& e) {  // where this file calls it is nothing to the user
    constexpr std::string_view kCall = "compile_object: ";
    const std::string message = e.what();
    const std::size_t at = message.starts_with("tools/") ? message.find(kCall) : message.npos;
    if (at == message.npos) throw;
    fail("{}", message.substr(at + kCall.size()));
  }
}

/// The values of a file for all states of the functions.
std::map<std::string, Array> initial_values(const Options& o, const std::vector<NamedGraph>& functions) {
  std::map<std::string, Array> values, used;
  if (o.weights.empty()) return used;
  for (const NamedArray& a : load_safetensors(o.weights).arrays) values.emplace(a.name, a.value);
  for (const NamedGraph& f : functions)
    for (const Input& in : f.graph.inputs()) {
      if (in.kind == InputKind::data) continue;
      const auto found = values.find(in.name);
      if (found == values.end()) fail("{}: no value for the state '{}' of @{}", o.weights, in.name, f.name);
      used.insert(*found);
    }
  return used;
}

/// Error for an unbound extent that is not that of time.
void check_bound_beside(const Graph& g, int axis) {
  for (const Input& in : g.inputs()) {
    Shape rest = g[in.id].type.shape;
    if (rest.rank() > axis) rest.erase(axis);
    if (!is_static(rest))
      fail("input '{}' is {}: only the extent of axis {} may be unbound in a stream (--batch N, --extent NAME=N)",
           in.name, to_string(g[in.id].type), axis);
  }
}

/// One function a file and batch, called as the file's own function is.
ObjectFile compile_files(const Options& o, ObjectOptions object) {
  if (o.train) fail("--train is for a reference model; a file is compiled as the function that it is");
  if (o.seed) fail("--seed is for a reference model");
  std::vector<NamedGraph> functions;
  for (const std::string& file : o.sources) {
    if (file.ends_with(".onnx")) not_built_in("reading ONNX");
    if (file.find('.') == file.npos && !std::filesystem::exists(file))
      fail("there is no reference model and no file '{}'; models are {}", file, model_names());
    const std::string text = read_text(file);
    if (is_program(text)) fail("{}: a program of kernels; expected a graph", display_name(file));
    const Graph g = parse_graph(text, display_name(file));
    const std::vector<std::int64_t> batches = o.batch.empty() ? std::vector<std::int64_t>{0} : o.batch;
    for (const std::int64_t batch : batches) {
      const std::string name = batches.size() == 1 ? g.name : fmt::format("{}_{}", g.name, batch);
      ExtentOptions extents = o.extents;
      extents.batch = batch;
      Graph of_batch = extents.bind(g);
      if (object.stream >= 0) check_bound_beside(of_batch, object.stream);
      functions.push_back({name, object.stream < 0 ? bound(std::move(of_batch)) : std::move(of_batch)});
    }
  }
  if (object.name.empty()) object.name = "model";
  object.initial = initial_values(o, functions);
  return compile_object(functions, object);
}

std::string json_of(const ObjectFile& f) {
  nlohmann::ordered_json j{{"object_bytes", f.object.size()},
                           {"format", f.contents.format},
                           {"code_bytes", f.contents.code_bytes},
                           {"constant_bytes", f.contents.constant_bytes},
                           {"writable_bytes", f.contents.writable_bytes},
                           {"state_bytes", f.state_bytes},
                           {"undefined", f.contents.undefined}};
  for (const ObjectFile::Function& x : f.functions)
    j["functions"].push_back({{"name", x.name},
                              {"workspace_bytes", x.workspace_bytes},
                              {"arena_bytes", x.arena_bytes},
                              {"output_bytes", x.output_bytes},
                              {"scratch_bytes", x.scratch_bytes},
                              {"joins", x.joins}});
  return j.dump();
}

void compile(const Options& o) {
  ObjectOptions object = o.object;
  object.tasks = tasks_of(o.threads);
  for (const std::int64_t batch : o.batch)
    if (batch < 1) fail("--batch: expected 1 or more, found {}", batch);
  if (object.stream < -1) fail("--stream: expected an axis, found {}", object.stream);
  const std::vector<CpuTarget> levels = object_targets(object.target, object.features);
  const auto schedules = levels.size() == 1 ? o.schedules.read(levels[0]) : nullptr;
  object.passes.schedules = schedules.get();
  const bool builtin = is_builtin(o.sources[0]);
  if (builtin && o.sources.size() > 1) fail("a reference model is compiled by itself; found {} too", o.sources[1]);
  const std::string path = o.output.empty() ? (builtin ? o.sources[0] : "model") + std::string(".o") : o.output;
  for (const std::string& to : {path, o.header, o.demo})
    if (to == "-") fail("'-': what compile makes goes to files; expected a path");
  if (o.max_memory && *o.max_memory < 1) fail("--max-memory: expected 1 or more, found {}", *o.max_memory);
  object.max_memory = o.max_memory.value_or(0);
  const std::string header = o.header.empty() ? std::filesystem::path(path).replace_extension(".h").string() : o.header;
  if (header == path || o.demo == path || o.demo == header)
    fail("the object, the header and the demonstration are files of their own; found {} twice",
         header == path ? path : o.demo);
  object.header_file = header.substr(header.rfind('/') + 1);
  for (const std::string& source : o.sources)
    for (const std::string& written : {path, header, o.demo})
      if (std::error_code none; std::filesystem::equivalent(written, source, none))
        fail("{} would be overwritten", source);
  const ObjectFile file = builtin ? compile_model(o, object) : compile_files(o, object);
  const std::pair<const std::string&, const std::string&> written[] = {
      {path, file.object}, {header, file.header}, {o.demo, file.demo}};
  for (const auto& [to, text] : written)
    if (!to.empty()) check_writable(to, std::ssize(text));
  for (const auto& [to, text] : written)
    if (!to.empty()) {
      const std::span<const std::byte> bytes[] = {std::as_bytes(std::span(text))};
      atomic_write(to, bytes);
    }
  if (!file.contents.undefined.empty())
    say(fmt::format("weft: note: {} needs {}: functions of its compiler's or C's library\n", path,
                    fmt::join(file.contents.undefined, ", ")));
  if (o.json)
    print_line(json_of(file));
  else if (o.report)
    print_line(file.report());
}

struct VerifyOptions {
  std::string file;
};

void verify_object(const VerifyOptions& o) {
  constexpr std::int64_t kLargest = std::int64_t{4} << 30;
  const std::vector<std::byte> bytes = read_file(o.file, kLargest);
  const ObjectContents c = inspect_object({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, o.file);
  print_line(fmt::format(
      "{}: {}\ndefines: {}\nneeds: {}\ncode {} bytes, constants {}, data that changes {}, addresses in data {}", o.file,
      c.format, fmt::join(c.defined, ", "),
      c.undefined.empty() ? "nothing" : fmt::format("{}", fmt::join(c.undefined, ", ")), c.code_bytes, c.constant_bytes,
      c.writable_bytes, c.data_relocations));
  if (!c.undefined.empty())
    fail("{}: it needs {} from elsewhere; expected nothing", o.file, fmt::join(c.undefined, ", "));
  if (c.writable_bytes > 0) fail("{}: it has {} bytes of data that change; expected none", o.file, c.writable_bytes);
  if (c.data_relocations > 0)
    fail("{}: a loader would have to fill {} addresses into its data; expected none", o.file, c.data_relocations);
}

}  // namespace

void add_compile(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->object.name = "";
  auto* command = app.add_subcommand("compile", "Compile functions ahead of time into an object file and a C header");
  command
      ->add_option("SOURCE", o->sources,
                   "a reference model (mlp, cnn, lstm, vit, gpt), or .weft files, a function each")
      ->required();
  command->add_flag("--train", o->train, "of a reference model: the training step too");
  command->add_option("-o,--output", o->output, "the object file to write (default: MODEL.o, or model.o)");
  command->add_option("--header", o->header, "the header to write (default: beside the object file)");
  command->add_option("--demo", o->demo, "write a C program that runs it, too");
  command->add_option("--name", o->object.name,
                      "what the object's names begin with (default: the model's, or 'model')");
  command->add_option("--target", o->object.target, "what to make code for: " + object_target_names())
      ->capture_default_str();
  command->add_option("--features", o->object.features, "what the cpu has and lacks besides: \"+avx2,-fma\"");
  command
      ->add_option("--threads", o->threads,
                   "none; callback, for a parallel-for of the caller's over as many threads as this machine has; or "
                   "their number")
      ->capture_default_str();
  command->add_option("--batch", o->batch, "rows of a call: a number, or several for a function each")
      ->delimiter(',')
      ->allow_extra_args(false);
  o->extents.add_names_to(*command);
  command->add_option("--weights", o->weights, "a .safetensors file with the values that states begin with");
  command->add_option("--seed", o->seed, "of a reference model's first weights (0)");
  command->add_option("--stream", o->object.stream,
                      "the axis of time: functions take some frames a call and keep what later ones need");
  command->add_option("--frames", o->object.frames, "of a stream's call: a number (1), or several for a function each")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--max-memory", o->max_memory, "fail when state and workspace need more bytes than this");
  command->add_flag("--report", o->report, "print the sizes of all parts");
  command->add_flag("--json", o->json, "print them as one JSON object");
  o->schedules.add_to(*command);
  command->callback([o] { compile(*o); });

  auto v = std::make_shared<VerifyOptions>();
  auto* verify = app.add_subcommand("verify-object", "Check that an object file needs nothing and keeps nothing");
  verify->add_option("FILE", v->file, "the object file")->required();
  verify->callback([v] { verify_object(*v); });
}

}  // namespace weft::tools
