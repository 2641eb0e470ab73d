// The process-wide table of locations and location sets.
//
// A set is a binary trie over the numbers of its locations (big-endian Patricia, after Okasaki and Gill), and equal
// tries are one node: equal sets have equal ids, and a set that grows location by location, as that of a constant or of
// a kernel does, costs O(log n) nodes a step rather than a copy of itself.
#include "ir/base/loc.h"

#include <algorithm>
#include <bit>
#include <deque>
#include <map>
#include <mutex>
#include <unordered_map>

#include "ir/base/fork.h"

namespace weft {
namespace {

using SetId = std::uint32_t;  // 0: the empty set; else a node

struct TrieNode {
  std::uint32_t key = 0;  // leaf: the number of its location; branch: the bits above `bit` that all below share
  std::uint32_t bit = 0;  // branch: where `left` (0) and `right` (1) differ; leaf: 0
  SetId left = 0, right = 0;
};

struct Table {
  std::mutex mutex;
  std::map<Loc, SetId> leaves;
  std::vector<const Loc*> locs;  // by number
  std::vector<TrieNode> nodes{{}};
  std::unordered_map<std::uint64_t, SetId> branches;  // (left, right) -> node
  std::unordered_map<std::uint64_t, SetId> unions;
  std::unordered_map<SetId, std::vector<Loc>> resolved;  // of sets that were asked for

  SetId leaf(const Loc& l) {
    auto [it, inserted] = leaves.try_emplace(l, static_cast<SetId>(nodes.size()));
    if (inserted) {
      nodes.push_back({static_cast<std::uint32_t>(locs.size()), 0, 0, 0});
      locs.push_back(&it->first);
    }
    return it->second;
  }

  SetId branch(std::uint32_t key, std::uint32_t bit, SetId left, SetId right) {
    auto [it, inserted] = branches.try_emplace(std::uint64_t{left} << 32 | right, static_cast<SetId>(nodes.size()));
    if (inserted) nodes.push_back({key, bit, left, right});
    return it->second;
  }

  static std::uint32_t above(std::uint32_t key, std::uint32_t bit) { return key & ~(bit | (bit - 1)); }

  /// The recursion is as deep as a key has bits.
  SetId merge(SetId a, SetId b) {
    if (a == b || b == 0) return a;
    if (a == 0) return b;
    if (nodes[a].bit < nodes[b].bit) std::swap(a, b);
    const TrieNode x = nodes[a], y = nodes[b];  // copies: merging adds nodes
    if (x.bit && above(y.key, x.bit) == x.key) {
      if (x.bit == y.bit) return branch(x.key, x.bit, merge(x.left, y.left), merge(x.right, y.right));
      return y.key & x.bit ? branch(x.key, x.bit, x.left, merge(x.right, b))
                           : branch(x.key, x.bit, merge(x.left, b), x.right);
    }
    const std::uint32_t bit = std::bit_floor(x.key ^ y.key);
    return y.key & bit ? branch(above(x.key, bit), bit, a, b) : branch(above(x.key, bit), bit, b, a);
  }

  const std::vector<Loc>& resolve(SetId set) {
    auto [it, inserted] = resolved.try_emplace(set);
    if (inserted) {
      std::vector<SetId> open{set};
      while (!open.empty()) {
        const TrieNode n = nodes[open.back()];
        const bool is_leaf = open.back() != 0 && n.bit == 0;
        open.pop_back();
        if (is_leaf) it->second.push_back(*locs[n.key]);
        for (SetId child : {n.left, n.right})
          if (child) open.push_back(child);
      }
      std::sort(it->second.begin(), it->second.end());
    }
    return it->second;
  }
};

Table& table() {
  static Table* t = new Table;  // never destroyed: sets may outlive static objects
  return *t;
}

}  // namespace

std::string to_string(const Loc& l) {
  std::string s = l.file + ":" + std::to_string(l.line);
  return l.column ? s + ":" + std::to_string(l.column) : s;
}

LocSet LocSet::of(const Loc& l) { return of(std::vector<Loc>{l}); }

LocSet LocSet::of(const std::source_location& s) { return of(Loc{s.file_name(), s.line(), s.column()}); }

LocSet LocSet::of(const std::vector<Loc>& locs) {
  const ForkGuard guard;
  std::lock_guard lock(table().mutex);
  SetId set = 0;
  for (const Loc& l : locs) set = table().merge(set, table().leaf(l));
  return LocSet(set);
}

LocSet LocSet::operator|(LocSet other) const {
  if (id_ == other.id_ || other.id_ == 0) return *this;
  if (id_ == 0) return other;
  auto [low, high] = std::minmax(id_, other.id_);
  const ForkGuard guard;
  std::lock_guard lock(table().mutex);
  auto [it, inserted] = table().unions.try_emplace(std::uint64_t{low} << 32 | high, 0);
  if (inserted) it->second = table().merge(low, high);
  return LocSet(it->second);
}

const std::vector<Loc>& LocSet::locs() const {
  const ForkGuard guard;
  std::lock_guard lock(table().mutex);
  return table().resolve(id_);
}

std::string LocSet::str() const {
  std::string s;
  for (const Loc& l : locs()) s += (s.empty() ? "" : ", ") + to_string(l);
  return s;
}

}  // namespace weft
