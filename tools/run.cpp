// `weft run`: compiles a graph or a program given as text, runs it once on .npy files, and writes or prints its
// results.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>

#include "ir/base/at.h"
#include "ir/base/lexer.h"
#include "ir/memory/panels.h"
#include "runtime/files/npy.h"
#include "tools/commands.h"
#include "tools/support/emit.h"
#include "tools/support/io.h"
#include "tools/support/options.h"

namespace weft::tools {
namespace {

struct Options {
  std::string file, output_dir;
  std::vector<std::string> inputs;
  DeviceOptions device;
  ScheduleOptions schedules;
  bool interpret = false, trust = false;
};

using Arrays = std::map<std::string, Array>;

/// The arrays of `--input NAME=F.npy …`.
Arrays read_inputs(const std::vector<std::string>& arguments) {
  Arrays arrays;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (equals == argument.npos || equals == 0) fail("--input: expected NAME=FILE.npy, found '{}'", argument);
    const std::string name = argument.substr(0, equals);
    if (!arrays.emplace(name, read_npy(argument.substr(equals + 1))).second) fail("--input: '{}' is given twice", name);
  }
  return arrays;
}

/// The array given for an input or state. Throws Error when there is none or its type does not fit; symbols fit any
/// extent.
const Array& find_input(const Arrays& given, const std::string& name, const Type& type) {
  const auto it = given.find(name);
  if (it == given.end()) fail("input '{0}' has no value: give --input {0}=FILE.npy holding {1}", name, to_string(type));
  const Type& found = it->second.type();
  bool fits = found.dtype == type.dtype && found.shape.rank() == type.shape.rank();
  for (int i = 0; fits && i < type.shape.rank(); ++i)
    fits = is_symbol(type.shape[i]) || type.shape[i] == found.shape[i];
  if (!fits) fail("input '{}': expected {}, found {}", name, to_string(type), to_string(found));
  return it->second;
}

/// The graph with its unbound extents bound to those of the arrays.
Graph bind_to_inputs(const Graph& g, const Arrays& given) {
  Extents extents;
  for (const Input& in : g.inputs()) {
    const Shape& shape = g[in.id].type.shape;
    if (is_static(shape)) continue;
    const Shape& found = find_input(given, in.name, g[in.id].type).shape();
    for (int i = 0; i < shape.rank(); ++i) {
      if (!is_symbol(shape[i])) continue;
      if (extents.find(shape[i]).value_or(found[i]) != found[i])
        fail("input '{}': expected {} with {} = {}, found {}", in.name, to_string(g[in.id].type), extent_text(shape[i]),
             *extents.find(shape[i]), to_string(found));
      extents.set(shape[i], found[i]);
    }
  }
  return extents.empty() ? g : bind(g, extents);
}

/// What a graph or a program takes and gives: inputs and states, then outputs, then updated states.
struct Signature {
  struct Input {
    std::string name;
    Type type;
  };
  std::vector<Input> inputs;
  std::vector<std::string> outputs, states;
};

Signature signature(const Graph& g) {
  Signature s;
  std::map<ValueId, std::string> names;
  for (const Input& in : g.inputs()) {
    s.inputs.push_back({in.name, g[in.id].type});
    names[in.id] = in.name;
  }
  for (const Output& out : g.outputs()) s.outputs.push_back(out.name);
  for (const Update& update : g.updates()) s.states.push_back(names.at(update.state));
  return s;
}

Signature signature(const Program& p) {
  Signature s;
  const auto buffer = [&](BufferId id) -> const Buffer& { return p.buffers[static_cast<std::size_t>(id)]; };
  for (const BufferId id : p.inputs) s.inputs.push_back({buffer(id).name, buffer(id).type});
  for (const BufferId id : p.outputs) s.outputs.push_back(buffer(id).name);
  for (const BufferId id : p.updates) s.states.push_back(buffer(id).name);
  return s;
}

std::vector<Array> bind(const Signature& s, const Arrays& given) {
  for (const auto& [name, value] : given)
    if (std::ranges::find(s.inputs, name, &Signature::Input::name) == s.inputs.end()) {
      std::string names;
      for (const auto& in : s.inputs) names += (names.empty() ? "" : ", ") + in.name;
      fail("--input {}: there is no such input; there are: {}", name, names);
    }
  std::vector<Array> arrays;
  for (const auto& in : s.inputs) arrays.push_back(find_input(given, in.name, in.type));
  return arrays;
}

/// Compiles the function and runs it. States are updated in place, so it works on copies of the inputs, in the order
/// that the program wants.
Evaluation execute(Compilation compilation, const std::vector<Array>& inputs, const Placement& place) {
  const std::unique_ptr<ProgramExecutor> executor = compilation.executor(place);
  const std::shared_ptr<const Program> program = compilation.program();
  std::map<BufferId, Array> bound;
  const auto panels = [&](BufferId id) { return at(program->buffers, id).panels; };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Array& copy = bound[program->inputs[i]] = to_panels(inputs[i], panels(program->inputs[i]));
    executor->bind(i, copy);
  }
  executor->run();
  Evaluation e;
  for (std::size_t i = 0; i < program->outputs.size(); ++i) e.outputs.push_back(executor->output(i));
  for (const BufferId id : program->updates) e.states.push_back(from_panels(bound.at(id), panels(id)));
  return e;
}

