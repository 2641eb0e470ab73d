// Files: errors name path and reason, writing is all or nothing.
#include "runtime/files/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
  CHECK(error_of([&] { read_file("/proc/self/status", 10); }) ==
        "cannot read '/proc/self/status': it has no size, as files have");
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
    const std::string too_large = "cannot write '" + path + "': File too large; the old file is as it was";
    CHECK(error_of([&] { write(path, std::string(5000, 'a')); }) == too_large);
    CHECK(error_of([&] { check_writable(path, 5000); }) == too_large);
    CHECK(error_of([&] { check_writable(path, 900); }) == "no error");
  }
  CHECK(slurp(path) == "old");
  CHECK(dir.entries() == 1);

  const auto fifo = dir.file("fifo"), loop = dir.file("loop");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  REQUIRE(::symlink("loop", loop.c_str()) == 0);
  const struct {
    std::string path, reason;
  } rows[] = {
      {dir.file("no/such/folder"), "No such file or directory"},
      {dir.path(), "it is a folder"},
      {dir.path() + "/", "it is a folder"},
      {dir.file("no/"), "No such file or directory"},
      {path + "/x", "Not a directory"},
      {"/dev/null", "not a regular file"},
      {fifo, "not a regular file"},
      {loop, "Too many levels of symbolic links"},
      {"", "No such file or directory"},
      {dir.file(std::string(256, 'x')), "File name too long"},
      {"/proc/x", "No such file or directory"},
  };
  for (const auto& row : rows) {
    const std::string message = "cannot write '" + row.path + "': " + row.reason;
    CHECK(error_of([&] { write(row.path, "x"); }) == message);
    CHECK(error_of([&] { check_writable(row.path, 1000); }) == message);
  }
  CHECK(dir.entries() == 3);
  const auto longest = dir.file(std::string(255, 'x'));
  write(longest, "x");
  CHECK(slurp(longest) == "x");
}

TEST_CASE("left-over temporary files go, but for those that are being written") {
  const TempDir dir;
  const auto path = dir.file("x"), left = dir.file("x.weft-0123456789ab.tmp"),
             live = dir.file("x.weft-ba9876543210.tmp");
  const std::string others[] = {
      "x.tmp",     "x.weft-0123456789ab",     "x.weft-0123456789aX.tmp", "y.weft-0123456789ab.tmp",
      "x.1-0.tmp", "x.weft-0123456789abc.tmp"};
  for (const std::string& name : others) spill(dir.file(name), "mine");
  std::filesystem::create_directory(dir.file("x.weft-00000000000f.tmp"));
  REQUIRE(::symlink("x.tmp", dir.file("x.weft-00000000000e.tmp").c_str()) == 0);
  spill(live, "half");
  const int fd = ::open(live.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::flock(fd, LOCK_EX) == 0);
  spill(left, "half");
  check_writable(path, 10);
  CHECK_FALSE(std::filesystem::exists(left));
  spill(left, "half");
  write(path, "whole");
  CHECK_FALSE(std::filesystem::exists(left));
  CHECK(std::filesystem::exists(live));
  ::close(fd);
  write(path, "whole");
  CHECK_FALSE(std::filesystem::exists(live));
  CHECK(dir.entries() == std::size(others) + 3);
}

TEST_CASE("a writer that is killed at any moment leaves the old file or the new one, and the next one writes") {
  const TempDir dir;
  const auto path = dir.file("x");
  std::mt19937 random(7);
  write(path, std::string(200'000, 'a'));
  int left = 0;
  for (int round = 0; round < 50; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      const std::string b(200'000, 'b'), c(200'000, 'c');
      for (;;) write(path, b), write(path, c);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 6000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string found = slurp(path);
    REQUIRE(found.size() == 200'000);
    REQUIRE(found.find_first_not_of(found[0]) == found.npos);
    left += dir.entries() > 1;
    write(path, std::string(200'000, 'a'));
    REQUIRE(dir.entries() == 1);
  }
  CHECK(left > 0);  // some were killed half-way
}

TEST_CASE("writers of one file at once leave one of their files") {
  const TempDir dir;
  const auto path = dir.file("x");
  std::vector<std::thread> threads;
  for (char c : {'a', 'b', 'c', 'd'})
    threads.emplace_back([&, c] {
      for (int i = 0; i < 40; ++i) write(path, std::string(3000, c));
    });
  for (std::thread& t : threads) t.join();
  const std::string found = slurp(path);
  CHECK(found == std::string(3000, found.at(0)));
  CHECK(dir.entries() == 1);
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

TEST_CASE("a folder's lock is waited for a while, and a dead process holds none") {
  const TempDir dir;
  const auto path = dir.file("x");
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock lock(path);
    char c = 'x';
    if (::write(ready[1], &c, 1) == 1)
      for (;;) ::pause();
    ::_exit(1);
  }
  char c;
  REQUIRE(::read(ready[0], &c, 1) == 1);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(error_of([&] { FolderLock(path, std::chrono::milliseconds(300)); }) ==
        "cannot lock '" + dir.path() + "': another process has held the lock for 0.3 s");
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ::kill(child, SIGKILL);
  });
  CHECK(error_of([&] { FolderLock(path, std::chrono::seconds(60)); }) == "no error");
  killer.join();
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}
