# Install rules: after `cmake --install`, `find_package(weft)` gives weft::weft, the library that <weft/weft.h> belongs to,
# and weft_add_model().
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The name that users link, in the tree (add_subdirectory, FetchContent) as when installed.
if(WEFT_SHARED)
  add_library(weft::weft ALIAS weft_shared)
  set(libraries shared)
else()
  add_library(weft::weft ALIAS weft_frontend)
  set(libraries ${weft_folders})
endif()
list(TRANSFORM libraries PREPEND weft_)
install(TARGETS ${libraries} EXPORT weftTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS weft EXPORT weftCommand RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
set_target_properties(weft PROPERTIES EXPORT_NAME command)
add_executable(weft::command ALIAS weft)
include(cmake/weft_add_model.cmake)

# <weft/weft.h> lies beside the folders that it includes as <weft/ir/graph/graph.h>.
install(DIRECTORY frontend/include/weft DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(folder ${weft_folders})
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${folder}/*.h ${folder}/*.def)
  list(REMOVE_ITEM headers frontend/include/weft/weft.h)
  if(folder STREQUAL codegen)  # its other headers include LLVM's
    set(headers codegen/codegen.h codegen/object.h codegen/cache/cache.h)
  endif()
  list(APPEND weft_installed_headers ${headers})  # tests read them
  foreach(header ${headers})
    cmake_path(GET header PARENT_PATH sub_folder)
    install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/weft/${sub_folder})
  endforeach()
endforeach()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weft)
install(EXPORT weftTargets NAMESPACE weft:: DESTINATION ${package_dir})
install(EXPORT weftCommand NAMESPACE weft:: DESTINATION ${package_dir})
configure_package_config_file(cmake/weftConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/weftConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/weftConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/weftConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/weftConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/compiler.cmake ${PROJECT_SOURCE_DIR}/cmake/weft_add_model.cmake
  DESTINATION ${package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
