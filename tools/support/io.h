// Files of the command line, where "-" is stdin or stdout, and what the command says when something fails.
#pragma once
#include <string>
#include <string_view>

#include "ir/base/error.h"

namespace weft::tools {

/// The whole text of a file, or of stdin for "-". A pipe is waited for. Throws Error when it cannot be read, and on what
/// is no text or has no end: at a zero byte, and beyond kMostText bytes.
std::string read_text(const std::string& path);
inline constexpr std::size_t kMostText = std::size_t{256} << 20;
/// How diagnostics name a path: "<stdin>" for "-".
std::string display_name(const std::string& path);
/// Writes the text, to stdout for "-" or "". Throws Error when it cannot be written in full.
void write_text(const std::string& path, std::string_view text);
/// Runs f; its Error gets "FROM: " in front: the file, or the option, that it is about.
template <class F>
auto about(std::string_view from, F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    fail("{}: {}", from, e.what());
  }
}
/// Prints a line to stdout. When stdout does not take it (a full disk), the work goes on and check_stdout() will tell.
void print_line(std::string_view line);
/// The same without the line's end. Whether all that was printed so far was taken.
bool print_text(std::string_view text);
/// Throws Error when stdout has not taken everything so far that was meant for it, by whomever. Every command ends so.
void check_stdout();
/// Says something on stderr: whole lines. What stderr does not take is lost.
void say(std::string_view text);
/// What reads and writes have to report comes as an error from them, not as a signal; and standard streams that the
/// caller has closed fail, where a file that is opened later would be taken for them.
void prepare_standard_streams();

/// Throws Error: "WHAT is not yet built in".
[[noreturn]] void not_built_in(std::string_view what);

}  // namespace weft::tools
