# What makes a defect in memory end the process instead of giving it away. Each flag only where compiler and linker know
# it.
#   TQ_HARDENING   ON; OFF leaves the compiler's defaults
include(CheckCCompilerFlag)
include(CheckPIESupported)

option(TQ_HARDENING "Stack protection, checked string functions, tables of the linker read-only" ON)
set(TQ_HARDENED "")

# tq_harden_compile(flag): for all objects, if the compiler takes it
macro(tq_harden_compile flag)
  string(MAKE_C_IDENTIFIER "TQ_HAS${flag}" has)
  set(CMAKE_REQUIRED_FLAGS -Werror) # clang only warns of a flag that its target does not have
  check_c_compiler_flag(${flag} ${has})
  unset(CMAKE_REQUIRED_FLAGS)
  if(${has})
    target_compile_options(tq_flags INTERFACE ${flag})
    list(APPEND TQ_HARDENED ${flag})
  endif()
endmacro()

macro(tq_harden_link flag)
  string(MAKE_C_IDENTIFIER "TQ_HAS${flag}" has)
  check_linker_flag(C ${flag} ${has})
  if(${has})
    target_link_options(tq_flags INTERFACE ${flag})
    list(APPEND TQ_HARDENED ${flag})
  endif()
endmacro()

if(TQ_HARDENING)
  tq_harden_compile(-fstack-protector-strong)
  tq_harden_compile(-fstack-clash-protection)
  tq_harden_compile(-fcf-protection) # x86-64
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    tq_harden_compile(-mbranch-protection=standard)
  endif()
  # Needs optimisation, and would hide calls from sanitizers. Undefined first: some distributions define it themselves.
  if(NOT TQ_SANITIZE AND NOT TQ_FUZZ)
    target_compile_options(tq_flags INTERFACE
      "$<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>")
    list(APPEND TQ_HARDENED -D_FORTIFY_SOURCE=2)
  endif()
  tq_harden_link(-Wl,-z,relro)
  tq_harden_link(-Wl,-z,now)
  tq_harden_link(-Wl,-z,noexecstack)
  check_pie_supported(LANGUAGES C)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()
