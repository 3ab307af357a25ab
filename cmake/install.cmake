# SPDX-License-Identifier: MIT
# cmake --install: headers, both libraries, the program, linnet.pc, the CMake package, the licence.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(CONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/linnet)
install(DIRECTORY include/linnet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET linnet)
  install(TARGETS linnet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# Two export sets: whoever links the shared library must not have to have OpenSSL's headers.
install(TARGETS linnet_static EXPORT linnetStatic ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT linnetStatic NAMESPACE linnet:: DESTINATION ${CONFIG_DIR})
if(WITH_SHARED)
  install(TARGETS linnet_shared EXPORT linnetShared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT linnetShared NAMESPACE linnet:: DESTINATION ${CONFIG_DIR})
endif()

set(STATIC_MODULES "openssl zlib libdeflate")
if(LIBURING_FOUND)
  string(APPEND STATIC_MODULES " liburing")
endif()
if(JANSSON_FOUND)
  string(APPEND STATIC_MODULES " jansson")
endif()
# Relative to where the file lies, so that a moved or temporary prefix works.
file(RELATIVE_PATH PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" PC_PREFIX ${PC_PREFIX})
configure_file(cmake/linnet.pc.in linnet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/linnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

string(REPLACE " " ";" STATIC_MODULE_LIST "${STATIC_MODULES}")
configure_package_config_file(cmake/linnetConfig.cmake.in linnetConfig.cmake INSTALL_DESTINATION ${CONFIG_DIR})
write_basic_package_version_file(linnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/linnetConfig.cmake ${PROJECT_BINARY_DIR}/linnetConfigVersion.cmake
        DESTINATION ${CONFIG_DIR})
