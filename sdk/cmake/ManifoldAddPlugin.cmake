# manifold_add_plugin(NAME SOURCES file... [MANIFEST file.yaml] [LINK library...])
#
# Builds plugins/NAME.so (target plugin_NAME) with the rules every Manifold plugin
# follows: one exported symbol, no undefined ones, nothing of its static libraries
# visible, no link against the host.  The manifest is copied beside it.

# The headers: in the source tree, or where they are installed.
foreach(dir ../include ../../../include)
  if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/${dir}/manifold/plugin.h)
    get_filename_component(dir ${CMAKE_CURRENT_LIST_DIR}/${dir} ABSOLUTE)
    set(MANIFOLD_INCLUDE_DIR ${dir} CACHE INTERNAL "Where manifold/plugin.h is")
    break()
  endif()
endforeach()

function(manifold_add_plugin name)
  cmake_parse_arguments(arg "" "MANIFEST" "SOURCES;LINK" ${ARGN})
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "manifold_add_plugin(${name}): SOURCES is missing")
  endif()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "manifold_add_plugin(${name}): what is ${arg_UNPARSED_ARGUMENTS}?")
  endif()
  set(map ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)
  add_library(plugin_${name} MODULE ${arg_SOURCES})
  set_target_properties(plugin_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name} SUFFIX ".so"
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins LINK_DEPENDS ${map})
  target_include_directories(plugin_${name} PRIVATE ${MANIFOLD_INCLUDE_DIR})
  # Unique symbols would pin the library for ever; it has no -fgnu-unique in clang.
  target_compile_options(plugin_${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  target_link_libraries(plugin_${name} PRIVATE ${arg_LINK})
  target_link_options(plugin_${name} PRIVATE -Wl,--exclude-libs,ALL -Wl,--version-script=${map})
  # clang leaves the sanitizers' own symbols for the program to define.
  if(NOT MANIFOLD_SANITIZE AND NOT "${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS}" MATCHES "-fsanitize")
    target_link_options(plugin_${name} PRIVATE -Wl,-z,defs)
  endif()
  if(arg_MANIFEST)
    set(out ${CMAKE_BINARY_DIR}/plugins/${name}.yaml)
    add_custom_command(TARGET plugin_${name} POST_BUILD
      COMMAND ${CMAKE_COMMAND} -E copy_if_different ${CMAKE_CURRENT_SOURCE_DIR}/${arg_MANIFEST} ${out})
    set_property(TARGET plugin_${name} APPEND PROPERTY LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${arg_MANIFEST})
  endif()
endfunction()
