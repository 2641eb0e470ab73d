// From programs to one object file that other programs link: the interface, free of LLVM.
//
// The file is freestanding: it calls nothing, allocates nothing, and what it keeps lies in memory of its caller, so
// that any number of instances may run on any threads. For a module `m` with a function `f` it defines (C calling
// convention; what a caller sees of it is written by compiler/object_header.h):
//   int32 m_supported(void)                  1 where this machine can run the code
//   int32 m_init(state)                      the initial values; a fault (ObjectFault)
//   int32 m_read(state, int32 i, to)         copies the value of state i, row-major
//   int32 m_write(state, int32 i, from)
//   int32 m_restart(state)                   the initial values of states that restart, where there are such
//   int32 m_f(state, inputs, outputs, workspace [, parallel_for, pool])
// `state` and `workspace` are kCacheLine-aligned. `inputs` is an array of pointers, one for each input that is no state,
// aligned to its elements; so is `outputs`, in which null means that the output is not wanted. With tasks > 1,
//   parallel_for(pool, int32 n, void (*task)(void* context, int32 index), void* context)
// calls task(context, i) for each i in [0, n), on any threads, and returns when all have returned; null: this thread
// does it all.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <weft/ir/artifact/host_artifact.h>
#include <weft/ir/base/target.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// What a function of an object returns.
enum class ObjectFault : std::int32_t {
  none = 0,
  state = 1,      // not one that this object's init() made
  pointer = 2,    // null, or not aligned as it must be
  machine = 3,    // it lacks instructions that the code has
  no_value = 4,   // there is no state of that number
};

/// A value that callers keep between calls, at its place in their state memory.
struct ObjectState {
  std::string name;
  Type type;
  std::int64_t offset = 0;               // from the start of that memory, a multiple of kCacheLine
  std::vector<std::int64_t> panels;      // by level: how it is stored (ir/memory/panels.h)
  std::shared_ptr<const Array> initial;  // row-major; null: zeros
  bool restarts = false;                 // it belongs to a sequence, of which there may be another one
};

struct ObjectFunction {
  std::string name;
  std::vector<std::shared_ptr<const Program>> programs;  // by level; not one of them checks indices
};

struct ObjectModule {
  std::string name;               // an identifier of C
  std::vector<CpuTarget> levels;  // of one architecture; the last one that a machine can run is used there
  std::vector<ObjectState> states;
  std::int64_t state_bytes = 0;  // what begins with kObjectHead, which is the object's own
  std::vector<ObjectFunction> functions;
  int tasks = 1;  // into which parallel_for's callers cut the work
};
inline constexpr std::int64_t kObjectHead = 64;

/// Which tasks do what, and where they meet: plan_phases() of runtime/.
using ObjectPlanner = std::function<std::vector<PlannedPhase>(const HostArtifact&, int tasks)>;

/// An object file, and what its user must know of it.
struct ObjectCode {
  std::string bytes;
  std::uint64_t id = 0;  // of all that its code depends on
  struct Function {
    std::int64_t arena_bytes = 0, output_bytes = 0, scratch_bytes = 0;  // which make the workspace, at most
    std::int64_t workspace_bytes() const { return arena_bytes + output_bytes + scratch_bytes; }
    std::size_t joins = 0;  // calls of parallel_for, at most
  };
  std::vector<Function> functions;
};
ObjectCode emit_object(const ObjectModule&, const ObjectPlanner&);

/// What a machine can be called in `weft compile --target`, for messages.
std::string object_target_names();
/// The levels of a target: "native" (this machine), "multi" (x86-64-v2, -v3 and -v4), a cpu as target_for() takes it
/// (less what it has beside its name's: no instruction of this machine's), or ARCHITECTURE[:CPU], as in "aarch64" or
/// "riscv64:sifive-x280". `features`: what a single cpu has and lacks besides, as LLVM writes it ("+avx2,-fma"). Throws
/// Error, which lists the targets, for any other name.
std::vector<CpuTarget> object_targets(std::string_view name, std::string_view features = {});

/// What an object file is made of, read from the file.
struct ObjectContents {
  std::string format;                    // "elf64-x86-64"
  std::vector<std::string> defined;      // symbols that programs see, by name
  std::vector<std::string> undefined;    // what it needs from elsewhere
  std::int64_t code_bytes = 0, constant_bytes = 0;
  std::int64_t writable_bytes = 0;       // of data that may change, thread-locals among it
  std::size_t data_relocations = 0;      // addresses that a loader would have to fill into data
};
/// Throws Error when the bytes are no object file.
ObjectContents inspect_object(std::string_view bytes, const std::string& name);

}  // namespace weft
