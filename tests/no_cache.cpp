// Part of every test program: the tests, and the programs that they start, compile what they test and leave the user's
// object cache alone. Tests of the cache name a directory of their own.
#include <cstdlib>

namespace {
[[maybe_unused]] const int kOff = setenv("WEFT_CACHE", "0", 1);
}  // namespace
