# cmake --install: tq.h, libtq.so, tq.so, tq.pc, find_package(tq). Examples, tests and bench stay here.
install(TARGETS tq EXPORT tqTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES src/tq.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_BINARY_DIR}/tq.so DESTINATION ${CMAKE_INSTALL_LIBDIR})  # the link itself

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tq)
install(EXPORT tqTargets NAMESPACE tq:: DESTINATION ${package_dir})
configure_package_config_file(cmake/tqConfig.cmake.in ${PROJECT_BINARY_DIR}/tqConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tqConfig.cmake ${PROJECT_BINARY_DIR}/tqConfigVersion.cmake
        DESTINATION ${package_dir})

# Relative to the file itself, so that an installed tree can be moved.
file(RELATIVE_PATH TQ_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/tq.pc.in ${PROJECT_BINARY_DIR}/tq.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tq.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
