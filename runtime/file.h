// Files as the readers and writers of this folder see them: whole, checked, and with errors that name the path and the
// reason.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <weft/ir/array.h>

namespace weft {

/// A regular file open for reading.
class InputFile {
 public:
  /// Throws Error: "cannot open 'x': No such file or directory", "cannot read 'x': not a regular file".
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

/// An array from the bytes at `offset`, which must lie in the file. Throws Error "CONTEXT: element 3 is 7, expected 0
/// or 1" when an element of a bool array is neither.
Array read_array(const InputFile&, std::int64_t offset, const Type&, const std::string& context);

/// Replaces the file by the concatenation of `pieces`, all or nothing: the bytes go to a temporary file in the same
/// folder, which is synced, given the old file's permissions, and renamed; then the folder is synced. On Error ("cannot
/// write 'x': No space left on device") the old file is as it was. A symbolic link is replaced, not followed.
void atomic_write(const std::string& path, std::span<const std::span<const std::byte>> pieces);

/// For files that are read, changed and written again: while it lives, no other thread or process holds one of the same
/// folder. It waits for that. The folder itself is locked (not the file, which atomic_write exchanges), and nothing is
/// left there. Throws Error "cannot lock 'x': No such file or directory"; where the file system has no locks, it locks
/// nothing.
class FolderLock {
 public:
  explicit FolderLock(const std::string& path_of_file);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace weft
