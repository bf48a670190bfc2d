# LibTorch: Debian's package, or the one that CMAKE_PREFIX_PATH names. Debian's exported targets want CUDA and MKL checks
# that a CPU build does not need, so the library and its headers are looked up directly.
find_path(TORCH_INCLUDE_DIR torch/csrc/api/include/torch/types.h REQUIRED)
find_library(TORCH_LIBRARY torch REQUIRED)
find_library(TORCH_CPU_LIBRARY torch_cpu REQUIRED)
find_library(C10_LIBRARY c10 REQUIRED)
add_library(perfpipe_torch INTERFACE)
target_include_directories(perfpipe_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIR} ${TORCH_INCLUDE_DIR}/torch/csrc/api/include)
target_link_libraries(perfpipe_torch INTERFACE ${TORCH_LIBRARY} ${TORCH_CPU_LIBRARY} ${C10_LIBRARY})
