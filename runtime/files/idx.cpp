// Format: 0, 0, element type, rank; the extents as big-endian u32; the elements. A gzipped file is inflated straight
// into the array, never beyond what the header announces.
#include "runtime/files/idx.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <span>
#include <vector>

#include "ir/base/error.h"
#include "runtime/files/elements.h"
#include "runtime/files/file.h"

namespace weft {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are swapped on the way in and out");

constexpr struct {
  std::uint8_t code;
  Element element;
} kTypes[] = {{0x08, Element::u8},  {0x0C, Element::i32}, {0x0D, Element::f32},
              {0x0E, Element::f64}, {0x09, Element::i8},  {0x0B, Element::i16}};

constexpr std::int64_t kMaxDeflateRatio = 1032;  // deflate at its best: 258 bytes from 2 bits
constexpr std::size_t kChunk = 64 << 10;         // compressed bytes read at a time

using Bytes = std::span<std::byte>;

/// The IDX bytes of a file, in order.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::size_t read(Bytes to) = 0;    // fills `to`, or as much of it as there is
  virtual std::int64_t at_most() const = 0;  // an upper bound of all the bytes there can be
};

class PlainSource : public Source {
 public:
  explicit PlainSource(const InputFile& file) : file_(file) {}
  std::size_t read(Bytes to) override {
    const auto n = static_cast<std::size_t>(std::min<std::int64_t>(std::ssize(to), file_.size() - at_));
    file_.read(at_, to.first(n));
    at_ += static_cast<std::int64_t>(n);
    return n;
  }
  std::int64_t at_most() const override { return file_.size(); }

 private:
  const InputFile& file_;
  std::int64_t at_ = 0;
};

/// Inflates one or more gzip members, as gunzip does; zlib checks their CRCs and lengths.
class GzipSource : public Source {
 public:
  explicit GzipSource(const InputFile& file) : file_(file), input_(kChunk) {
    if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) fail("cannot read '{}': no memory to inflate it", file.path());
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  std::size_t read(Bytes to) override {
    std::size_t done = 0;
    while (done < to.size() && !ended_) {
      if (stream_.avail_in == 0) refill();
      const auto part = std::min(to.size() - done, std::size_t{1} << 30);  // avail_out has 32 bits
      stream_.next_out = reinterpret_cast<Bytef*>(to.data() + done);
      stream_.avail_out = static_cast<uInt>(part);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      done += part - stream_.avail_out;
      if (status == Z_STREAM_END) {
        ended_ = stream_.avail_in == 0 && at_ == file_.size();
        if (!ended_) inflateReset(&stream_);
      } else if (status != Z_OK) {
        fail("'{}' is a corrupt gzip file: {}", file_.path(), stream_.msg ? stream_.msg : "incomplete data");
      }
    }
    return done;
  }
  std::int64_t at_most() const override { return file_.size() * kMaxDeflateRatio; }

 private:
  void refill() {
    const auto n = std::min<std::int64_t>(kChunk, file_.size() - at_);
    if (n == 0) fail("'{}' is a truncated gzip file: it ends in the middle of the data", file_.path());
    file_.read(at_, Bytes(input_).first(static_cast<std::size_t>(n)));
    at_ += n;
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(n);
  }

  const InputFile& file_;
  std::vector<std::byte> input_;
  std::int64_t at_ = 0;  // bytes of the file that were read
  z_stream stream_{};
  bool ended_ = false;
};

std::uint32_t big_endian(const std::byte* p) {
  std::uint32_t v = 0;
  for (int i = 0; i < 4; ++i) v = v << 8 | static_cast<std::uint32_t>(p[i]);
  return v;
}

void swap_elements(Bytes bytes, std::size_t size) {
  for (std::size_t i = 0; size > 1 && i < bytes.size(); i += size) std::reverse(&bytes[i], &bytes[i] + size);
}

