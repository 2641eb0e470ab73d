// The process-wide table of locations and location sets.
#include "ir/loc.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <unordered_map>

namespace weft {
namespace {

struct Table {
  std::mutex mutex;
  std::map<Loc, std::uint32_t> loc_ids;
  std::deque<Loc> locs;
  std::map<std::vector<std::uint32_t>, std::uint32_t> set_ids{{{}, 0}};
  std::deque<std::vector<std::uint32_t>> sets{{}};
  std::deque<std::vector<Loc>> resolved{{}};
  std::unordered_map<std::uint64_t, std::uint32_t> unions;

  std::uint32_t loc(const Loc& l) {
    auto [it, inserted] = loc_ids.try_emplace(l, static_cast<std::uint32_t>(locs.size()));
    if (inserted) locs.push_back(l);
    return it->second;
  }
  std::uint32_t set(const std::vector<std::uint32_t>& ids) {
    auto [it, inserted] = set_ids.try_emplace(ids, static_cast<std::uint32_t>(sets.size()));
    if (inserted) {
      sets.push_back(ids);
      std::vector<Loc> all;
      for (std::uint32_t id : ids) all.push_back(locs[id]);
      std::sort(all.begin(), all.end());
      resolved.push_back(std::move(all));
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
  std::lock_guard lock(table().mutex);
  std::vector<std::uint32_t> ids;
  for (const Loc& l : locs) ids.push_back(table().loc(l));
  return intern(std::move(ids));
}

LocSet LocSet::intern(std::vector<std::uint32_t> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return LocSet(table().set(ids));
}

LocSet LocSet::operator|(LocSet other) const {
  if (id_ == other.id_ || other.id_ == 0) return *this;
  if (id_ == 0) return other;
  auto [low, high] = std::minmax(id_, other.id_);
  std::lock_guard lock(table().mutex);
  auto [it, inserted] = table().unions.try_emplace(std::uint64_t{low} << 32 | high, 0);
  if (inserted) {
    std::vector<std::uint32_t> ids = table().sets[low];
    const auto& more = table().sets[high];
    ids.insert(ids.end(), more.begin(), more.end());
    it->second = intern(std::move(ids)).id_;
  }
  return LocSet(it->second);
}

const std::vector<Loc>& LocSet::locs() const {
  std::lock_guard lock(table().mutex);
  return table().resolved[id_];
}

std::string LocSet::str() const {
  std::string s;
  for (const Loc& l : locs()) s += (s.empty() ? "" : ", ") + to_string(l);
  return s;
}

}  // namespace weft
