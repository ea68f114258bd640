# One ctest per file. Label `quick` unless the file's name ends in _full; `full` is everything.
#   tests/unit/test_*.c       cmocka programs        tests/kernels/check_*.c   plain programs
#   tests/{sql,shell,crash,crash/power,kernels,cuda}/*.sh, tests/sql/run_sql.py   get the build folder as their argument
#   tests/fuzz/fuzz_*.c       over the inputs in tests/fuzz/corpus/*; TQ_FUZZ: libFuzzer instead of replay.c
#   tests/cuda/check_*.c      plain programs over any plugin; tests/cuda/*.sh as above; tests/cuda/emulated_*.c are a
#                             plugin that needs no GPU, build/tests/libtq_cuda_emulated.so
#   other .c files in tests/unit, tests/kernels and tests/cuda are linked into every program of their folder
# Tests run in the source folder; they write below $TMPDIR only.
include(CheckLanguage)
find_package(Python3 COMPONENTS Interpreter)
find_path(CMOCKA_INCLUDE_DIR cmocka.h)
find_library(CMOCKA_LIBRARY cmocka)
mark_as_advanced(CMOCKA_INCLUDE_DIR CMOCKA_LIBRARY)
set(TQ_MISSING "")

# tq_test(name seconds command...)
function(tq_test name seconds)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  if(name MATCHES "_full$")
    set(labels full)
  else()
    set(labels quick full)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT ${seconds}
                       SKIP_RETURN_CODE 77)
  set_property(GLOBAL APPEND PROPERTY TQ_TEST_NAMES ${name})
endfunction()

