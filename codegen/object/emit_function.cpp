// A function of an object: checks, then the launches of its program at the state's level, in groups that tasks share.
//
// A level's workspace is its arena, then its outputs, each in whole lines, then the scratch of each task. Outputs are
// made there, as kernels store whole lines, and copied to the caller at the end.
#include <algorithm>

#include "codegen/object/emit_object.h"
#include "ir/base/at.h"
#include "ir/base/cache_line.h"

namespace weft::codegen {
namespace {

/// What the launches of a call need: ptr state, ptr inputs, ptr outputs, ptr workspace.
enum ContextField : unsigned { kState, kInputs, kOutputs, kWorkspace, kContextFields };

class FunctionEmitter {
 public:
  FunctionEmitter(llvm::Module& module, const ObjectModule& o, const PlannedFunction& f, std::size_t level)
      : module_(module), o_(o), f_(f), level_(level), table_(*f.artifacts[level].memory), b_(module.getContext()) {
    const auto& launches = f.artifacts[level].launches;
    sizes_.arena_bytes = whole_lines(table_.arena_bytes);
    for (BufferId id = 0; id < std::ssize(table_.buffers); ++id) {
      if (at(table_.buffers, id).kind != Buffer::output) continue;
      output_at_.resize(table_.buffers.size());
      at(output_at_, id) = sizes_.arena_bytes + sizes_.output_bytes;
      sizes_.output_bytes += whole_lines(byte_size(at(table_.buffers, id).type));
    }
    for (const HostLaunch& l : launches) scratch_ = std::max(scratch_, whole_lines(l.scratch_bytes));
    sizes_.scratch_bytes = scratch_ * o.tasks;
  }

  /// void NAME(context [, parallel_for, pool]), which runs all groups and copies the outputs.
  llvm::Function* emit(const std::string& name) {
    std::vector<Group> groups = emit_groups(name);
    std::vector<llvm::Type*> parameters(o_.tasks > 1 ? 3 : 1, b_.getPtrTy());
    llvm::Function* f = begin_function(module_, b_, b_.getVoidTy(), name, parameters, false);
    context_ = f->getArg(0);
    for (const Group& g : groups) {
      if (g.alone) {
        b_.CreateCall(g.function, {context_, b_.getInt32(0)});
      } else {
        ++sizes_.joins;
        share_out(g.function, f->getArg(1), f->getArg(2));
      }
    }
    copy_outputs();
    b_.CreateRetVoid();
    return f;
  }
  const ObjectCode::Function& sizes() const { return sizes_; }

 private:
  struct Group {
    llvm::Function* function;  // void(context, i32 task)
    bool alone;                // task 0 has all the work
  };

  llvm::Value* field(ContextField i) {
    return b_.CreateLoad(b_.getPtrTy(), b_.CreateConstInBoundsGEP1_32(b_.getPtrTy(), context_, i));
  }
  llvm::Value* element(llvm::Value* pointers, std::size_t i) {
    return b_.CreateLoad(b_.getPtrTy(), b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), pointers, i));
  }

  /// The number of an input among those that are no state.
  std::size_t data_number(BufferId id) const {
    std::size_t n = 0;
    for (const BufferId other : table_.inputs) {
      if (other == id) return n;
      n += at(table_.buffers, other).kind == Buffer::input;
    }
    throw InternalError("internal error: an input of an object's function that is none");
  }

  llvm::Value* address(BufferId id) {
    const BufferId root = storage(table_, id);
    const Buffer& buffer = at(table_.buffers, root);
    switch (buffer.kind) {
      case Buffer::input: return element(field(kInputs), data_number(root));
      case Buffer::output: return offset(b_, field(kWorkspace), at(output_at_, root));
      case Buffer::temp: return offset(b_, field(kWorkspace), buffer.offset);
      case Buffer::constant:
        return constant_bytes(module_,
                              {reinterpret_cast<const char*>(buffer.literal->data()), buffer.literal->bytes()});
      default: break;
    }
    const auto state = std::ranges::find(o_.states, buffer.name, &ObjectState::name);
    ensure(state != o_.states.end(), "object @{}: the function @{} has the state '{}', which it has not", o_.name,
           f_.function->name, buffer.name);
    return offset(b_, field(kState), state->offset);
  }

  static bool is_alone(const PlannedPhase& p) { return p.bounds[1] == p.bounds.back(); }

  std::vector<Group> emit_groups(const std::string& name) {
    const std::vector<PlannedPhase>& plan = f_.plans[level_];
    std::vector<Group> groups;
    for (std::size_t begin = 0, end = 0; begin < plan.size(); begin = end) {
      while (!plan[end++].barrier && end < plan.size()) {}
      const std::span<const PlannedPhase> phases(plan.data() + begin, end - begin);
      groups.push_back(
          {emit_group(fmt::format("{}.{}", name, groups.size()), phases), std::ranges::all_of(phases, is_alone)});
    }
    return groups;
  }

