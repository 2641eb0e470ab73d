// .npy files: round trips, files as NumPy writes them, and every way in which one can be wrong.
#include "runtime/files/npy.h"

#include <algorithm>

#include "catch.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// A file of the given version with this header text as it is, and this data.
std::string npy(std::string_view header, std::string_view data, char major = 1) {
  std::string s = "\x93NUMPY";
  s += {major, '\0'};
  const auto length = static_cast<std::uint32_t>(header.size());
  s.append(reinterpret_cast<const char*>(&length), major == 1 ? 2 : 4);
  return s.append(header).append(data);
}

std::string header(std::string_view descr, std::string_view shape, std::string_view fortran = "False") {
  return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n", descr, fortran, shape);
}

}  // namespace

TEST_CASE("arrays of every dtype and rank come back from .npy in bits") {
  const TempDir dir;
  const auto path = dir.file("x.npy");
  for (const DType dtype : kAllDTypes)
    for (const Shape& shape :
         {Shape{}, Shape{1}, Shape{0}, Shape{5}, Shape{2, 3}, Shape{2, 0, 3}, Shape{1, 2, 1, 2, 1, 2, 1, 2}}) {
      Array a({dtype, shape});
      for (std::size_t i = 0; i < a.bytes(); ++i)
        a.data()[i] = static_cast<std::byte>(dtype == boolean ? i % 2 : i * 37 + 11);
      write_npy(path, a);
      const Array b = read_npy(path);
      CHECK(b.type() == a.type());
      CHECK(std::equal(a.data(), a.data() + a.bytes(), b.data()));
      CHECK((slurp(path).size() - a.bytes()) % 64 == 0);
    }
}

TEST_CASE("the bytes are those that NumPy writes") {
  const TempDir dir;
  const auto path = dir.file("x.npy");
  write_npy(path, Array::from<std::uint8_t>({7, 8}, {2}));  // numpy.save(path, numpy.array([7, 8], dtype='u1'))
  std::string text = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }";
  text.resize(117, ' ');
  CHECK(slurp(path) == npy(text + "\n", "\x07\x08"));
}

TEST_CASE("versions 2 and 3, other spacing, quotes and order of keys are read") {
  const TempDir dir;
  const auto path = dir.file("x.npy");
  for (const char major : {1, 2, 3}) {
    spill(path, npy("{ \"shape\":(1,2),'fortran_order' : False ,\n \"descr\":'<i4'}   \n",
                    std::string("\1\0\0\0\2\0\0\0", 8), major));
    CHECK(read_npy(path).same_bits(Array::from<std::int32_t>({1, 2}, {1, 2})));
  }
  for (const char* descr : {"=i4", "i4", "|i4"}) {                                    // as it lies in memory here
    spill(path, npy(header(descr, "(1L, 2L)"), std::string("\1\0\0\0\2\0\0\0", 8)));  // extents as Python 2 wrote them
    CHECK(read_npy(path).same_bits(Array::from<std::int32_t>({1, 2}, {1, 2})));
  }
}

