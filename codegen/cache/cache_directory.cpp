// Files of the cache. All of them are reached from one descriptor, opened and checked once, so that a directory
// exchanged later is not followed.
#include "codegen/cache/cache_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <memory>

#include "ir/base/error.h"
#include "ir/base/file_limit.h"

namespace weft::codegen {
namespace {

constexpr std::size_t kNameLength = 64;
constexpr std::string_view kTemporary = "tmp-";
constexpr std::int64_t kLeftoverSeconds = 3600;  // older temporary files have no writer any more
constexpr std::int64_t kMaxFile = std::int64_t{1} << 30;

// How much has been written since the directory was last scanned is the length of this file, in units: appending needs
// no lock and cannot tear. What a process appends while another one scans is lost; the next scan finds it.
constexpr const char* kLedger = "usage";
constexpr std::int64_t kLedgerUnit = 1024;
// A scan leaves an eighth of the limit free, so that scans are rare.
std::int64_t after_eviction(std::int64_t limit) { return limit - limit / 8; }

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }

 private:
  int fd_;
};

bool is_entry_name(std::string_view name) {
  return name.size() == kNameLength && name.find_first_not_of("0123456789abcdef") == name.npos;
}

bool ours_alone(const struct stat& s) { return s.st_uid == geteuid() && (s.st_mode & (S_IWGRP | S_IWOTH)) == 0; }

std::int64_t nanoseconds(const timespec& t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; }

std::int64_t now() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return nanoseconds(t);
}

bool write_all(int fd, std::string_view bytes) {
  const FileLimitGuard guard;
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool read_all(int fd, std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::read(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

/// Calls f(name, stat) for everything in the directory.
template <class F>
void for_each_file(int directory, F&& f) {
  const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // with a position of its own
  if (fd < 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(fd), closedir);
  if (!dir) return void(close(fd));
  while (const dirent* e = readdir(dir.get())) {
    struct stat s {};
    if (fstatat(fd, e->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0) f(std::string_view(e->d_name), s);
  }
}

}  // namespace

CacheDirectory::CacheDirectory(CacheOptions options) : options_(std::move(options)) {
  if (!options_.directory.empty()) open();
}

CacheDirectory::~CacheDirectory() {
  if (fd_ >= 0) close(fd_);
}

std::string CacheDirectory::path(std::string_view name) const { return fmt::format("{}/{}", options_.directory, name); }

bool CacheDirectory::open() {
  fd_ = ::open(options_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd_ < 0) {
    if (errno != ENOENT) unusable_ = std::strerror(errno);
    return false;
  }
  struct stat s {};
  if (fstat(fd_, &s) != 0)
    unusable_ = std::strerror(errno);
  else if (s.st_uid != geteuid())
    unusable_ = "it belongs to another user";
  else if (!ours_alone(s))
    unusable_ = "other users may write to it";
  return unusable_.empty();
}

void CacheDirectory::create() {
  std::error_code failed;
  const std::filesystem::path parent = std::filesystem::path(options_.directory + "/").parent_path().parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, failed);
  mkdir(options_.directory.c_str(), S_IRWXU);  // where it fails, open() does
  open();
}

CacheDirectory::Found CacheDirectory::read(const std::string& name, std::string& bytes) const {
  if (off() || fd_ < 0) return Found::absent;
  // Without O_NONBLOCK a pipe of that name would block.
  const Descriptor file(openat(fd_, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return errno == ENOENT ? Found::absent : Found::unreadable;
  struct stat s {};
  if (fstat(file.get(), &s) != 0 || !S_ISREG(s.st_mode) || !ours_alone(s) || s.st_size > kMaxFile)
    return Found::unreadable;
  bytes.resize(static_cast<std::size_t>(s.st_size));
  if (!read_all(file.get(), bytes)) return Found::unreadable;
  return Found::file;
}

void CacheDirectory::mark_used(const std::string& name) const {
  utimensat(fd_, name.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
}

void CacheDirectory::write(const std::string& name, std::string_view bytes) {
  if (static_cast<std::int64_t>(bytes.size()) > after_eviction(options_.limit_bytes)) return;
  {
    const std::lock_guard lock(creating_);
    if (!off() && fd_ < 0) create();
    if (off() || fd_ < 0) return;
  }
  static std::atomic<unsigned> serial{0};
  const std::string temporary = fmt::format("{}{}-{}-{}", kTemporary, getpid(), serial++, now());
  bool done = false;
  {
    const Descriptor file(openat(fd_, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return;
    done = write_all(file.get(), bytes);
  }
  if (done && renameat(fd_, temporary.c_str(), fd_, name.c_str()) != 0)
    done = remove(name) && renameat(fd_, temporary.c_str(), fd_, name.c_str()) == 0;  // a directory in its place
  if (!done) return void(unlinkat(fd_, temporary.c_str(), 0));
  account(static_cast<std::int64_t>(bytes.size()));
}

bool CacheDirectory::remove(const std::string& name) const {
  return unlinkat(fd_, name.c_str(), 0) == 0 || errno == ENOENT || unlinkat(fd_, name.c_str(), AT_REMOVEDIR) == 0;
}

void CacheDirectory::account(std::int64_t bytes) const {
  const Descriptor ledger(
      openat(fd_, kLedger, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  struct stat s {};
  if (!ledger || !write_all(ledger.get(), std::string(static_cast<std::size_t>(bytes / kLedgerUnit + 1), '\0')) ||
      fstat(ledger.get(), &s) != 0 || s.st_size <= options_.limit_bytes / kLedgerUnit)
    return;
  if (ftruncate(ledger.get(), evict() / kLedgerUnit) != 0) forget_usage();
}

/// Scans the directory, removes what was used least recently if the entries take too much, and returns what they take.
std::int64_t CacheDirectory::evict() const {
  remove_leftovers();
  std::vector<File> files = list();
  std::int64_t total = 0;
  for (const File& f : files) total += f.bytes;
  std::ranges::sort(files, {}, &File::used);
  for (auto f = files.begin(); f != files.end() && total > after_eviction(options_.limit_bytes); ++f)
    if (remove(f->name)) total -= f->bytes;
  return total;
}

std::vector<CacheDirectory::File> CacheDirectory::list() const {
  std::vector<File> files;
  if (fd_ < 0) return files;
  for_each_file(fd_, [&](std::string_view name, const struct stat& s) {
    if (is_entry_name(name)) files.push_back({std::string(name), std::int64_t{s.st_size}, nanoseconds(s.st_mtim)});
  });
  return files;
}

void CacheDirectory::forget_usage() const { unlinkat(fd_, kLedger, 0); }

void CacheDirectory::remove_leftovers() const {
  if (fd_ < 0) return;
  std::vector<std::string> names;
  for_each_file(fd_, [&](std::string_view name, const struct stat& s) {
    if (name.starts_with(kTemporary) && now() - nanoseconds(s.st_mtim) > kLeftoverSeconds * 1'000'000'000)
      names.emplace_back(name);
  });
  for (const std::string& name : names) unlinkat(fd_, name.c_str(), 0);
}

}  // namespace weft::codegen