Array read_array(const std::string& path, Source& source) {
  const auto read = [&](Bytes to, std::string_view what) {
    if (const auto n = source.read(to); n < to.size())
      fail("'{}' is a truncated IDX file: {} bytes of {}, expected {}", path, n, what, to.size());
  };
  std::byte magic[4];
  read(magic, "magic number");
  const auto code = static_cast<unsigned>(magic[2]);
  const int rank = static_cast<int>(magic[3]);
  if (magic[0] != std::byte{0} || magic[1] != std::byte{0})
    fail("'{}' is not an IDX file: its magic number is {:#010x}, expected 0x0000TTRR (element type, rank)", path,
         big_endian(magic));
  const auto row = std::ranges::find(kTypes, code, [](const auto& r) { return r.code; });
  if (row == std::end(kTypes))
    fail(
        "'{}': IDX element type {:#04x}, expected 0x08 (u8), 0x09 (i8), 0x0b (i16), 0x0c (i32), 0x0d (f32) or 0x0e "
        "(f64)",
        path, code);
  if (rank < 1 || rank > kMaxRank) fail("'{}': IDX rank {}, expected 1 to {}", path, rank, kMaxRank);

  std::byte extents[4 * kMaxRank];
  const Bytes used = Bytes(extents).first(4 * static_cast<std::size_t>(rank));
  read(used, "extents");
  StoredArray stored{.element = row->element, .shape = {}, .big_endian = true};
  for (int i = 0; i < rank; ++i) stored.shape.push_back(big_endian(&extents[4 * i]));
  std::int64_t bytes = 0;
  try {
    bytes = stored.bytes();
  } catch (const Error& e) {
    fail("'{}': {}", path, e.what());
  }
  const auto header_bytes = static_cast<std::int64_t>(sizeof magic + used.size());
  const std::string type = std::string(name(stored.element)) + to_string(stored.shape);
  if (bytes > source.at_most() - header_bytes)
    fail("'{}' is a truncated IDX file: its header announces {}, {} bytes, and it can hold at most {}", path, type,
         bytes, std::max<std::int64_t>(0, source.at_most() - header_bytes));
  std::int64_t done = 0;
  Array array = read_elements(stored, fmt::format("'{}'", path), [&](Bytes to) {
    const auto n = static_cast<std::int64_t>(source.read(to));
    if (n < std::ssize(to))
      fail("'{}' is a truncated IDX file: {} bytes of elements, expected {}", path, done + n, bytes);
    done += n;
  });
  std::byte extra[1];
  if (source.read(extra) != 0) fail("'{}' has more bytes than the {} that its header announces", path, type);
  return array;
}

std::vector<std::byte> compress(const std::string& path, std::span<const std::span<const std::byte>> pieces) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    fail("cannot write '{}': no memory to compress it", path);
  const std::unique_ptr<z_stream, int (*)(z_streamp)> end(&stream, deflateEnd);
  std::vector<std::byte> result;
  std::vector<std::byte> buffer(kChunk);
  const auto put = [&](std::span<const std::byte> in, int flush) {
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
    stream.avail_in = static_cast<uInt>(in.size());
    do {
      stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream.avail_out = static_cast<uInt>(buffer.size());
      deflate(&stream, flush);
      result.insert(result.end(), buffer.begin(), buffer.end() - stream.avail_out);
    } while (stream.avail_out == 0);
  };
  for (auto piece : pieces)
    for (; !piece.empty(); piece = piece.subspan(std::min(piece.size(), kChunk)))
      put(piece.first(std::min(piece.size(), kChunk)), Z_NO_FLUSH);
  put({}, Z_FINISH);
  return result;
}

}  // namespace

Array read_idx(const std::string& path) {
  const InputFile file(path);
  std::byte start[2]{};
  file.read(0, Bytes(start).first(static_cast<std::size_t>(std::min<std::int64_t>(file.size(), 2))));
  if (start[0] == std::byte{0x1f} && start[1] == std::byte{0x8b}) {
    GzipSource source(file);
    return read_array(path, source);
  }
  PlainSource source(file);
  return read_array(path, source);
}

void write_idx(const std::string& path, const Array& array, bool gzip) {
  const auto row = std::ranges::find(kTypes, array.dtype(), [](const auto& r) { return widened(r.element); });
  const int rank = array.shape().rank();
  if (row == std::end(kTypes) || rank < 1)
    fail("cannot write '{}': IDX holds u8, i32, f32 or f64 of rank 1 to {}, got {}", path, kMaxRank,
         to_string(array.type()));
  std::vector<std::byte> header{std::byte{0}, std::byte{0}, std::byte{row->code}, static_cast<std::byte>(rank)};
  for (const auto extent : array.shape()) {
    if (extent > UINT32_MAX) fail("cannot write '{}': IDX extents have 32 bits, got {}", path, to_string(array.type()));
    for (int shift = 24; shift >= 0; shift -= 8) header.push_back(static_cast<std::byte>(extent >> shift));
  }
  const Array swapped = array.clone();
  swap_elements({swapped.data(), swapped.bytes()}, size_of(array.dtype()));
  const std::span<const std::byte> pieces[] = {header, {swapped.data(), swapped.bytes()}};
  if (!gzip) return atomic_write(path, pieces);
  const auto compressed = compress(path, pieces);
  const std::span<const std::byte> one[] = {compressed};
  atomic_write(path, one);
}

}  // namespace weft
