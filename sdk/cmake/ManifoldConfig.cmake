# find_package(Manifold): what a plugin is built and tested with.
#
# Gives manifold_add_plugin() and the target Manifold::mock.  Works from the
# source tree (-DManifold_DIR=.../sdk/cmake) and from an installation.
include(${CMAKE_CURRENT_LIST_DIR}/ManifoldAddPlugin.cmake)

if(NOT TARGET Manifold::mock)
  if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/../mock/CMakeLists.txt)
    add_subdirectory(${CMAKE_CURRENT_LIST_DIR}/../mock ${CMAKE_BINARY_DIR}/manifold_mock EXCLUDE_FROM_ALL)
  else()
    find_package(Threads REQUIRED)
    get_filename_component(_manifold_prefix ${CMAKE_CURRENT_LIST_DIR}/../../.. ABSOLUTE)
    find_library(MANIFOLD_MOCK_LIBRARY manifold_mock HINTS ${_manifold_prefix}/lib
      PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH)
    add_library(Manifold::mock STATIC IMPORTED)
    set_target_properties(Manifold::mock PROPERTIES IMPORTED_LOCATION ${MANIFOLD_MOCK_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${MANIFOLD_INCLUDE_DIR} INTERFACE_LINK_LIBRARIES Threads::Threads)
  endif()
endif()
