// The pattern language: parser, matcher and builder. The syntax is described in rules.h.
#include "passes/graph/rules.h"

#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>

namespace weft {
namespace {

/// `unary` and `binary` are parsed to these ops, which no pattern can name, and replaced by instantiate().
constexpr Op kAnyUnary = Op::input, kAnyBinary = Op::constant;

struct TermParser {
  std::string_view text;
  std::vector<std::string>& names;
  std::size_t at = 0;

  char peek() {
    while (at < text.size() && text[at] == ' ') ++at;
    return at < text.size() ? text[at] : '\0';
  }
  void expect(char c) { ensure(peek() == c, "rule '{}': expected '{}' at column {}", text, c, at), ++at; }
  std::string word() {
    peek();
    const std::size_t begin = at;
    while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_')) ++at;
    ensure(at > begin, "rule '{}': expected a name at column {}", text, begin);
    return std::string(text.substr(begin, at - begin));
  }
  int slot(const std::string& name) {
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i] == name) return static_cast<int>(i);
    names.push_back(name);
    return static_cast<int>(names.size()) - 1;
  }
  Term parse() {
    Term t;
    const bool inf = peek() == 'i' && text.substr(at).starts_with("inf") && !text.substr(at).starts_with("inf(");
    if (std::isdigit(static_cast<unsigned char>(peek())) || peek() == '-' || inf) {
      const std::string tail(text.substr(at));
      char* end = nullptr;
      t.kind = Term::number;
      t.value = std::strtod(tail.c_str(), &end);
      ensure(end != tail.c_str(), "rule '{}': expected a number at column {}", text, at);
      at += static_cast<std::size_t>(end - tail.c_str());
      return t;
    }
    if (peek() == '$') {
      ++at;
      t.kind = Term::splat;
      t.slot = slot(word());
      return t;
    }
    const std::string name = word();
    if (peek() != '(' && peek() != '@') {
      t.slot = slot(name);
      return t;
    }
    t.kind = Term::op;
    if (name == "unary" || name == "binary") {
      t.code = name == "unary" ? kAnyUnary : kAnyBinary;
    } else {
      const std::optional<Op> code = parse_op(name);
      ensure(code.has_value(), "rule '{}': unknown op '{}'", text, name);
      t.code = *code;
    }
    if (peek() == '@') ++at, t.slot = slot(word());
    expect('(');
    if (text.substr(at).starts_with("...")) {
      at += 3;
      t.any_args = true;
    } else if (peek() != ')') {
      t.args.push_back(parse());
      while (peek() == ',') ++at, t.args.push_back(parse());
    }
    expect(')');
    return t;
  }
};

bool same(const Term& a, const Term& b) {
  if (a.kind != b.kind || a.slot != b.slot || a.value != b.value || a.code != b.code || a.args.size() != b.args.size())
    return false;
  for (std::size_t i = 0; i < a.args.size(); ++i)
    if (!same(a.args[i], b.args[i])) return false;
  return true;
}

bool uses(const Term& t, Op code) {
  if (t.kind == Term::op && t.code == code) return true;
  for (const Term& a : t.args)
    if (uses(a, code)) return true;
  return false;
}

Term instantiate(Term t, Op from, Op to) {
  if (t.kind == Term::op && t.code == from) t.code = to;
  for (Term& a : t.args) a = instantiate(std::move(a), from, to);
  return t;
}

/// `t` with the operands of its commutative ops in every order.
std::vector<Term> orders(const Term& t) {
  std::vector<Term> result{t};
  for (std::size_t i = 0; i < t.args.size(); ++i) {
    std::vector<Term> next;
    for (const Term& base : result)
      for (const Term& arg : orders(t.args[i])) {
        next.push_back(base);
        next.back().args[i] = arg;
      }
    result = std::move(next);
  }
  if (t.kind == Term::op && info(t.code).traits.commutes && !same(t.args[0], t.args[1]))
    for (std::size_t i = 0, n = result.size(); i < n; ++i) {
      result.push_back(result[i]);
      std::swap(result.back().args[0], result.back().args[1]);
    }
  return result;
}

constexpr int kMaxNames = 12;
struct Bindings {
  std::array<ValueId, kMaxNames> bound;
  LocSet locs;  // of every op that the pattern names
};

bool equals(const Array& literal, double value) {
  const double rounded = literal.dtype() == f32 ? static_cast<double>(static_cast<float>(value)) : value;
  const double found = literal.at(0);
  return found == rounded && (!is_float(literal.dtype()) || std::signbit(found) == std::signbit(rounded));
}

bool bind(const Term& t, ValueId id, Bindings& m) {
  if (t.slot < 0) return true;
  ValueId& value = m.bound[static_cast<std::size_t>(t.slot)];
  if (value != kNoValue) return value == id;
  value = id;
  return true;
}

bool match(const Graph& g, const Term& t, ValueId id, Bindings& m) {
  const Node& n = g[id];
  switch (t.kind) {
    case Term::variable: return bind(t, id, m);
    case Term::splat: return splat_of(g, id) != kNoValue && bind(t, id, m);
    case Term::number: {
      const ValueId c = splat_of(g, id);
      return c != kNoValue && equals(*g[c].attrs.literal, t.value);
    }
    case Term::op:
      if (n.op != t.code || !bind(t, id, m)) return false;
      if (!t.any_args && n.operands.size() != t.args.size()) return false;
      for (std::size_t i = 0; i < t.args.size(); ++i)
        if (!match(g, t.args[i], n.operands[i], m)) return false;
      m.locs |= n.locs;
      return true;
  }
  return false;
}

}  // namespace

