# SPDX-License-Identifier: MIT
# The floors of src/, compiled once, as liblinnet.a and liblinnet.so. src/LAYERS says what each may include.

set(LIBRARY_SOURCES "")
foreach(floor base proto hub net peer dialect)
  file(GLOB FLOOR_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${floor}/*.c)
  list(APPEND LIBRARY_SOURCES ${FLOOR_SOURCES})
endforeach()

# Tokens: all of dialect/auth*.c, or without jansson authnone.c instead.
if(JANSSON_FOUND)
  list(FILTER LIBRARY_SOURCES EXCLUDE REGEX "/authnone\\.c$")
else()
  list(FILTER LIBRARY_SOURCES EXCLUDE REGEX "/auth(|json|jws|keys|sign|token)\\.c$")
endif()

add_library(linnet_objects OBJECT ${LIBRARY_SOURCES})
target_include_directories(linnet_objects PUBLIC include PRIVATE src)
target_compile_options(linnet_objects PRIVATE ${LTO_COMPILE_FLAGS})
target_link_libraries(linnet_objects PUBLIC PkgConfig::OPENSSL PkgConfig::ZLIB PkgConfig::LIBDEFLATE Threads::Threads)
if(LIBURING_FOUND)
  target_link_libraries(linnet_objects PUBLIC PkgConfig::LIBURING)
  target_compile_definitions(linnet_objects PRIVATE LN_HAS_URING=1)
endif()
if(JANSSON_FOUND)
  target_link_libraries(linnet_objects PUBLIC PkgConfig::JANSSON)
endif()

add_library(linnet_static STATIC $<TARGET_OBJECTS:linnet_objects>)
add_library(linnet::static ALIAS linnet_static)
set_target_properties(linnet_static PROPERTIES OUTPUT_NAME linnet EXPORT_NAME static)
target_include_directories(linnet_static INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                   $<INSTALL_INTERFACE:include>)
target_link_libraries(linnet_static PUBLIC PkgConfig::OPENSSL PkgConfig::ZLIB PkgConfig::LIBDEFLATE Threads::Threads)
if(LIBURING_FOUND)
  target_link_libraries(linnet_static PUBLIC PkgConfig::LIBURING)
endif()
if(JANSSON_FOUND)
  target_link_libraries(linnet_static PUBLIC PkgConfig::JANSSON)
endif()

if(WITH_SHARED)
  set(SYMBOL_MAP ${PROJECT_SOURCE_DIR}/cmake/linnet.map)
  add_library(linnet_shared SHARED $<TARGET_OBJECTS:linnet_objects>)
  add_library(linnet::linnet ALIAS linnet_shared)
  set_target_properties(linnet_shared PROPERTIES OUTPUT_NAME linnet EXPORT_NAME linnet VERSION ${PROJECT_VERSION}
                                                 SOVERSION 0 LINK_DEPENDS ${SYMBOL_MAP})
  target_include_directories(linnet_shared INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                     $<INSTALL_INTERFACE:include>)
  target_link_libraries(linnet_shared PRIVATE linnet_objects)
  target_link_options(linnet_shared PRIVATE ${LTO_LINK_FLAGS} -Wl,--version-script=${SYMBOL_MAP} -Wl,-z,defs)
endif()
