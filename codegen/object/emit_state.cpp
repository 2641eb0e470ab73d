// The functions of an object's state: initial values, and copies of single values in row-major order.
//
//   state   i64 id, i32 level, zeros to kObjectHead; then the values at their offsets
#include "codegen/object/emit_object.h"
#include "ir/base/at.h"
#include "ir/base/cache_line.h"

namespace weft::codegen {
namespace {

constexpr std::int64_t kLevelAt = 8;  // in the state

/// How a value lies at a level: [panels][rows][bytes], row-major if there is one panel.
struct Layout {
  std::int64_t offset, rows, panels, bytes;
};
constexpr int kLayoutFields = 4;

Layout layout_of(const ObjectState& s, std::size_t level) {
  const std::int64_t width = s.panels[level], bytes = byte_size(s.type);
  if (width == 0 || bytes == 0) return {s.offset, 1, 1, bytes};
  const std::int64_t columns = s.type.shape[s.type.shape.rank() - 1];
  return {s.offset, element_count(s.type.shape) / columns, columns / width,
          width * static_cast<std::int64_t>(size_of(s.type.dtype))};
}

/// i64 layouts[level][state][kLayoutFields], constant.
llvm::Constant* layouts(llvm::Module& module, const ObjectModule& o) {
  std::vector<std::int64_t> table;
  for (std::size_t level = 0; level < o.levels.size(); ++level)
    for (const ObjectState& s : o.states) {
      const Layout l = layout_of(s, level);
      table.insert(table.end(), {l.offset, l.rows, l.panels, l.bytes});
    }
  return constant_bytes(module, {reinterpret_cast<const char*>(table.data()), table.size() * sizeof(table[0])});
}

/// void exchange(to, from, i64 outer, i64 inner, i64 bytes): [outer][inner][bytes] to [inner][outer][bytes].
llvm::Function* exchange_function(llvm::Module& module) {
  if (llvm::Function* f = module.getFunction("exchange")) return f;
  llvm::Function* copy = copy_function(module);
  ObjectBuilder b(module.getContext());
  llvm::Type *pointer = b.getPtrTy(), *i64 = b.getInt64Ty(), *byte = b.getInt8Ty();
  llvm::Function* f = begin_function(module, b, b.getVoidTy(), "exchange", {pointer, pointer, i64, i64, i64}, false);
  llvm::Value *to = f->getArg(0), *from = f->getArg(1), *outer = f->getArg(2), *inner = f->getArg(3),
              *bytes = f->getArg(4);
  for_range(b, outer, 1, [&](llvm::Value* o) {
    for_range(b, inner, 1, [&](llvm::Value* i) {
      llvm::Value* source = b.CreateMul(b.CreateAdd(b.CreateMul(o, inner), i), bytes);
      llvm::Value* target = b.CreateMul(b.CreateAdd(b.CreateMul(i, outer), o), bytes);
      b.CreateCall(copy, {b.CreateInBoundsGEP(byte, to, target), b.CreateInBoundsGEP(byte, from, source), bytes});
    });
  });
  b.CreateRetVoid();
  return f;
}

/// i32 NAME(state, i32 which, rows): `read` copies the value to rows, else rows to the value.
llvm::Function* access_function(llvm::Module& module, const ObjectModule& o, std::uint64_t id, bool read) {
  llvm::Function* exchange = exchange_function(module);
  ObjectBuilder b(module.getContext());
  llvm::Type *pointer = b.getPtrTy(), *i64 = b.getInt64Ty();
  llvm::Function* f = begin_function(module, b, b.getInt32Ty(), o.name + (read ? "_read" : "_write"),
                                     {pointer, b.getInt32Ty(), pointer}, true);
  llvm::Value *state = f->getArg(0), *which = f->getArg(1), *rows = f->getArg(2);
  llvm::Value* level = checked_level(b, o, state, id);
  const auto count = static_cast<std::uint32_t>(o.states.size());
  return_if(b, b.CreateICmpUGE(which, b.getInt32(count)), ObjectFault::no_value);
  return_if(b, b.CreateIsNull(rows), ObjectFault::pointer);
  llvm::Value* at = b.CreateAdd(b.CreateMul(level, b.getInt32(count)), which);
  at = b.CreateMul(b.CreateZExt(at, i64), b.getInt64(kLayoutFields));
  llvm::Constant* table = layouts(module, o);
  llvm::Value* field[kLayoutFields];
  for (unsigned i = 0; i < kLayoutFields; ++i)
    field[i] = b.CreateLoad(i64, b.CreateInBoundsGEP(i64, table, b.CreateAdd(at, b.getInt64(i))));
  llvm::Value* value = b.CreateInBoundsGEP(b.getInt8Ty(), state, field[0]);
  if (read)
    b.CreateCall(exchange, {rows, value, field[2], field[1], field[3]});
  else
    b.CreateCall(exchange, {value, rows, field[1], field[2], field[3]});
  b.CreateRet(b.getInt32(0));
  return f;
}

/// Zeros for so many bytes, a multiple of kCacheLine.
void store_zeros(ObjectBuilder& b, llvm::Value* to, std::int64_t bytes) {
  auto* line = llvm::FixedVectorType::get(b.getInt8Ty(), kCacheLine);
  for_range(b, b.getInt64(static_cast<std::uint64_t>(bytes)), kCacheLine, [&](llvm::Value* i) {
    b.CreateAlignedStore(llvm::Constant::getNullValue(line), b.CreateInBoundsGEP(b.getInt8Ty(), to, i),
                         llvm::Align(kCacheLine));
  });
}

bool is_zero(const Array& a) {
  return std::all_of(a.data(), a.data() + a.bytes(), [](std::byte x) { return x == std::byte{0}; });
}

/// Stores what the value number `i` begins with; `zeroed`: zeros are there.
void store_initial(ObjectBuilder& b, const ObjectModule& o, std::size_t i, llvm::Value* state, llvm::Function* write,
                   bool zeroed) {
  llvm::Module& module = *write->getParent();
  const ObjectState& s = o.states[i];
  if (s.initial && !is_zero(*s.initial)) {
    llvm::Constant* data =
        constant_bytes(module, {reinterpret_cast<const char*>(s.initial->data()), s.initial->bytes()});
    b.CreateCall(write, {state, b.getInt32(static_cast<std::uint32_t>(i)), data});
  } else if (!zeroed) {
    store_zeros(b, offset(b, state, s.offset), whole_lines(byte_size(s.type)));
  }
}

/// The values of states that restart, of a state that init() made.
void emit_restart(llvm::Module& module, const ObjectModule& o, std::uint64_t id, llvm::Function* write) {
  if (std::ranges::none_of(o.states, &ObjectState::restarts)) return;
  ObjectBuilder b(module.getContext());
  llvm::Function* f = begin_function(module, b, b.getInt32Ty(), o.name + "_restart", {b.getPtrTy()}, true);
  checked_level(b, o, f->getArg(0), id);
  for (std::size_t i = 0; i < o.states.size(); ++i)
    if (o.states[i].restarts) store_initial(b, o, i, f->getArg(0), write, false);
  b.CreateRet(b.getInt32(0));
}

void emit_init(llvm::Module& module, const ObjectModule& o, std::uint64_t id, llvm::Function* write,
               llvm::Function* level) {
  ObjectBuilder b(module.getContext());
  llvm::Function* f = begin_function(module, b, b.getInt32Ty(), o.name + "_init", {b.getPtrTy()}, true);
  llvm::Value* state = f->getArg(0);
  return_if(b, is_misplaced(b, state), ObjectFault::pointer);
  llvm::Value* found = b.CreateCall(level, {});
  return_if(b, b.CreateICmpSLT(found, b.getInt32(0)), ObjectFault::machine);
  store_zeros(b, state, o.state_bytes);
  b.CreateStore(b.getInt64(id), state);
  b.CreateStore(found, offset(b, state, kLevelAt));
  for (std::size_t i = 0; i < o.states.size(); ++i) store_initial(b, o, i, state, write, true);
  b.CreateRet(b.getInt32(0));
}

}  // namespace

llvm::Value* checked_level(ObjectBuilder& b, const ObjectModule& o, llvm::Value* state, std::uint64_t id) {
  return_if(b, is_misplaced(b, state), ObjectFault::pointer);
  return_if(b, b.CreateICmpNE(b.CreateLoad(b.getInt64Ty(), state), b.getInt64(id)), ObjectFault::state);
  llvm::Value* level = b.CreateLoad(b.getInt32Ty(), offset(b, state, kLevelAt));
  const auto levels = static_cast<std::uint32_t>(o.levels.size());
  return_if(b, b.CreateICmpUGE(level, b.getInt32(levels)), ObjectFault::state);
  return level;
}

void emit_state_functions(llvm::Module& module, const ObjectModule& o, std::uint64_t id) {
  llvm::Function* level = level_function(module, o.levels);
  access_function(module, o, id, true);
  llvm::Function* write = access_function(module, o, id, false);
  emit_init(module, o, id, write, level);
  emit_restart(module, o, id, write);
  ObjectBuilder b(module.getContext());
  begin_function(module, b, b.getInt32Ty(), o.name + "_supported", {}, true);
  b.CreateRet(b.CreateZExt(b.CreateICmpSGE(b.CreateCall(level, {}), b.getInt32(0)), b.getInt32Ty()));
}

}  // namespace weft::codegen
