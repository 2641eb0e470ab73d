// What users may ask of the object cache: its options, its size, to empty it, to verify it.
#include "codegen/cache/cache.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <mutex>

#include "codegen/cache/identity.h"
#include "codegen/cache/object_cache.h"
#include "codegen/llvm/llvm_target.h"
#include "codegen/llvm/llvm_version.h"
#include "codegen/llvm/parallel.h"

namespace weft {
namespace {

using namespace codegen;

/// The value of a variable, "" when it is not set or the process has other rights than its user.
std::string environment(const char* name) {
  const char* const value = secure_getenv(name);
  return value ? value : "";
}

std::string default_directory() {
  if (std::string set = environment("WEFT_CACHE_DIR"); !set.empty()) return set;
  if (const std::string caches = environment("XDG_CACHE_HOME"); caches.starts_with("/")) return caches + "/weft";
  if (const std::string home = environment("HOME"); home.starts_with("/")) return home + "/.cache/weft";
  return {};
}

/// 1000, 64K, 256M, 1G.
std::int64_t parse_limit(const std::string& text) {
  constexpr std::string_view kSuffixes = "KMG";
  std::int64_t value = -1;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  int shift = 0;
  if (end + 1 == last)
    if (const std::size_t at = kSuffixes.find(*end); at != kSuffixes.npos) shift = 10 * (static_cast<int>(at) + 1);
  if (error != std::errc() || value < 0 || (end != last && shift == 0) || value > INT64_MAX >> shift)
    fail("WEFT_CACHE_LIMIT: expected a number of bytes such as 64M, found '{}'", text);
  return value << shift;
}

void check_usable(const CacheOptions& options, const CacheDirectory& directory) {
  if (options.directory.empty()) fail("the object cache is off");
  if (!directory.unusable().empty())
    fail("{} is not used as an object cache: {}", options.directory, directory.unusable());
}

/// What is wrong with an entry; "" when it is what compiling its kernel gives, or when this build cannot tell.
std::string problem(const CacheDirectory& directory, const std::string& name, bool& checked) {
  checked = false;
  std::string bytes;
  CacheEntry e;
  if (directory.read(name, bytes) != CacheDirectory::Found::file) return "it is no regular file of this user alone";
  if (std::string damage = decode(bytes, e); !damage.empty()) return damage;
  const std::string key(e.key);
  if (digest(key) != name) return "it holds the code of another key";
  try {
    const LlvmUse use;
    if (generator_of(key) != generator_identity()) return {};
    const KeyParts parts = parse_key(key);
    const auto machine = make_target_machine(parts.target);
    const CompiledKernel again = compile_kernel(parts.program, parts.program.kernels[0], parts.target, *machine,
                                                KernelKey{key, name}.symbol(), {false, parts.sanitizer});
    checked = true;
    const bool same = encode(entry_of(key, again)) == bytes;
    return same ? "" : "it differs from what compiling its kernel gives";
  } catch (const Error& error) {
    return error.what();
  } catch (const InternalError& error) {
    return error.what();
  }
}

}  // namespace

CacheOptions cache_from_environment() {
  CacheOptions options;
  if (environment("WEFT_CACHE") == "0") return options;
  options.directory = default_directory();
  if (const std::string limit = environment("WEFT_CACHE_LIMIT"); !limit.empty())
    options.limit_bytes = parse_limit(limit);
  return options;
}

CacheInfo cache_info(const CacheOptions& options) {
  const CacheDirectory directory(options);
  CacheInfo info{directory.unusable()};
  if (directory.off()) return info;
  for (const CacheDirectory::File& f : directory.list()) ++info.entries, info.bytes += f.bytes;
  return info;
}

std::int64_t clear_cache(const CacheOptions& options) {
  const CacheDirectory directory(options);
  check_usable(options, directory);
  directory.remove_leftovers();
  std::int64_t removed = 0;
  for (const CacheDirectory::File& f : directory.list()) {
    if (!directory.remove(f.name)) fail("cannot remove {}", directory.path(f.name));
    ++removed;
  }
  directory.forget_usage();
  return removed;
}

CacheVerification verify_cache(const CacheOptions& options, int threads) {
  const CacheDirectory directory(options);
  check_usable(options, directory);
  const std::vector<CacheDirectory::File> files = directory.list();
  CacheVerification result;
  std::mutex mutex;
  const Work work = [&](std::size_t i) {
    bool checked = false;
    std::string found = problem(directory, files[i].name, checked);
    if (!found.empty() && !directory.remove(files[i].name)) found += "; it cannot be removed";
    const std::lock_guard lock(mutex);
    if (!found.empty())
      result.problems.push_back({directory.path(files[i].name), std::move(found)});
    else
      ++(checked ? result.verified : result.unchecked);
  };
  parallel_for(files.size(), threads, [&] { return work; });
  std::ranges::sort(result.problems, {}, &CacheProblem::file);
  return result;
}

}  // namespace weft
