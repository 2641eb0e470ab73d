// What the op table says of its ops (OpTraits), against what their reference semantics do.
#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "catch.h"
#include "ir/graph/graph.h"
#include "ir/ops/functions.h"

using namespace weft;

namespace {

// x, y, i and p have one row for each sample of the batch; w is a table of rows.
constexpr const char* kHead =
    "func @f(%x: f32[?,3], %y: f32[?,3], %i: i32[?,3], %j: i32[?,3], %p: bool[?,3], %k: i32[?], %w: f32[4,3], "
    "%c: f32[], %key: i64[], %step: i64[]) {\n";

struct OpCase {
  Op op;
  const char* line;
};
constexpr OpCase kOpCases[] = {
    {Op::constant, "constant {value=0.5} : f32[]"},
    {Op::iota, "iota {axis=0} : f32[?,3]"},
    {Op::iota, "iota {axis=1} : f32[?,3]"},
    {Op::random, "random %key, %step : i32[?,3]"},
    {Op::size, "size %x {axis=0} : i64[]"},
    {Op::size, "size %x {axis=1} : i64[]"},
    {Op::convert, "convert %x : i32[?,3]"},
    {Op::broadcast, "broadcast %x {axes=[1,2]} : f32[2,?,3]"},
    {Op::reshape, "reshape %x : f32[?,3,1]"},
    {Op::transpose, "transpose %x {perm=[1,0]} : f32[3,?]"},
    {Op::slice, "slice %x {start=[0,1], limit=[?,3], stride=[1,1]} : f32[?,2]"},
    {Op::pad, "pad %x, %c {low=[0,1], high=[0,2]} : f32[?,6]"},
    {Op::pad, "pad %x, %c {low=[0,1], high=[0,2], interior=[0,1]} : f32[?,8]"},
    {Op::reverse, "reverse %x {axes=[1]} : f32[?,3]"},
    {Op::window, "window %x {axes=[1], size=[2]} : f32[?,2,2]"},
    {Op::unwindow, "unwindow %x {axes=[], stride=[]} : f32[?,3]"},
    {Op::concat, "concat %x, %y {axis=1} : f32[?,6]"},
    {Op::gather, "gather %w, %k {axis=0} : f32[?,3]"},
    {Op::gather, "gather %x, %k {axis=0} : f32[?,3]"},
    {Op::gather, "gather %x, %k {axis=1} : f32[?,?]"},
    {Op::scatter_add, "scatter_add %x, %k, %y {axis=0} : f32[?,3]"},
    {Op::reduce_sum, "reduce_sum %x {axis=0} : f32[3]"},
    {Op::reduce_sum, "reduce_sum %x {axis=1} : f32[?]"},
    {Op::reduce_prod, "reduce_prod %x {axis=0} : f32[3]"},
    {Op::reduce_prod, "reduce_prod %x {axis=1} : f32[?]"},
    {Op::reduce_max, "reduce_max %x {axis=0} : f32[3]"},
    {Op::reduce_max, "reduce_max %x {axis=1} : f32[?]"},
    {Op::reduce_min, "reduce_min %x {axis=0} : f32[3]"},
    {Op::reduce_min, "reduce_min %x {axis=1} : f32[?]"},
    {Op::arg_max, "arg_max %x {axis=0} : i32[3]"},
    {Op::arg_max, "arg_max %x {axis=1} : i32[?]"},
    {Op::arg_min, "arg_min %x {axis=0} : i32[3]"},
    {Op::arg_min, "arg_min %x {axis=1} : i32[?]"},
    {Op::contract, "contract %x, %y {lhs=[0], rhs=[0]} : f32[3,3]"},
    {Op::contract, "contract %x, %y {lhs=[1], rhs=[1], lhs_batch=[0], rhs_batch=[0]} : f32[?]"},
    {Op::scatter_add, "scatter_add %w, %k, %y {axis=0} : f32[4,3]"},
    {Op::contract, "contract %x, %y {lhs=[1], rhs=[1]} : f32[?,?]"},
    {Op::contract, "contract %x, %w {lhs=[1], rhs=[1]} : f32[?,4]"},
};

/// The table's cases, and an elementwise op's on operands of the first dtype that it takes.
std::vector<std::string> cases_of(Op op) {
  std::vector<std::string> lines;
  for (const OpCase& c : kOpCases)
    if (c.op == op) lines.push_back(c.line);
  const OpInfo& row = info(op);
  if (row.cls != OpClass::elementwise || !lines.empty()) return lines;
  if (op == Op::select) return {"select %p, %x, %y : f32[?,3]"};
  const bool real = in_set(f32, row.dtypes);
  std::string operands = real ? "%x" : "%i";
  for (int i = 1; i < row.min_arity; ++i) operands += real ? ", %y" : ", %j";
  for (const char* type : {"f32[?,3]", "i32[?,3]", "bool[?,3]"}) {
    const std::string line = fmt::format("{} {} : {}", row.name, operands, type);
    try {
      parse_graph(fmt::format("{}  %0 = {}\n  return %0\n}}\n", kHead, line));
      return {line};
    } catch (const Error&) {  // not its result's dtype
    }
  }
  return {};
}

Graph graph_of(const std::string& line) {
  return parse_graph(fmt::format("{}  %0 = {}\n  return %0\n}}\n", kHead, line));
}

const Node& result_node(const Graph& g) { return g[g.outputs()[0].id]; }

constexpr std::int64_t kRows = 4;

/// Operands for a graph of kHead, floats from `values` in turn; sample i of the batch is sample order[i] of the first.
std::vector<Array> operands_of(const Graph& g, const std::vector<float>& values, const std::vector<int>& order) {
  const Graph bound = bind_batch(g, kRows);
  std::vector<Array> all;
  std::size_t next = 0;
  for (const Input& i : bound.inputs()) {
    Array a(bound[i.id].type);
    if (a.dtype() == f32)
      for (float& v : a.as<float>()) v = values[next++ % values.size()];
    else if (a.dtype() == i32)
      for (std::int32_t& v : a.as<std::int32_t>()) v = static_cast<std::int32_t>((next++ * 7 + 1) % 3);
    else if (a.dtype() == boolean)
      for (bool& v : a.as<bool>()) v = next++ % 3 == 0;
    const Shape& shape = g[i.id].type.shape;
    if (shape.rank() > 0 && shape[0] == kBatch) {
      const Array before = a.clone();
      const std::size_t row = a.bytes() / kRows;
      for (std::size_t r = 0; r < kRows; ++r)
        std::copy_n(before.data() + static_cast<std::size_t>(order[r]) * row, row, a.data() + r * row);
    }
    all.push_back(std::move(a));
  }
  return all;
}

Array result_of(const Graph& g, const std::vector<float>& values, const std::vector<int>& order = {0, 1, 2, 3}) {
  return interpret(bind_batch(g, kRows), operands_of(g, values, order)).outputs[0];
}

/// Whether samples in another order give the same results in that order, each sample's from that sample alone.
bool goes_by_samples(const Graph& g) {
  std::vector<float> values;
  for (int i = 0; i < 61; ++i) values.push_back(static_cast<float>((i * 37) % 61) / 8 - 3);
  const std::vector<int> order = {2, 0, 3, 1};
  const Array a = result_of(g, values), b = result_of(g, values, order);
  const Shape& shape = result_node(g).type.shape;
  const auto axis = static_cast<int>(std::ranges::find(shape, kBatch) - shape.begin());
  if (std::ranges::count(shape, kBatch) != 1) return std::ranges::count(shape, kBatch) == 0 && a.same_bits(b);
  const Array moved =
      info(Op::gather)
          .eval({Op::gather, std::vector<Array>{a, Array::from(order, {kRows})}, Attrs::axis(axis), a.type()});
  return moved.same_bits(b);
}

std::vector<Type> operand_types(const Graph& g) {
  std::vector<Type> types;
  for (ValueId v : result_node(g).operands) types.push_back(g[v].type);
  return types;
}

bool is_subnormal(float v) { return std::fpclassify(v) == FP_SUBNORMAL; }
bool has_subnormal(const Array& a) {
  return a.dtype() == f32 && std::ranges::any_of(a.as<float>(), [](float v) { return is_subnormal(v); });
}

}  // namespace

