// The identity of the code generator.
#include "codegen/cache/identity.h"

#include <link.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/TargetParser/Host.h>

#include <cstring>
#include <string_view>

#include "ir/base/error.h"

namespace weft::codegen {
namespace {

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 3) / 4 * 4; }

/// The note of type NT_GNU_BUILD_ID in a segment of notes, in hexadecimal, or "".
std::string build_id(const char* notes, std::size_t size) {
  ElfW(Nhdr) note;
  while (size >= sizeof note) {
    std::memcpy(&note, notes, sizeof note);
    const std::size_t name = aligned(note.n_namesz), content = aligned(note.n_descsz);
    if (size < sizeof note + name + content) break;
    const char* const at = notes + sizeof note;
    if (note.n_type == NT_GNU_BUILD_ID && std::string_view(at, note.n_namesz) == std::string_view("GNU", 4)) {
      std::string id;
      for (std::size_t i = 0; i < note.n_descsz; ++i)
        id += fmt::format("{:02x}", static_cast<unsigned char>(at[name + i]));
      return id;
    }
    notes += sizeof note + name + content;
    size -= sizeof note + name + content;
  }
  return {};
}

struct Search {
  std::uintptr_t address = 0;  // of something inside the object that is looked for
  std::string found;
};

int visit(dl_phdr_info* object, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  bool inside = false;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& p = object->dlpi_phdr[i];
    inside |= p.p_type == PT_LOAD && search.address - (object->dlpi_addr + p.p_vaddr) < p.p_memsz;
  }
  if (!inside) return 0;
  for (int i = 0; i < object->dlpi_phnum && search.found.empty(); ++i)
    if (const auto& p = object->dlpi_phdr[i]; p.p_type == PT_NOTE)
      search.found = build_id(reinterpret_cast<const char*>(object->dlpi_addr + p.p_vaddr), p.p_memsz);
  return 1;
}

std::string llvm_build_id() {
  Search search{reinterpret_cast<std::uintptr_t>(&llvm::sys::getHostCPUName), {}};
  dl_iterate_phdr(visit, &search);
  return search.found;
}

}  // namespace

const std::string& generator_identity() {
  static const std::string& identity =
      *new std::string(fmt::format("generator {} llvm {} {}", kGeneratorHash, LLVM_VERSION_STRING, llvm_build_id()));
  return identity;
}

}  // namespace weft::codegen
