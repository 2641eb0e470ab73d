// A model as an object file: its functions of rows of given numbers, with the model's own inputs as arguments.
#include "frontend/tensor/node.h"
#include "frontend/train/model_impl.h"

namespace weft {

std::vector<ExportedFunction> Model::Impl::exported(const Compiled& c, bool training) const {
  const Tracing tracing(*trace);
  LocScope scope(c.options ? c.where : where);
  GraphScope graph(trace);
  std::vector<ExportedFunction> functions;
  if (training) {
    std::vector<Tensor> targets, arguments = inputs;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const Type type = c.losses[i].target() == Loss::labels ? label_type(output_types[i]) : output_types[i];
      targets.push_back(placeholder(type.dtype, type.shape, trace->unique_name("target")));
    }
    arguments.insert(arguments.end(), targets.begin(), targets.end());
    functions.push_back({"step", train_on(c, "step", arguments, inputs, targets).run});
  }
  functions.push_back(
      {"predict", weft::compile({outputs.begin(), outputs.end()}, compile_options(c, "predict", false, inputs))});
  return functions;
}

ObjectFile Model::compile_object(const ExportOptions& options, std::source_location where) const {
  LocScope scope(where);
  const std::shared_ptr<Compiled> c = options.training ? impl_->compiled("compile_object") : impl_->compiled();
  if (options.batch.empty()) fail("{}compile_object: no batch; expected one number of rows or several", where_prefix());
  ObjectOptions object = options.object;
  if (options.training)
    object.initial.emplace(c->rate.name(), impl_->rates(*c, impl_->position(*c).steps, 1).reshaped({}));
  std::vector<ExportedFunction> functions;
  for (const ExportedFunction& f : impl_->exported(*c, options.training))
    for (const std::int64_t batch : options.batch) {
      if (batch < 1) fail("{}compile_object: a batch of {}; expected 1 or more", where_prefix(), batch);
      const std::string name = options.batch.size() == 1 ? f.name : fmt::format("{}_{}", f.name, batch);
      functions.push_back({name, f.run, {{kBatch, batch}}});
    }
  return weft::compile_object(functions, object, where);
}

}  // namespace weft
