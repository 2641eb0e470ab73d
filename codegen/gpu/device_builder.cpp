// Regions that are open, values by what computes them, and folded index arithmetic.
#include "codegen/gpu/device_builder.h"

#include <algorithm>

#include "ir/base/lexer.h"

namespace weft::codegen {

DeviceBuilder::DeviceBuilder(simt::Function& function, DType index) : function_(function), index_(index) {
  open_.emplace_back();
}

void DeviceBuilder::finish() {
  ensure(open_.size() == 1, "device function {}: {} regions are open at its end", function_.name, open_.size() - 1);
  function_.body = std::move(open_[0].region);
}

RegisterId DeviceBuilder::new_value(DType t, int level) {
  function_.types.push_back(t);
  level_.push_back(level);
  return static_cast<RegisterId>(level_.size()) - 1;
}

int DeviceBuilder::level(RegisterId v) const {
  return v == kNone ? 0 : std::min(level_[static_cast<std::size_t>(v)], depth());
}

Inst& DeviceBuilder::append(Inst i, int level) {
  auto& insts = open_[static_cast<std::size_t>(level)].region.insts;
  insts.push_back(std::move(i));
  return insts.back();
}

RegisterId DeviceBuilder::pure(Inst i) {
  int at = 0;
  bool varies = false;
  for (RegisterId a : i.args) {
    at = std::max(at, level(a));
    varies |= level_[static_cast<std::size_t>(a)] == kVaries;
  }
  auto& known = open_[static_cast<std::size_t>(at)].known;
  Key key{i.kind, i.op, i.dtype, i.bits, i.width, i.args};
  if (!varies)
    if (auto it = known.find(key); it != known.end()) return it->second;
  const RegisterId v = i.result = new_value(i.dtype, at);
  append(std::move(i), at);
  if (!varies) known.emplace(std::move(key), v);
  return v;
}

RegisterId DeviceBuilder::special(Inst::Kind kind) { return pure({.kind = kind, .dtype = i32}); }

RegisterId DeviceBuilder::constant(DType t, std::uint64_t bits) {
  if (size_of(t) < 8) bits &= (std::uint64_t{1} << (8 * size_of(t))) - 1;
  const RegisterId v = pure({.kind = Inst::constant, .dtype = t, .bits = bits});
  if (t == i32) constants_.emplace(v, static_cast<std::int32_t>(bits));
  if (t == i64) constants_.emplace(v, static_cast<std::int64_t>(bits));
  return v;
}

const std::int64_t* DeviceBuilder::constant_of(RegisterId v) const {
  const auto it = constants_.find(v);
  return it == constants_.end() ? nullptr : &it->second;
}

RegisterId DeviceBuilder::apply(Op op, DType result, RegisterIds args) {
  if (op == Op::convert && constant_of(args[0]) && (result == i32 || result == i64))
    return constant(result, static_cast<std::uint64_t>(*constant_of(args[0])));
  return pure({.kind = Inst::apply, .op = op, .dtype = result, .args = std::move(args)});
}

RegisterId DeviceBuilder::sum(RegisterId a, RegisterId b) {
  const std::int64_t *x = constant_of(a), *y = constant_of(b);
  if (x && y) return constant(type(a), static_cast<std::uint64_t>(*x + *y));
  if (x && *x == 0) return b;
  if (y && *y == 0) return a;
  return apply(Op::add, type(a), {a, b});
}

RegisterId DeviceBuilder::multiply(RegisterId a, std::int64_t factor) {
  if (const std::int64_t* x = constant_of(a)) return constant(type(a), static_cast<std::uint64_t>(*x * factor));
  if (factor == 1) return a;
  if (factor == 0) return constant(type(a), 0);
  return apply(Op::mul, type(a), {a, constant(type(a), static_cast<std::uint64_t>(factor))});
}

RegisterId DeviceBuilder::divide(RegisterId a, std::int64_t by) {
  if (const std::int64_t* x = constant_of(a)) return constant(type(a), static_cast<std::uint64_t>(*x / by));
  if (by == 1) return a;
  if ((by & (by - 1)) == 0)
    return apply(
        Op::shr, type(a),
        {a, constant(type(a), static_cast<std::uint64_t>(__builtin_ctzll(static_cast<unsigned long long>(by))))});
  return apply(Op::div, type(a), {a, constant(type(a), static_cast<std::uint64_t>(by))});
}

RegisterId DeviceBuilder::remainder(RegisterId a, std::int64_t by) {
  if (const std::int64_t* x = constant_of(a)) return constant(type(a), static_cast<std::uint64_t>(*x % by));
  if (by == 1) return constant(type(a), 0);
  if ((by & (by - 1)) == 0)
    return apply(Op::bit_and, type(a), {a, constant(type(a), static_cast<std::uint64_t>(by - 1))});
  return sum(a, multiply(divide(a, by), -by));
}

RegisterId DeviceBuilder::less(RegisterId a, std::int64_t b) {
  return apply(Op::lt, boolean, {a, constant(type(a), static_cast<std::uint64_t>(b))});
}

RegisterId DeviceBuilder::equal(RegisterId a, std::int64_t b) {
  return apply(Op::eq, boolean, {a, constant(type(a), static_cast<std::uint64_t>(b))});
}

RegisterId DeviceBuilder::minimum(RegisterId a, std::int64_t b) {
  if (const std::int64_t* x = constant_of(a)) return constant(type(a), static_cast<std::uint64_t>(std::min(*x, b)));
  return apply(Op::min, type(a), {a, constant(type(a), static_cast<std::uint64_t>(b))});
}

RegisterId DeviceBuilder::both(RegisterId p, RegisterId q) {
  if (p == kNone || q == kNone) return p == kNone ? q : p;
  return apply(Op::bit_and, boolean, {p, q});
}

/// The name itself, or, where another memory has it (an output may be called as an input is), one made of it.
std::string DeviceBuilder::unused_name(const std::string& name) const {
  const auto used = [&](const std::string& n) {
    return std::ranges::count(function_.memories, n, &simt::Memory::name) > 0;
  };
  std::string unused = name;
  for (int i = 2; used(unused); ++i) unused = fmt::format("{}.{}", name, i);
  return unused;
}

MemoryId DeviceBuilder::global(const Program& p, BufferId id, bool read_only) {
  for (std::size_t m = 0; m < function_.memories.size(); ++m)
    if (function_.memories[m].buffer == id) return static_cast<MemoryId>(m);
  const Buffer& b = p.buffers[static_cast<std::size_t>(id)];
  function_.memories.push_back({simt::Memory::global, unused_name(identifier_of(b.name)), b.type.dtype,
                                element_count(b.type.shape), id, read_only});
  return static_cast<MemoryId>(function_.memories.size()) - 1;
}

MemoryId DeviceBuilder::shared(const std::string& name, DType t, std::int64_t elements) {
  function_.memories.push_back({simt::Memory::shared, unused_name(name), t, elements});
  return static_cast<MemoryId>(function_.memories.size()) - 1;
}

std::int32_t DeviceBuilder::origin(const std::string& text) {
  auto& all = function_.origins;
  const auto at = std::find(all.begin(), all.end(), text) - all.begin();
  if (at == static_cast<std::ptrdiff_t>(all.size())) all.push_back(text);
  return static_cast<std::int32_t>(at);
}

RegisterIds DeviceBuilder::load(MemoryId m, RegisterId index, int width, RegisterId predicate, std::int32_t origin) {
  const DType t = memory(m).dtype;
  Inst i{.kind = Inst::load, .width = static_cast<std::uint8_t>(width), .dtype = t, .memory = m};
  i.predicate = predicate, i.args = {index}, i.origin = origin;
  int at = depth();
  Key key{i.kind, Op::constant, t, static_cast<std::uint64_t>(width), m, {index, predicate}};
  if (memory(m).read_only) {
    int least = std::max(level(index), level(predicate));
    while (at > least && !open_[static_cast<std::size_t>(at)].guarded) --at;
  }
  auto& known = open_[static_cast<std::size_t>(at)].known;
  auto it = memory(m).read_only ? known.find(key) : known.end();
  const RegisterId first = it != known.end() ? it->second : new_value(t, at);
  if (it == known.end()) {
    for (int w = 1; w < width; ++w) new_value(t, at);
    i.result = first;
    append(std::move(i), at);
    if (memory(m).read_only) known.emplace(std::move(key), first);
  }
  RegisterIds out;
  for (int w = 0; w < width; ++w) out.push_back(first + w);
  return out;
}

void DeviceBuilder::store(MemoryId m, RegisterId index, const RegisterIds& values, std::int32_t origin,
                          RegisterId predicate) {
  Inst i{.kind = Inst::store, .width = static_cast<std::uint8_t>(values.size()), .dtype = memory(m).dtype, .memory = m};
  i.args = {index};
  i.args.insert(i.args.end(), values.begin(), values.end());
  i.origin = origin, i.predicate = predicate;
  append(std::move(i));
}

void DeviceBuilder::copy_async(MemoryId to, RegisterId index, MemoryId from, RegisterId from_index, int width,
                               RegisterId predicate, std::int32_t origin) {
  Inst i{.kind = Inst::copy_async, .width = static_cast<std::uint8_t>(width), .dtype = memory(to).dtype, .memory = to};
  i.source = from, i.predicate = predicate, i.args = {index, from_index}, i.origin = origin;
  append(std::move(i));
}

void DeviceBuilder::commit_async() { append({.kind = Inst::commit_async}); }
void DeviceBuilder::wait_async(int unfinished) {
  append({.kind = Inst::wait_async, .bits = static_cast<std::uint64_t>(unfinished)});
}
void DeviceBuilder::barrier() { append({.kind = Inst::barrier}); }

RegisterId DeviceBuilder::shuffle(Inst::Kind kind, RegisterId v, int lanes, int width) {
  Inst i{.kind = kind, .width = static_cast<std::uint8_t>(width), .dtype = type(v)};
  i.bits = static_cast<std::uint64_t>(lanes), i.args = {v};
  const RegisterId result = i.result = new_value(i.dtype, depth());
  append(std::move(i));
  return result;
}
RegisterId DeviceBuilder::shuffle_down(RegisterId v, int lanes, int width) {
  return shuffle(Inst::shuffle_down, v, lanes, width);
}
RegisterId DeviceBuilder::shuffle_from(RegisterId v, int lane, int width) {
  return shuffle(Inst::shuffle_from, v, lane, width);
}

RegisterId DeviceBuilder::variable(RegisterId initial) {
  Inst i{.kind = Inst::variable, .dtype = type(initial)};
  i.args = {initial};
  const RegisterId v = i.result = new_value(i.dtype, kVaries);
  append(std::move(i));
  return v;
}

void DeviceBuilder::set(RegisterId variable, RegisterId value) {
  Inst i{.kind = Inst::set, .dtype = type(variable)};
  i.args = {variable, value};
  append(std::move(i));
}

RegisterIds DeviceBuilder::mma(Inst::Kind kind, const RegisterIds& args) {
  Inst i{.kind = kind, .dtype = f32};
  i.args = args;
  RegisterIds out;
  for (int r = 0; r < 4; ++r) out.push_back(new_value(f32, depth()));
  i.result = out[0];
  append(std::move(i));
  return out;
}

void DeviceBuilder::loop(RegisterId begin, RegisterId end, std::int64_t step,
                         const std::function<void(RegisterId)>& body, bool unroll) {
  const std::int64_t *first = constant_of(begin), *last = constant_of(end);
  if (first && last && *first >= *last) return;
  if (first && last && *first + step >= *last) return body(begin);
  Inst i{.kind = Inst::loop, .unroll = unroll, .dtype = type(begin)};
  i.args = {begin, end}, i.bits = static_cast<std::uint64_t>(step);
  open_.emplace_back();
  i.result = new_value(i.dtype, depth());
  body(i.result);
  i.body = std::make_shared<simt::Region>(std::move(open_.back().region));
  open_.pop_back();
  append(std::move(i));
}

void DeviceBuilder::when(RegisterId condition, const std::function<void()>& body) {
  if (condition == kNone) return body();
  Inst i{.kind = Inst::when};
  i.args = {condition};
  open_.emplace_back();
  open_.back().guarded = true;
  body();
  i.body = std::make_shared<simt::Region>(std::move(open_.back().region));
  open_.pop_back();
  append(std::move(i));
}

}  // namespace weft::codegen
