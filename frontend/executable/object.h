// Compiled functions as an object file: what a C or C++ program links to train or run a model without weft.
#pragma once
#include <string>
#include <vector>

#include <weft/compiler/object.h>
#include <weft/frontend/executable/compile.h>

namespace weft {

/// A function for an object file: the name that it is called by there, and the extents of its unbound axes.
struct ExportedFunction {
  std::string name;
  Executable run;
  Extents extents = {};
};

/// The functions in one object file, on states that they share, which begin with their present values (those of
/// ObjectOptions::initial come first). Results are the same bits as those of the executables. Error as of
/// compile_object() of graphs, and for an extent that is missing.
ObjectFile compile_object(const std::vector<ExportedFunction>&, ObjectOptions options = {}, WEFT_HERE);

}  // namespace weft
