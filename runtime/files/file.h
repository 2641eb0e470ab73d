// Files as the readers and writers of this folder see them: whole, checked, and with errors that name the path and the
// reason.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace weft {

/// A regular file open for reading.
class InputFile {
 public:
  /// Throws Error: "cannot open 'x': No such file or directory", "cannot read 'x': not a regular file", also for what
  /// the system makes up as it is read (/proc), whose size nobody knows.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  std::int64_t size() const { return size_; }  ///< bytes, when it was opened
  /// Fills `to` from byte `offset` on. Throws Error when the file ends before that, or the system reports an error.
  void read(std::int64_t offset, std::span<std::byte> to) const;

 private:
  std::string path_;
  int fd_ = -1;
  std::int64_t size_ = 0;
};

/// The bytes of a regular file. Throws Error as InputFile does, and when the file is larger than `limit` bytes.
std::vector<std::byte> read_file(const std::string& path, std::int64_t limit);

/// Replaces the file by the concatenation of `pieces`, all or nothing: the bytes go to a temporary file in the same
/// folder, which is synced, given the old file's permissions, and renamed; then the folder is synced. On Error ("cannot
/// write 'x': No space left on device; the old file is as it was") it is, and so it is when the process is killed; the
/// temporary file that this leaves, `x.weft-0123456789ab.tmp`, goes when the file is written again. A symbolic link is
/// replaced, not followed.
void atomic_write(const std::string& path, std::span<const std::span<const std::byte>> pieces);

/// Throws the Error that atomic_write would throw now for so many bytes: it makes the temporary file, has the system
/// set the bytes aside, and removes it. For before the work whose result is to be written.
void check_writable(const std::string& path, std::int64_t bytes);

/// For files that are read, changed and written again: while it lives, no other thread or process holds one of the same
/// folder. It waits for that, `at_most` so long. The folder itself is locked (not the file, which atomic_write
/// exchanges), nothing is left there, and the system unlocks it when the process ends. Throws Error "cannot lock 'x':
/// No such file or directory", "…: another process has held the lock for 10 s"; where the file system has no locks, it
/// locks nothing.
class FolderLock {
 public:
  explicit FolderLock(const std::string& path_of_file, std::chrono::milliseconds at_most = std::chrono::seconds(10));
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace weft
