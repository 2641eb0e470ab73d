// Builds device code by hand, for tests: each function appends an instruction and returns its first result.
#pragma once
#include <initializer_list>
#include <utility>

#include "ir/ops/scalar.h"
#include "ir/simt/simt.h"

namespace weft::test {

class SimtBuilder {
 public:
  using Value = simt::RegisterId;
  using Inst = simt::Inst;

  explicit SimtBuilder(std::string name, std::int64_t blocks = 1, int threads = 32) {
    f.name = std::move(name);
    f.blocks = blocks;
    f.threads = threads;
    f.locs = LocSet::of(Loc{"model.cpp", 12, 3});
  }

  simt::MemoryId global(std::string name, DType t, std::int64_t elements, bool read_only = false) {
    f.memories.push_back({simt::Memory::global, std::move(name), t, elements, next_buffer_++, read_only});
    return static_cast<simt::MemoryId>(f.memories.size() - 1);
  }
  simt::MemoryId shared(std::string name, DType t, std::int64_t elements) {
    f.memories.push_back({simt::Memory::shared, std::move(name), t, elements});
    return static_cast<simt::MemoryId>(f.memories.size() - 1);
  }
  /// What the next load, store or copy does in the user's terms.
  SimtBuilder& origin(std::string text) {
    f.origins.push_back(std::move(text));
    next_origin_ = static_cast<std::int32_t>(f.origins.size() - 1);
    return *this;
  }

  template <class T>
  Value constant(T x) {
    return emit({.kind = Inst::constant, .dtype = dtype_of<T>, .bits = to_scalar_bits(x)});
  }
  Value thread() { return emit({.kind = Inst::thread, .dtype = i32}); }
  Value block() { return emit({.kind = Inst::block, .dtype = i32}); }
  Value apply(Op op, std::initializer_list<Value> args, DType result) {
    return emit({.kind = Inst::apply, .op = op, .dtype = result, .args = args});
  }
  /// Of an op whose result has the dtype of its last operand.
  Value apply(Op op, std::initializer_list<Value> args) { return apply(op, args, f.type(*(args.end() - 1))); }
  Value compare(Op op, Value x, Value y) { return apply(op, {x, y}, boolean); }
  Value add(Value x, Value y) { return apply(Op::add, {x, y}); }
  Value mul(Value x, Value y) { return apply(Op::mul, {x, y}); }
  Value plus(Value x, std::int32_t y) { return add(x, constant(y)); }
  Value times(Value x, std::int32_t y) { return mul(x, constant(y)); }
  Value modulo(Value x, std::int32_t y) { return apply(Op::rem, {x, constant(y)}); }
  Value over(Value x, std::int32_t y) { return apply(Op::div, {x, constant(y)}); }
  Value shuffle_down(Value x, int lanes, int width = simt::kWarp) {
    return emit({.kind = Inst::shuffle_down,
                 .width = static_cast<std::uint8_t>(width),
                 .dtype = f.type(x),
                 .bits = static_cast<std::uint64_t>(lanes),
                 .args = {x}});
  }
  Value shuffle_from(Value x, int lane, int width = simt::kWarp) {
    return emit({.kind = Inst::shuffle_from,
                 .width = static_cast<std::uint8_t>(width),
                 .dtype = f.type(x),
                 .bits = static_cast<std::uint64_t>(lane),
                 .args = {x}});
  }

  Value load(simt::MemoryId m, Value index, int width = 1, Value predicate = kNone) {
    return emit({.kind = Inst::load,
                 .width = static_cast<std::uint8_t>(width),
                 .dtype = dtype(m),
                 .memory = m,
                 .predicate = predicate,
                 .args = {index}});
  }
  void store(simt::MemoryId m, Value index, std::vector<Value> values, Value predicate = kNone) {
    const auto width = static_cast<std::uint8_t>(values.size());
    values.insert(values.begin(), index);
    emit({.kind = Inst::store, .width = width, .dtype = dtype(m), .memory = m, .predicate = predicate, .args = values});
  }
  void store(simt::MemoryId m, Value index, Value value, Value predicate = kNone) {
    store(m, index, std::vector<Value>{value}, predicate);
  }
  void copy_async(simt::MemoryId to, Value index, simt::MemoryId from, Value source, int width = 1,
                  Value predicate = kNone) {
    emit({.kind = Inst::copy_async,
          .width = static_cast<std::uint8_t>(width),
          .dtype = dtype(to),
          .memory = to,
          .source = from,
          .predicate = predicate,
          .args = {index, source}});
  }
  void commit_async() { emit({.kind = Inst::commit_async}); }
  void wait_async(int groups) { emit({.kind = Inst::wait_async, .bits = static_cast<std::uint64_t>(groups)}); }
  void barrier() { emit({.kind = Inst::barrier}); }

  Value variable(Value initial) { return emit({.kind = Inst::variable, .dtype = f.type(initial), .args = {initial}}); }
  void set(Value variable, Value value) {
    emit({.kind = Inst::set, .dtype = f.type(variable), .args = {variable, value}});
  }
  /// body(counter)
  template <class F>
  void loop(Value start, Value end, std::int64_t step, F&& body, bool unroll = false) {
    nest({.kind = Inst::loop,
          .unroll = unroll,
          .dtype = f.type(start),
          .bits = static_cast<std::uint64_t>(step),
          .args = {start, end}},
         body);
  }
  template <class F>
  void when(Value condition, F&& body) {
    nest({.kind = Inst::when, .args = {condition}}, [&](Value) { body(); });
  }
  Value mma(Inst::Kind kind, std::vector<Value> args) {
    return emit({.kind = kind, .dtype = f32, .args = std::move(args)});
  }

  Value emit(Inst inst) {
    if (inst.kind != Inst::loop) number(inst);
    const Value result = inst.result;
    region_->insts.push_back(std::move(inst));
    return result;
  }

  simt::Function f;

 private:
  DType dtype(simt::MemoryId m) const { return f.memories[static_cast<std::size_t>(m)].dtype; }
  void number(Inst& inst) {
    if (inst.kind == Inst::load || inst.kind == Inst::store || inst.kind == Inst::copy_async)
      inst.origin = std::exchange(next_origin_, kNone);
    const int results = inst.kind == Inst::load ? inst.width
                        : inst.kind == Inst::mma_tf32 || inst.kind == Inst::mma_bf16
                            ? 4
                            : inst.kind <= Inst::shuffle_from || inst.kind == Inst::variable || inst.kind == Inst::loop;
    if (results) inst.result = static_cast<Value>(f.types.size());
    for (int i = 0; i < results; ++i) f.types.push_back(inst.dtype);
  }
  template <class F>
  void nest(Inst inst, F&& body) {
    if (inst.kind == Inst::loop) number(inst);
    inst.body = std::make_shared<simt::Region>();
    simt::Region* outer = std::exchange(region_, inst.body.get());
    body(inst.result);
    region_ = outer;
    emit(std::move(inst));
  }

  simt::Region* region_ = &f.body;
  std::int32_t next_origin_ = kNone;
  BufferId next_buffer_ = 0;
};

}  // namespace weft::test
