// System calls with their errors turned into messages.
#include "runtime/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "ir/error.h"
#include "ir/file_limit.h"

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
  int close() { return ::close(std::exchange(fd_, -1)); }
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

/// The temporary file of one atomic_write: gone at the end of the scope unless it was renamed.
struct Temporary {
  std::string path;
  bool renamed = false;
  ~Temporary() {
    if (!renamed) ::unlink(path.c_str());
  }
};

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
  std::vector<std::byte> bytes(static_cast<std::size_t>(file.size()));
  file.read(0, bytes);
  return bytes;
}

Array read_array(const InputFile& file, std::int64_t offset, const Type& type, const std::string& context) {
  Array array(type);
  file.read(offset, {array.data(), array.bytes()});
  if (type.dtype == boolean)
    for (std::size_t i = 0; i < array.bytes(); ++i)
      if (const auto byte = static_cast<unsigned>(array.data()[i]); byte > 1)
        fail("{}: element {} is {}, expected 0 or 1", context, i, byte);
  return array;
}

void atomic_write(const std::string& path, std::span<const std::span<const std::byte>> pieces) {
  static std::atomic<unsigned> serial{0};  // with the process id: no two writers share a temporary file
  const auto refuse = [&](int error) { fail("cannot write '{}': {}", path, reason(error)); };

  struct stat old;
  const bool exists = ::stat(path.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode))
    fail("cannot write '{}': {}", path, S_ISDIR(old.st_mode) ? "it is a folder" : "not a regular file");

  const std::string temporary_path = fmt::format("{}.{}-{}.tmp", path, ::getpid(), serial++);
  FileDescriptor fd(open_retrying(temporary_path, O_WRONLY | O_CREAT | O_EXCL, 0666));
  if (fd.get() < 0) refuse(errno);
  Temporary temporary{temporary_path};
  if (exists && ::fchmod(fd.get(), old.st_mode & 07777) != 0) refuse(errno);
  for (const auto piece : pieces)
    if (!write_all(fd.get(), piece)) refuse(errno);
  if (::fsync(fd.get()) != 0 || fd.close() != 0) refuse(errno);
  if (::rename(temporary_path.c_str(), path.c_str()) != 0) refuse(errno);
  temporary.renamed = true;

  // The new name is durable once the folder is. Some file systems cannot sync a folder (EINVAL) and need not.
  FileDescriptor folder(open_retrying(folder_of(path), O_RDONLY | O_DIRECTORY));
  if (folder.get() >= 0 && ::fsync(folder.get()) != 0 && errno != EINVAL) refuse(errno);
}

FolderLock::FolderLock(const std::string& path_of_file) {
  const std::string folder = folder_of(path_of_file);
  FileDescriptor fd(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  if (fd.get() < 0) fail("cannot lock '{}': {}", folder, reason(errno));
  int failed;
  do failed = ::flock(fd.get(), LOCK_EX);
  while (failed != 0 && errno == EINTR);
  // NFS wants a descriptor for writing, which a folder has none of (EBADF).
  if (failed != 0 && errno != EBADF && errno != EINVAL && errno != ENOLCK && errno != ENOTSUP)
    fail("cannot lock '{}': {}", folder, reason(errno));
  fd_ = fd.release();
}

FolderLock::~FolderLock() {
  ::flock(fd_, LOCK_UN);  // a child that was forked meanwhile may hold the descriptor too
  ::close(fd_);
}

}  // namespace weft
