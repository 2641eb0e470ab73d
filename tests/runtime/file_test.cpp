// Files: errors name path and reason, writing is all or nothing.
#include "runtime/file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <thread>

#include "catch.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

void write(const std::string& path, std::string_view a, std::string_view b = "") {
  const std::span<const std::byte> pieces[] = {std::as_bytes(std::span(a)), std::as_bytes(std::span(b))};
  atomic_write(path, pieces);
}

/// While it lives, no file may grow beyond `bytes`: the way to make a write fail half-way.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_;
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("reading names the path and the reason") {
  const TempDir dir;
  const auto missing = dir.file("missing"), fifo = dir.file("fifo"), small = dir.file("small");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  spill(small, "12345");
  CHECK(error_of([&] { read_file(missing, 10); }) == "cannot open '" + missing + "': No such file or directory");
  CHECK(error_of([&] { read_file(dir.path(), 10); }) == "cannot read '" + dir.path() + "': it is a folder");
  CHECK(error_of([&] { read_file(fifo, 10); }) == "cannot read '" + fifo + "': not a regular file");
  CHECK(error_of([&] { read_file("/dev/zero", 10); }) == "cannot read '/dev/zero': not a regular file");
  CHECK(error_of([&] { read_file(small, 4); }) == "'" + small + "' has 5 bytes, more than the 4 that are allowed here");
  CHECK(read_file(small, 5).size() == 5);
  std::byte four[4];
  CHECK(error_of([&] { InputFile(small).read(3, four); }) ==
        "'" + small + "' ends at byte 5, expected 4 bytes from byte 3 on");
}

TEST_CASE("atomic_write replaces a file, keeps its permissions and leaves nothing behind") {
  const TempDir dir;
  const auto path = dir.file("x");
  write(path, "one ", "two");
  CHECK(slurp(path) == "one two");
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  write(path, "three");
  CHECK(slurp(path) == "three");
  struct stat info;
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0640);
  CHECK(dir.entries() == 1);
}

TEST_CASE("a failed atomic_write leaves the old file as it was") {
  const TempDir dir;
  const auto path = dir.file("x");
  write(path, "old");
  {
    FileSizeLimit limit(1000);
    CHECK(error_of([&] { write(path, std::string(5000, 'a')); }) == "cannot write '" + path + "': File too large");
  }
  CHECK(slurp(path) == "old");
  CHECK(dir.entries() == 1);

  const auto nowhere = dir.file("no/such/folder");
  CHECK(error_of([&] { write(nowhere, "x"); }) == "cannot write '" + nowhere + "': No such file or directory");
  CHECK(error_of([&] { write(dir.path(), "x"); }) == "cannot write '" + dir.path() + "': it is a folder");
  CHECK(error_of([&] { write("/dev/null", "x"); }) == "cannot write '/dev/null': not a regular file");
}

TEST_CASE("atomic_write works in the current folder") {
  const TempDir dir;
  const auto old = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  write("plain-name", "x");
  std::filesystem::current_path(old);
  CHECK(slurp(dir.file("plain-name")) == "x");
}

TEST_CASE("a folder's lock is held by one at a time") {
  const TempDir dir;
  const auto path = dir.file("count");
  spill(path, "0");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const FolderLock lock(path);
        write(path, std::to_string(std::stoi(slurp(path)) + 1));
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(slurp(path) == "200");
  CHECK(dir.entries() == 1);
  const auto nowhere = dir.file("no/file");
  CHECK(error_of([&] { FolderLock{nowhere}; }) == "cannot lock '" + dir.file("no") + "': No such file or directory");
}
