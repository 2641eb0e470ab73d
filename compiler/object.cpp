// Programs for each function and level, one layout for the states that they share, then code, header and report.
#include "compiler/object.h"

#include <algorithm>
#include <cmath>

#include "codegen/codegen.h"
#include "compiler/object_header.h"
#include "ir/base/at.h"
#include "ir/base/cache_line.h"
#include "passes/transform/stream.h"
#include "runtime/host/phase_plan.h"

namespace weft {
namespace {

constexpr std::string_view kOwnNames[] = {"supported",    "init",     "restart", "read", "write",  "state",
                                          "parallel_for", "instance", "fault",   "cpp",  "state_", "fault_"};

void check(const std::vector<NamedGraph>& functions, const ObjectOptions& o) {
  if (!is_c_identifier(o.name))
    fail("object: the name '{}' is no identifier of C; expected letters, digits and '_', and no keyword", o.name);
  if (o.tasks < 1 || o.tasks > o.kMostTasks) fail("object: {} tasks; expected 1 to {}", o.tasks, o.kMostTasks);
  for (const auto& [name, rows] : o.samples)
    if (rows.dtype() != u8) fail("object: the samples of '{}' are {}; expected u8", name, to_string(rows.type()));
  if (functions.empty()) fail("object: there is no function to compile");
  if (o.stream < 0 && o.frames != std::vector<std::int64_t>{1})
    fail("object: frames are of a stream; expected its axis, too");
  std::vector<std::string_view> names;
  for (const NamedGraph& f : functions) {
    if (!is_c_identifier(f.name) || std::ranges::find(kOwnNames, f.name) != std::end(kOwnNames))
      fail("object: a function cannot be called '{}'; expected letters, digits and '_', no keyword, and none of {}",
           f.name, fmt::join(kOwnNames, ", "));
    const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
    if (std::ranges::none_of(f.name, is_lower) && std::ranges::none_of(o.name, is_lower))
      fail("object: '{}' and its function '{}' are in capitals, as constants are; expected a small letter", o.name,
           f.name);
    if (std::ranges::find(names, f.name) != names.end()) fail("object: two functions are called '{}'", f.name);
    names.push_back(f.name);
  }
  for (const NamedGraph& f : functions) {  // types of the header are called like functions
    for (const char* type : {"_inputs", "_outputs", "_workspace"})
      if (std::ranges::find(names, f.name + type) != names.end())
        fail("object: a function cannot be called '{0}{1}' beside '{0}', which has a type of that name", f.name, type);
  }
}

/// The states of all functions, in order of appearance, with their initial values.
std::vector<ObjectState> states_of(const std::vector<NamedGraph>& functions, const ObjectOptions& o) {
  std::vector<ObjectState> states;
  for (const NamedGraph& f : functions)
    for (const Input& in : f.graph.inputs()) {
      if (in.kind == InputKind::data) continue;
      const Type& type = f.graph[in.id].type;
      const auto known = std::ranges::find(states, in.name, &ObjectState::name);
      if (known == states.end()) {
        states.push_back({in.name, type, 0, {}, nullptr});
      } else if (known->type != type) {
        fail("object: the state '{}' is {} in '{}' and {} in another function", in.name, to_string(type), f.name,
             to_string(known->type));
      }
    }
  for (const auto& [name, value] : o.initial) {
    const auto known = std::ranges::find(states, name, &ObjectState::name);
    if (known == states.end()) fail("object: there is a value for the state '{}', which no function has", name);
    if (known->type != value.type())
      fail("object: the value given for the state '{}' is {}; expected {}", name, to_string(value.type()),
           to_string(known->type));
    known->initial = std::make_shared<const Array>(value);
  }
  return states;
}

const Buffer* state_buffer(const Program& p, const std::string& name) {
  for (const BufferId id : p.inputs)
    if (const Buffer& b = at(p.buffers, id); b.kind == Buffer::state && b.name == name) return &b;
  return nullptr;
}

/// The functions' programs for one level, which agree on how states are stored: one that they would store in different
/// ways stays row-major in all.
std::vector<std::shared_ptr<const Program>> programs_of(const std::vector<Graph>& optimized, const CpuTarget& target,
                                                        PipelineOptions options, std::vector<ObjectState>& states) {
  for (;;) {
    std::vector<std::shared_ptr<const Program>> programs;
    for (const Graph& g : optimized)
      programs.push_back(std::make_shared<const Program>(make_program(g, target, options)));
    const std::size_t before = options.row_major.size();
    std::vector<std::int64_t> panels;
    for (const ObjectState& s : states) {
      std::vector<std::int64_t> widths;
      for (const auto& p : programs)
        if (const Buffer* b = state_buffer(*p, s.name)) widths.push_back(b->panels);
      const std::int64_t first = widths.empty() ? 0 : widths[0];
      const bool agree = std::ranges::all_of(widths, [&](std::int64_t w) { return w == first; });
      if (!agree) options.row_major.push_back(s.name);
      panels.push_back(first);
    }
    if (options.row_major.size() > before) continue;
    for (std::size_t i = 0; i < states.size(); ++i) states[i].panels.push_back(panels[i]);
    return programs;
  }
}

HeaderFunction described(const std::string& name, const Graph& g, std::int64_t workspace) {
  HeaderFunction f{name, {}, {}, !g.updates().empty(), workspace};
  for (const Input& in : g.inputs())
    if (in.kind == InputKind::data) f.inputs.push_back({in.name, g[in.id].type});
  for (const Output& out : g.outputs()) f.outputs.push_back({out.name, g[out.id].type});
  return f;
}

/// "f32[128,512] 262144 bytes (model.cpp:7:3), …": the largest temporaries.
std::string largest_temporaries(const Program& p) {
  constexpr std::size_t kShown = 3;
  std::vector<const Buffer*> temps;
  for (const Buffer& b : p.buffers)
    if (b.kind == Buffer::temp) temps.push_back(&b);
  std::ranges::stable_sort(temps, std::greater<>(), [](const Buffer* b) { return byte_size(b->type); });
  temps.resize(std::min(temps.size(), kShown));
  std::string text;
  for (const Buffer* b : temps)
    text +=
        fmt::format("{}%{} {}, {} bytes", text.empty() ? "" : "; ", b->name, to_string(b->type), byte_size(b->type));
  return text.empty() ? "none" : text;
}

void check_memory_of(const ObjectFile& file, const std::vector<ObjectFunction>& functions, std::int64_t most) {
  if (most <= 0) return;
  const auto largest = std::ranges::max_element(file.functions, {}, &ObjectFile::Function::workspace_bytes);
  const std::int64_t needed = file.state_bytes + largest->workspace_bytes;
  if (needed <= most) return;
  const auto& program = *functions[static_cast<std::size_t>(largest - file.functions.begin())].programs.back();
  fail(
      "object: it needs {} bytes, {} more than the {} allowed: {} of state, {} of workspace in '{}' (arena {}, outputs "
      "{}, scratch {}). The largest temporaries there are {}. A smaller batch, or fewer tasks, needs less",
      needed, needed - most, most, file.state_bytes, largest->workspace_bytes, largest->name, largest->arena_bytes,
      largest->output_bytes, largest->scratch_bytes, largest_temporaries(program));
}

/// What else is known of functions that are streams.
struct Streams {
  std::vector<std::vector<std::int64_t>> latencies;  // by function and output
  std::vector<std::string> states;                   // which belong to a sequence
};

ObjectFile compile_functions(const std::vector<NamedGraph>& functions, const ObjectOptions& options,
                             const Streams& streams) {
  ObjectModule o;
  o.name = options.name;
  o.levels = object_targets(options.target, options.features);
  o.tasks = options.tasks;
  o.states = states_of(functions, options);
  for (ObjectState& s : o.states) s.restarts = std::ranges::count(streams.states, s.name) > 0;
  std::vector<Graph> optimized;
  for (const NamedGraph& f : functions) {
    optimized.push_back(optimize(f.graph, options.passes));
    o.functions.push_back({f.name, {}});
  }
  for (const CpuTarget& level : o.levels) {
    auto programs = programs_of(optimized, level, options.passes, o.states);
    for (std::size_t i = 0; i < programs.size(); ++i) o.functions[i].programs.push_back(std::move(programs[i]));
  }
  o.state_bytes = kObjectHead;
  for (ObjectState& s : o.states) {
    s.offset = o.state_bytes;
    o.state_bytes += whole_lines(byte_size(s.type));
  }

  const ObjectCode code = emit_object(o, plan_phases);
  ObjectFile file;
  file.object = code.bytes;
  file.state_bytes = o.state_bytes;
  for (const ObjectState& x : o.states) file.states.push_back({x.name, x.type});
  const std::string target = options.target == "native" ? "native, " + o.levels[0].cpu : options.target;
  HeaderModule header{&o, code.id, target, {}, options.samples};
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const ObjectCode::Function& f = code.functions[i];
    header.functions.push_back(described(functions[i].name, functions[i].graph, f.workspace_bytes()));
    for (std::size_t k = 0; k < (streams.latencies.empty() ? 0 : streams.latencies[i].size()); ++k)
      header.functions.back().outputs[k].latency = streams.latencies[i][k];
    file.functions.push_back(
        {functions[i].name, f.workspace_bytes(), f.arena_bytes, f.output_bytes, f.scratch_bytes, f.joins});
  }
  constexpr std::int64_t kAddressed = std::int64_t{1} << 32;  // by 32 bits
  const bool is_small = o.levels[0].triple.starts_with("thumb");
  check_memory_of(file, o.functions, is_small && options.max_memory <= 0 ? kAddressed : options.max_memory);
  file.header = header_text(header);
  file.demo = demo_text(header, options.header_file.empty() ? options.name + ".h" : options.header_file);
  file.contents = inspect_object(file.object, options.name);
  return file;
}

ObjectFile compile_streams(const std::vector<NamedGraph>& functions, ObjectOptions options) {
  if (options.frames.empty()) fail("object: no number of frames; expected one or several");
  Streams streams;
  std::vector<NamedGraph> framed;
  for (const NamedGraph& f : functions)
    for (const std::int64_t frames : options.frames) {
      Graph whole = f.graph;
      whole.name = f.name;  // by which its states are called
      Streamed s = stream(whole, options.stream, frames);
      const bool is_one = options.frames.size() == 1;
      framed.push_back({is_one ? f.name : fmt::format("{}_{}", f.name, frames), std::move(s.graph)});
      streams.latencies.push_back(std::move(s.latency));
      for (auto& [name, value] : s.initial) {
        streams.states.push_back(name);
        options.initial.emplace(name, std::move(value));
      }
    }
  check(framed, options);
  return compile_functions(framed, options, streams);
}

}  // namespace

ObjectFile compile_object(const std::vector<NamedGraph>& functions, const ObjectOptions& options) {
  check(functions, options);
  return options.stream >= 0 ? compile_streams(functions, options) : compile_functions(functions, options, {});
}

std::string ObjectFile::report() const {
  std::string text = fmt::format("object: {} bytes ({}): code {}, constants {}\n", object.size(), contents.format,
                                 contents.code_bytes, contents.constant_bytes);
  text += fmt::format("state: {} bytes\n", state_bytes);
  for (const Function& f : functions)
    text += fmt::format("{}: workspace {} bytes (arena {}, outputs {}, scratch {}); {} joins\n", f.name,
                        f.workspace_bytes, f.arena_bytes, f.output_bytes, f.scratch_bytes, f.joins);
  text += fmt::format("needs: {}\n",
                      contents.undefined.empty() ? "nothing" : fmt::format("{}", fmt::join(contents.undefined, ", ")));
  return text;
}

}  // namespace weft
