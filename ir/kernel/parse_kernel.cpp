// Lowered programs from their text; the grammar is in ir/README.md, the inverse in ir/kernel/print_kernel.cpp. Hostile
// input, as in ir/graph/parse.cpp: names are resolved here with their line and column; what remains is left to the
// verifier, whose finding is reported at the kernel that it names.
#include <algorithm>
#include <limits>
#include <unordered_map>

#include "ir/base/at.h"
#include "ir/base/text.h"
#include "ir/kernel/kernel_builder.h"
#include "ir/kernel/print_kernel.h"
#include "ir/kernel/verify_kernel.h"

namespace weft {
namespace {

class ProgramParser {
 public:
  ProgramParser(std::string_view text, std::string_view file) : lex_(text, file) {}
  Program run();

 private:
  using Names = std::unordered_map<std::string_view, std::int32_t>;

  void item();
  void buffer(Buffer::Kind);
  std::vector<BufferId> buffer_list();

  void loop();
  void kernel();
  void axes();
  void schedule();
  template <class S>
  S schedule_of();
  void expression();
  void phase();
  void stage(Phase&);
  void map(KernelStage&);
  void scatter(KernelStage&);
  void accumulate(KernelStage&);
  void contract(KernelStage&);

  Store store();
  void access(BufferId&, std::vector<Index>&);
  Index index();
  AxisId axis();
  ExprId expr();
  std::int32_t accumulator(std::string_view what, bool defines);
  std::int32_t find(const Names&, const Token&, std::string_view what) const;
  void define(Names&, const Token&, std::int32_t id);

