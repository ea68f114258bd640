# cmake --install: headers, libtq.so, libtq_io.so, libtq_cuda.so where it was built, tq.so, tq.pc, tq_io.pc,
# find_package(tq), tqshell's man page and completion. Examples, tests and bench stay here.
set_property(TARGET tq_files PROPERTY INSTALL_RPATH "$ORIGIN")  # libtq.so lies beside it
install(TARGETS tq tq_files EXPORT tqTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET tq_cuda) # libtq looks for it beside itself; tqshell, which has the library inside, where libraries are
  install(TARGETS tq_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  file(RELATIVE_PATH libraries ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_property(TARGET tqshell PROPERTY INSTALL_RPATH "$ORIGIN/${libraries}")
endif()
install(FILES src/tq.h src/tq_io.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_BINARY_DIR}/tq.so DESTINATION ${CMAKE_INSTALL_LIBDIR})  # the link itself

install(FILES docs/tqshell.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES shell/tqshell.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME tqshell)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tq)
install(EXPORT tqTargets NAMESPACE tq:: DESTINATION ${package_dir})
configure_package_config_file(cmake/tqConfig.cmake.in ${PROJECT_BINARY_DIR}/tqConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tqConfig.cmake ${PROJECT_BINARY_DIR}/tqConfigVersion.cmake
        DESTINATION ${package_dir})

# Relative to the file itself, so that an installed tree can be moved.
file(RELATIVE_PATH TQ_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
foreach(name IN ITEMS tq tq_io)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
