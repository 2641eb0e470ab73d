// The graph from its text; the grammar is in ir/README.md, the inverse in ir/graph/print.cpp. The input is hostile: no
// recursion (a func is defined before it is used), every list is bounded by the text that holds it, and nothing is
// allocated before its size is checked.
#include <unordered_map>
#include <unordered_set>

#include "ir/base/text.h"
#include "ir/graph/body.h"

namespace weft {
namespace {

/// The functions that the text has defined so far.
struct Function {
  BodyRef body;
  Token name;
  bool used = false;
};
using Functions = std::unordered_map<std::string_view, Function>;

/// Reads one func.
class GraphParser {
 public:
  GraphParser(Lexer& lex, Functions& functions) : lex_(lex), functions_(functions) {}
  Graph run();

 private:
  struct Value {
    ValueId id;
    std::uint32_t line;
  };

  void parameter();
  void statement();
  void node();
  void kernel();
  void update();
  void outputs();
  void attributes(const OpInfo&, const Token& op, Attrs&, std::optional<Lexer>& literal);
  BodyRef function();
  ValueId use(const Token& name) const;
  void define(const Token& name, ValueId);
  void mention(ValueId, bool is_new, const Token& at);
  [[noreturn]] void unknown_op(const Token& op) const;

  Lexer& lex_;
  Functions& functions_;
  Graph graph_;
  std::optional<Group> kernel_;    // what the kernel block that is open says of its group
  std::int32_t group_ = kNoGroup;  // that group, made when the block turns out to hold a new node
  std::unordered_map<std::string_view, Value> values_;
  std::unordered_set<std::string_view> kernel_names_;
  std::unordered_map<ValueId, InputKind> inputs_;
  std::unordered_map<ValueId, std::uint32_t> update_lines_;
  // Provenance of second and later mentions of a node, unioned once at the end: one by one would be quadratic.
  std::unordered_map<ValueId, std::vector<Loc>> more_locs_;
};

Graph GraphParser::run() {
  lex_.expect_word("func", "at the start of a graph");
  const Token name = lex_.expect(Token::symbol, "the graph's name, such as @step");
  if (!is_identifier(name.text)) lex_.fail_at(name, "{} is not an identifier", describe(name));
  graph_.name = name.text;
  lex_.expect('(', "before the inputs");
  if (!lex_.accept(')')) {
    do parameter();
    while (lex_.accept(','));
    lex_.expect(')', "or ',' after an input");
  }
  lex_.expect('{', "before the body");
  while (!lex_.peek().is('}')) {
    const bool last = lex_.peek().is("return");
    statement();
    if (last && !lex_.peek().is('}'))
      lex_.fail_at(lex_.peek(), "expected '}}' after the outputs, found {}", describe(lex_.peek()));
  }
  lex_.next();
  for (auto& [id, locs] : more_locs_) graph_.add_locs(id, LocSet::of(locs));
  return std::move(graph_);
}

// [state] %name: type
void GraphParser::parameter() {
  const InputKind kind = lex_.accept("state") ? InputKind::state : InputKind::data;
  const Token name = lex_.expect(Token::value, "an input such as %x");
  if (!is_identifier(name.text) && !name.quoted)
    lex_.fail_at(name, "input name {} is not an identifier; another name stands in quotes, %\"{}\"", describe(name),
                 name.text);
  if (!is_name(name.text))
    lex_.fail_at(name, "input name {} is no name: expected text in UTF-8, not empty", describe(name));
  lex_.expect(':', "after the name of an input");
  const Type type = parse_type(lex_);
  // The comment that holds the provenance comes after the comma, if there is one.
  Lexer after = lex_;
  after.accept(',');
  const LocSet locs = parse_locs(after, lex_.loc(name));
  if (values_.contains(name.key())) define(name, kNoValue);
  const ValueId id = graph_.input(std::string(name.text), type, kind, locs);
  inputs_.emplace(id, kind);
  define(name, id);
}

void GraphParser::statement() {
  const Token t = lex_.peek();
  if (t.kind == Token::value) return node();
  if (t.is("kernel")) return kernel();
  if (t.is("update")) return update();
  if (t.is("return")) return outputs();
  lex_.fail_at(t, "expected a node such as '%0 = …', kernel, update, return or '}}', found {}", describe(t));
}

// %name = op %operand, … {attribute=…, …} : type
void GraphParser::node() {
  const Token name = lex_.expect(Token::value, "the name of a value");
  lex_.expect('=', "after the name of a value");
  const Token op_name = lex_.expect(Token::word, "an op");
  const std::optional<Op> op = parse_op(op_name.text);
  if (!op) unknown_op(op_name);
  if (*op == Op::input) lex_.fail_at(op_name, "inputs are declared in the head of the func");
  const OpInfo& row = info(*op);

  std::vector<ValueId> operands;
  if (lex_.peek().kind == Token::value) {
    do operands.push_back(use(lex_.expect(Token::value, "an operand such as %x")));
    while (lex_.accept(','));
  }
  Attrs attrs;
  std::optional<Lexer> literal;
  attributes(row, op_name, attrs, literal);
  lex_.expect(':', "before the result type");
  const Token type_at = lex_.peek();
  const Type type = parse_result_type(lex_);
  if (literal) attrs.literal = std::make_shared<const Array>(parse_literal(*literal, type));

  const std::size_t size_before = graph_.size();
  ValueId id = kNoValue;
  try {
    id = graph_.add(*op, std::move(operands), std::move(attrs), row.declared_type ? std::optional(type) : std::nullopt);
  } catch (const Error& e) {
    lex_.fail_at(op_name, "{}", e.what());
  }
  if (!(graph_[id].type == type))
    lex_.fail_at(type_at, "{} has type {}, the text says {}", row.name, to_string(graph_[id].type), to_string(type));
  const bool is_new = graph_.size() > size_before;
  mention(id, is_new, name);
  define(name, id);
  if (is_new && kernel_) {
    if (const std::string why = misfit(graph_, id, *kernel_); !why.empty())
      lex_.fail_at(op_name, "{} {}", row.name, why);
    if (group_ == kNoGroup) group_ = graph_.add_group(*kernel_);
    graph_.set_group(id, group_);
  }
}

void GraphParser::unknown_op(const Token& op) const {
  std::vector<std::string_view> names;
  for (int i = 0; i < kOpCount; ++i) names.push_back(info(static_cast<Op>(i)).name);
  lex_.fail_at(op, "unknown op {}{}", describe(op), suggestion(op.text, names));
}

// {name=1, name=[1,2], value=literal, name=@function}. The literal is only skipped: its type comes later in the text.
void GraphParser::attributes(const OpInfo& row, const Token& op, Attrs& attrs, std::optional<Lexer>& literal) {
  std::vector<std::string_view> names;  // the row's, then those of its bodies
  for (Attr attr : row.attrs) names.push_back(weft::name(attr));
  if (row.op == Op::constant) names.push_back("value");
  for (std::size_t i = 0; i < row.control.count(); ++i) names.push_back(row.control.names[i]);
  attrs.bodies.resize(row.control.count());
  std::uint64_t seen = 0;
  const auto attribute = [&] {
    const Token name = lex_.expect(Token::word, "the name of an attribute");
    const std::size_t i = static_cast<std::size_t>(std::ranges::find(names, name.text) - names.begin());
    const bool is_value = row.op == Op::constant && name.is("value");
    if (i == names.size()) {
      std::string known;
      for (std::string_view attr : names) known += (known.empty() ? "; it has " : ", ") + std::string(attr);
      lex_.fail_at(name, "{} has no attribute {}{}", row.name, describe(name), known);
    }
    if (seen >> i & 1) lex_.fail_at(name, "attribute {} is given twice", describe(name));
    seen |= std::uint64_t{1} << i;
    lex_.expect('=', "after the name of an attribute");
    if (is_value) {
      literal = lex_;
      skip_literal(lex_);
    } else if (i >= row.attrs.size()) {
      attrs.bodies[i - row.attrs.size()] = function();
    } else if (const Attr attr = row.attrs.begin()[i]; is_scalar(attr)) {
      attrs[attr] = Dims{is_extent(attr) ? parse_extent(lex_) : parse_integer(lex_, "an integer")};
    } else {
      attrs[attr] = parse_dims(lex_);
    }
  };
  if (lex_.accept('{') && !lex_.accept('}')) {
    do attribute();
    while (lex_.accept(','));
    lex_.expect('}', "or ',' after an attribute");
  }
  for (Attr attr : row.attrs)
    if (is_scalar(attr) && std::as_const(attrs)[attr].empty())
      lex_.fail_at(op, "{} needs the attribute {}", row.name, weft::name(attr));
  if (row.op == Op::constant && !literal) lex_.fail_at(op, "constant needs the attribute value");
  for (std::size_t i = 0; i < attrs.bodies.size(); ++i)
    if (!attrs.bodies[i]) lex_.fail_at(op, "{} needs the attribute {}", row.name, row.control.names[i]);
}

// @name, of a func above.
BodyRef GraphParser::function() {
  const Token name = lex_.expect(Token::symbol, "a function such as @body");
  const auto found = functions_.find(name.text);
  if (found == functions_.end()) {
    std::vector<std::string_view> names;
    for (const auto& f : functions_) names.push_back(f.first);
    lex_.fail_at(name, "{} is not defined above{}", describe(name), suggestion(name.text, names));
  }
  found->second.used = true;
  return found->second.body;
}

// kernel @name map [8,32] { node … }, the same with contract, scatter, concat or scan, or reduce [8,32] over 1
void GraphParser::kernel() {
  lex_.next();
  const Token name = lex_.expect(Token::symbol, "the kernel's name, such as @dense");
  if (!is_identifier(name.text)) lex_.fail_at(name, "{} is not an identifier", describe(name));
  if (!kernel_names_.insert(name.text).second) lex_.fail_at(name, "kernel {} is defined twice", describe(name));
  Group group{.name = std::string(name.text)};
  const Token kind = lex_.peek();
  std::vector<std::string_view> kinds;
  for (int k = Group::map; k <= Group::scan; ++k) kinds.push_back(weft::name(static_cast<Group::Kind>(k)));
  const auto found = std::ranges::find(kinds, kind.text);
  if (kind.kind != Token::word || found == kinds.end())
    lex_.fail_at(kind, "expected the kind of kernel {}, one of {}; found {}{}", describe(name), fmt::join(kinds, ", "),
                 describe(kind), suggestion(kind.text, kinds));
  lex_.next();
  group.kind = static_cast<Group::Kind>(found - kinds.begin());
  group.domain = parse_shape(lex_, "before the domain of a kernel");
  if (group.kind == Group::reduce) {
    lex_.expect_word("over", "before the axis that is reduced");
    const Token axis = lex_.peek();
    const std::int64_t a = parse_integer(lex_, "an axis of the domain");
    if (a < 0 || a >= group.domain.rank())
      lex_.fail_at(axis, "axis {} is not one of the {} of the domain {}", a, group.domain.rank(),
                   to_string(group.domain));
    group.axis = static_cast<int>(a);
  }
  kernel_ = std::move(group);
  group_ = kNoGroup;
  lex_.expect('{', "before the nodes of a kernel");
  while (!lex_.accept('}')) {
    if (lex_.peek().kind != Token::value)
      lex_.fail_at(lex_.peek(), "expected a node or '}}' in kernel @{}, found {}", kernel_->name,
                   describe(lex_.peek()));
    node();
  }
  kernel_.reset();
}

// update %state = %value
void GraphParser::update() {
  lex_.next();
  const Token state = lex_.expect(Token::value, "a state input");
  const ValueId state_id = use(state);
  const auto input = inputs_.find(state_id);
  if (input == inputs_.end() || input->second != InputKind::state)
    lex_.fail_at(state, "{} is not a state input: only those are updated", describe(state));
  lex_.expect('=', "after the state");
  const Token value = lex_.expect(Token::value, "the new value of the state");
  const ValueId value_id = use(value);
  const auto [earlier, inserted] = update_lines_.emplace(state_id, state.line);
  if (!inserted) lex_.fail_at(state, "{} is updated twice, first in line {}", describe(state), earlier->second);
  const Type &have = graph_[value_id].type, &want = graph_[state_id].type;
  if (!(have == want))
    lex_.fail_at(value, "state {} is {}, its new value {} is {}", describe(state), to_string(want), describe(value),
                 to_string(have));
  try {
    graph_.update(state_id, value_id);
  } catch (const Error& e) {
    lex_.fail_at(state, "{}", e.what());
  }
}

// return %x, name = %y
void GraphParser::outputs() {
  lex_.next();
  do {
    Token name = lex_.peek();
    if (name.kind == Token::word || name.kind == Token::string) {
      lex_.next();
      lex_.expect('=', "after the name of an output");
    }
    const Token value = lex_.expect(Token::value, "an output");
    const ValueId id = use(value);
    const std::string fallback = fmt::format("out{}", graph_.outputs().size());
    const bool named = name.quoted || is_identifier(name.text);
    try {
      graph_.output(named ? std::string(name.text) : fallback, id);
    } catch (const Error& e) {
      lex_.fail_at(name, "{}", e.what());
    }
  } while (lex_.accept(','));
}

ValueId GraphParser::use(const Token& name) const {
  const auto it = values_.find(name.key());
  if (it == values_.end()) lex_.fail_at(name, "undefined value {}", describe(name));
  return it->second.id;
}

void GraphParser::define(const Token& name, ValueId id) {
  const auto [it, inserted] = values_.emplace(name.key(), Value{id, name.line});
  if (!inserted) lex_.fail_at(name, "value {} is defined twice, first in line {}", describe(name), it->second.line);
}

void GraphParser::mention(ValueId id, bool is_new, const Token& at) {
  const LocSet locs = parse_locs(lex_, lex_.loc(at));
  if (is_new) return graph_.add_locs(id, locs);
  std::vector<Loc>& more = more_locs_[id];
  more.insert(more.end(), locs.locs().begin(), locs.locs().end());
}

}  // namespace

Graph parse_graph(std::string_view text, const std::string& file) {
  Lexer lex(text, file);
  Functions functions;
  for (;;) {
    Lexer at_name = lex;
    at_name.next();
    const Token name = at_name.peek();
    Graph graph = GraphParser(lex, functions).run();
    if (const auto known = functions.find(name.text); known != functions.end())
      lex.fail_at(name, "{} is defined twice, first in line {}", describe(name), known->second.name.line);
    if (lex.peek().kind == Token::end) {
      for (const auto& [_, f] : functions)
        if (!f.used)
          lex.fail_at(f.name, "{} is used by no other function; the last one is the graph", describe(f.name));
      return graph;
    }
    if (!lex.peek().is("func"))
      lex.fail_at(lex.peek(), "expected another func or the end of the text after '}}', found {}",
                  describe(lex.peek()));
    try {
      functions.emplace(name.text, Function{make_body(std::move(graph)), name});
    } catch (const Error& e) {
      lex.fail_at(name, "{}", e.what());
    }
  }
}

}  // namespace weft