Term parse_term(std::string_view text, std::vector<std::string>& names) {
  TermParser p{text, names};
  Term t = p.parse();
  ensure(p.peek() == '\0', "rule '{}': unexpected text at column {}", text, p.at);
  ensure(names.size() <= kMaxNames, "rule '{}': more than {} names", text, kMaxNames);
  return t;
}

ValueId build_term(const Term& t, Builder& b, std::span<const ValueId> bound, const Type& expected) {
  if (t.kind == Term::number) return b.fill(expected, t.value);
  if (t.kind == Term::splat) {
    const ValueId value = bound[static_cast<std::size_t>(t.slot)];
    if (b.type(value).shape == expected.shape) return value;
    return b.broadcast(b.reshape(splat_of(b.g, value), {}), expected.shape, {});
  }
  if (t.kind == Term::variable) return bound[static_cast<std::size_t>(t.slot)];
  auto is_constant = [](const Term& arg) { return arg.kind == Term::number || arg.kind == Term::splat; };
  std::vector<ValueId> args(t.args.size(), kNoValue);
  std::optional<Type> sibling;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (is_constant(t.args[i])) continue;
    args[i] = build_term(t.args[i], b, bound, expected);
    if (!sibling && !(t.code == Op::select && i == 0)) sibling = b.type(args[i]);
  }
  for (std::size_t i = 0; i < args.size(); ++i)
    if (args[i] == kNoValue) args[i] = build_term(t.args[i], b, bound, sibling.value_or(expected));
  const Type operand = b.type(args[0]);
  Attrs attrs;
  Type like = expected;
  if (t.slot >= 0) {
    const Node& named = b.g[bound[static_cast<std::size_t>(t.slot)]];
    attrs = named.attrs;
    like = named.type;
  }
  std::optional<Type> declared;
  if (t.code == Op::convert)
    declared = Type{like.dtype, operand.shape};
  else if (info(t.code).declared_type)
    declared = Type{operand.dtype, like.shape};
  return b.op(t.code, std::move(args), std::move(attrs), declared);
}

ValueId splat_of(const Graph& g, ValueId id) {
  const ValueId c = g[id].op == Op::broadcast ? g[id].operands[0] : id;
  return g.is_constant(c) && g[c].attrs.literal->size() == 1 ? c : kNoValue;
}

ValueId Match::operator[](std::string_view name) const {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return bound[i];
  ensure(false, "a rule asks for '{}', which its pattern does not name", name);
  return kNoValue;
}

double Match::value(std::string_view name) const { return graph[splat_of(graph, (*this)[name])].attrs.literal->at(0); }

RuleSet::RuleSet(std::span<const RuleRow> rows) : by_root_(kOpCount) {
  for (const RuleRow& row : rows) {
    Rule rule{&row, {}, {}, {}};
    rule.pattern = parse_term(row.pattern, rule.names);
    ensure(rule.pattern.kind == Term::op, "rule {}: its pattern is no op", row.name);
    const std::size_t bound = rule.names.size();
    if (!row.replacement.build) rule.replacement = parse_term(row.replacement.text, rule.names);
    ensure(rule.names.size() == bound, "rule {}: its replacement uses a name that its pattern lacks", row.name);

    std::vector<Rule> instances{rule};
    for (const auto& [any, arity] : {std::pair(kAnyUnary, 1), {kAnyBinary, 2}}) {
      if (!uses(rule.pattern, any)) continue;
      instances.clear();
      for (int i = 0; i < kOpCount; ++i)
        if (const Op op = static_cast<Op>(i); is_elementwise(op) && info(op).min_arity == arity)
          instances.push_back(
              {&row, instantiate(rule.pattern, any, op), instantiate(rule.replacement, any, op), rule.names});
    }
    for (const Rule& r : instances)
      for (Term& pattern : orders(r.pattern)) {
        std::vector<Rule>& list = by_root_[static_cast<std::size_t>(pattern.code)];
        list.push_back({r.row, std::move(pattern), r.replacement, r.names});
      }
  }
}

ValueId apply(const Rule& rule, Graph& g, ValueId id) {
  Bindings m;
  m.bound.fill(kNoValue);
  if (!match(g, rule.pattern, id, m)) return kNoValue;
  const std::span<const ValueId> bound(m.bound.data(), rule.names.size());
  const Match found{g, id, rule.names, bound};
  if (rule.row->condition && !rule.row->condition(found)) return kNoValue;
  const Type type = g[id].type;
  Builder b{g, m.locs};
  const ValueId result = rule.row->replacement.build ? rule.row->replacement.build(found, b)
                                                     : build_term(rule.replacement, b, bound, type);
  if (result == kNoValue || result == id) return kNoValue;
  ensure(g[result].type == type, "rule {} replaces {} by {}", rule.row->name, to_string(type),
         to_string(g[result].type));
  g.add_locs(result, m.locs);
  return result;
}

}  // namespace weft
