// Ahead of time: functions as an object file and a header in C, for programs that know nothing of weft.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <weft/codegen/object.h>
#include <weft/ir/graph/graph.h>
#include <weft/passes/pipeline.h>

namespace weft {

/// A function for an object file: what it is called there, and its graph, without unbound extents. States of one name
/// are one, for all functions.
struct NamedGraph {
  std::string name;
  Graph graph;
};

struct ObjectOptions {
  std::string name = "model";      ///< what the object's names begin with; an identifier of C
  std::string target = "native";   ///< as object_targets() takes it, as it does `features`
  std::string features = {};
  std::string header_file = {};    ///< what the demonstration calls the header; by default NAME.h
  static constexpr int kMostTasks = 256;
  int tasks = 1;                   ///< pieces that the caller's threads may share; results do not depend on it
  std::int64_t max_memory = 0;     ///< bytes of state and workspace; 0: any
  /// The axis of data inputs along which functions take `frames` frames a call, and keep what later ones need
  /// (passes/transform/stream.h); -1: they take all that their types say.
  int stream = -1;
  std::vector<std::int64_t> frames = {1};  ///< of several, functions are called F_1, F_64, … and share what they keep
  std::map<std::string, Array> initial = {};  ///< values of states; zeros for others
  /// For ObjectFile::demo: u8[n, …], n rows for the input of that name, of which calls take batch after batch; those for
  /// an input of floats are divided by 255.
  std::map<std::string, Array> samples = {};
  PipelineOptions passes = {};
};

/// An object file for a C or C++ program, and all that comes with it.
struct ObjectFile {
  std::string object;  ///< the file's bytes
  std::string header;  ///< C99 and C++
  std::string demo;    ///< a main.c that runs each function on samples, or made-up inputs, and prints what comes out
  struct Function {
    std::string name;
    std::int64_t workspace_bytes = 0;
    std::int64_t arena_bytes = 0, output_bytes = 0, scratch_bytes = 0;  ///< of them
    std::size_t joins = 0;   ///< calls of the caller's parallel-for in one call
  };
  struct State {
    std::string name;
    Type type;
  };
  std::vector<Function> functions;
  std::vector<State> states;  ///< by their numbers for read and write
  std::int64_t state_bytes = 0;
  ObjectContents contents;
  std::string report() const;  ///< lines for people
};

/// Throws Error for a name that is no identifier, functions that are called alike, a state that has two types, an
/// initial value of another type than its state, a graph with an unbound extent, an unknown target, tasks that are not
/// 1 to 256, a function that cannot be streamed, and where memory would be more than allowed, saying what holds it.
ObjectFile compile_object(const std::vector<NamedGraph>&, const ObjectOptions& = {});

}  // namespace weft