TEST_CASE("a corrupt .npy is refused with the reason") {
  const TempDir dir;
  const auto path = dir.file("x.npy");
  const std::string four = "abcd", known = "; weft reads f4, f8, i4, i8, u1, b1, f2, i1, i2, u2, u4, u8";
  const struct {
    std::string bytes;
    std::string message;  // after "cannot read 'PATH' as .npy: "
  } cases[] = {
      {"", "it has 0 bytes, expected 8 for magic and version"},
      {"PK\3\4abcdefgh", "it does not begin with \\x93NUMPY"},
      {npy("", "", 4), "version 4.0, expected 1.0, 2.0 or 3.0"},
      {npy("", "", '\xff'), "version 255.0, expected 1.0, 2.0 or 3.0"},
      {npy("", "", 2).substr(0, 11), "it has 11 bytes, expected 12 for the length of the header"},
      {npy("{}", "").substr(0, 11), "it has 11 bytes, expected 12 for the header"},
      {npy("", "", 2).substr(0, 8) + "\xff\xff\xff\xff", "a header of 4294967295 bytes, more than 65536"},
      {npy("", ""), "expected '{' at character 0 of its header"},
      {npy("{", ""), "expected a string at character 1 of its header"},
      {npy("{'descr", ""), "expected a closed string at character 1 of its header"},
      {npy("{'descr'}", ""), "expected ':' at character 8 of its header"},
      {npy("{}", ""), "no descr in its header"},
      {npy("{'descr': '<f4'}", ""), "no fortran_order in its header"},
      {npy("{'descr': '<f4', 'fortran_order': False}", ""), "no shape in its header"},
      {npy("{'descr': '<f4', 'descr': '<f4'}", ""), "'descr' appears twice in its header"},
      {npy("{'colour': 'red'}", ""), "unknown key 'colour' in its header"},
      {npy("{'descr': '<f4' 'shape': (1,)}", ""), "expected ',' or '}' at character 16 of its header"},
      {npy("{'fortran_order': Maybe}", ""), "expected True or False at character 18 of its header"},
      {npy("{} x", ""), "expected the end of the header at character 3 of its header"},
      {npy(header("<f4", "1"), four), "expected '(' at character 50 of its header"},
      {npy(header("<f4", "(1)"), four), "expected ',' before ')' at character 53 of its header"},
      {npy(header("<f4", "(1 1)"), four), "expected ',' or ')' at character 53 of its header"},
      {npy(header("<f4", "(-1,)"), four), "expected an extent at character 51 of its header"},
      {npy(header("<f4", "(x,)"), four), "expected an extent at character 51 of its header"},
      {npy(header("<f4", "(99999999999999999999,)"), four), "expected an extent at character 51 of its header"},
      {npy(header("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), four), "it has more than 8 dimensions"},
      {npy(header("|O", "(2,)"), four), "its elements '|O' are Python objects, not supported" + known},
      {npy(header("<c8", "(2,)"), four), "its elements '<c8' are complex numbers, not supported" + known},
      {npy(header("|S4", "(1,)"), four), "its elements '|S4' are text, not supported" + known},
      {npy(header("<U1", "(1,)"), four), "its elements '<U1' are text, not supported" + known},
      {npy(header("|V4", "(1,)"), four), "its elements '|V4' are records, not supported" + known},
      {npy(header("<M8[ns]", "(1,)"), four), "its elements '<M8[ns]' are points in time, not supported" + known},
      {npy(header("<m8[s]", "(1,)"), four), "its elements '<m8[s]' are spans of time, not supported" + known},
      {npy(header("<f16", "(1,)"), four), "its elements '<f16' are not supported" + known},
      {npy(header("<f", "(1,)"), four), "its elements '<f' are not supported" + known},
      {npy(header("", "(1,)"), four), "its elements '' are not supported" + known},
      {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", four),
       "it holds records, expected one number an element"},
      {npy(header("<f4", "(2,)"), four), "f32[2] needs 8 bytes after the header, found 4"},
      {npy(header("<f4", "(1,)"), "abcde"), "f32[1] needs 4 bytes after the header, found 5"},
      {npy(header("|b1", "(4,)"), std::string("\0\1\2\0", 4)), "element 2 is 2, expected 0 or 1"},
  };
  for (const auto& c : cases) {
    spill(path, c.bytes);
    CHECK(error_of([&] { read_npy(path); }) == "cannot read '" + path + "' as .npy: " + c.message);
  }
  for (const char* shape : {"(4611686018427387904, 4)", "(70368744177664,)", "(9223372036854775807,)"}) {
    spill(path, npy(header("<f4", shape), four));
    CHECK_THAT(error_of([&] { read_npy(path); }), Catch::Matchers::StartsWith("cannot read '" + path + "' as .npy: "));
  }
  const auto nowhere = dir.file("no/folder/x.npy");
  CHECK(error_of([&] { read_npy(nowhere); }) == "cannot open '" + nowhere + "': No such file or directory");
  CHECK(error_of([&] { write_npy(nowhere, Array()); }) == "cannot write '" + nowhere + "': No such file or directory");
}

TEST_CASE("mutated .npy files load or are refused, and nothing else") {
  const TempDir dir;
  const auto path = dir.file("x.npy");
  int loaded = 0, refused = 0;
  for (const Array& a : {Array::from<std::uint8_t>({1, 2, 3, 4, 5, 6}, {2, 3}), Array::from<double>({1, 2}, {2})}) {
    write_npy(path, a);
    mutate(slurp(path), 3000, [&](const std::string& bytes) {
      spill(path, bytes);
      error_of([&] { read_npy(path); }) == "no error" ? ++loaded : ++refused;
    });
  }
  CHECK(loaded > 10);
  CHECK(refused > 1000);
}
