// IDX files, plain and gzipped: round trips, MNIST itself, and every way in which a file can be wrong.
#include "runtime/files/idx.h"

#include <zlib.h>

#include <algorithm>
#include <numeric>

#include "catch.h"
#include "support.h"

using namespace weft;
using namespace weft::test;
using namespace std::string_literals;

namespace {

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

const std::string kTwoByThree = "\0\0\x08\2\0\0\0\2\0\0\0\3abcdef"s;

}  // namespace

TEST_CASE("arrays come back from IDX in bits, plain and gzipped") {
  const TempDir dir;
  const auto path = dir.file("x");
  for (const bool zipped : {false, true})
    for (const DType dtype : {u8, i32, f32, f64})
      for (const Shape& shape :
           {Shape{1}, Shape{0}, Shape{3, 0}, Shape{1000}, Shape{2, 3}, Shape{1, 2, 1, 2, 1, 2, 1, 2}}) {
        Array a({dtype, shape});
        for (std::size_t i = 0; i < a.bytes(); ++i) a.data()[i] = static_cast<std::byte>(i * 37 + 11);
        write_idx(path, a, zipped);
        const Array b = read_idx(path);
        CHECK(b.type() == a.type());
        CHECK(std::equal(a.data(), a.data() + a.bytes(), b.data()));
        CHECK((slurp(path).substr(0, 2) == "\x1f\x8b") == zipped);
      }
}

TEST_CASE("elements are big-endian in the file") {
  const TempDir dir;
  const auto path = dir.file("x");
  write_idx(path, Array::from<std::int32_t>({1, -2}, {2, 1}));
  CHECK(slurp(path) == "\0\0\x0c\2\0\0\0\2\0\0\0\1\0\0\0\1\xff\xff\xff\xfe"s);
  spill(path, "\0\0\x0d\1\0\0\0\1\x3f\xc0\0\0"s);
  CHECK(read_idx(path).same_bits(Array::from<float>({1.5f}, {1})));
  spill(path, "\0\0\x0e\1\0\0\0\1\x3f\xf8\0\0\0\0\0\0"s);
  CHECK(read_idx(path).same_bits(Array::from<double>({1.5}, {1})));
  spill(path, kTwoByThree);
  CHECK(read_idx(path).same_bits(Array::from<std::uint8_t>({'a', 'b', 'c', 'd', 'e', 'f'}, {2, 3})));
}

TEST_CASE("a gzip file of several members is one IDX file, as for gunzip") {
  const TempDir dir;
  const auto path = dir.file("x");
  spill(path, gzip(kTwoByThree.substr(0, 7)) + gzip("") + gzip(kTwoByThree.substr(7)) + gzip(""));
  CHECK(read_idx(path).as<std::uint8_t>()[5] == 'f');
}

TEST_CASE("a corrupt IDX file is refused with the reason") {
  const TempDir dir;
  const auto path = dir.file("x");
  const auto header = [](char type, char rank, std::string_view rest = "") {
    return "\0\0"s.append({type, rank}).append(rest);
  };
  const std::string ok = gzip(kTwoByThree);
  auto bad_crc = ok, bad_length = ok, bad_data = ok;
  bad_crc[ok.size() - 8] = static_cast<char>(bad_crc[ok.size() - 8] ^ 1);
  bad_length[ok.size() - 1] = 1;
  bad_data[10] = 7;  // a deflate block of the reserved type
  const struct {
    std::string bytes;
    std::string message;  // after "'PATH'"
  } cases[] = {
      {"", " is a truncated IDX file: 0 bytes of magic number, expected 4"},
      {"\0\0\x08"s, " is a truncated IDX file: 3 bytes of magic number, expected 4"},
      {"PNG image", " is not an IDX file: its magic number is 0x504e4720, expected 0x0000TTRR (element type, rank)"},
      {header(10, 1, "\0\0\0\1a"s),
       ": IDX element type 0x0a, expected 0x08 (u8), 0x09 (i8), 0x0b (i16), 0x0c (i32), 0x0d (f32) or 0x0e (f64)"},
      {header(8, 0, "a"), ": IDX rank 0, expected 1 to 8"},
      {header(8, 9, std::string(36, '\1')), ": IDX rank 9, expected 1 to 8"},
      {header(8, '\xff', std::string(36, '\1')), ": IDX rank 255, expected 1 to 8"},
      {header(8, 2, "\0\0\0\1\0\0"s), " is a truncated IDX file: 6 bytes of extents, expected 8"},
      {kTwoByThree.substr(0, 17),
       " is a truncated IDX file: its header announces u8[2,3], 6 bytes, and it can hold at most 5"},
      {kTwoByThree + "g", " has more bytes than the u8[2,3] that its header announces"},
      {header(8, 1, "\xff\xff\xff\xff"s),
       " is a truncated IDX file: its header announces u8[4294967295], 4294967295 bytes, and it can hold at most 0"},
      {ok.substr(0, 5), " is a truncated gzip file: it ends in the middle of the data"},
      {ok.substr(0, ok.size() - 9), " is a truncated gzip file: it ends in the middle of the data"},
      {ok.substr(0, ok.size() - 1), " is a truncated gzip file: it ends in the middle of the data"},
      {bad_crc, " is a corrupt gzip file: incorrect data check"},
      {bad_length, " is a corrupt gzip file: incorrect length check"},
      {bad_data, " is a corrupt gzip file: invalid block type"},
      {ok + "garbage", " is a corrupt gzip file: incorrect header check"},
      {gzip(kTwoByThree.substr(0, 17)), " is a truncated IDX file: 5 bytes of elements, expected 6"},
      {gzip(kTwoByThree + "g"), " has more bytes than the u8[2,3] that its header announces"},
      {gzip(kTwoByThree) + gzip("g"), " has more bytes than the u8[2,3] that its header announces"},
      {gzip(""), " is a truncated IDX file: 0 bytes of magic number, expected 4"},
      {gzip("PNG image"),
       " is not an IDX file: its magic number is 0x504e4720, expected 0x0000TTRR (element type, rank)"},
  };
  for (const auto& c : cases) {
    spill(path, c.bytes);
    CHECK(error_of([&] { read_idx(path); }) == "'" + path + "'" + c.message);
  }
  for (const std::string& bytes : {header(8, 2, std::string(8, '\xff')), header(14, 8, std::string(32, '\xff'))})
    for (const bool zipped : {false, true}) {
      spill(path, zipped ? gzip(bytes) : bytes);  // overflow, refused before any allocation
      CHECK_THAT(error_of([&] { read_idx(path); }), Catch::Matchers::StartsWith("'" + path + "': "));
    }
  CHECK(error_of([&] { read_idx(dir.file("none")); }) ==
        "cannot open '" + dir.file("none") + "': No such file or directory");
}

