# The version is that of the ABI: find_package(Manifold 1.0) asks for headers of
# major 1 with at least minor 0.
foreach(dir ../include ../../../include)
  set(header ${CMAKE_CURRENT_LIST_DIR}/${dir}/manifold/plugin.h)
  if(EXISTS ${header})
    file(STRINGS ${header} lines REGEX "^#define MF_ABI_(MAJOR|MINOR) ")
    string(REGEX REPLACE "[^0-9;]" "" PACKAGE_VERSION "${lines}")
    string(REPLACE ";" "." PACKAGE_VERSION "${PACKAGE_VERSION}")
    break()
  endif()
endforeach()
string(REGEX MATCH "^[0-9]+" major "${PACKAGE_VERSION}")
if(PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION
   AND (NOT PACKAGE_FIND_VERSION OR major EQUAL PACKAGE_FIND_VERSION_MAJOR))
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
