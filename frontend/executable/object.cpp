// Executables as graphs with initial values.
#include "frontend/executable/object.h"

#include "frontend/executable/executable.h"
#include "frontend/tensor/node.h"
#include "ir/base/float_environment.h"
#include "ir/base/fork.h"

namespace weft {

NamedGraph Executable::Impl::exported(const std::string& as, const Extents& extents, bool streams,
                                      std::map<std::string, Array>& initial) const {
  if (const std::string names = missing(extents); !names.empty() && !streams)  // that of time need not be bound
    fail("{}compile_object: '{}' needs an extent for {}", where_prefix(), as, names);
  for (std::size_t i = 0; i < states.size(); ++i)
    if (const std::string& state = graph.inputs()[states[i]].name; !initial.contains(state))
      initial.emplace(state, state_values[i]->read());
  return {as, extents.empty() ? graph : bind(graph, extents)};
}

ObjectFile compile_object(const std::vector<ExportedFunction>& functions, ObjectOptions options,
                          std::source_location where) {
  LocScope scope(where);
  const DefaultFloats floats;
  const ForkGuard guard;
  std::vector<NamedGraph> graphs;
  for (const ExportedFunction& f : functions)
    graphs.push_back(f.run.impl_->exported(f.name, f.extents, options.stream >= 0, options.initial));
  return located("compile_object", [&] { return compile_object(graphs, options); });
}

}  // namespace weft
