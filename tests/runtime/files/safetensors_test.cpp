// Checkpoints: round trips, and every way in which a file can be wrong.
#include "runtime/files/safetensors.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "catch.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

std::string file_bytes(std::string_view header, std::string_view data = "") {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8).append(header).append(data);
}

Checkpoint sample() {
  Checkpoint c;
  c.arrays = {{"zeta/w", Array::from<float>({1.5f, -0.0f, NAN, INFINITY, 1e-45f, 3}, {2, 3})},
              {"alpha", Array::from<double>({1e300, -2}, {2})},
              {"i", Array::from<std::int32_t>({-1, 2, 3}, {3, 1})},
              {"scalar", Array::scalar<std::int64_t>(-5'000'000'000)},
              {"bytes", Array::from<std::uint8_t>({0, 127, 255}, {3})},
              {"empty", Array({f32, {0, 7}})},
              {"mask", Array(Type{boolean, {2}})},
              {"übung \"quoted\"", Array::scalar(1.0f)}};
  c.arrays[6].value.as<bool>()[1] = true;
  c.metadata = {{"epoch", "3"}, {"note", "größer\n"}};
  return c;
}

}  // namespace

TEST_CASE("a checkpoint comes back in bits, order and metadata") {
  const TempDir dir;
  const auto path = dir.file("x.safetensors");
  const Checkpoint saved = sample();
  save_safetensors(path, saved);
  const Checkpoint loaded = load_safetensors(path);
  REQUIRE(loaded.arrays.size() == saved.arrays.size());
  for (std::size_t i = 0; i < saved.arrays.size(); ++i) {
    const auto& [name, array] = saved.arrays[i];
    CHECK(loaded.arrays[i].name == name);
    CHECK(loaded.arrays[i].value.type() == array.type());
    CHECK(std::equal(array.data(), array.data() + array.bytes(), loaded.arrays[i].value.data()));
  }
  CHECK(loaded.metadata == saved.metadata);
  CHECK(loaded.find("alpha")->same_bits(saved.arrays[1].value));
  CHECK(loaded.find("beta") == nullptr);
  CHECK(dir.entries() == 1);
  save_safetensors(dir.file("again"), loaded);
  CHECK(slurp(dir.file("again")) == slurp(path));
}

TEST_CASE("an empty checkpoint and one without metadata") {
  const TempDir dir;
  const auto path = dir.file("x");
  save_safetensors(path, {});
  CHECK(slurp(path) == file_bytes("{}      "));
  CHECK(load_safetensors(path).arrays.empty());
  CHECK(load_safetensors(path).metadata.empty());
}

TEST_CASE("the bytes are those of the format") {
  const TempDir dir;
  const auto path = dir.file("x");
  save_safetensors(path, {.arrays = {{"b", Array::from<std::int32_t>({1, 2}, {2})}}, .metadata = {}});
  CHECK(slurp(path) ==
        file_bytes(R"({"b":{"data_offsets":[0,8],"dtype":"I32","shape":[2]}}  )", std::string("\1\0\0\0\2\0\0\0", 8)));
}

TEST_CASE("a file from another writer: other order of keys, white space, metadata in the middle") {
  const TempDir dir;
  const auto path = dir.file("x");
  spill(path, file_bytes(R"({ "a" : {"shape":[1], "data_offsets":[2, 3],"dtype":"U8"},
                "__metadata__":{"format":"pt"},
                "b":{"dtype":"U8","shape":[],"data_offsets":[1,2]}, "c":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]} }   )",
                         "\x01\x02\x03"));
  const auto loaded = load_safetensors(path);
  REQUIRE(loaded.arrays.size() == 3);
  CHECK(loaded.arrays[0].name == "c");
  CHECK(loaded.find("a")->as<std::uint8_t>()[0] == 3);
  CHECK(loaded.find("b")->item<std::uint8_t>() == 2);
  CHECK(loaded.metadata.at("format") == "pt");
}

