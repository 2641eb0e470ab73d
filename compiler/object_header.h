// Internal to compiler/: the text of an object's header and of its demonstration.
#pragma once
#include <map>
#include <string>
#include <vector>

#include <weft/codegen/object.h>

namespace weft {

/// A function's parameters, and what its workspace is.
struct HeaderFunction {
  struct Array {
    std::string name;
    Type type;
    std::int64_t latency = 0;  // of an output of a stream, in frames
  };
  std::string name;
  std::vector<Array> inputs, outputs;
  bool updates = false;  // states
  std::int64_t workspace_bytes = 0;
};

struct HeaderModule {
  const ObjectModule* object = nullptr;
  std::uint64_t id = 0;
  std::string target;
  std::vector<HeaderFunction> functions;
  /// For the demonstration: u8[n, …], rows for inputs of that name, of which calls take one batch after the other;
  /// divided by 255 for a float input.
  std::map<std::string, weft::Array> samples = {};
};

/// `name` as an identifier of C that is none of `taken`, to which it is added.
std::string c_identifier(std::string_view name, std::vector<std::string>& taken);
/// Whether C and C++ take it as a name.
bool is_c_identifier(std::string_view);

std::string header_text(const HeaderModule&);
std::string demo_text(const HeaderModule&, std::string_view header_file);

}  // namespace weft
