// Which kernels share code, and where in their buffers each of them begins.
#include "codegen/cache/canonical.h"

#include <map>

#include "catch.h"
#include "ir/base/cache_line.h"
#include "programs.h"

using namespace weft;

namespace {

/// Of each kernel: the number of its form, in order of appearance.
std::vector<std::size_t> forms_of(const Program& p) {
  std::map<std::string, std::size_t> known;
  std::vector<std::size_t> forms;
  for (const Kernel& k : p.kernels)
    forms.push_back(known.emplace(print(codegen::canonical(p, k).program), known.size()).first->second);
  return forms;
}

std::vector<Argument> arguments_of(const Program& p, std::size_t kernel) {
  return codegen::canonical(p, p.kernels[kernel]).arguments;
}

}  // namespace

TEST_CASE("kernels that are copies share code and use their own buffers") {
  ProgramBuilder p;
  const BufferId x = p.input(f32, {20}), y = p.input(f32, {20});
  std::vector<BufferId> out;
  for (int i = 0; i < 3; ++i) out.push_back(p.output(f32, {20}));
  auto kernel = [&](BufferId a, BufferId b, BufferId to, Op op) {
    HandBuilder k(p.program(), p.kernel());
    const AxisId i = k.axis("i" + std::to_string(to), 20);
    const ExprId left = k.load(a, {at(i)}), right = k.load(b, {at(i)});
    k.phase({i}).stages = {map_stage({{to, {at(i)}, k.op(op, f32, {left, right})}})};
    k.schedule().vector_axis = i;
  };
  kernel(x, y, out[0], Op::sub);
  kernel(y, x, out[1], Op::sub);  // a copy with the operands exchanged
  kernel(x, x, out[2], Op::sub);  // not a copy: one buffer in two arguments
  kernel(out[0], out[1], out[2], Op::sub);
  CHECK(check(p.program()) == "");
  CHECK(forms_of(p.program()) == std::vector<std::size_t>{0, 0, 1, 0});
  CHECK(arguments_of(p.program(), 1) == std::vector<Argument>{{y}, {x}, {out[1]}});
}

TEST_CASE("kernels that begin elsewhere in a buffer are copies, those that span it otherwise are not") {
  ProgramBuilder p;
  const BufferId x = p.input(f32, {5, 20});
  std::vector<BufferId> out;
  for (int i = 0; i < 4; ++i) out.push_back(p.output(f32, {20}));
  auto kernel = [&](std::int64_t row, std::int64_t other, BufferId to) {
    HandBuilder k(p.program(), p.kernel());
    const AxisId i = k.axis("i", 20);
    const ExprId a = k.load(x, {{{}, row, kNone}, at(i)}), b = k.load(x, {{{}, other, kNone}, at(i)});
    k.phase({i}).stages = {map_stage({{to, {at(i)}, k.op(Op::sub, f32, {a, b})}})};
    k.schedule().vector_axis = i;
  };
  kernel(1, 0, out[0]);
  kernel(3, 2, out[1]);  // the same two rows further down
  kernel(3, 1, out[2]);  // rows that are further apart
  kernel(2, 3, out[3]);  // the other way round
  CHECK(check(p.program()) == "");
  CHECK(forms_of(p.program()) == std::vector<std::size_t>{0, 0, 1, 2});
  CHECK(arguments_of(p.program(), 0) == std::vector<Argument>{{x}, {out[0]}});
  CHECK(arguments_of(p.program(), 1) == std::vector<Argument>{{x, 2 * 20 * 4}, {out[1]}});
  CHECK(arguments_of(p.program(), 2) == std::vector<Argument>{{x, 1 * 20 * 4}, {out[2]}});
}

TEST_CASE("a buffer that is stored to begins at a whole cache line") {
  for (const std::int64_t first : {1, 16, 20, 32}) {
    ProgramBuilder p;
    const BufferId x = p.input(f32, {20}), out = p.output(f32, {60});
    HandBuilder k(p.program(), p.kernel());
    const AxisId i = k.axis("i", 20);
    k.phase({i}).stages = {map_stage({{out, {at(i, 1, first)}, k.load(x, {at(i)})}})};
    k.schedule().vector_axis = i;
    INFO(first);
    CHECK(arguments_of(p.program(), 0) == std::vector<Argument>{{x}, {out, first / 16 * 16 * 4}});
  }
}