TEST_CASE("a corrupt checkpoint is refused with the reason") {
  const TempDir dir;
  const auto path = dir.file("x");
  const auto tensor = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return fmt::format(R"({{"w":{{"dtype":"{}","shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
  };
  const std::string four = "abcd";
  const struct {
    std::string bytes;
    std::string message;  // after "'PATH' is not a valid safetensors file: "
  } cases[] = {
      {"", "it has 0 bytes, expected at least 8"},
      {"1234567", "it has 7 bytes, expected at least 8"},
      {std::string(8, '\xff'), "a header of 18446744073709551615 bytes in a file of 8 (at most 16777216 are allowed)"},
      {file_bytes("{}").substr(0, 9), "a header of 2 bytes in a file of 9 (at most 16777216 are allowed)"},
      {file_bytes(""), "its header does not begin with '{'"},
      {file_bytes("[1]"), "its header does not begin with '{'"},
      {file_bytes(" {}"), "its header does not begin with '{'"},
      {file_bytes(R"({"w":)"),
       "its header is not JSON: [json.exception.parse_error.101] parse error at line 1, column 6: syntax error while "
       "parsing value - unexpected end of input; expected '[', '{', or a literal"},
      {file_bytes("{\"\xff\":1}"),
       "its header is not JSON: [json.exception.parse_error.101] parse error at line 1, column 3: syntax error while "
       "parsing object key - invalid string: ill-formed UTF-8 byte; last read: '\"\xff'; expected string literal"},
      {file_bytes(R"({"w":[[[[[]]]]]})"), "the header is nested deeper than a tensor's shape"},
      {file_bytes(R"({"w":{"dtype":{"a":{}}}})"), "the header is nested deeper than a tensor's shape"},
      {file_bytes(R"({"w":5})"), "tensor 'w' is number, expected an object"},
      {file_bytes(R"({"w":{}})"), "tensor 'w' has no dtype"},
      {file_bytes(R"({"w":{"dtype":"F32"}})"), "tensor 'w' has no shape"},
      {file_bytes(R"({"w":{"dtype":"F32","shape":[]}})"), "tensor 'w' has no data_offsets"},
      {file_bytes(R"({"w":{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":1}})", four),
       "tensor 'w' has 4 fields, expected dtype, shape and data_offsets"},
      {file_bytes(R"({"w":{"dtype":1,"shape":[],"data_offsets":[0,4]}})", four),
       "tensor 'w': dtype is number, expected string"},
      {file_bytes(tensor("F32", "1", "[0,4]"), four), "tensor 'w': shape is number, expected array"},
      {file_bytes(tensor("BF16", "[3]", "[0,4]"), four),
       "tensor 'w': bf16[3] needs 6 bytes, data_offsets [0, 4] hold 4"},
      {file_bytes(tensor("F32", "[-1]", "[0,4]"), four), "tensor 'w': shape holds -1, expected a non-negative integer"},
      {file_bytes(tensor("F32", "[1.0]", "[0,4]"), four),
       "tensor 'w': shape holds 1.0, expected a non-negative integer"},
      {file_bytes(tensor("F32", "[9223372036854775808]", "[0,4]"), four),
       "tensor 'w': shape holds 9223372036854775808, expected a non-negative integer"},
      {file_bytes(tensor("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), four),
       "tensor 'w' has 9 dimensions, more than the 8 that weft can hold"},
      {file_bytes(tensor("F32", "[1]", "[0]"), four), "tensor 'w': data_offsets holds 1 numbers, expected 2"},
      {file_bytes(tensor("F32", "[1]", R"(["0",4])"), four),
       "tensor 'w': data_offsets holds \"0\", expected a non-negative integer"},
      {file_bytes(tensor("F32", "[1]", "[4,0]"), four), "tensor 'w': data_offsets [4, 0] in 4 bytes of data"},
      {file_bytes(tensor("F32", "[1]", "[1,5]"), four), "tensor 'w': data_offsets [1, 5] in 4 bytes of data"},
      {file_bytes(tensor("F32", "[2]", "[0,4]"), four), "tensor 'w': f32[2] needs 8 bytes, data_offsets [0, 4] hold 4"},
      {file_bytes(tensor("F32", "[1]", "[0,4]"), "abcde"), "the last 1 of 5 bytes of data belong to no tensor"},
      {file_bytes("{}", "a"), "the last 1 of 1 bytes of data belong to no tensor"},
      {file_bytes(tensor("U8", "[2]", "[2,4]"), four),
       "bytes 0 to 2 of the data, before tensor 'w', belong to no tensor"},
      {file_bytes(
           R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
           four),
       "tensors 'a' and 'b' overlap at byte 2 of the data"},
      {file_bytes(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
           four),
       "'a' appears twice"},
      {file_bytes(R"({"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", four),
       "'dtype' appears twice"},
      {file_bytes(R"({"__metadata__":[]})"), "__metadata__ is array, expected an object"},
      {file_bytes(R"({"__metadata__":{"a":1}})"), "__metadata__: 'a' is number, expected a string"},
      {file_bytes(tensor("BOOL", "[4]", "[0,4]"), std::string("\0\1\2\0", 4)),
       "tensor 'w': element 2 is 2, expected 0 or 1"},
      {file_bytes(R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}} x)", four),
       "its header is not JSON: [json.exception.parse_error.101] parse error at line 1, column 55: syntax error while "
       "parsing value - invalid literal; last read: '4]}} x'; expected end of input"},
  };
  for (const auto& c : cases) {
    spill(path, c.bytes);
    CHECK(error_of([&] { load_safetensors(path); }) == "'" + path + "' is not a valid safetensors file: " + c.message);
  }
  for (const char* dtype : {"f32", "C64", "F8_E8M0", "F4", ""}) {
    spill(path, file_bytes(tensor(dtype, "[1]", "[0,4]"), four));
    CHECK(error_of([&] { load_safetensors(path); }) ==
          fmt::format(
              "cannot read '{}': dtype '{}' of tensor 'w' is not supported; weft reads F32, F64, I32, I64, U8, BOOL, "
              "F16, BF16, I8, I16, U16, U32, U64, F8_E4M3, F8_E5M2",
              path, dtype));
  }
  // Sizes that overflow, or that no machine has, are refused before any allocation.
  for (const char* shape :
       {"[4611686018427387904,4]", "[70368744177664]", "[9223372036854775807,9223372036854775807]"}) {
    spill(path, file_bytes(tensor("F32", shape, "[0,4]"), four));
    CHECK(error_of([&] { load_safetensors(path); }).find("tensor 'w': ") != std::string::npos);
  }
  CHECK(error_of([&] { load_safetensors(dir.file("none")); }) ==
        "cannot open '" + dir.file("none") + "': No such file or directory");
}

