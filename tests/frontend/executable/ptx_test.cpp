// The training step of every built-in model as PTX: assembled for each GPU, and what its functions use, beside a golden
// report.
#include "codegen/device.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "frontend/train/builtin.h"
#include "golden.h"
#include "passes/pipeline.h"
#include "ptxas.h"
#include "support.h"

using namespace weft;

namespace {

constexpr const char* kArchs[] = {"sm_80", "sm_90a"};

Program training_step(const BuiltinModel& model, const GpuTarget& target) {
  Model m = model.make(0, {.loss = softmax_cross_entropy, .metrics = {accuracy}});
  const auto [x, y] = model.types(60000);
  const Executable step = m.training_step({x}, {y}, model.batch);
  return make_program(optimize(step.graph(model.batch)), target);
}

/// A device function and what ptxas says of it.
struct Launch {
  std::string name;
  std::int64_t shared;  // bytes, of either kind
  test::PtxUse use;
};
std::vector<Launch> assemble(const BuiltinModel& model, const char* arch) {
  const GpuTarget target = gpu_target(arch);
  const std::vector<simt::Function> functions = device_functions(training_step(model, target), target);
  const PtxModule ptx = emit_ptx(functions, target);
  const test::PtxReport report = test::assemble(ptx.text, arch);
  CHECK(report.errors == "");
  std::vector<Launch> launches;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const auto use = std::ranges::find(report.functions, ptx.entries[i], &test::PtxUse::function);
    REQUIRE(use != report.functions.end());
    launches.push_back({ptx.entries[i], simt::shared_layout(functions[i]).back(), *use});
  }
  return launches;
}

/// A line a function: registers, bytes of shared memory and bytes spilled, for each GPU.
std::string resources(const BuiltinModel& model) {
  std::string text = "ptxas " + test::ptxas_version() + "\n";
  for (const char* arch : kArchs)
    for (const Launch& f : assemble(model, arch))
      text += fmt::format("{:<6} {:<12} {:>3} registers {:>6} bytes shared {} bytes spilled\n", arch, f.name,
                          f.use.registers, f.shared, f.use.spilled());
  return text;
}

struct Row {
  int registers = 0, shared = 0, spilled = 0;
};
/// By "sm_80 contract2".
std::map<std::string, Row> rows(const std::string& report) {
  std::map<std::string, Row> result;
  std::istringstream lines(report);
  std::string arch, function, word;
  std::getline(lines, word);  // ptxas and its version
  while (lines >> arch >> function) {
    Row& r = result[arch + " " + function];
    lines >> r.registers >> word >> r.shared >> word >> word >> r.spilled >> word >> word;
  }
  return result;
}

}  // namespace

TEST_CASE("ptxas: the training step of every built-in model, without spills") {
  if (test::ptxas().empty()) {
    WARN(test::kNoPtxas);
    return;
  }
  for (const BuiltinModel& model : builtin_models()) {
    for (const char* arch : kArchs)
      for (const Launch& f : assemble(model, arch)) {
        INFO(model.name << " " << arch << " " << f.name);
        CHECK(f.use.spilled() == 0);
      }
  }
}

TEST_CASE("ptxas: the training step of the built-in models as one persistent kernel") {
  if (test::ptxas().empty()) {
    WARN(test::kNoPtxas);
    return;
  }
  for (const BuiltinModel& model : builtin_models()) {
    if (model.name == "lstm") continue;  // as long as a loop is repeated in code, ptxas takes minutes for it
    for (const char* arch : kArchs) {
      const GpuTarget target = gpu_target(arch);
      const std::vector<simt::Function> functions = device_functions(training_step(model, target), target);
      const PtxModule ptx = emit_ptx(functions, target, true);
      CHECK(ptx.entries.size() == functions.size());
      // Nothing there goes by the caches that stores of other functions do not reach.
      const std::size_t begin = ptx.text.find(".entry " + ptx.persistent.entry),
                        end = ptx.text.find(".entry", begin + 1);
      REQUIRE(begin != std::string::npos);
      CHECK(ptx.text.substr(begin, end - begin).find("ld.global.nc") == std::string::npos);
      const test::PtxReport report = test::assemble(ptx.text, arch);
      CHECK(report.errors == "");
      const auto use = std::ranges::find(report.functions, ptx.persistent.entry, &test::PtxUse::function);
      REQUIRE(use != report.functions.end());
      WARN(fmt::format("{} {}: {} threads, {} registers, {} bytes shared, {} bytes spilled", model.name, arch,
                       ptx.persistent.threads, use->registers, ptx.persistent.shared_bytes, use->spilled()));
    }
  }
}

TEST_CASE("what the mlp's training step uses of a GPU", "[golden]") {
  if (test::ptxas().empty()) {
    WARN(test::kNoPtxas);
    return;
  }
  const std::string found = resources(builtin_model("mlp"));
  std::ifstream file(std::string(WEFT_SOURCE_DIR) + "/tests/golden/ptx/resources.txt");
  std::stringstream text;
  text << file.rdbuf();
  const std::string expected = text.str(), version = expected.substr(0, expected.find('\n'));
  const char* bless = std::getenv("BLESS");
  if ((bless && std::string(bless) == "1") || found.starts_with(version + "\n"))
    return check_golden("ptx/resources", found);
  // Another ptxas allocates registers otherwise: a tenth more is no regression, a spill is.
  const auto before = rows(expected);
  for (const auto& [function, now] : rows(found)) {
    INFO(function << ", assembled by another ptxas than " << version);
    REQUIRE(before.contains(function));
    const Row& then = before.at(function);
    CHECK(now.registers <= std::ceil(1.1 * then.registers));
    CHECK(now.shared == then.shared);
    CHECK(now.spilled <= then.spilled);
  }
}
