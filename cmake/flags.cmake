# SPDX-License-Identifier: MIT
# How everything is compiled: language, warnings, sanitizers, link-time optimisation.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # GNU attributes and _GNU_SOURCE; the public headers are plain C11
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wno-sign-conversion
  -Wvla -Wundef -Wformat=2 -fno-strict-aliasing -fno-common)

if(SANITIZE)
  list(JOIN SANITIZE "," SANITIZE_FLAG)
  set(SANITIZE_FLAGS -fsanitize=${SANITIZE_FLAG} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_compile_options(-O1 ${SANITIZE_FLAGS})
  add_link_options(${SANITIZE_FLAGS})
endif()

if(WITH_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link) # the targets themselves are linked with -fsanitize=fuzzer
endif()

if(COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()

# Objects carry both kinds of code, so that the installed archive serves those who link without LTO, and so that the many
# small programs, tests and examples, need not pay for it: GCC would link them with LTO unless told not to.
set(LTO_COMPILE_FLAGS "")
set(LTO_LINK_FLAGS "")
set(NO_LTO_LINK_FLAGS "")
if(WITH_LTO AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(LTO_COMPILE_FLAGS -flto=auto -ffat-lto-objects)
  set(LTO_LINK_FLAGS -flto=auto)
  set(NO_LTO_LINK_FLAGS -fno-lto)
  set(CMAKE_AR ${CMAKE_C_COMPILER_AR})
  set(CMAKE_RANLIB ${CMAKE_C_COMPILER_RANLIB})
endif()
