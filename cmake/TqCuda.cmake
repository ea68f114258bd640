# libtq_cuda.so, the plugin for NVIDIA devices (kernels/cuda). libtq opens it at run time and needs nothing of CUDA.
#   TQ_CUDA                 AUTO, ON or OFF
#   TQ_CUDA_ARCHITECTURES   as CMAKE_CUDA_ARCHITECTURES; by default all that the plugin is made for and nvcc knows
set(cuda_what "libtq_cuda.so, for searching on NVIDIA devices")
set(cuda_default OFF)
if(PROJECT_IS_TOP_LEVEL)
  set(cuda_default AUTO)
endif()
set(TQ_CUDA ${cuda_default} CACHE STRING "AUTO, ON or OFF: ${cuda_what}")
set_property(CACHE TQ_CUDA PROPERTY STRINGS AUTO ON OFF)

# tq_cuda_missing(reason): a line of the summary, or the end where it was asked for.
macro(tq_cuda_missing reason)
  if(TQ_CUDA STREQUAL "AUTO")
    list(APPEND TQ_LEFT_OUT "${cuda_what} (${reason})")
  else()
    message(FATAL_ERROR "TQ_CUDA=${TQ_CUDA}, but it cannot be built: ${reason}.")
  endif()
  return()
endmacro()

if(NOT TQ_CUDA STREQUAL "AUTO" AND NOT TQ_CUDA)
  return()
endif()
if(TQ_SANITIZE OR TQ_FUZZ)
  tq_cuda_missing("not with TQ_SANITIZE or TQ_FUZZ")
endif()
find_program(TQ_NVCC NAMES $ENV{CUDACXX} nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
mark_as_advanced(TQ_NVCC)
if(NOT TQ_NVCC AND NOT CMAKE_CUDA_COMPILER)
  tq_cuda_missing("nvcc was not found: install NVIDIA's CUDA toolkit 12 or newer, or set CUDACXX")
endif()
if("$ENV{CUDACXX}" STREQUAL "")
  set(ENV{CUDACXX} ${TQ_NVCC})
endif()
if(NOT CMAKE_CUDA_COMPILER)
  unset(CMAKE_CUDA_COMPILER CACHE) # what did not work the last time may work now
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  tq_cuda_missing("$ENV{CUDACXX} does not work, or not with the host's C++ compiler: another one is set by CUDAHOSTCXX")
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80) # of CMake's trial programs alone
endif()
enable_language(CUDA)
set(nvcc_version ${CMAKE_CUDA_COMPILER_VERSION})
if(NOT CMAKE_CUDA_COMPILER_ID STREQUAL "NVIDIA" OR nvcc_version VERSION_LESS 12.0)
  tq_cuda_missing("${CMAKE_CUDA_COMPILER_ID} ${nvcc_version} is not nvcc 12.0 or newer")
endif()

# sm_90a: its own instructions are used. Devices that are newer than all of these translate the virtual one.
set(cuda_architectures 80-real 86-real 89-real 90a-real)
if(nvcc_version VERSION_GREATER_EQUAL 12.8)
  list(APPEND cuda_architectures 100-real 120-real)
endif()
list(APPEND cuda_architectures 80-virtual)
set(TQ_CUDA_ARCHITECTURES "${cuda_architectures}" CACHE STRING "as CMAKE_CUDA_ARCHITECTURES")

set(TQ_CUDA_BUILT "nvcc ${nvcc_version}, ${TQ_CUDA_ARCHITECTURES}")
string(REPLACE ";" " " TQ_CUDA_BUILT "${TQ_CUDA_BUILT}")

file(GLOB cuda_sources CONFIGURE_DEPENDS kernels/cuda/*.cu)
add_library(tq_cuda_objects OBJECT ${cuda_sources})
target_include_directories(tq_cuda_objects PRIVATE ${PROJECT_SOURCE_DIR})
# What a float or a double is here must be what the CPU's kernels make of it: no fused products and sums.
set(cuda_host_flags ${TQ_HARDENED})
list(FILTER cuda_host_flags INCLUDE REGEX "^-[fm]")
list(APPEND cuda_host_flags -Wall -Wextra -Wconversion -ffp-contract=off -fno-exceptions -fno-rtti)
list(JOIN cuda_host_flags "," cuda_host_flags)
set(cuda_flags --fmad=false --threads=2 -Xfatbin=-compress-all -Xcompiler=${cuda_host_flags})
if(TQ_WERROR)
  list(APPEND cuda_flags -Werror=all-warnings)
endif()
target_compile_options(tq_cuda_objects PRIVATE ${cuda_flags} -Xptxas=-v)
set_target_properties(tq_cuda_objects PROPERTIES
  CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_EXTENSIONS OFF CUDA_RUNTIME_LIBRARY Static
  CUDA_ARCHITECTURES "${TQ_CUDA_ARCHITECTURES}" CUDA_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON
  # registers and spills of each kernel, kept beside the object for tests/cuda/gates.sh
  RULE_LAUNCH_COMPILE "sh \"${PROJECT_SOURCE_DIR}/cmake/keep_ptxas.sh\" <OBJECT>")

add_library(tq_cuda MODULE $<TARGET_OBJECTS:tq_cuda_objects>)
set_target_properties(tq_cuda PROPERTIES
  LINKER_LANGUAGE CUDA CUDA_RUNTIME_LIBRARY Static CUDA_ARCHITECTURES "${TQ_CUDA_ARCHITECTURES}"
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/tq_cuda.map)
set(cuda_hardened ${TQ_HARDENED})
list(FILTER cuda_hardened INCLUDE REGEX "^-Wl,")
target_link_options(tq_cuda PRIVATE ${cuda_hardened} -Wl,--as-needed -Wl,--no-undefined -Wl,-z,nodelete
                    -static-libstdc++ -static-libgcc
                    -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/tq_cuda.map)

# Inside the plugin, so that rows on the device can be read back.
if(TQ_TESTS)
  add_executable(cuda_sets tests/cuda/sets.cu $<TARGET_OBJECTS:tq_cuda_objects>)
  target_include_directories(cuda_sets PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(cuda_sets PRIVATE ${cuda_flags})
  set_target_properties(cuda_sets PROPERTIES
    CUDA_STANDARD 17 CUDA_RUNTIME_LIBRARY Static CUDA_ARCHITECTURES "${TQ_CUDA_ARCHITECTURES}" LINKER_LANGUAGE CUDA
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endif()
