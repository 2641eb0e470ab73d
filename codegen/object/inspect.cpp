// What an object file holds, by LLVM's reader of object files.
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Object/ObjectFile.h>

#include <algorithm>

#include "codegen/llvm/llvm_version.h"
#include "codegen/object.h"
#include "ir/base/error.h"

namespace weft {
namespace {

template <class T>
T take(llvm::Expected<T> value, const std::string& name) {
  if (!value) fail("{}: no object file: {}", name, llvm::toString(value.takeError()));
  return std::move(*value);
}

}  // namespace

ObjectContents inspect_object(std::string_view bytes, const std::string& name) {
  const codegen::LlvmUse use;
  const llvm::MemoryBufferRef buffer({bytes.data(), bytes.size()}, name);
  const auto object = take(llvm::object::ObjectFile::createObjectFile(buffer), name);
  if (!object->isELF()) fail("{}: {}; expected an object file in ELF", name, object->getFileFormatName().str());
  ObjectContents c;
  c.format = object->getFileFormatName().str();
  for (const llvm::object::SymbolRef& s : object->symbols()) {
    const std::uint32_t flags = take(s.getFlags(), name);
    const std::string symbol = take(s.getName(), name).str();
    if (symbol.empty()) continue;
    if (flags & llvm::object::SymbolRef::SF_Common)
      c.writable_bytes += static_cast<std::int64_t>(s.getCommonSize());
    else if (flags & llvm::object::SymbolRef::SF_Undefined)
      c.undefined.push_back(symbol);
    else if (flags & llvm::object::SymbolRef::SF_Global)
      c.defined.push_back(symbol);
  }
  std::ranges::sort(c.defined);
  std::ranges::sort(c.undefined);
  for (const llvm::object::SectionRef& s : object->sections()) {
    const auto size = static_cast<std::int64_t>(s.getSize());
    const auto flags = llvm::object::ELFSectionRef(s).getFlags();
    if (!(flags & llvm::ELF::SHF_ALLOC)) {
      const auto of = take(s.getRelocatedSection(), name);
      if (of != object->section_end() && of->isData() &&
          (llvm::object::ELFSectionRef(*of).getFlags() & llvm::ELF::SHF_ALLOC))
        c.data_relocations += static_cast<std::size_t>(std::distance(s.relocation_begin(), s.relocation_end()));
      continue;
    }
    if (flags & llvm::ELF::SHF_EXECINSTR)
      c.code_bytes += size;
    else if (flags & llvm::ELF::SHF_WRITE)
      c.writable_bytes += size;
    else
      c.constant_bytes += size;
  }
  return c;
}

}  // namespace weft
