# OpenBLAS with its C interface (Debian: libopenblas-pthread-dev); the reference BLAS would be twenty times slower.
find_path(OPENBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES x86_64-linux-gnu/openblas-pthread aarch64-linux-gnu/openblas-pthread openblas REQUIRED)
find_library(OPENBLAS_LIBRARY openblas PATH_SUFFIXES openblas-pthread REQUIRED)
add_library(perfpipe_blas INTERFACE)
target_include_directories(perfpipe_blas SYSTEM INTERFACE ${OPENBLAS_INCLUDE_DIR})
target_link_libraries(perfpipe_blas INTERFACE ${OPENBLAS_LIBRARY})
