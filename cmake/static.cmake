# With WEFT_STATIC_LLVM: programs that travel. Every library but libc is linked from its archive, where there is one, and
# what is not used is left out.
add_link_options(-static-libstdc++ -static-libgcc -Wl,--gc-sections)

# weft_archives(VARIABLE names…): the archives of libraries of the system, -lNAME where there is none.
function(weft_archives variable)
  set(found)
  foreach(name ${ARGN})
    find_library(WEFT_ARCHIVE_${name} lib${name}.a)
    if(WEFT_ARCHIVE_${name})
      list(APPEND found ${WEFT_ARCHIVE_${name}})
    else()
      list(APPEND found -l${name})
    endif()
  endforeach()
  set(${variable} ${found} PARENT_SCOPE)
endfunction()
