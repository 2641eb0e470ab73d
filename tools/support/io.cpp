// Reads and writes the files of the command line.
#include "tools/support/io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>

#include "ir/base/error.h"

namespace weft::tools {
namespace {

struct Closer {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, Closer>;

int lost = 0;  // errno of the first line that stdout has not taken

std::string reason() { return std::strerror(errno); }

void write_all(std::FILE* file, std::string_view text, const std::string& name) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), file) != text.size() || std::fflush(file) != 0 || std::ferror(file))
    fail("cannot write {}: {}", name, errno ? reason() : "an earlier write has failed");
}

}  // namespace

std::string display_name(const std::string& path) { return path == "-" ? "<stdin>" : path; }

std::string read_text(const std::string& path) {
  const File opened(path == "-" ? nullptr : std::fopen(path.c_str(), "rb"));
  if (path != "-" && !opened) fail("cannot open {}: {}", path, reason());
  std::FILE* const file = opened ? opened.get() : stdin;
  std::string text;
  char block[1 << 16];
  while (const std::size_t n = std::fread(block, 1, sizeof block, file)) {
    if (const void* zero = std::memchr(block, 0, n))
      fail("cannot read {}: byte {} is 0; expected text", display_name(path),
           text.size() + static_cast<std::size_t>(static_cast<const char*>(zero) - block));
    text.append(block, n);
    if (text.size() > kMostText) fail("cannot read {}: it has more than {} bytes", display_name(path), kMostText);
  }
  if (std::ferror(file)) fail("cannot read {}: {}", display_name(path), reason());
  return text;
}

void write_text(const std::string& path, std::string_view text) {
  if (path.empty() || path == "-") return write_all(stdout, text, "stdout");
  const File file(std::fopen(path.c_str(), "wb"));
  if (!file) fail("cannot open {} for writing: {}", path, reason());
  write_all(file.get(), text, path);
}

void print_line(std::string_view line) { print_text(std::string(line) + '\n'); }

bool print_text(std::string_view text) {
  errno = 0;
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0 && lost == 0) lost = errno;
  return lost == 0;
}

void check_stdout() {
  errno = 0;
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return;
  const int error = lost ? lost : errno;
  fail("cannot write stdout: {}", error ? std::strerror(error) : "an earlier write has failed");
}

void say(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void prepare_standard_streams() {
  for (int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})  // open() gives the lowest number that is free
    if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

void not_built_in(std::string_view what) { fail("{} is not yet built in", what); }

}  // namespace weft::tools