/// A file's name for any name of a result: bytes that no identifier has, and a leading dot, are %XX.
std::string file_name(const std::string& name) {
  std::string s;
  for (const char c : name) {
    const bool plain = is_identifier(std::string("_") + c) && !(s.empty() && c == '.');
    s += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return s + ".npy";
}

void write(const Signature& s, const Evaluation& e, const std::string& directory) {
  std::error_code error;
  if (!directory.empty()) std::filesystem::create_directories(directory, error);
  if (error) fail("cannot make the folder {}: {}", directory, error.message());
  const auto write_one = [&](const std::string& name, const Array& value) {
    if (directory.empty()) return print_line(fmt::format("{} = {}", name_text(name), value.str()));
    write_npy((std::filesystem::path(directory) / file_name(name)).string(), value);
  };
  for (std::size_t i = 0; i < e.outputs.size(); ++i) write_one(s.outputs[i], e.outputs[i]);
  for (std::size_t i = 0; i < e.states.size(); ++i) write_one(s.states[i], e.states[i]);
}

void run(const Options& o) {
  const Placement place = o.device.place();
  if (o.file.ends_with(".onnx")) not_built_in("reading ONNX");
  const std::string text = read_text(o.file);
  const Arrays given = read_inputs(o.inputs);

  if (is_program(text)) {
    Program program = parse_program(text, display_name(o.file));
    program.check_indices = !o.trust;
    Compilation compilation(std::move(program), machine_of(place));
    const Signature s = signature(*compilation.program());
    const std::vector<Array> inputs = bind(s, given);
    const auto results = [&] {
      if (o.interpret) return interpret(*compilation.program(), inputs);
      try {
        return execute(std::move(compilation), inputs, place);
      } catch (const InternalError& e) {
        if (!place.check) throw;
        // What is found in kernels that somebody wrote is theirs.
        std::string_view found = e.what();
        found.remove_prefix(found.starts_with("internal error: ") ? std::string_view("internal error: ").size() : 0);
        fail("{}: {}", display_name(o.file), found);
      }
    };
    return write(s, results(), o.output_dir);
  }
  const Graph g = bind_to_inputs(parse_graph(text, display_name(o.file)), given);
  const Signature s = signature(g);
  const std::vector<Array> inputs = bind(s, given);
  const Machine machine = machine_of(place);
  const auto schedules = o.schedules.read(machine.host);
  PipelineOptions options;
  options.numerics = place.numerics;
  options.schedules = schedules.get();
  write(s, o.interpret ? interpret(g, inputs) : execute(Compilation(bound(g), machine, options), inputs, place),
        o.output_dir);
}

}  // namespace

void add_run(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("run", "Compile a graph in text form and run it once");
  command->add_option("FILE", o->file, "a .weft file, or - for stdin")->required();
  command->add_option("--input", o->inputs, "NAME=FILE.npy: the value of an input or state (may be repeated)")
      ->take_all();
  command->add_option("--output-dir", o->output_dir,
                      "write each output and updated state to NAME.npy there (default: print them)");
  o->device.add_to(*command);
  o->schedules.add_to(*command);
  command->add_flag("--interpret", o->interpret, "use the reference interpreter: slow, the same bits");
  command->add_flag("--trust", o->trust, "a program of kernels: do not check its indices as it runs");
  command->callback([o] { run(*o); });
}

}  // namespace weft::tools
