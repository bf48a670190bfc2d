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

# perfpipe_gpu_check(TARGET TEST|BENCH [RANKS...]): a program that needs a GPU, for tools/gpu-check: once for each number of
# ranks (default 1). Built by the target gpu_checks; build/cuda/gpu_checks.txt lists them as "test 2 PATH".
set_property(GLOBAL PROPERTY PERFPIPE_GPU_CHECKS "")
function(perfpipe_gpu_check target kind)
  string(TOLOWER ${kind} kind)
  if(NOT ARGN)
    set(ARGN 1)
  endif()
  foreach(ranks IN LISTS ARGN)
    set_property(GLOBAL APPEND PROPERTY PERFPIPE_GPU_CHECKS "${kind} ${ranks} $<TARGET_FILE:${target}>")
  endforeach()
  add_dependencies(gpu_checks ${target})
endfunction()

if(NOT PERFPIPE_CUDA)
  return()
endif()
add_custom_target(gpu_checks)

# Where tools/setup --cuda puts LibTorch, and what of NVIDIA's libraries the toolkit does not have.
if(DEFINED ENV{XDG_CACHE_HOME})
  set(cache_folder $ENV{XDG_CACHE_HOME})
else()
  set(cache_folder $ENV{HOME}/.cache)
endif()
set(PERFPIPE_LIBTORCH ${cache_folder}/perfpipe/libtorch-2.11.0-cu13/site-packages/torch CACHE PATH "Folder 'torch' of a wheel, or an unpacked LibTorch")

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

# NCCL: its header and where its library lies (opened at run time, cluster/nccl.cu). Of the toolkit or of packages, else of
# the wheel nvidia-nccl-cu13 beside LibTorch, which tools/setup --cuda puts there when there is no other.
find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} PATHS ${PERFPIPE_LIBTORCH}/../nvidia/nccl/include)
find_file(NCCL_LIBRARY libnccl.so.2 HINTS ${CUDAToolkit_LIBRARY_DIR} PATHS /usr/lib/x86_64-linux-gnu /usr/lib64 ${PERFPIPE_LIBTORCH}/../nvidia/nccl/lib)
if(NOT NCCL_INCLUDE_DIR OR NOT NCCL_LIBRARY)
  message(FATAL_ERROR "there is no NCCL (nccl.h, libnccl.so.2) in the toolkit, the system or beside LibTorch: run tools/setup --cuda")
endif()
get_filename_component(NCCL_LIBRARY_DIR ${NCCL_LIBRARY} DIRECTORY)
file(STRINGS ${NCCL_INCLUDE_DIR}/nccl.h nccl_version REGEX "#define NCCL_(MAJOR|MINOR|PATCH) ")
string(REGEX REPLACE "[^0-9;]" "" nccl_version "${nccl_version}")
string(REPLACE ";" "." nccl_version "${nccl_version}")
message(STATUS "CUDA ${CUDAToolkit_VERSION}: ${CMAKE_CUDA_COMPILER}")
message(STATUS "NCCL ${nccl_version}: ${NCCL_LIBRARY}")
