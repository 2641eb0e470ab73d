// The verifier of device code: runs on what lowering makes and before the emulator runs it. The invariants:
//
// Function
//  1. Its name is an identifier. 0 <= blocks < 2^31; threads is a multiple of 32, from 32 to 1024.
//  2. Names of memories are identifiers and unique; their dtypes are not reserved, their sizes allowed. Shared arrays
//  belong
//     to no buffer, are not read-only, and end within 227 KiB (shared_layout).
// Values
//  3. Every value has one definition, whose dtype is that of Function::types and not a reserved one. It is used only
//  after
//     it, in its region or one inside.
//  4. Only variables are set. A loop's bounds are not variables that its body sets.
// Instructions
//  5. Arguments and results are as many as ir/simt/simt.cpp's table says; a body, a predicate, a memory, a width other
//  than
//  1
//     stand only where they mean something. Origins exist.
//  6. apply: dtypes are what inference says on scalars. thread and block are i32.
//  7. An index is i32 or i64, a predicate and the condition of `when` are bool. A load, store or copy moves 1, 2, 4, 8
//  or
//     16 elements of its memory's dtype, at most 16 bytes; a copy 4, 8 or 16 bytes from global to shared memory of one
//     dtype. Nothing is stored to read-only memory.
//  8. A shuffle moves 4- or 8-byte values within segments of 2, 4, 8, 16 or 32 lanes, by or from fewer than those.
//  9. A loop's counter is i32 or i64, as its bounds are, and its step positive; when it is to be unrolled, its bounds
//  are
//     constants. Matrix products are of f32. wait_async leaves at most 2^31 - 1 groups.
// 10. Collectives stand where control flow is the same for all threads of a block (simt_inst.h: varying_values).
#include <algorithm>
#include <bit>
#include <limits>
#include <unordered_set>

#include "ir/base/at.h"
#include "ir/base/lexer.h"
#include "ir/ops/infer.h"
#include "ir/simt/simt_inst.h"

namespace weft::simt {
namespace {

constexpr std::int64_t kMaxShared = 227 << 10;  // bytes of a block, on GPUs of compute capability 9.0
constexpr std::int64_t kMaxElements = std::int64_t{1} << 43;
constexpr std::int64_t kMaxBlocks = (std::int64_t{1} << 31) - 1;
constexpr std::size_t kMaxBytes = 16;  // of one access

template <class C>
bool has(const C& c, std::int32_t i) {
  return i >= 0 && static_cast<std::size_t>(i) < c.size();
}

class FunctionVerifier {
 public:
  explicit FunctionVerifier(const Function& f) : f_(f), state_(f.types.size()), defined_by_(f.types.size()) {}
  void run();

 private:
  enum State : std::uint8_t { undefined, in_scope, out_of_scope };

