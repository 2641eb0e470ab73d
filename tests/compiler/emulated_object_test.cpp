// Objects for other architectures, run by an emulator: the interpreter's bits there, too.
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "catch.h"
#include "compiler/linked_object.h"
#include "mlp_step.h"
#include "random_graph.h"

using namespace weft;
using namespace weft::test;

namespace {

struct Machine {
  const char *target, *compiler, *emulator;
};
constexpr Machine kMachines[] = {
    {"aarch64", "aarch64-linux-gnu-gcc", "qemu-aarch64"},
    {"riscv64", "riscv64-linux-gnu-gcc", "qemu-riscv64"},
    {"riscv64v", "riscv64-linux-gnu-gcc", "qemu-riscv64 -cpu rv64,v=true,vlen=256,vext_spec=v1.0"},
};

bool has_command(const std::string& command) {
  return std::system(fmt::format("command -v {} >/dev/null", command.substr(0, command.find(' '))).c_str()) == 0;
}
bool is_there(const Machine& m) {
  if (has_command(m.compiler) && has_command(m.emulator)) return true;
  WARN("skipped: no " << m.compiler << " or no " << m.emulator << ": code for " << m.target << " is not run");
  return false;
}

std::string bytes_of(const Array& a) {
  std::string text = "{";
  for (std::size_t i = 0; i < a.bytes(); ++i) text += fmt::format("{},", std::to_integer<int>(a.data()[i]));
  return text + "0}";
}

/// A C program that calls each function a few times on the same inputs and prints, line by line, the bytes of its
/// outputs and of the states that it updates.
std::string program(const ObjectFile& file, const std::vector<NamedGraph>& functions,
                    const std::vector<std::vector<Array>>& inputs, int calls) {
  const std::vector<std::string> states = state_names(functions);
  const auto number = [&](const std::string& name) { return std::ranges::find(states, name) - states.begin(); };
  std::string text =
      "#include <stdint.h>\n#include <stdio.h>\n#define A __attribute__((aligned(64)))\n"
      "int32_t m_init(void *); int32_t m_read(const void *, int32_t, void *); int32_t m_write(void *, int32_t, const "
      "void *);\n"
      "static void show(const unsigned char *p, long n) { long i; for (i = 0; i < n; ++i) printf(\"%02x\", p[i]); "
      "puts(\"\"); }\n";
  text += fmt::format("A static unsigned char state[{}];\n", file.state_bytes);
  std::string body;
  for (std::size_t f = 0; f < functions.size(); ++f) {
    const Graph& g = functions[f].graph;
    text += fmt::format("int32_t m_{}(void *, const void *, const void *, void *);\nA static unsigned char w{}[{}];\n",
                        functions[f].name, f, std::max<std::int64_t>(file.functions[f].workspace_bytes, 64));
    body += "  if (m_init(state)) return 1;\n";
    std::string in, out, shown;
    for (std::size_t i = 0; i < inputs[f].size(); ++i) {
      text += fmt::format("A static unsigned char i{}_{}[] = {};\n", f, i, bytes_of(inputs[f][i]));
      if (g.inputs()[i].kind == InputKind::data)
        in += fmt::format("i{}_{}, ", f, i);
      else
        body += fmt::format("  if (m_write(state, {}, i{}_{})) return 2;\n", number(g.inputs()[i].name), f, i);
    }
    for (std::size_t o = 0; o < g.outputs().size(); ++o) {
      const std::int64_t size = byte_size(g[g.outputs()[o].id].type);
      text += fmt::format("A static unsigned char o{}_{}[{}];\n", f, o, size + 1);
      out += fmt::format("o{}_{}, ", f, o);
      shown += fmt::format("  show(o{}_{}, {});\n", f, o, size);
    }
    for (std::size_t u = 0; u < g.updates().size(); ++u) {
      const Input& state = *g.find_input(g.updates()[u].state);
      const std::int64_t size = byte_size(g[state.id].type);
      text += fmt::format("A static unsigned char s{}_{}[{}];\n", f, u, size + 1);
      shown += fmt::format("  if (m_read(state, {}, s{}_{})) return 3;\n  show(s{}_{}, {});\n", number(state.name), f,
                           u, f, u, size);
    }
    body += fmt::format(
        "  {{ const void *in[] = {{{}0}}; void *out[] = {{{}0}}; int n;\n    for (n = 0; n < {}; ++n) if (m_{}(state, "
        "in, out, w{})) return 4; }}\n{}",
        in, out, calls, functions[f].name, f, shown);
  }
  return text + "int main(void) {\n" + body + "  return 0;\n}\n";
}

Array from_hex(const std::string& line, const Type& type) {
  Array a(type);
  REQUIRE(line.size() == 2 * a.bytes());
  for (std::size_t i = 0; i < a.bytes(); ++i) a.data()[i] = std::byte(std::stoi(line.substr(2 * i, 2), nullptr, 16));
  return a;
}

void check_emulated(const Machine& m, const std::vector<NamedGraph>& functions,
                    const std::vector<std::vector<Array>>& inputs, int calls,
                    const std::map<std::string, Array>& initial = {}) {
  const TempDir dir;
  const ObjectFile file = compile_object(functions, {.name = "m", .target = m.target, .initial = initial});
  CHECK(file.contents.undefined.empty());
  std::ofstream(dir.file("m.o"), std::ios::binary) << file.object;
  std::ofstream(dir.file("main.c")) << program(file, functions, inputs, calls);
  const std::string command =
      fmt::format("cd {} && {} -std=c99 -static main.c m.o -o m && {} ./m > out", dir.path(), m.compiler, m.emulator);
  REQUIRE(std::system(command.c_str()) == 0);
  std::ifstream out(dir.file("out"));
  for (std::size_t f = 0; f < functions.size(); ++f) {
    const Graph& g = functions[f].graph;
    CAPTURE(m.target, print(g));
    std::vector<Array> now = inputs[f];
    Evaluation expected, found;
    for (int n = 0; n < calls; ++n) {
      expected = interpret(g, now);
      for (std::size_t u = 0; u < g.updates().size(); ++u)
        now[static_cast<std::size_t>(g.find_input(g.updates()[u].state) - g.inputs().data())] = expected.states[u];
    }
    std::string line;
    for (const Output& o : g.outputs()) {
      REQUIRE(std::getline(out, line));
      found.outputs.push_back(from_hex(line, g[o.id].type));
    }
    for (const Update& u : g.updates()) {
      REQUIRE(std::getline(out, line));
      found.states.push_back(from_hex(line, g[u.state].type));
    }
    CHECK(difference(expected, found, g) == "");
  }
}

}  // namespace

TEST_CASE("random graphs on special values give the interpreter's bits on emulated machines") {
  const std::vector<NamedGraph> functions = random_functions(7200, 4);
  std::vector<std::vector<Array>> inputs;
  for (std::size_t f = 0; f < functions.size(); ++f)
    inputs.push_back(random_inputs(functions[f].graph, f, Values::special));
  for (const Machine& m : kMachines)
    if (is_there(m)) check_emulated(m, functions, inputs, 1);
}

TEST_CASE("a training step gives the interpreter's bits on emulated machines") {
  const MlpStep shape{.rows = 32, .batch = 8, .widths = {24, 32, 16, 10}};
  const Graph g = mlp_step(shape);
  for (const Machine& m : kMachines)
    if (is_there(m)) check_emulated(m, {{"step", g}}, {mlp_inputs(g, shape)}, 3);
}
