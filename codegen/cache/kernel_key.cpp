// Keys: lines "name value" for the generator, the options and the target, then the kernel's program.
#include "codegen/cache/kernel_key.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/BLAKE3.h>

#include <algorithm>
#include <charconv>

#include "codegen/cache/identity.h"
#include "ir/base/error.h"

namespace weft::codegen {
namespace {

/// The fields of a target by name; exactly one member pointer is set.
struct TargetField {
  std::string_view name;
  std::string CpuTarget::*text = nullptr;
  int CpuTarget::*small = nullptr;
  std::int64_t CpuTarget::*big = nullptr;
  bool CpuTarget::*flag = nullptr;
};
constexpr TargetField kTargetFields[] = {
    {.name = "triple", .text = &CpuTarget::triple},
    {.name = "cpu", .text = &CpuTarget::cpu},
    {.name = "features", .text = &CpuTarget::features},
    {.name = "vector_bytes", .small = &CpuTarget::vector_bytes},
    {.name = "vector_registers", .small = &CpuTarget::vector_registers},
    {.name = "fma", .flag = &CpuTarget::fma},
    {.name = "flushes", .flag = &CpuTarget::flushes},
    {.name = "l1_bytes", .big = &CpuTarget::l1_bytes},
    {.name = "l1_ways", .small = &CpuTarget::l1_ways},
    {.name = "l2_bytes", .big = &CpuTarget::l2_bytes},
    {.name = "l3_bytes", .big = &CpuTarget::l3_bytes},
};
constexpr std::string_view kSanitizerField = "sanitizer", kChecksField = "check_indices";
constexpr std::string_view kSanitizers[] = {"none", "address", "thread"};  // by Sanitizer

/// Does nothing, and does not compile when a struct has a new field. What code depends on must be in the key: a field
/// of the target belongs into the table above, one of the kernel IR into its text (ir/kernel/print_kernel.cpp,
/// ir/kernel/parse_kernel.cpp).
[[maybe_unused]] void fields_of_the_key(const CpuTarget& target, const CpuSchedule& schedule, const Expr& expr,
                                        const KernelStage& stage, const Phase& phase, const Index& index) {
  [[maybe_unused]] const auto& [triple, cpu, features, vector_bytes, vector_registers, fma, flushes, l1, l1_ways, l2,
                                l3] = target;
  [[maybe_unused]] const auto& [vector, mr, nr, kc, mc, nc, split_n, pack_lhs, pack_rhs] = schedule;
  [[maybe_unused]] const auto& [kind, dtype, op, args, bits, buffer, access, result] = expr;
  [[maybe_unused]] const auto& [does, axis, stores, predicate, into, reduction, order, value, lhs, rhs, roles,
                                chunk_axis] = stage;
  [[maybe_unused]] const auto& [parallel, stages, chunk] = phase;
  [[maybe_unused]] const auto& [terms, offset, indirect] = index;
}

/// Takes the next line off `text`.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == text.npos) fail("the key ends in its header");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

/// Takes the next line off `text`, which is "name value", and returns the value.
std::string_view take_field(std::string_view& text, std::string_view name) {
  const std::string_view line = take_line(text);
  if (!line.starts_with(name) || line.size() == name.size() || line[name.size()] != ' ')
    fail("expected '{} …' in the key, found '{}'", name, line);
  return line.substr(name.size() + 1);
}

template <class T>
T number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) fail("expected a number in the key, found '{}'", text);
  return value;
}

}  // namespace

KeyMaker::KeyMaker(const CpuTarget& target, Sanitizer sanitizer)
    : header_(
          fmt::format("{}\n{} {}\n", generator_identity(), kSanitizerField, kSanitizers[static_cast<int>(sanitizer)])) {
  for (const TargetField& f : kTargetFields) {
    header_ += fmt::format("{} ", f.name);
    if (f.text) header_ += target.*f.text;
    if (f.small) header_ += std::to_string(target.*f.small);
    if (f.big) header_ += std::to_string(target.*f.big);
    if (f.flag) header_ += std::to_string(target.*f.flag);
    header_ += '\n';
  }
}

KernelKey KeyMaker::operator()(const Program& canonical) const {
  KernelKey key{fmt::format("{}{} {:d}\n{}", header_, kChecksField, canonical.check_indices, print(canonical)), {}};
  key.digest = digest(key.text);
  return key;
}

std::string digest(const std::string& text) {
  return llvm::toHex(llvm::BLAKE3::hash(llvm::arrayRefFromStringRef(text)), /*LowerCase=*/true);
}

std::string_view generator_of(std::string_view text) { return take_line(text); }

KeyParts parse_key(const std::string& text) {
  KeyParts parts;
  std::string_view rest = text;
  parts.generator = take_line(rest);
  const std::string_view sanitizer = take_field(rest, kSanitizerField);
  const auto known = std::ranges::find(kSanitizers, sanitizer);
  if (known == std::end(kSanitizers)) fail("expected none, address or thread in the key, found '{}'", sanitizer);
  parts.sanitizer = static_cast<Sanitizer>(known - kSanitizers);
  for (const TargetField& f : kTargetFields) {
    const std::string_view value = take_field(rest, f.name);
    if (f.text) parts.target.*f.text = value;
    if (f.small) parts.target.*f.small = number<int>(value);
    if (f.big) parts.target.*f.big = number<std::int64_t>(value);
    if (f.flag) parts.target.*f.flag = number<int>(value) != 0;
  }
  const bool checks = number<int>(take_field(rest, kChecksField)) != 0;
  parts.program = parse_program(rest, "<key>");
  parts.program.check_indices = checks;
  if (parts.program.kernels.size() != 1) fail("expected one kernel in the key, found {}", parts.program.kernels.size());
  return parts;
}

}  // namespace weft::codegen