# tq_test_programs(folder prefix library...): <folder>/<prefix>_*.c
function(tq_test_programs folder prefix)
  string(REGEX REPLACE "[^a-z]" "_" library ${folder}_helpers) # tests_unit_helpers
  file(GLOB programs CONFIGURE_DEPENDS ${folder}/${prefix}_*.c)
  file(GLOB helpers CONFIGURE_DEPENDS ${folder}/*.c)
  list(REMOVE_ITEM helpers ${programs} "")
  list(FILTER helpers EXCLUDE REGEX "/emulated_[a-z]+\\.c$")
  if(helpers)
    add_library(${library} STATIC ${helpers})
    set_target_properties(${library} PROPERTIES C_EXTENSIONS OFF)
    target_link_libraries(${library} PUBLIC tq_inside ${ARGN})
  else()
    add_library(${library} INTERFACE)
    target_link_libraries(${library} INTERFACE tq_inside ${ARGN})
  endif()
  foreach(source IN LISTS programs)
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    set_target_properties(${name} PROPERTIES C_EXTENSIONS OFF
                          RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    target_link_libraries(${name} PRIVATE ${library})
    tq_test(${name} 600 ${name})
  endforeach()
endfunction()

tq_test_programs(tests/kernels check)

# A plugin for the host's tests. It has the library's parts that it needs inside, and shows its entry alone.
file(GLOB emulated CONFIGURE_DEPENDS tests/cuda/emulated_*.c)
if(emulated)
  add_library(tq_cuda_emulated MODULE ${emulated})
  set_target_properties(tq_cuda_emulated PROPERTIES C_EXTENSIONS OFF
                        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_libraries(tq_cuda_emulated PRIVATE tq_inside)
  target_link_options(tq_cuda_emulated PRIVATE -Wl,--exclude-libs,ALL -Wl,-Bsymbolic)
  tq_test_programs(tests/cuda check)
  add_dependencies(check_device_encode tq_cuda_emulated)
  add_dependencies(check_device_search tq_cuda_emulated)
endif()

# Device code without a device: kernels/cuda, translated for a C++ compiler, as a plugin and for check_fragments.
check_language(CXX)
if(emulated AND CMAKE_CXX_COMPILER AND Python3_Interpreter_FOUND AND NOT TQ_SANITIZE MATCHES "thread|fuzzer")
  enable_language(CXX)
  set(simt ${PROJECT_SOURCE_DIR}/tests/cuda/simt)
  file(GLOB device_files CONFIGURE_DEPENDS kernels/cuda/*.cu kernels/cuda/*.cuh kernels/cuda/*.h)
  set(translated ${device_files})
  list(FILTER translated INCLUDE REGEX "\\.cu$")
  list(FILTER translated EXCLUDE REGEX "/device\\.cu$")
  list(TRANSFORM translated REPLACE "^.*/([a-z_]+)\\.cu$" "${PROJECT_BINARY_DIR}/simt/kernels/cuda/\\1.cc")
  add_custom_command(OUTPUT ${translated} VERBATIM DEPENDS ${device_files} ${simt}/translate.py
    COMMAND ${Python3_EXECUTABLE} ${simt}/translate.py ${PROJECT_SOURCE_DIR}/kernels/cuda ${PROJECT_BINARY_DIR}/simt)
  add_library(tq_cuda_simt MODULE ${translated} ${simt}/device.cc ${simt}/simt.cc)
  add_library(tq_cuda_fragments STATIC ${simt}/fragments.cc ${simt}/simt.cc)
  add_dependencies(tq_cuda_fragments tq_cuda_simt)
  foreach(library tq_cuda_simt tq_cuda_fragments)
    set_target_properties(${library} PROPERTIES CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
                          CXX_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    target_include_directories(${library} PRIVATE ${PROJECT_BINARY_DIR}/simt ${simt} ${PROJECT_SOURCE_DIR})
    target_compile_options(${library} PRIVATE -O1 -ffp-contract=off -fno-rtti -w -include cuda_runtime.h ${sanitize}
                           -fno-sanitize=undefined) # what CUDA defines is no bug
    target_link_options(${library} PRIVATE ${sanitize})
  endforeach()
  target_link_libraries(tq_cuda_simt PRIVATE Threads::Threads)
  tq_test_programs(tests/cuda/simt check)
  target_link_libraries(check_fragments PRIVATE tq_cuda_fragments tests_cuda_helpers)
  foreach(part encode search)
    tq_test(cuda_kernels_${part} 600 check_device_${part} --sanitizer --plugin $<TARGET_FILE:tq_cuda_simt>)
  endforeach()
else()
  list(APPEND TQ_MISSING "device code on the CPU (a C++ compiler, Python 3)")
endif()

if(TARGET cuda_sets) # TqCuda; skipped without a device
  tq_test(cuda_sets 300 cuda_sets)
endif()

if(CMOCKA_INCLUDE_DIR AND CMOCKA_LIBRARY)
  add_library(tq_cmocka INTERFACE)
  target_include_directories(tq_cmocka SYSTEM INTERFACE ${CMOCKA_INCLUDE_DIR})
  target_link_libraries(tq_cmocka INTERFACE ${CMOCKA_LIBRARY})
  tq_test_programs(tests/unit test tq_cmocka)
else()
  list(APPEND TQ_MISSING "unit tests (apt-get install libcmocka-dev)")
endif()

file(GLOB fuzz_sources CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name ${source} NAME_WE)
  string(REPLACE "fuzz_" "" corpus ${name})
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES C_EXTENSIONS OFF
                        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE tq_inside)
  if(TQ_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE tests/fuzz/replay.c)
  endif()
  tq_test(${name} 300 ${name} -runs=0 tests/fuzz/corpus/${corpus})
endforeach()

if(TARGET fuzz_shell) # the shell is no library: its files, but for main() and libedit
  set(parts ${shell_sources} ${PROJECT_SOURCE_DIR}/shell/edit_plain.c)
  list(FILTER parts EXCLUDE REGEX "/(main|edit_libedit)\\.c$")
  list(REMOVE_DUPLICATES parts)
  target_sources(fuzz_shell PRIVATE ${parts})
endif()

file(GLOB scripts CONFIGURE_DEPENDS tests/sql/*.sh tests/shell/*.sh tests/crash/*.sh
     tests/crash/power/*.sh tests/kernels/*.sh tests/cuda/*.sh)
foreach(script IN LISTS scripts)
  get_filename_component(name ${script} NAME_WE)
  get_filename_component(folder ${script} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  tq_test(${folder}_${name} 600 bash ${script} ${PROJECT_BINARY_DIR})
endforeach()

if(Python3_Interpreter_FOUND)
  set(tidy ${Python3_EXECUTABLE} tests/tidy/tidy.py --cc ${CMAKE_C_COMPILER})
  tq_test(tidy 120 ${tidy} --library $<TARGET_FILE:tq>)
  tq_test(tidy_self 120 ${tidy} --self-test)
  if(EXISTS ${PROJECT_SOURCE_DIR}/tests/sql/run_sql.py)
    tq_test(sql 600 ${Python3_EXECUTABLE} tests/sql/run_sql.py ${PROJECT_BINARY_DIR})
    tq_test(golden 120 ${Python3_EXECUTABLE} tests/golden/golden.py ${PROJECT_BINARY_DIR})
  endif()
else()
  list(APPEND TQ_MISSING "tidy and SQL tests (apt-get install python3)")
endif()

# Needs the whole library: from an installed copy, the examples are built and run.
file(GLOB db_sources CONFIGURE_DEPENDS src/db/*.c)
if(db_sources AND NOT TQ_SANITIZE)
  tq_test(install_full 300 bash tests/install/run.sh ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER})
endif()