  llvm::Function* emit_group(const std::string& name, std::span<const PlannedPhase> phases) {
    llvm::Function* f = begin_function(module_, b_, b_.getVoidTy(), name, {b_.getPtrTy(), b_.getInt32Ty()}, false);
    context_ = f->getArg(0);
    task_ = b_.CreateZExt(f->getArg(1), b_.getInt64Ty());
    const CpuTarget& target = o_.levels[level_];
    std::size_t most = 1;
    for (const PlannedPhase& p : phases) most = std::max(most, launch(p).arguments.size());
    llvm::Value* arguments = b_.CreateAlloca(b_.getPtrTy(), b_.getInt64(most));
    llvm::Value* floats = set_floats(b_, target);
    llvm::Value* scratch =
        b_.CreateInBoundsGEP(b_.getInt8Ty(), offset(b_, field(kWorkspace), sizes_.arena_bytes + sizes_.output_bytes),
                             b_.CreateMul(task_, b_.getInt64(static_cast<std::uint64_t>(scratch_))));
    for (const PlannedPhase& p : phases) call(p, arguments, scratch);
    restore_floats(b_, target, floats);
    b_.CreateRetVoid();
    return f;
  }

  const HostLaunch& launch(const PlannedPhase& p) const { return f_.artifacts[level_].launches[p.launch]; }

  /// The task's share of a launch.
  void call(const PlannedPhase& p, llvm::Value* arguments, llvm::Value* scratch) {
    const HostLaunch& l = launch(p);
    llvm::Value *begin = b_.getInt64(0), *end = b_.getInt64(static_cast<std::uint64_t>(l.units));
    llvm::BasicBlock* after = nullptr;
    if (o_.tasks > 1) {
      const std::string_view bytes{reinterpret_cast<const char*>(p.bounds.data()),
                                   p.bounds.size() * sizeof(p.bounds[0])};
      llvm::Value* bounds = constant_bytes(module_, bytes);
      begin = b_.CreateLoad(b_.getInt64Ty(), b_.CreateInBoundsGEP(b_.getInt64Ty(), bounds, task_));
      end = b_.CreateLoad(b_.getInt64Ty(),
                          b_.CreateInBoundsGEP(b_.getInt64Ty(), bounds, b_.CreateAdd(task_, b_.getInt64(1))));
      llvm::Function* f = b_.GetInsertBlock()->getParent();
      auto* inside = llvm::BasicBlock::Create(b_.getContext(), "share", f);
      after = llvm::BasicBlock::Create(b_.getContext(), "after", f);
      b_.CreateCondBr(b_.CreateICmpSLT(begin, end), inside, after);
      b_.SetInsertPoint(inside);
    }
    for (std::size_t i = 0; i < l.arguments.size(); ++i)
      b_.CreateStore(offset(b_, address(l.arguments[i].buffer), l.arguments[i].bytes),
                     b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), arguments, i));
    llvm::Function* kernel = module_.getFunction(l.symbol);
    ensure(kernel != nullptr, "object @{}: no code of the kernel @{}", o_.name, l.name);
    b_.CreateCall(kernel, {arguments, begin, end, scratch});
    if (!after) return;
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  /// Runs a group's tasks by the caller's parallel_for, or one after the other where that is null.
  void share_out(llvm::Function* group, llvm::Value* parallel_for, llvm::Value* pool) {
    llvm::Function* f = b_.GetInsertBlock()->getParent();
    auto* together = llvm::BasicBlock::Create(b_.getContext(), "together", f);
    auto* in_turn = llvm::BasicBlock::Create(b_.getContext(), "in_turn", f);
    auto* after = llvm::BasicBlock::Create(b_.getContext(), "after", f);
    b_.CreateCondBr(b_.CreateIsNull(parallel_for), in_turn, together);
    b_.SetInsertPoint(together);
    llvm::Type* pointer = b_.getPtrTy();
    auto* type = llvm::FunctionType::get(b_.getVoidTy(), {pointer, b_.getInt32Ty(), pointer, pointer}, false);
    const auto tasks = static_cast<std::uint32_t>(o_.tasks);
    b_.CreateCall(type, parallel_for, {pool, b_.getInt32(tasks), group, context_});
    b_.CreateBr(after);
    b_.SetInsertPoint(in_turn);
    for_range(b_, b_.getInt64(tasks), 1, [&](llvm::Value* task) {
      b_.CreateCall(group, {context_, b_.CreateTrunc(task, b_.getInt32Ty())});
    });
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  void copy_outputs() {
    llvm::Function* copy = copy_function(module_);
    for (std::size_t i = 0; i < table_.outputs.size(); ++i) {
      llvm::Function* f = b_.GetInsertBlock()->getParent();
      auto* wanted = llvm::BasicBlock::Create(b_.getContext(), "wanted", f);
      auto* after = llvm::BasicBlock::Create(b_.getContext(), "after", f);
      llvm::Value* to = element(field(kOutputs), i);
      b_.CreateCondBr(b_.CreateIsNull(to), after, wanted);
      b_.SetInsertPoint(wanted);
      const auto bytes = static_cast<std::uint64_t>(byte_size(at(table_.buffers, table_.outputs[i]).type));
      b_.CreateCall(copy, {to, address(table_.outputs[i]), b_.getInt64(bytes)});
      b_.CreateBr(after);
      b_.SetInsertPoint(after);
    }
  }

  llvm::Module& module_;
  const ObjectModule& o_;
  const PlannedFunction& f_;
  const std::size_t level_;
  const BufferTable& table_;
  ObjectBuilder b_;
  ObjectCode::Function sizes_;
  std::vector<std::int64_t> output_at_;  // by BufferId: in the workspace
  std::int64_t scratch_ = 0;             // of a task
  llvm::Value *context_ = nullptr, *task_ = nullptr;
};

}  // namespace

