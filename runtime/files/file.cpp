// System calls with their errors turned into messages.
#include "runtime/files/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "ir/base/error.h"
#include "ir/base/file_limit.h"

namespace weft {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int open_retrying(const std::string& path, int flags, mode_t mode = 0) {
  int fd;
  do fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Writes everything; false, with errno set, when that fails.
bool write_all(int fd, std::span<const std::byte> bytes) {
  const FileLimitGuard guard;
  while (!bytes.empty()) {
    const auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

std::uint64_t random_number() {
  static std::atomic<std::uint64_t> serial{0};
  std::uint64_t x = 0;
  if (::getentropy(&x, sizeof x) == 0) return x;
  x = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  return (x ^ static_cast<std::uint64_t>(::getpid()) << 32) * 0x9e3779b97f4a7c15 + ++serial;
}

/// A file that is being written beside `target`, under a name of its own. Its writer holds a lock on it, which the
/// system drops when the process ends: what is not locked has no writer any more. Gone at the end of the scope unless
/// renamed.
class Temporary {
 public:
  explicit Temporary(const std::string& target) : target_(target), mode_(mode_of(target)) {
    remove_leftovers();
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      path_ = fmt::format("{}/{}{:012x}{}", folder_of(target), prefix_, random_number() >> 16, kSuffix);
      FileDescriptor fd(open_retrying(path_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666));
      if (fd.get() < 0 && errno == EEXIST) continue;
      if (fd.get() < 0) refuse(errno);
      struct stat info;
      const bool taken = (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) ||
                         ::fstat(fd.get(), &info) != 0 || info.st_nlink == 0;
      if (taken) continue;  // somebody who looked for leftovers was faster than the lock
      fd_ = fd.release();
      return;
    }
    refuse(EEXIST);
  }
  ~Temporary() {
    if (fd_ < 0) return;
    if (!renamed_) ::unlink(path_.c_str());
    ::close(fd_);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  int fd() const { return fd_; }
  [[noreturn]] void refuse(int error) const {
    fail("cannot write '{}': {}{}", target_, reason(error), mode_ ? "; the old file is as it was" : "");
  }
  void replace_target() {
    if (mode_ && ::fchmod(fd_, *mode_) != 0) refuse(errno);
    if (::fsync(fd_) != 0) refuse(errno);
    if (::rename(path_.c_str(), target_.c_str()) != 0) refuse(errno);
    renamed_ = true;
  }

 private:
  static constexpr int kAttempts = 100;
  static constexpr std::size_t kLongest = 200;  // bytes of the target's name: with what is added it must be a name
  static constexpr std::string_view kSuffix = ".tmp";
  static constexpr std::size_t kDigits = 12;

  /// Of the file that is to be replaced.
  static std::optional<mode_t> mode_of(const std::string& path) {
    struct stat old;
    if (::stat(path.c_str(), &old) != 0) {
      if (errno == ENOENT && !path.empty()) return {};
      fail("cannot write '{}': {}", path, reason(errno));
    }
    if (!S_ISREG(old.st_mode))
      fail("cannot write '{}': {}", path, S_ISDIR(old.st_mode) ? "it is a folder" : "not a regular file");
    return old.st_mode & 07777;
  }

  bool is_ours(std::string_view name) const {
    return name.size() == prefix_.size() + kDigits + kSuffix.size() && name.starts_with(prefix_) &&
           name.ends_with(kSuffix) &&
           name.substr(prefix_.size(), kDigits).find_first_not_of("0123456789abcdef") == name.npos;
  }

  /// What writers of the same target left that were killed.
  void remove_leftovers() const {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(folder_of(target_).c_str()), ::closedir);
    if (!folder) return;  // making the file says why
    const int at = ::dirfd(folder.get());
    while (const dirent* entry = ::readdir(folder.get())) {
      if (!is_ours(entry->d_name)) continue;
      const FileDescriptor fd(::openat(at, entry->d_name, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
      struct stat info;
      if (fd.get() >= 0 && ::fstat(fd.get(), &info) == 0 && S_ISREG(info.st_mode) &&
          ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0)
        ::unlinkat(at, entry->d_name, 0);
    }
  }

  const std::string& target_;
  const std::string prefix_ = target_.substr(target_.rfind('/') + 1).substr(0, kLongest) + ".weft-";
  std::optional<mode_t> mode_;
  std::string path_;
  int fd_ = -1;
  bool renamed_ = false;
};

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  // Not blocking: opening a FIFO that nobody writes to must come back to be refused.
  FileDescriptor fd(open_retrying(path, O_RDONLY | O_NONBLOCK));
  if (fd.get() < 0) fail("cannot open '{}': {}", path, reason(errno));
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) fail("cannot read '{}': {}", path, reason(errno));
  if (!S_ISREG(info.st_mode))
    fail("cannot read '{}': {}", path, S_ISDIR(info.st_mode) ? "it is a folder" : "not a regular file");
  size_ = info.st_size;
  std::byte first;
  if (size_ == 0 && ::pread(fd.get(), &first, 1, 0) > 0) fail("cannot read '{}': it has no size, as files have", path);
  fd_ = fd.release();
}

InputFile::~InputFile() { ::close(fd_); }

void InputFile::read(std::int64_t offset, std::span<std::byte> to) const {
  std::size_t done = 0;
  while (done < to.size()) {
    const auto at = offset + static_cast<std::int64_t>(done);
    const auto n = ::pread(fd_, to.data() + done, to.size() - done, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot read '{}': {}", path_, reason(errno));
    if (n == 0) fail("'{}' ends at byte {}, expected {} bytes from byte {} on", path_, at, to.size(), offset);
    done += static_cast<std::size_t>(n);
  }
}

std::vector<std::byte> read_file(const std::string& path, std::int64_t limit) {
  const InputFile file(path);
  if (file.size() > limit) fail("'{}' has {} bytes, more than the {} that are allowed here", path, file.size(), limit);
  std::vector<std::byte> bytes;
  try {
    bytes.resize(static_cast<std::size_t>(file.size()));
  } catch (const std::bad_alloc&) {
    fail("cannot read '{}': it has {} bytes, more than there is memory for", path, file.size());
  }
  file.read(0, bytes);
  return bytes;
}

void atomic_write(const std::string& path, std::span<const std::span<const std::byte>> pieces) {
  Temporary temporary(path);
  for (const auto piece : pieces)
    if (!write_all(temporary.fd(), piece)) temporary.refuse(errno);
  temporary.replace_target();
  // The new name is durable once the folder is. Some file systems cannot sync a folder (EINVAL) and need not.
  FileDescriptor folder(open_retrying(folder_of(path), O_RDONLY | O_DIRECTORY));
  if (folder.get() >= 0 && ::fsync(folder.get()) != 0 && errno != EINVAL)
    fail("cannot sync the folder of '{}': {}", path, reason(errno));
}

void check_writable(const std::string& path, std::int64_t bytes) {
  const Temporary temporary(path);
  const int error = bytes > 0 ? ::posix_fallocate(temporary.fd(), 0, bytes) : 0;
  if (error != 0 && error != EOPNOTSUPP && error != EINVAL && error != EINTR) temporary.refuse(error);
}

FolderLock::FolderLock(const std::string& path_of_file, std::chrono::milliseconds at_most) {
  using namespace std::chrono;
  const std::string folder = folder_of(path_of_file);
  FileDescriptor fd(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  if (fd.get() < 0) fail("cannot lock '{}': {}", folder, reason(errno));
  const auto end = steady_clock::now() + at_most;
  for (milliseconds pause(1); ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0;
       pause = std::min(2 * pause, milliseconds(64))) {
    // NFS wants a descriptor for writing, which a folder has none of (EBADF).
    if (errno == EBADF || errno == EINVAL || errno == ENOLCK || errno == ENOTSUP) break;
    if (errno != EWOULDBLOCK && errno != EINTR) fail("cannot lock '{}': {}", folder, reason(errno));
    if (steady_clock::now() >= end)
      fail("cannot lock '{}': another process has held the lock for {:g} s", folder, duration<double>(at_most).count());
    std::this_thread::sleep_for(pause);
  }
  fd_ = fd.release();
}

FolderLock::~FolderLock() {
  ::flock(fd_, LOCK_UN);  // a child that was forked meanwhile may hold the descriptor too
  ::close(fd_);
}

}  // namespace weft
