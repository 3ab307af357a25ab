# SPDX-License-Identifier: MIT
# Writes the files that the program carries with it as C: cmake -DFROM=FOLDER -DNAMES=a.js,b.js -DTO=FILE -P embed.cmake
# src/cli/scripts.h says what of.

set(rows "")
file(WRITE ${TO}.new "#include \"cli/scripts.h\"\n\n")
string(REPLACE "," ";" NAMES "${NAMES}")
foreach(name IN LISTS NAMES)
  file(READ ${FROM}/${name} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "[^a-z]" "_" symbol "${name}")
  file(APPEND ${TO}.new "static const unsigned char ${symbol}[] = {${bytes}};\n")
  string(APPEND rows "    {\"/${name}\", {${symbol}, sizeof ${symbol}}},\n")
endforeach()
file(APPEND ${TO}.new "\nconst ln_script ln_scripts[] = {\n${rows}    {0}};\n")
file(RENAME ${TO}.new ${TO})