ObjectCode::Function emit_function(llvm::Module& module, const ObjectModule& o, const PlannedFunction& planned,
                                   std::uint64_t id) {
  const std::string name = fmt::format("{}_{}", o.name, planned.function->name);
  ObjectCode::Function sizes;
  std::vector<llvm::Function*> levels;
  for (std::size_t level = 0; level < o.levels.size(); ++level) {
    FunctionEmitter emitter(module, o, planned, level);
    levels.push_back(emitter.emit(fmt::format("{}.{}", name, level)));
    const ObjectCode::Function& s = emitter.sizes();
    if (s.workspace_bytes() >= sizes.workspace_bytes())
      sizes = {s.arena_bytes, s.output_bytes, s.scratch_bytes, sizes.joins};
    sizes.joins = std::max(sizes.joins, s.joins);
  }

  ObjectBuilder b(module.getContext());
  llvm::Type* pointer = b.getPtrTy();
  const unsigned parameters = o.tasks > 1 ? kContextFields + 2 : kContextFields;
  llvm::Function* f =
      begin_function(module, b, b.getInt32Ty(), name, std::vector<llvm::Type*>(parameters, pointer), true);
  llvm::Value* context = b.CreateAlloca(pointer, b.getInt32(kContextFields));
  for (unsigned i = 0; i < kContextFields; ++i)
    b.CreateStore(f->getArg(i), b.CreateConstInBoundsGEP1_32(pointer, context, i));
  llvm::Value* level = checked_level(b, o, f->getArg(kState), id);
  return_if(b, is_misplaced(b, f->getArg(kWorkspace)), ObjectFault::pointer);
  const BufferTable& table = *planned.artifacts[0].memory;
  std::vector<bool> has_elements;  // of each data input
  for (const BufferId in : table.inputs)
    if (const Buffer& buffer = at(table.buffers, in); buffer.kind == Buffer::input)
      has_elements.push_back(byte_size(buffer.type) > 0);
  if (!table.outputs.empty()) return_if(b, b.CreateIsNull(f->getArg(kOutputs)), ObjectFault::pointer);
  if (!has_elements.empty()) return_if(b, b.CreateIsNull(f->getArg(kInputs)), ObjectFault::pointer);
  for (std::size_t i = 0; i < has_elements.size(); ++i) {
    if (!has_elements[i]) continue;
    llvm::Value* at = b.CreateConstInBoundsGEP1_64(pointer, f->getArg(kInputs), i);
    return_if(b, b.CreateIsNull(b.CreateLoad(pointer, at)), ObjectFault::pointer);
  }
  auto* done = llvm::BasicBlock::Create(b.getContext(), "done", f);
  std::vector<llvm::BasicBlock*> runs;
  for (std::size_t i = 0; i < levels.size(); ++i) runs.push_back(llvm::BasicBlock::Create(b.getContext(), "runs", f));
  llvm::SwitchInst* choice = b.CreateSwitch(level, runs[0], static_cast<unsigned>(levels.size()));
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (i > 0) choice->addCase(b.getInt32(static_cast<std::uint32_t>(i)), runs[i]);
    b.SetInsertPoint(runs[i]);
    std::vector<llvm::Value*> arguments{context};
    for (unsigned a = kContextFields; a < parameters; ++a) arguments.push_back(f->getArg(a));
    b.CreateCall(levels[i], arguments);
    b.CreateBr(done);
  }
  b.SetInsertPoint(done);
  b.CreateRet(b.getInt32(0));
  return sizes;
}

}  // namespace weft::codegen