TEST_CASE("a decompression bomb is not inflated") {
  const TempDir dir;
  const auto path = dir.file("x");
  // 64 MB behind a header that announces 6 bytes.
  spill(path, gzip(kTwoByThree + std::string(64 << 20, '\0')));
  CHECK(error_of([&] { read_idx(path); }) ==
        "'" + path + "' has more bytes than the u8[2,3] that its header announces");
  // A header that announces 2 GB in a file of a few bytes.
  const auto tiny = gzip("\0\0\x08\1\x7f\xff\xff\xff"s);
  spill(path, tiny);
  CHECK(error_of([&] { read_idx(path); }) ==
        fmt::format(
            "'{}' is a truncated IDX file: its header announces u8[2147483647], 2147483647 bytes, and it can hold "
            "at most {}",
            path, tiny.size() * 1032 - 8));
}

TEST_CASE("what IDX cannot hold is refused") {
  const TempDir dir;
  const auto path = dir.file("x");
  for (const Type& type : {Type{i64, {2}}, Type{boolean, {2}}, Type{f32, {}}})
    CHECK(error_of([&] { write_idx(path, Array(type)); }) ==
          "cannot write '" + path + "': IDX holds u8, i32, f32 or f64 of rank 1 to 8, got " + to_string(type));
  CHECK(error_of([&] {
          write_idx(path, Array({u8, {0, std::int64_t{1} << 32}}));
        }) == "cannot write '" + path + "': IDX extents have 32 bits, got u8[0,4294967296]");
  CHECK(dir.entries() == 0);
}

TEST_CASE("mutated IDX files load or are refused, and nothing else") {
  const TempDir dir;
  const auto path = dir.file("x");
  for (const std::string& seed : {kTwoByThree, gzip(kTwoByThree)}) {
    int loaded = 0, refused = 0;
    mutate(seed, 5000, [&](const std::string& bytes) {
      spill(path, bytes);
      const auto message = error_of([&] { read_idx(path); });
      message == "no error" ? ++loaded : ++refused;
      if (message != "no error") CHECK(message.find(path) != std::string::npos);
    });
    CHECK(loaded > 10);
    CHECK(refused > 1000);
  }
}

TEST_CASE("MNIST itself, where WEFT_DATA holds it") {
  const char* folder = std::getenv("WEFT_DATA");
  if (!folder) {
    WARN("WEFT_DATA is not set: MNIST was not read");
    return;
  }
  const struct {
    const char* name;
    Shape shape;
    std::int64_t sum;
    std::int64_t sum_784;  // of the first 784 elements: one image
    std::vector<int> first;
  } files[] = {
      {"train-images-idx3-ubyte", {60000, 28, 28}, 1567298545, 27525, {}},
      {"t10k-images-idx3-ubyte", {10000, 28, 28}, 264923200, 18454, {}},
      {"train-labels-idx1-ubyte", {60000}, 267236, 3448, {5, 0, 4, 1, 9, 2, 1, 3, 1, 4}},
      {"t10k-labels-idx1-ubyte", {10000}, 44434, 3427, {7, 2, 1, 0, 4, 1, 4, 9, 5, 9}},
  };
  for (const auto& f : files) {
    std::string path = fmt::format("{}/{}", folder, f.name);
    if (!std::filesystem::exists(path)) path += ".gz";
    const Array a = read_idx(path);
    CHECK(a.type() == Type{u8, f.shape});
    const auto pixels = a.as<std::uint8_t>();
    CHECK(std::accumulate(pixels.begin(), pixels.end(), std::int64_t{0}) == f.sum);
    CHECK(std::accumulate(pixels.begin(), pixels.begin() + 784, std::int64_t{0}) == f.sum_784);
    CHECK(std::equal(f.first.begin(), f.first.end(), pixels.begin()));
  }
}