TEST_CASE("what an op mixes along the batch is what its row says") {
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    if (op == Op::input || info(op).cls == OpClass::control) continue;  // what holds for a body is not a row's to say
    const std::vector<std::string> lines = cases_of(op);
    INFO(name(op));
    CHECK(!lines.empty());
    for (const std::string& line : lines) {
      INFO(line);
      const Graph g = graph_of(line);
      const std::vector<Type> operands = operand_types(g);
      const Node& n = result_node(g);
      // Any order of samples gives the same sum, and the same extent.
      const auto has_batch = [](const Type& t) { return !is_static(t.shape); };
      const bool folds = std::ranges::any_of(operands, has_batch) && !has_batch(n.type);
      const bool mixes = op == Op::size ? operands[0].shape[n.attrs.axis()] == kBatch : folds || !goes_by_samples(g);
      CHECK(mixes_batch(op, operands, n.attrs, n.type) == mixes);
    }
  }
}

TEST_CASE("which results may be subnormal is what the rows say") {
  const std::vector<float> normal = {0x1p-126f,    1.5f,       -0x1.8p-126f,  0x1.4p-126f,  0,
                                     -0x1p-126f,   0x1.4p-60f, 0x1.8p-66f,    -0x1.cp-126f, 3,
                                     -0x1.1p-126f, 0.5f,       0x1.0002p-126f};
  std::vector<float> with_subnormals = {0x1p-127f, -0x1p-149f, 0x1.8p-130f, 0x1p-128f, -0x1.4p-140f};
  with_subnormals.insert(with_subnormals.end(), normal.begin(), normal.end());
  std::ranges::rotate(with_subnormals, with_subnormals.begin() + 3);
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const Subnormals subnormals = info(op).traits.subnormals;
    if (op == Op::input || subnormals == Subnormals::given) continue;
    bool keeps = false;
    for (const std::string& line : cases_of(op)) {
      INFO(line);
      const Graph g = graph_of(line);
      CHECK(!has_subnormal(result_of(g, normal)));
      keeps |= has_subnormal(result_of(g, with_subnormals));
    }
    INFO(name(op));
    CHECK(keeps == (subnormals == Subnormals::kept));
  }
}

