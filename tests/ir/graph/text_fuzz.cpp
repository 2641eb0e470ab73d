// Hostile text: whatever the parsers are given, they return a valid graph or program, or throw Error.
#include <algorithm>
#include <fstream>

#include "catch.h"
#include "fuzz/mutate.h"
#include "ir/graph/body.h"
#include "ir/kernel/kernel.h"
#include "random_graph.h"

using namespace weft;

namespace {

const char* kProgram = R"(program @step {
  input %x: f32[4,5]
  input %k: i64[4]
  state %w: f32[5,3]
  temp %t0: f32[4,3] {offset=0}
  view %v of %t0: f32[12]
  output %y: f32[4]
  constant %c: f32[3] = [0.1, -inf, nan(0x7fc00001)]
  arena 64
  inputs %x, %k, %w
  outputs %y
  updates %w
  kernel @dense { // a.cpp:1:2, b.cpp:3
    axes m=4, n=3, k=5
    schedule cpu {vector=n, mr=2, nr=8, pack_rhs}
    %e0: f32 = load %x[m, k]
    %e1: f32 = load %w[k, n]
    %e2: f32 = accumulator %a0
    %e3: f32 = load %c[n]
    %e4: f32 = max %e2, %e3
    phase (m, n) {
      %a0 = contract m=m, n=n over k: %e0 * %e1
      map: store %t0[m, n] = %e4
    }
  }
  kernel @row {
    axes i=4, j=3
    %e0: f32 = load %v[3*i + j]
    %e1: f32 = accumulator %a0
    %e2: i64 = load %k[i]
    %e3: i64 = constant 4
    %e4: bool = lt %e2, %e3
    %e5: f32 = load %y[%e2] if %e4
    phase (i) {
      %a0 = reduce_sum over j striped: %e0
      map { store %y[i] = %e1 }
    }
    phase () { scatter over i: %y[%e2] += %e5 if %e4 }
  }
}
)";

// True when it parsed.
template <class Parse, class Check>
bool survives(const std::string& text, Parse&& parse, Check&& check) {
  try {
    const auto parsed = parse(text);
    check(parsed);
    return true;
  } catch (const Error& e) {
    if (!std::string(e.what()).starts_with("<text>:")) FAIL("an error without a place: " << e.what() << "\n" << text);
  } catch (const std::exception& e) {
    FAIL(e.what() << "\n" << text);
  }
  return false;
}

constexpr std::int64_t kSmall = 2000;
bool is_small(const Shape& shape) { return is_static(shape) && element_count(shape) <= kSmall; }

bool is_small(const Graph& g) {
  for (ValueId id = 0; id < g.size(); ++id) {
    const Node& n = g[id];
    if (!is_small(n.type.shape) || (n.op == Op::scan && n.attrs.scalar(Attr::length) > 16)) return false;
    if (!std::ranges::all_of(n.attrs.bodies, [](const BodyRef& body) { return is_small(*body->graph); })) return false;
  }
  return true;
}

// What parses and verifies also runs.
void run(const Graph& g) {
  if (!is_small(g)) return;
  interpret(g, test::random_inputs(g, 1, test::Values::special));
}

// A program may race, or use an indirect index that is out of bounds: that is found, and nothing else happens.
void run(const Program& p) {
  for (const Buffer& b : p.buffers)
    if (!is_small(b.type.shape)) return;
  for (const Kernel& k : p.kernels)
    for (const Axis& a : k.axes)
      if (a.extent > 100) return;
  test::Rng rng(1);
  std::vector<Array> inputs;
  for (BufferId id : p.inputs) inputs.push_back(test::random_array(p.buffers[static_cast<std::size_t>(id)].type, rng));
  try {
    interpret(p, inputs);
  } catch (const Error& e) {
    const std::string message = e.what();
    CHECK((message.find("a race at") != message.npos || message.find("is outside") != message.npos));
  }
}

}  // namespace

TEST_CASE("random graphs print and parse to themselves") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const Graph g = test::random_graph(seed, {.bodies = seed % 3 == 0});
    INFO("seed " << seed << "\n" << print(g));
    verify(g);
    const std::string text = print(g, {.locs = true});
    const Graph again = parse_graph(text);
    verify(again);
    CHECK(print(again, {.locs = true}) == text);
    CHECK(again.size() == g.size());
    CHECK(print(again) == print(g));
  }
}

TEST_CASE("mutated graph text gives a valid graph or an Error") {
  int parsed = 0;
  for (std::uint64_t seed = 1; seed <= 8000; ++seed) {
    test::Rng rng(seed);
    const std::string text =
        print(test::random_graph(seed % 50, {.nodes = 12, .bodies = seed % 4 == 0}), {.locs = seed % 2 == 0});
    parsed += survives(
        test::mutate(text, rng), [](const std::string& t) { return parse_graph(t); },
        [](const Graph& g) {
          verify(g);
          const std::string once = print(g);
          CHECK(print(parse_graph(once)) == once);
          run(g);
        });
  }
  CHECK(parsed > 100);  // some mutations are harmless: they must have been tried
  CHECK(parsed < 7000);
}

TEST_CASE("mutated kernel text gives a valid program or an Error") {
  int parsed = 0;
  for (std::uint64_t seed = 1; seed <= 8000; ++seed) {
    test::Rng rng(seed);
    parsed += survives(
        test::mutate(std::string(kProgram), rng), [](const std::string& t) { return parse_program(t); },
        [](const Program& p) {
          verify(p);
          const std::string once = print(p);
          CHECK(print(parse_program(once)) == once);
          run(p);
        });
  }
  CHECK(parsed > 100);
  CHECK(parsed < 7000);
}

TEST_CASE("the examples of ir/README.md parse") {
  std::ifstream file(std::string(WEFT_SOURCE_DIR) + "/ir/README.md");
  int graphs = 0, programs = 0;
  std::string block;
  for (std::string line; std::getline(file, line);) {
    const bool starts = line.starts_with("    func @") || line.starts_with("    program @");
    if (!starts && block.empty()) continue;
    if (line.empty() || line.starts_with("    ")) {
      block += line.substr(std::min<std::size_t>(4, line.size())) + "\n";
      continue;
    }
    INFO(block);
    if (block.starts_with("func")) {
      ++graphs;
      const Graph g = parse_graph(block);
      verify(g);
      CHECK(print(parse_graph(print(g))) == print(g));
    } else {
      ++programs;
      const std::string once = print(parse_program(block));
      CHECK(print(parse_program(once)) == once);
    }
    block.clear();
  }
  CHECK(graphs == 2);
  CHECK(programs == 1);
}

TEST_CASE("deep nesting and long lists cost no stack and no time") {
  const std::string open(200'000, '['), braces(200'000, '{');
  for (const std::string& text : {open, braces, "func @f(%x: f32" + open, "func @f() { %0 = constant {value=" + open,
                                  "func @f() { kernel @a map [] " + braces, "program @p { kernel @k " + braces}) {
    CHECK_THROWS_AS(parse_graph(text), Error);
    CHECK_THROWS_AS(parse_program(text), Error);
  }
}