TEST_CASE("what cannot be saved is refused, and the old file stays") {
  const TempDir dir;
  const auto path = dir.file("x");
  spill(path, "old");
  const Array a = Array::scalar(1.0f);
  const struct {
    Checkpoint checkpoint;
    std::string message;
  } cases[] = {
      {{.arrays = {{"a", a}, {"a", a}}, .metadata = {}}, "two arrays are named 'a'"},
      {{.arrays = {{"__metadata__", a}}, .metadata = {}}, "the name '__metadata__' is reserved"},
      {{.arrays = {{"\xff", a}}, .metadata = {}}, "a name or a metadata text is not valid UTF-8"},
      {{.arrays = {}, .metadata = {{"k", "\xc3"}}}, "a name or a metadata text is not valid UTF-8"},
  };
  for (const auto& c : cases)
    CHECK(error_of([&] { save_safetensors(path, c.checkpoint); }) == "cannot write '" + path + "': " + c.message);
  CHECK(slurp(path) == "old");
  const auto nowhere = dir.file("no/folder/x");
  CHECK(error_of([&] { save_safetensors(nowhere, sample()); }) ==
        "cannot write '" + nowhere + "': No such file or directory");
}

TEST_CASE("mutated checkpoints load or are refused, and nothing else") {
  const TempDir dir;
  const auto path = dir.file("x");
  save_safetensors(path, sample());
  int loaded = 0, refused = 0;
  mutate(slurp(path), 5000, [&](const std::string& bytes) {
    spill(path, bytes);
    const auto message = error_of([&] { load_safetensors(path); });
    message == "no error" ? ++loaded : ++refused;
    if (message != "no error") CHECK(message.find(path) != std::string::npos);
  });
  CHECK(loaded > 10);
  CHECK(refused > 1000);
}
