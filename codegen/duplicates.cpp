// Finding copies: kernels are brought into a canonical form, without names, with buffers numbered by first use and
// every buffer's accesses counted from the lowest of them; equal forms, found by their hash, are copies.
#include "codegen/duplicates.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

namespace weft::codegen {
namespace {

// The code of a kernel that has copies is called with a table of buffers made on the stack, as long as the highest
// number among its buffers: 512 KiB at most.
constexpr BufferId kMaxTable = 1 << 16;

struct Canonical {
  std::vector<Axis> axes;
  std::vector<Expr> exprs;
  std::vector<Phase> phases;
  Schedule schedule;
  std::vector<Type> types;            // of the buffers, by their new numbers
  std::vector<std::int32_t> storage;  // of each, the first buffer with the same storage
  std::vector<std::int64_t> offsets;  // of each access, in elements from the lowest one to its buffer
  friend bool operator==(const Canonical&, const Canonical&) = default;
};

/// A kernel's canonical form with what was taken out of it.
struct Form {
  Canonical kernel;
  std::vector<BufferId> buffers;    // by their new numbers
  std::vector<std::int64_t> begin;  // of each, the lowest offset in elements; 0 where storage is shared
};

Form canonical(const Program& program, const Kernel& kernel) {
  Form form{{kernel.axes, kernel.exprs, kernel.phases, kernel.schedule, {}, {}, {}}, {}, {}};
  Canonical& c = form.kernel;
  std::unordered_map<BufferId, BufferId> numbers;
  std::vector<BufferId> accessed;  // by access: the buffer's new number
  auto visit = [&](BufferId& id, std::vector<Index>& access) {
    const auto [known, is_new] = numbers.try_emplace(id, static_cast<BufferId>(form.buffers.size()));
    if (is_new) form.buffers.push_back(id);
    const Dims strides = row_major_strides(program.buffers[static_cast<std::size_t>(id)].type.shape);
    id = known->second;
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < access.size(); ++d)
      offset += strides[static_cast<int>(d)] * std::exchange(access[d].offset, 0);
    accessed.push_back(id);
    c.offsets.push_back(offset);
  };
  for (Axis& a : c.axes) a.name.clear();
  for (Expr& e : c.exprs)
    if (e.kind == Expr::load) visit(e.buffer, e.access);
  for (Phase& p : c.phases)
    for (KernelStage& s : p.stages)
      for (Store& t : s.stores) visit(t.buffer, t.access);

  std::unordered_map<BufferId, std::int32_t> first;  // storage -> its first buffer
  std::vector<bool> shared(form.buffers.size(), false);
  for (std::size_t i = 0; i < form.buffers.size(); ++i) {
    c.types.push_back(program.buffers[static_cast<std::size_t>(form.buffers[i])].type);
    const auto [known, is_new] = first.try_emplace(storage(program, form.buffers[i]), static_cast<std::int32_t>(i));
    c.storage.push_back(known->second);
    if (!is_new) shared[i] = shared[static_cast<std::size_t>(known->second)] = true;
  }
  form.begin.assign(form.buffers.size(), std::numeric_limits<std::int64_t>::max());
  for (std::size_t i = 0; i < accessed.size(); ++i) {
    std::int64_t& begin = form.begin[static_cast<std::size_t>(accessed[i])];
    begin = shared[static_cast<std::size_t>(accessed[i])] ? 0 : std::min(begin, c.offsets[i]);
  }
  for (std::size_t i = 0; i < accessed.size(); ++i) c.offsets[i] -= form.begin[static_cast<std::size_t>(accessed[i])];
  return form;
}

/// A few fields that differ between most kernels that differ at all.
std::size_t hash(const Canonical& c) {
  std::size_t h = 0;
  auto mix = [&](auto v) { h = (h ^ static_cast<std::size_t>(v)) * 0xff51afd7ed558ccd, h ^= h >> 32; };
  for (const Axis& a : c.axes) mix(a.extent);
  for (const Expr& e : c.exprs) {
    mix(static_cast<std::size_t>(e.kind) << 16 | static_cast<std::size_t>(e.op) << 8 |
        static_cast<std::size_t>(e.dtype));
    mix(e.bits);
    mix(e.buffer);
    for (ExprId a : e.args) mix(a);
  }
  for (std::int64_t offset : c.offsets) mix(offset);
  for (const Phase& p : c.phases)
    for (const KernelStage& s : p.stages)
      for (const Store& t : s.stores) mix(t.value);
  return h;
}

}  // namespace

std::vector<Copy> find_copies(const Program& program) {
  const std::size_t n = program.kernels.size();
  std::vector<Copy> copies(n);
  std::unordered_multimap<std::size_t, std::pair<std::size_t, Form>> originals;  // by hash: kernel and form
  for (std::size_t k = 0; k < n; ++k) {
    Form form = canonical(program, program.kernels[k]);
    const std::size_t h = hash(form.kernel);
    for (auto [it, end] = originals.equal_range(h); it != end && copies[k].of == kNone; ++it) {
      const auto& [number, original] = it->second;
      if (!(original.kernel == form.kernel)) continue;
      copies[k].of = static_cast<std::int32_t>(number);
      for (std::size_t i = 0; i < form.buffers.size(); ++i) {
        const auto size = static_cast<std::int64_t>(size_of(form.kernel.types[i].dtype));
        copies[k].places.push_back({original.buffers[i], form.buffers[i], size * (form.begin[i] - original.begin[i])});
      }
    }
    const bool fits = std::ranges::all_of(form.buffers, [](BufferId id) { return id < kMaxTable; });
    if (copies[k].of == kNone && fits) originals.emplace(h, std::pair(k, std::move(form)));
  }
  return copies;
}

}  // namespace weft::codegen
