// Characters and windows: round trips, and the places in errors.
#include "runtime/data/text.h"

#include "catch.h"
#include "error_of.h"

using namespace weft;

namespace {

std::vector<std::int32_t> numbers(const Array& a) {
  const auto v = a.as<std::int32_t>();
  return {v.begin(), v.end()};
}

}  // namespace

TEST_CASE("characters are numbered by their code points, and texts come back") {
  const std::string text = "b\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 \nab";  // b ä € 😀 blank newline a b
  const data::Characters c(text);
  REQUIRE(c.size() == 7);
  REQUIRE(c.text() == "\n ab\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  REQUIRE(numbers(c.encode(text)) == std::vector<std::int32_t>{3, 4, 5, 6, 1, 0, 2, 3});
  REQUIRE(c.decode(numbers(c.encode(text))) == text);
  REQUIRE(data::Characters(c.text()).text() == c.text());
  REQUIRE(c.encode("").shape() == Shape{0});
  REQUIRE(error_of([&] { c.encode("ab\nbx"); }) ==
          "the character 'x' (U+0078) in line 2, column 2 is not among the 7 known");
  REQUIRE(error_of([&] { c.encode("\t"); }) == "the character U+0009 in line 1, column 1 is not among the 7 known");
  REQUIRE(error_of([&] { c.decode(std::vector<std::int32_t>{7}); }) ==
          "there is no character number 7; expected 0 to 6");
  REQUIRE(error_of([] { data::Characters(""); }) == "the text is empty; expected at least one character");
}

TEST_CASE("what is no UTF-8 is refused with its place") {
  for (const std::string bad : {"\x80", "\xc3", "\xc3(", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                "\xf5\x80\x80\x80", "\xe2\x82", "\xff"}) {
    CAPTURE(bad.size());
    const std::string message = error_of([&] { data::Characters("ab\nc" + bad); });
    REQUIRE(message.starts_with("the text is no UTF-8: byte 0x"));
    REQUIRE(message.ends_with(" in line 2, column 2"));
  }
}

TEST_CASE("windows of tokens, and what follows each") {
  const Array tokens = Array::from<std::int32_t>({0, 1, 2, 3, 4, 5, 6, 7}, {8});
  const Dataset d = data::next_token_windows(tokens, 3);
  REQUIRE(numbers(d.x) == std::vector<std::int32_t>{0, 1, 2, 3, 4, 5});
  REQUIRE(numbers(d.y) == std::vector<std::int32_t>{1, 2, 3, 4, 5, 6});
  REQUIRE(d.x.shape() == Shape{2, 3});
  REQUIRE(data::next_token_windows(tokens, 7).size() == 1);
  REQUIRE(error_of([&] { data::next_token_windows(tokens, 8); }) ==
          "next_token_windows: 8 tokens; expected at least 9 for a window of 8 and what follows it");
  REQUIRE(error_of([&] { data::next_token_windows(tokens, 0); }) ==
          "next_token_windows: windows of 0; expected at least 1");
  REQUIRE(error_of([&] {
            data::next_token_windows(Array(Type{i32, {0}}), 1);
          }) == "next_token_windows: 0 tokens; expected at least 2 for a window of 1 and what follows it");
  REQUIRE(error_of([&] {
            data::next_token_windows(Array(Type{f32, {9}}), 1);
          }) == "next_token_windows: the tokens are f32[9]; expected i32[n]");
}