  template <class... Args>
  [[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) const {
    const std::string at = inst_ ? ": " + inst_text(f_, *inst_) : "";
    throw InternalError(fmt::format("internal error: verify: device @{}{}: {}", f_.name, at,
                                    fmt::format(format, std::forward<Args>(args)...)));
  }
  void require_dtype(RegisterId v, DType expected, std::string_view what) const {
    if (f_.type(v) != expected) broken("{} %{} is {}, expected {}", what, v, name(f_.type(v)), name(expected));
  }
  void require_index(RegisterId v) const {
    if (f_.type(v) != i32 && f_.type(v) != i64) broken("index %{} is {}, expected i32 or i64", v, name(f_.type(v)));
  }
  bool is_constant(RegisterId v) const { return at(defined_by_, v)->kind == Inst::constant; }

  void check_memories() const;
  void check_region(const Region&);
  void check_form() const;
  void check_operands() const;
  void check_kind() const;
  void check_access() const;
  void check_shuffle() const;
  void check_loop();
  void define();
  void check_collectives(const Region&, const std::vector<bool>& varying, const Inst* parted);

  const Function& f_;
  std::vector<State> state_;             // of each value
  std::vector<const Inst*> defined_by_;  // of each value that has been defined
  std::vector<std::int32_t> bounds_;     // variables that bound the loops around
  const Inst* inst_ = nullptr;           // that is being checked
};

void FunctionVerifier::run() {
  if (!is_identifier(f_.name)) broken("the name is not an identifier");
  if (f_.blocks < 0 || f_.blocks > kMaxBlocks) broken("{} blocks", f_.blocks);
  if (f_.threads < kWarp || f_.threads > kMaxThreads || f_.threads % kWarp)
    broken("{} threads, expected a multiple of {} up to {}", f_.threads, kWarp, kMaxThreads);
  for (DType t : f_.types)
    if (is_reserved(t)) broken("a value has the reserved dtype {}", name(t));
  check_memories();
  check_region(f_.body);
  check_collectives(f_.body, varying_values(f_), nullptr);
}

void FunctionVerifier::check_memories() const {
  std::unordered_set<std::string_view> names;
  for (const Memory& m : f_.memories) {
    if (!is_identifier(m.name)) broken("memory name '{}' is not an identifier", m.name);
    if (!names.insert(m.name).second) broken("two memories are named %{}", m.name);
    if (is_reserved(m.dtype)) broken("memory %{}: dtype {} is reserved", m.name, name(m.dtype));
    if (m.elements < 0 || m.elements > kMaxElements) broken("memory %{}: {}", m.name, counted(m.elements, "element"));
    if (m.space == Memory::shared && (m.buffer != kNone || m.read_only))
      broken("memory %{}: a shared array belongs to no buffer and is not read-only", m.name);
    if (m.space == Memory::shared && m.elements > kMaxShared)
      broken("memory %{}: {} elements are shared", m.name, m.elements);
  }
  if (const std::int64_t end = shared_layout(f_).back(); end > kMaxShared)
    broken("{} bytes of shared memory, at most {} are allowed", end, kMaxShared);
}

void FunctionVerifier::check_region(const Region& region) {
  std::vector<RegisterId> defined;
  for (const Inst& inst : region.insts) {
    inst_ = &inst;
    check_form();
    check_operands();
    check_kind();
    if (has_body(inst)) {
      const std::size_t bounds = bounds_.size();
      if (inst.kind == Inst::loop) check_loop();
      check_region(*inst.body);
      bounds_.resize(bounds);
      if (inst.kind == Inst::loop) at(state_, inst.result) = out_of_scope;
    } else {
      define();
      for (int i = 0; i < result_count(inst); ++i) defined.push_back(inst.result + i);
    }
  }
  for (RegisterId v : defined) at(state_, v) = out_of_scope;
  inst_ = nullptr;
}

// The instruction's fields, by themselves.
void FunctionVerifier::check_form() const {
  const Inst& inst = *inst_;
  const InstInfo& row = info(inst.kind);
  const bool shuffle = inst.kind == Inst::shuffle_down || inst.kind == Inst::shuffle_from;
  if (!std::has_single_bit(inst.width) || (inst.width > 1 && !row.accesses && !shuffle)) broken("width {}", inst.width);
  const std::size_t expected = row.args == InstInfo::kOperands    ? inst.args.size()
                               : row.args == InstInfo::kWidthMore ? 1u + inst.width
                                                                  : static_cast<std::size_t>(row.args);
  if (inst.args.size() != expected) broken("{}, expected {}", counted(inst.args.size(), "argument"), expected);
  if (has_body(inst) != (inst.body != nullptr)) broken("{}", inst.body ? "it has a body" : "it has no body");
  if (!row.accesses && (inst.predicate != kNone || inst.memory != kNone)) broken("it accesses no memory");
  if (inst.kind != Inst::copy_async && inst.source != kNone) broken("it has no source");
  if (result_count(inst) == 0 && inst.result != kNone) broken("it has no result");
  if (inst.unroll && inst.kind != Inst::loop) broken("only loops are unrolled");
  if (inst.origin != kNone && !has(f_.origins, inst.origin)) broken("origin {} does not exist", inst.origin);
}

void FunctionVerifier::check_operands() const {
  for_each_operand(*inst_, [&](RegisterId v) {
    if (!has(f_.types, v)) broken("value {} does not exist", v);
    if (at(state_, v) == undefined) broken("%{} is used before its definition", v);
    if (at(state_, v) == out_of_scope) broken("%{} is used outside the region of its definition", v);
  });
}

void FunctionVerifier::check_kind() const {
  const Inst& inst = *inst_;
  switch (inst.kind) {
    case Inst::thread:
    case Inst::block:
      if (inst.dtype != i32) broken("expected i32");
      break;
    case Inst::apply: {
      std::vector<DType> dtypes;
      for (RegisterId v : inst.args) dtypes.push_back(f_.type(v));
      DType expected = f32;
      try {
        expected = infer::scalar(inst.op, dtypes, inst.dtype);
      } catch (const Error& e) {
        broken("{}", e.what());
      }
      if (expected != inst.dtype) broken("expected {}", name(expected));
      break;
    }
    case Inst::shuffle_down:
    case Inst::shuffle_from: check_shuffle(); break;
    case Inst::load:
    case Inst::store:
    case Inst::copy_async: check_access(); break;
    case Inst::wait_async:
      if (inst.bits > std::numeric_limits<std::int32_t>::max()) broken("{} groups", inst.bits);
      break;
    case Inst::variable: require_dtype(inst.args[0], inst.dtype, "the initial value"); break;
    case Inst::set:
      if (at(defined_by_, inst.args[0])->kind != Inst::variable) broken("%{} is not a variable", inst.args[0]);
      if (std::find(bounds_.begin(), bounds_.end(), inst.args[0]) != bounds_.end())
        broken("%{} bounds a loop around", inst.args[0]);
      require_dtype(inst.args[1], f_.type(inst.args[0]), "the value");
      break;
    case Inst::when: require_dtype(inst.args[0], boolean, "the condition"); break;
    case Inst::mma_tf32:
    case Inst::mma_bf16:
      for (RegisterId v : inst.args) require_dtype(v, f32, "the operand");
      if (inst.dtype != f32) broken("expected f32");
      break;
    case Inst::constant:
    case Inst::commit_async:
    case Inst::barrier:
    case Inst::loop: break;
  }
}

void FunctionVerifier::check_access() const {
  const Inst& inst = *inst_;
  if (!has(f_.memories, inst.memory)) broken("memory {} does not exist", inst.memory);
  const Memory& m = at(f_.memories, inst.memory);
  const std::size_t bytes = inst.width * size_of(m.dtype);
  if (bytes > kMaxBytes) broken("{} bytes at once, at most {} are allowed", bytes, kMaxBytes);
  require_index(inst.args[0]);
  if (inst.predicate != kNone) require_dtype(inst.predicate, boolean, "the predicate");
  if (inst.kind == Inst::load && inst.dtype != m.dtype) broken("expected {}", name(m.dtype));
  if (inst.kind != Inst::load && m.read_only) broken("%{} is read-only", m.name);
  if (inst.kind == Inst::store)
    for (std::size_t i = 1; i < inst.args.size(); ++i) require_dtype(inst.args[i], m.dtype, "the value");
  if (inst.kind == Inst::copy_async) {
    if (!has(f_.memories, inst.source)) broken("memory {} does not exist", inst.source);
    const Memory& source = at(f_.memories, inst.source);
    require_index(inst.args[1]);
    if (m.space != Memory::shared || source.space != Memory::global) broken("a copy goes from global to shared memory");
    if (m.dtype != source.dtype) broken("a copy from {} to {}", name(source.dtype), name(m.dtype));
    if (bytes < 4) broken("{} bytes, expected 4, 8 or 16", bytes);
  }
}

void FunctionVerifier::check_shuffle() const {
  const Inst& inst = *inst_;
  if (inst.width < 2 || inst.width > kWarp) broken("width {}, expected 2 to {}", inst.width, kWarp);
  if (inst.bits >= inst.width) broken("lane {} of segments of {}", inst.bits, inst.width);
  if (size_of(inst.dtype) < 4) broken("{} is not shuffled: expected 4 or 8 bytes", name(inst.dtype));
  require_dtype(inst.args[0], inst.dtype, "the value");
}

void FunctionVerifier::check_loop() {
  const Inst& inst = *inst_;
  if (inst.dtype != i32 && inst.dtype != i64) broken("the counter is {}, expected i32 or i64", name(inst.dtype));
  for (RegisterId v : inst.args) require_dtype(v, inst.dtype, "the bound");
  const auto step = static_cast<std::int64_t>(inst.bits);
  if (step <= 0 || (inst.dtype == i32 && step > std::numeric_limits<std::int32_t>::max())) broken("step {}", step);
  if (inst.unroll && !(is_constant(inst.args[0]) && is_constant(inst.args[1])))
    broken("it is to be unrolled, but a bound is not constant");
  bounds_.push_back(inst.args[1]);
  define();
}

void FunctionVerifier::define() {
  const Inst& inst = *inst_;
  for (int i = 0; i < result_count(inst); ++i) {
    if (!has(f_.types, inst.result)) broken("value {} does not exist", inst.result);
    const RegisterId v = inst.result + i;
    if (!has(f_.types, v)) broken("value {} does not exist", v);
    if (at(state_, v) != undefined) broken("%{} is defined twice", v);
    if (f_.type(v) != inst.dtype) broken("the type of %{} is {}", v, name(f_.type(v)));
    at(state_, v) = in_scope;
    at(defined_by_, v) = inst_;
  }
}

void FunctionVerifier::check_collectives(const Region& region, const std::vector<bool>& varying, const Inst* parted) {
  for (const Inst& inst : region.insts) {
    inst_ = &inst;
    if (parted && info(inst.kind).collective) broken("threads may have parted at: {}", inst_text(f_, *parted));
    if (!has_body(inst)) continue;
    bool parts = false;
    for_each_operand(inst, [&](RegisterId v) { parts |= at(varying, v); });
    check_collectives(*inst.body, varying, parts ? &inst : parted);
  }
  inst_ = nullptr;
}

}  // namespace

void verify(const Function& f) { FunctionVerifier(f).run(); }

}  // namespace weft::simt