TEST_CASE("ops with indices have them as operand 1, and no others take integers beside their floats") {
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    if (info(op).cls == OpClass::leaf || info(op).cls == OpClass::control) continue;
    for (const std::string& line : cases_of(op)) {
      INFO(line);
      const Graph g = graph_of(line);
      const Node& n = result_node(g);
      const auto dtype = [&](std::size_t operand) { return g[n.operands[operand]].type.dtype; };
      CHECK(info(op).traits.indexed == (n.operands.size() > 1 && is_float(dtype(0)) && is_integer(dtype(1))));
    }
  }
}

TEST_CASE("reductions fold with an op, or have a comparison; what associates does so with floats' special values") {
  const float inf = INFINITY;
  const std::vector<float> values = {0, -0.0f, 1.5f, -inf, inf, NAN, 0x1p-149f, -3, 0x1.000002p0f, 0x1p60f};
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const OpTraits& traits = info(op).traits;
    INFO(name(op));
    CHECK((info(op).cls == OpClass::reduce) == (traits.fold.has_value() || traits.better.has_value()));
    if (info(op).cls != OpClass::elementwise || info(op).min_arity != 2 || !in_set(f32, info(op).dtypes)) continue;
    if (cases_of(op)[0].find(": f32") == std::string::npos) continue;  // a comparison
    const auto of = [&](float x, float y) {
      const Array a = Array::scalar(x), b = Array::scalar(y);
      return info(op).eval({op, std::vector<Array>{a, b}, {}, Type{f32, {}}}).item<float>();
    };
    bool associates = true;
    for (const float x : values)
      for (const float y : values)
        for (const float z : values) {
          const Array left = Array::scalar(of(of(x, y), z)), right = Array::scalar(of(x, of(y, z)));
          associates = associates && (left.same_bits(right) || (std::isnan(left.at(0)) && std::isnan(right.at(0))));
        }
    CHECK(associates == traits.associates);
  }
}

TEST_CASE("every op says what it computes, and no two attributes have one name") {
  for (int i = 0; i < kOpCount; ++i) {
    const OpInfo& row = info(static_cast<Op>(i));
    INFO(row.name);
    CHECK(row.doc.size() > 3);
    std::vector<std::string_view> names;
    for (const Attr a : row.attrs) names.push_back(name(a));
    std::ranges::sort(names);
    CHECK(std::ranges::adjacent_find(names) == names.end());
  }
}
