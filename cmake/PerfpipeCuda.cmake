# CUDA: nvcc, the toolkit's libraries and NCCL, for what goes into libperfpipe_cuda.so (core/cuda_library.hpp).
# perfpipe_cuda_sources(FOLDER FILE...) names a folder's files for it; without PERFPIPE_CUDA it does nothing, since
# callers reach them through the library alone and are told that there is none.
set_property(GLOBAL PROPERTY PERFPIPE_CUDA_OBJECTS "")
function(perfpipe_cuda_sources folder)
  if(NOT PERFPIPE_CUDA OR NOT ARGN)
    return()
  endif()
  add_library(perfpipe_${folder}_cuda OBJECT ${ARGN})
  target_link_libraries(perfpipe_${folder}_cuda PRIVATE perfpipe_flags perfpipe_cuda_toolkit)
  set_target_properties(perfpipe_${folder}_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON)
  set_property(GLOBAL APPEND PROPERTY PERFPIPE_CUDA_OBJECTS perfpipe_${folder}_cuda)
endfunction()

if(NOT PERFPIPE_CUDA)
  return()
endif()

# Machine code for A100 and H100/H200, and PTX that drivers compile for newer ones. C++17: CMake 3.25 knows no CUDA20.
set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
find_program(CMAKE_CUDA_COMPILER nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
if(NOT CMAKE_CUDA_COMPILER)
  message(FATAL_ERROR "PERFPIPE_CUDA needs the CUDA toolkit (nvcc), 13.0 or later; set CUDA_HOME to where it is, or build the preset 'release'")
endif()
if(CCACHE_PROGRAM)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
find_package(CUDAToolkit REQUIRED)

# The runtime is linked in: a GPU node needs the driver alone for it.
add_library(perfpipe_cuda_toolkit INTERFACE)
target_link_libraries(perfpipe_cuda_toolkit INTERFACE CUDA::cudart_static CUDA::cublas)
target_compile_options(perfpipe_cuda_toolkit INTERFACE
  # Not -Wpedantic: what nvcc hands to the host's compiler is full of line markers in GCC's own style.
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wshadow>
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${PERFPIPE_WERROR}>>:-Werror=all-warnings>)
