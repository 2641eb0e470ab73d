// An object file as a program that links it sees it: linked alone into a shared library, which finds nothing else, and
// called through its C interface.
#pragma once
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "catch.h"
#include "compiler/object.h"
#include "ir/graph/graph.h"
#include "random_graph.h"
#include "runtime/support.h"

namespace weft::test {

using Task = void (*)(void* context, std::int32_t index);
using ParallelFor = void (*)(void* pool, std::int32_t n, Task, void* context);

class LinkedObject {
 public:
  LinkedObject(const ObjectFile& file, std::string name) : file_(file), name_(std::move(name)) {
    const std::string object = dir_.file(name_ + ".o"), library = dir_.file(name_ + ".so");
    std::ofstream(object, std::ios::binary) << file.object;
    const std::string command =
        fmt::format("{} -shared -nostdlib -Wl,--no-undefined -Wl,-z,noexecstack -Wl,-z,text -o {} {}", WEFT_CXX, library, object);
    REQUIRE(std::system(command.c_str()) == 0);
    library_ = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    REQUIRE(library_ != nullptr);
    state_ = Array(Type{u8, {file.state_bytes}});
    std::memset(state_.data(), 0xcd, state_.bytes());
  }
  ~LinkedObject() {
    if (library_) dlclose(library_);
  }
  LinkedObject(const LinkedObject&) = delete;
  LinkedObject& operator=(const LinkedObject&) = delete;

  std::byte* state() const { return state_.data(); }
  void* symbol(const std::string& suffix) const {
    void* found = dlsym(library_, (name_ + "_" + suffix).c_str());
    REQUIRE(found != nullptr);
    return found;
  }
  std::int32_t supported() const { return reinterpret_cast<std::int32_t (*)()>(symbol("supported"))(); }
  std::int32_t init(void* state) const { return reinterpret_cast<std::int32_t (*)(void*)>(symbol("init"))(state); }
  std::int32_t init() const { return init(state()); }
  std::int32_t read(std::int32_t i, void* to) const {
    return reinterpret_cast<std::int32_t (*)(const void*, std::int32_t, void*)>(symbol("read"))(state(), i, to);
  }
  std::int32_t write(std::int32_t i, const void* from) const {
    return reinterpret_cast<std::int32_t (*)(void*, std::int32_t, const void*)>(symbol("write"))(state(), i, from);
  }
  /// Function `f` of the file, in a workspace that holds anything.
  std::int32_t call(std::size_t f, const std::vector<void*>& inputs, const std::vector<void*>& outputs,
                    ParallelFor parallel_for = nullptr, void* pool = nullptr) const {
    const ObjectFile::Function& function = file_.functions[f];
    const Array workspace(Type{u8, {std::max<std::int64_t>(function.workspace_bytes, 64)}});
    std::memset(workspace.data(), 0xab, workspace.bytes());
    using Fn = std::int32_t (*)(void*, const void*, const void*, void*, ParallelFor, void*);
    return reinterpret_cast<Fn>(symbol(function.name))(state(), inputs.data(), outputs.data(), workspace.data(),
                                                       parallel_for, pool);
  }

 private:
  TempDir dir_;
  ObjectFile file_;
  std::string name_;
  void* library_ = nullptr;
  Array state_;
};

/// A function of an object as interpret() sees it. The states' numbers are those of the object's.
inline Evaluation run_object(const LinkedObject& object, std::size_t f, const Graph& g, std::span<const Array> inputs,
                             const std::vector<std::string>& states, ParallelFor parallel_for = nullptr) {
  const auto number = [&](const std::string& name) {
    return static_cast<std::int32_t>(std::ranges::find(states, name) - states.begin());
  };
  REQUIRE(object.init() == 0);
  std::vector<void*> in, out;
  std::vector<Array> kept;  // inputs that are aligned to their elements only
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Input& input = g.inputs()[i];
    if (input.kind != InputKind::data) {
      REQUIRE(object.write(number(input.name), inputs[i].data()) == 0);
      continue;
    }
    const auto size = static_cast<std::int64_t>(size_of(inputs[i].dtype()));
    kept.emplace_back(Type{u8, {static_cast<std::int64_t>(inputs[i].bytes()) + size}});
    std::memcpy(kept.back().data() + size, inputs[i].data(), inputs[i].bytes());
    in.push_back(kept.back().data() + size);
  }
  Evaluation e;
  for (const Output& o : g.outputs()) {
    e.outputs.emplace_back(g[o.id].type);
    out.push_back(e.outputs.back().data());
  }
  REQUIRE(object.call(f, in, out, parallel_for) == 0);
  for (const Update& u : g.updates())
    for (const Input& input : g.inputs())
      if (input.id == u.state) {
        e.states.emplace_back(g[u.state].type);
        REQUIRE(object.read(number(input.name), e.states.back().data()) == 0);
      }
  return e;
}

/// The states of an object's functions, in its order.
inline std::vector<std::string> state_names(std::span<const NamedGraph> functions) {
  std::vector<std::string> names;
  for (const NamedGraph& f : functions)
    for (const Input& in : f.graph.inputs())
      if (in.kind != InputKind::data && std::ranges::find(names, in.name) == names.end()) names.push_back(in.name);
  return names;
}

/// Random graphs as functions of one object; a state belongs to one of them.
inline std::vector<NamedGraph> random_functions(std::uint64_t first, int count) {
  std::vector<NamedGraph> functions;
  std::vector<std::string> known;
  for (int i = 0; i < count; ++i) {
    Graph g = random_graph(first + static_cast<std::uint64_t>(i), {.nodes = 20, .bodies = i % 2 == 0});
    const std::vector<NamedGraph> alone{{"f", g}};
    const std::vector<std::string> own = state_names(alone);
    if (std::ranges::any_of(own, [&](const std::string& s) { return std::ranges::count(known, s) > 0; })) continue;
    known.insert(known.end(), own.begin(), own.end());
    functions.push_back({fmt::format("f{}", i), std::move(g)});
  }
  return functions;
}

}  // namespace weft::test
