// Provenance: sets of source locations, interned for the life of the process, so that a set is one number.
#pragma once
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct Loc {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  friend auto operator<=>(const Loc&, const Loc&) = default;
};
std::string to_string(const Loc&);  ///< "file:line:col", without ":col" when the column is 0

/// An interned set of locations. Equal sets have equal ids. Thread-safe.
class LocSet {
 public:
  LocSet() = default;  ///< the empty set
  static LocSet of(const std::source_location&);
  static LocSet of(const Loc&);
  static LocSet of(const std::vector<Loc>&);
  LocSet operator|(LocSet other) const;  ///< union, memoised
  LocSet& operator|=(LocSet other) { return *this = *this | other; }
  bool empty() const { return id_ == 0; }
  const std::vector<Loc>& locs() const;  ///< sorted; valid for the life of the process
  std::string str() const;               ///< "a.cpp:3:7, b.cpp:9"
  std::uint32_t id() const { return id_; }
  friend bool operator==(LocSet, LocSet) = default;

 private:
  explicit LocSet(std::uint32_t id) : id_(id) {}
  std::uint32_t id_ = 0;
};

}  // namespace weft