  Lexer lex_;
  Program program_;
  Names buffers_;
  std::vector<Token> kernel_tokens_;
  std::vector<std::int64_t> turns_;  // of the loops that are open, the outermost first
  Token name_;                       // of the program
  Token arena_;                      // its size
  // Of the kernel that is being parsed:
  KernelBuilder builder_;
  Names axes_, exprs_, accumulators_;
};

Program ProgramParser::run() {
  lex_.expect_word("program", "at the start of a program");
  name_ = lex_.expect(Token::symbol, "the program's name, such as @step");
  program_.name = name_.text;
  program_.check_indices = true;
  lex_.expect('{', "before the body");
  while (!lex_.accept('}')) item();
  if (lex_.peek().kind != Token::end)
    lex_.fail_at(lex_.peek(), "expected the end of the text after '}}', found {}", describe(lex_.peek()));
  if (const std::optional<Violation> v = find_violation(program_))
    lex_.fail_at(v->of_arena ? arena_ : v->kernel == kNone ? name_ : at(kernel_tokens_, v->kernel), "{}", v->what);
  return std::move(program_);
}

void ProgramParser::item() {
  const Token t = lex_.peek();
  const auto kind = std::find(std::begin(kBufferKinds), std::end(kBufferKinds), t.text);
  if (t.kind == Token::word && kind != std::end(kBufferKinds))
    return buffer(static_cast<Buffer::Kind>(kind - std::begin(kBufferKinds)));
  if (t.is("kernel")) return kernel();
  if (t.is("loop")) return loop();
  if (lex_.accept("arena")) {
    arena_ = lex_.peek();
    program_.arena_bytes = parse_integer(lex_, "the arena's size in bytes");
    return;
  }
  if (lex_.accept("inputs")) return void(program_.inputs = buffer_list());
  if (lex_.accept("outputs")) return void(program_.outputs = buffer_list());
  if (lex_.accept("updates")) return void(program_.updates = buffer_list());
  lex_.fail_at(t, "expected a buffer, arena, inputs, outputs, updates, kernel, loop or '}}', found {}", describe(t));
}

// temp %t0: f32[2] {offset=64} | state %w: f32[2,64] {panels=32} | view %v of %t0: f32[2,1] |
// constant %c: f32[2] = [1, 2] | input %x: f32[2] | …
void ProgramParser::buffer(Buffer::Kind kind) {
  lex_.next();
  Buffer b;
  b.kind = kind;
  const Token name = lex_.expect(Token::value, "the name of a buffer, such as %x");
  b.name = name.text;
  if (kind == Buffer::view) {
    lex_.expect_word("of", "after the name of a view");
    b.base = find(buffers_, lex_.expect(Token::value, "the base of the view"), "buffer");
  }
  lex_.expect(':', "before the type of a buffer");
  const Token type_at = lex_.peek();
  b.type = parse_type(lex_);
  if (!is_static(b.type.shape)) lex_.fail_at(type_at, "a buffer cannot have an unbound extent '?'");
  if ((kind == Buffer::temp || kind == Buffer::state || kind == Buffer::view) && lex_.accept('{')) {
    do {
      const Token field = lex_.peek();
      const bool offset = kind == Buffer::temp && lex_.accept("offset");
      if (!offset && !lex_.accept("panels"))
        lex_.fail_at(field, "expected {}panels in the braces of a buffer, found {}",
                     kind == Buffer::temp ? "offset or " : "", describe(field));
      lex_.expect('=', "after the name of a field");
      (offset ? b.offset : b.panels) = parse_integer(lex_, offset ? "an offset in bytes" : "the width of a panel");
    } while (lex_.accept(','));
    lex_.expect('}', "or ',' after a field of a buffer");
  }
  if (kind == Buffer::constant) {
    lex_.expect('=', "before the value of a constant");
    b.literal = std::make_shared<const Array>(parse_literal(lex_, b.type));
  }
  define(buffers_, name, static_cast<BufferId>(program_.buffers.size()));
  program_.buffers.push_back(std::move(b));
}

std::vector<BufferId> ProgramParser::buffer_list() {
  std::vector<BufferId> ids;
  do ids.push_back(find(buffers_, lex_.expect(Token::value, "a buffer such as %x"), "buffer"));
  while (lex_.accept(','));
  return ids;
}

// loop 28 { kernel … loop … }
void ProgramParser::loop() {
  const Token begin = lex_.next(), number = lex_.peek();
  const std::int64_t turns = parse_integer(lex_, "how many turns the loop has");
  if (turns < 0) lex_.fail_at(number, "a loop of {} turns", turns);
  if (turns_.size() == kMaxAxes) lex_.fail_at(begin, "loops are at most {} deep", kMaxAxes);
  lex_.expect('{', "before the kernels of a loop");
  const std::size_t l = program_.loops.size();
  program_.loops.push_back({program_.kernels.size(), 0, turns});
  turns_.push_back(turns);
  while (!lex_.accept('}')) {
    const Token t = lex_.peek();
    if (t.is("kernel"))
      kernel();
    else if (t.is("loop"))
      loop();
    else
      lex_.fail_at(t, "expected kernel, loop or '}}' in a loop, found {}", describe(t));
  }
  program_.loops[l].end = program_.kernels.size();
  if (program_.loops[l].begin == program_.loops[l].end) lex_.fail_at(begin, "a loop without kernels");
  turns_.pop_back();
}

// kernel @name { turns t=28 axes … schedule cpu {…} %e0: f32 = … phase (…) {…} }
void ProgramParser::kernel() {
  lex_.next();
  const Token name = lex_.expect(Token::symbol, "the kernel's name, such as @dense");
  kernel_tokens_.push_back(name);
  builder_ = {};
  builder_.kernel.name = name.text;
  axes_ = {};
  exprs_ = {};
  accumulators_ = {};
  lex_.expect('{', "before the body of a kernel");
  builder_.kernel.locs = parse_locs(lex_, lex_.loc(name));
  while (!lex_.accept('}')) {
    const Token t = lex_.peek();
    if (lex_.accept("axes")) {
      axes();
    } else if (lex_.accept("turns")) {
      if (!builder_.kernel.axes.empty()) lex_.fail_at(t, "turns stand once, before the axes");
      axes();
      builder_.kernel.turns = static_cast<int>(builder_.kernel.axes.size());
    } else if (lex_.accept("schedule"))
      schedule();
    else if (lex_.accept("phase"))
      phase();
    else if (t.kind == Token::value)
      expression();
    else
      lex_.fail_at(t, "expected turns, axes, schedule, an expression such as '%e0: f32 = …', phase or '}}', found {}",
                   describe(t));
  }
  program_.kernels.push_back(std::move(builder_.kernel));
}

// axes m=128, n=512
void ProgramParser::axes() {
  do {
    const Token name = lex_.expect(Token::word, "the name of an axis");
    lex_.expect('=', "after the name of an axis");
    if (builder_.kernel.axes.size() == kMaxAxes) lex_.fail_at(name, "a kernel has at most {} axes", kMaxAxes);
    define(axes_, name, static_cast<AxisId>(builder_.kernel.axes.size()));
    builder_.kernel.axes.push_back({std::string(name.text), parse_integer(lex_, "the extent of an axis")});
  } while (lex_.accept(','));
}

// schedule cpu {vector=n, mr=6, pack_rhs} | schedule gpu {threads=n, rows=8, cols=8, tm=4, tn=4, k=16, stages=2}
void ProgramParser::schedule() {
  const Token machine = lex_.expect(Token::word, "cpu or gpu");
  if (!machine.is("cpu") && !machine.is("gpu"))
    lex_.fail_at(machine, "expected the schedule of a cpu or a gpu, found {}", describe(machine));
  if (machine.is("cpu"))
    builder_.kernel.schedule = schedule_of<CpuSchedule>();
  else
    builder_.kernel.schedule = schedule_of<GpuSchedule>();
}

template <class S>
S ProgramParser::schedule_of() {
  S s;
  lex_.expect('{', "before the fields of a schedule");
  if (lex_.accept('}')) return s;
  do {
    const Token name = lex_.expect(Token::word, "a field of a schedule");
    const auto fields = fields_of(s);
    const auto field = std::ranges::find(fields, name.text, &ScheduleField<S>::name);
    if (field == fields.end()) {
      std::string known;
      for (const ScheduleField<S>& f : fields) known += (known.empty() ? "" : ", ") + std::string(f.name);
      lex_.fail_at(name, "such a schedule has no field {}; it has {}", describe(name), known);
    }
    if (field->flag) {
      s.*field->flag = true;
      continue;
    }
    lex_.expect('=', "after a field of a schedule");
    const Token value = lex_.peek();
    if (field->axis) {
      s.*field->axis = axis();
    } else {
      const std::int64_t n = parse_integer(lex_, "a size");
      if (n < 0 || (field->small && n > std::numeric_limits<int>::max()))
        lex_.fail_at(value, "{} is out of range for {}", n, field->name);
      if (field->small) s.*field->small = static_cast<int>(n);
      if (field->big) s.*field->big = n;
    }
  } while (lex_.accept(','));
  lex_.expect('}', "or ',' after a field of a schedule");
  return s;
}

// %e2: f32 = constant 1 | index 2*m + 3 | load %x[m, n] if %e1 | accumulator %a0 | op %e0, %e1
void ProgramParser::expression() {
  const Token name = lex_.next();
  lex_.expect(':', "after the name of an expression");
  const Token dtype = lex_.expect(Token::word, "a dtype");
  const std::optional<DType> t = parse_dtype(dtype.text);
  if (!t || is_reserved(*t)) lex_.fail_at(dtype, "{} is not a dtype that expressions can have", describe(dtype));
  lex_.expect('=', "after the dtype of an expression");
  Expr e;
  e.dtype = *t;
  const Token kind = lex_.expect(Token::word, "constant, index, load, accumulator or an op");
  if (kind.is("constant")) {
    parse_element(lex_, e.dtype, reinterpret_cast<std::byte*>(&e.bits));
  } else if (kind.is("index")) {
    e.kind = Expr::index;
    e.access.push_back(index());
  } else if (kind.is("load")) {
    e.kind = Expr::load;
    access(e.buffer, e.access);
    if (lex_.accept("if")) e.args.push_back(expr());
  } else if (kind.is("accumulator")) {
    e.kind = Expr::accumulator;
    e.result = accumulator("an accumulator such as %a0", false);
  } else {
    e.kind = Expr::apply;
    const std::optional<Op> op = parse_op(kind.text);
    if (!op || !(is_elementwise(*op) || *op == Op::random)) {
      std::vector<std::string_view> names;
      for (int i = 0; i < kOpCount; ++i)
        if (is_elementwise(static_cast<Op>(i))) names.push_back(weft::name(static_cast<Op>(i)));
      lex_.fail_at(kind, "{} is not an elementwise op{}", describe(kind), suggestion(kind.text, names));
    }
    e.op = *op;
    do e.args.push_back(expr());
    while (lex_.accept(','));
  }
  define(exprs_, name, builder_.add(std::move(e)));
}

// phase (m, n) chunk=256 { stage … }
void ProgramParser::phase() {
  Phase phase;
  lex_.expect('(', "before the parallel axes of a phase");
  if (!lex_.accept(')')) {
    do phase.parallel.push_back(axis());
    while (lex_.accept(','));
    lex_.expect(')', "or ',' after a parallel axis");
  }
  if (lex_.accept("chunk")) {
    lex_.expect('=', "after chunk");
    phase.chunk = parse_integer(lex_, "the points of a chunk");
  }
  lex_.expect('{', "before the stages of a phase");
  while (!lex_.accept('}')) stage(phase);
  builder_.kernel.phases.push_back(std::move(phase));
}

void ProgramParser::stage(Phase& phase) {
  KernelStage s;
  const Token t = lex_.peek();
  if (lex_.accept("map"))
    map(s);
  else if (lex_.accept("scatter"))
    scatter(s);
  else if (t.kind == Token::value)
    accumulate(s);
  else
    lex_.fail_at(t, "expected map, scatter, an accumulation such as '%a0 = …' or '}}', found {}", describe(t));
  phase.stages.push_back(std::move(s));
}

// map over n: store … | map over n { store … store … }
void ProgramParser::map(KernelStage& s) {
  if (lex_.accept("over")) s.axis = axis();
  if (lex_.accept(':')) {
    s.stores.push_back(store());
    return;
  }
  lex_.expect('{', "or ':' before the stores of a map");
  while (!lex_.accept('}')) s.stores.push_back(store());
}

Store ProgramParser::store() {
  Store s;
  lex_.expect_word("store", "in a map");
  access(s.buffer, s.access);
  lex_.expect('=', "before the stored value");
  s.value = expr();
  return s;
}

// scatter over k: %x[m, %e0] += %e1 if %e2 | scatter over k: %x[m, k] += %e1 into %y[m, k]
void ProgramParser::scatter(KernelStage& s) {
  s.kind = KernelStage::scatter;
  if (lex_.accept("over")) s.axis = axis();
  lex_.expect(':', "before the store of a scatter");
  Store store;
  access(store.buffer, store.access);
  lex_.expect('+', "before '=' and the added value");
  lex_.expect('=', "before the added value");
  store.value = expr();
  s.stores.push_back(std::move(store));
  if (lex_.accept("into")) {
    Store& sum = s.stores.emplace_back();
    access(sum.buffer, sum.access);
    sum.value = s.stores[0].value;
  }
  if (lex_.accept("if")) s.predicate = expr();
}

// %a0 = contract m=m, n=(n0, n1) over k chunk c: %e0 * %e1 | %a1 = reduce_sum over n striped: %e2 | … tree: %e2 | …
// chain: %e2
void ProgramParser::accumulate(KernelStage& s) {
  s.result = accumulator("an accumulator", true);
  lex_.expect('=', "after an accumulator");
  const Token op_name = lex_.expect(Token::word, "contract or a reduction");
  const std::optional<Op> op = parse_op(op_name.text);
  if (op == Op::contract) return contract(s);
  if (!op || info(*op).cls != OpClass::reduce)
    lex_.fail_at(op_name, "{} is not contract or a reduction", describe(op_name));
  s.kind = KernelStage::reduce;
  s.op = *op;
  lex_.expect_word("over", "before the axis");
  s.axis = axis();
  for (const FoldOrder order : {FoldOrder::striped, FoldOrder::tree, FoldOrder::chain})
    if (lex_.accept(name_of(order))) {
      s.order = order;
      break;
    }
  lex_.expect(':', "before what is accumulated");
  s.value = expr();
}

void ProgramParser::contract(KernelStage& s) {
  s.kind = KernelStage::contract;
  if (!lex_.peek().is("over")) {
    do {
      const Token name = lex_.expect(Token::word, "a role (b, m or n), or 'over', before the axes");
      const auto role = std::ranges::find(kRoles, name.text, [](const auto& r) { return r.first; });
      if (role == std::end(kRoles) || !(s.roles.*role->second).empty())
        lex_.fail_at(name, "expected each of the roles b, m and n at most once, then 'over', found {}", describe(name));
      lex_.expect('=', "after a role");
      const bool several = lex_.accept('(');
      do (s.roles.*role->second).push_back(axis());
      while (several && lex_.accept(','));
      if (several) lex_.expect(')', "or ',' after an axis");
    } while (lex_.accept(','));
  }
  lex_.expect_word("over", "before the axes");
  do s.roles.k.push_back(axis());
  while (lex_.accept(','));
  if (lex_.accept("chunk")) s.chunk_axis = axis();
  lex_.expect(':', "before what is accumulated");
  s.lhs = expr();
  lex_.expect('*', "between the factors");
  s.rhs = expr();
}

// %x[index, …]
void ProgramParser::access(BufferId& buffer, std::vector<Index>& indices) {
  buffer = find(buffers_, lex_.expect(Token::value, "a buffer such as %x"), "buffer");
  const Token open = lex_.expect('[', "before the indices");
  if (!lex_.accept(']')) {
    do indices.push_back(index());
    while (lex_.accept(','));
    lex_.expect(']', "or ',' after an index");
  }
  const Type& type = at(program_.buffers, buffer).type;
  if (static_cast<int>(indices.size()) != type.shape.rank())
    lex_.fail_at(open, "{} for a buffer of type {}",
                 indices.size() == 1 ? "1 index" : fmt::format("{} indices", indices.size()), to_string(type));
}

// %e4 + 2*i - j + 3, in any order; coefficients of one axis add up
Index ProgramParser::index() {
  Index result;
  bool first = true;
  while (true) {
    const bool negative = lex_.accept('-');
    if (!first && !negative && !lex_.accept('+')) break;
    first = false;
    const Token t = lex_.peek();
    if (t.kind == Token::value) {
      if (negative || result.indirect != kNone) lex_.fail_at(t, "an index takes one expression, added");
      result.indirect = expr();
      continue;
    }
    std::int64_t value = 1;
    const bool number = t.kind == Token::number;
    if (number) value = parse_integer(lex_, "an integer");
    if (negative) value = -value;
    const bool term = !number || lex_.accept('*');
    const AxisId a = term ? axis() : kNone;
    auto at_axis = std::find_if(result.terms.begin(), result.terms.end(), [&](const auto& x) { return x.first >= a; });
    if (term && (at_axis == result.terms.end() || at_axis->first != a)) at_axis = result.terms.insert(at_axis, {a, 0});
    std::int64_t& sum = term ? at_axis->second : result.offset;
    if (__builtin_add_overflow(sum, value, &sum)) lex_.fail_at(t, "the index does not fit 64 bits");
  }
  std::erase_if(result.terms, [](const auto& term) { return term.second == 0; });
  return result;
}

AxisId ProgramParser::axis() { return find(axes_, lex_.expect(Token::word, "an axis"), "axis"); }

ExprId ProgramParser::expr() {
  return find(exprs_, lex_.expect(Token::value, "an expression such as %e0"), "expression");
}

// Accumulators are named %a0, %a1, …: the number is the accumulator's.
std::int32_t ProgramParser::accumulator(std::string_view what, bool defines) {
  constexpr std::int32_t kMaxAccumulators = 1 << 20;
  const Token t = lex_.expect(Token::value, what);
  std::int32_t number = 0;
  bool valid = t.text.size() >= 2 && t.text[0] == 'a' && (t.text[1] != '0' || t.text.size() == 2);
  for (const char c : t.text.substr(std::min<std::size_t>(1, t.text.size()))) {
    valid = valid && c >= '0' && c <= '9' && number < kMaxAccumulators;
    if (valid) number = 10 * number + (c - '0');
  }
  if (!valid || number >= kMaxAccumulators)
    lex_.fail_at(t, "expected an accumulator such as %a0, found {}", describe(t));
  if (defines) define(accumulators_, t, number);
  return number;
}

std::int32_t ProgramParser::find(const Names& names, const Token& t, std::string_view what) const {
  const auto it = names.find(t.text);
  if (it == names.end()) lex_.fail_at(t, "undefined {} {}", what, describe(t));
  return it->second;
}

void ProgramParser::define(Names& names, const Token& t, std::int32_t id) {
  if (!names.emplace(t.text, id).second) lex_.fail_at(t, "{} is defined twice", describe(t));
}

}  // namespace

Program parse_program(std::string_view text, const std::string& file) { return ProgramParser(text, file).run(); }

}  // namespace weft