TEST_CASE("rows that lie alike in their cache lines have one form") {
  // (elements of a row, forms of 40 rows)
  for (const auto& [width, forms] : {std::pair{1, 16}, {4, 4}, {8, 2}, {12, 4}, {16, 1}, {24, 2}, {32, 1}, {7, 16}}) {
    ProgramBuilder p;
    const BufferId x = p.input(f32, {40, width}), out = p.output(f32, {40, width});
    for (int row = 0; row < 40; ++row) {
      HandBuilder k(p.program(), p.kernel());
      const AxisId i = k.axis("i", width);
      const std::vector<Index> index{{{}, row, kNone}, at(i)};
      k.phase({i}).stages = {map_stage({{out, index, k.load(x, index)}})};
      k.schedule().vector_axis = i;
    }
    INFO(width);
    const std::vector<std::size_t> found = forms_of(p.program());
    CHECK(*std::ranges::max_element(found) + 1 == static_cast<std::size_t>(forms));
    for (std::size_t row = 0; row < found.size(); ++row) {
      CHECK(found[row] == row % static_cast<std::size_t>(forms));
      CHECK(arguments_of(p.program(), row)[1].bytes % kCacheLine == 0);
    }
  }
}

TEST_CASE("a buffer begins at the lowest index that is known and does not leave it") {
  struct Case {
    const char* what;
    std::function<ExprId(HandBuilder&, BufferId x, BufferId rows, AxisId i)> load;  // of x [10, 4], for i < 3
    std::int64_t row;                                                               // where x begins
  };
  const auto column = [](std::int64_t c) { return Index{{}, c, kNone}; };
  const Case cases[] = {
      {"upwards",
       [&](auto& k, auto x, auto, auto i) {
         return k.load(x, {at(i, 2, 5), column(0)});
       },
       5},
      {"downwards",
       [&](auto& k, auto x, auto, auto i) {
         return k.load(x, {at(i, -3, 7), column(0)});
       },
       1},
      {"kept from outside by a predicate",
       [&](auto& k, auto x, auto, auto i) {
         const ExprId inside = k.op(Op::ge, boolean, {k.index(at(i)), k.index(column(1))});
         return k.load(x, {at(i, 1, -1), column(0)}, inside);
       },
       0},
      {"loaded",
       [&](auto& k, auto x, auto rows, auto i) {
         return k.load(x, {Index{{}, 2, k.load(rows, {at(i)})}, column(0)});
       },
       0},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    ProgramBuilder p;
    const BufferId x = p.input(f32, {10, 4}), rows = p.input(i64, {3}), y = p.output(f32, {3});
    HandBuilder k(p.program(), p.kernel());
    const AxisId i = k.axis("i", 3);
    const ExprId value = c.load(k, x, rows, i);
    k.phase({i}).stages = {map_stage({{y, {at(i)}, value}})};
    const auto arguments = arguments_of(p.program(), 0);
    const auto argument = std::ranges::find(arguments, x, &Argument::buffer);
    REQUIRE(argument != arguments.end());
    CHECK(argument->bytes == c.row * 4 * 4);
    verify(codegen::canonical(p.program(), p.program().kernels[0]).program);
  }
}

TEST_CASE("buffers that share storage begin together") {
  ProgramBuilder p;
  const BufferId x = p.state(f32, {2, 10});
  Program program = p.program();
  program.buffers.push_back({.kind = Buffer::view, .name = "flat", .type = {f32, {20}}, .base = x});
  const BufferId flat = static_cast<BufferId>(program.buffers.size()) - 1;
  Kernel kernel{.name = "k"};
  HandBuilder k(program, kernel);
  const AxisId i = k.axis("i", 5);
  const ExprId value = k.load(x, {{{}, 1, kNone}, at(i, 1, 5)});
  k.phase({i}).stages = {map_stage({{flat, {at(i, 1, 15)}, k.op(Op::neg, f32, {value})}})};
  program.kernels.push_back(kernel);
  CHECK(arguments_of(program, 0) == std::vector<Argument>{{x}, {flat}});
}
