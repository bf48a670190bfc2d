# LibTorch: Debian's package, or the one that CMAKE_PREFIX_PATH names; with PERFPIPE_CUDA the torch folder of PyPI's wheel.
# Exported targets (Debian's and the wheel's) want CUDA and MKL checks that we do not need, so the library and its headers
# are looked up directly.
if(PERFPIPE_CUDA)
  if(NOT EXISTS ${PERFPIPE_LIBTORCH}/lib/libtorch.so)
    message(FATAL_ERROR "there is no LibTorch in ${PERFPIPE_LIBTORCH}: run tools/setup --cuda, or set PERFPIPE_LIBTORCH to the folder 'torch' of a wheel")
  endif()
  # Nowhere else: Debian's would be found as well, and headers of one with libraries of the other.
  set(torch_where PATHS ${PERFPIPE_LIBTORCH} NO_DEFAULT_PATH)
endif()
find_path(TORCH_INCLUDE_DIR torch/csrc/api/include/torch/types.h ${torch_where} PATH_SUFFIXES include REQUIRED)
find_library(TORCH_LIBRARY torch ${torch_where} PATH_SUFFIXES lib REQUIRED)
find_library(TORCH_CPU_LIBRARY torch_cpu ${torch_where} PATH_SUFFIXES lib REQUIRED)
find_library(C10_LIBRARY c10 ${torch_where} PATH_SUFFIXES lib REQUIRED)
add_library(perfpipe_torch INTERFACE)
target_include_directories(perfpipe_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIR} ${TORCH_INCLUDE_DIR}/torch/csrc/api/include)
# The C++ library first: the wheel's LibTorch has a std::filesystem of its own, of another layout, for all to see.
target_link_libraries(perfpipe_torch INTERFACE stdc++ ${TORCH_LIBRARY} ${TORCH_CPU_LIBRARY} ${C10_LIBRARY})
if(PERFPIPE_CUDA)
  # The wheel's libraries need the toolkit's (cuBLAS, cuDNN, NCCL ...). RPATH, as RUNPATH would not count for what they load.
  target_link_options(perfpipe_torch INTERFACE LINKER:--disable-new-dtags LINKER:-rpath,${CUDAToolkit_LIBRARY_DIR} LINKER:-rpath-link,${CUDAToolkit_LIBRARY_DIR})
endif()

# Its version, so that it can be told without loading it (LibTorch 2.11 has moved it).
foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(EXISTS ${TORCH_INCLUDE_DIR}/${header})
    file(STRINGS ${TORCH_INCLUDE_DIR}/${header} torch_version REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX REPLACE "[^0-9;]" "" torch_version "${torch_version}")
    string(REPLACE ";" "." torch_version "${torch_version}")
    break()
  endif()
endforeach()
message(STATUS "LibTorch ${torch_version}: ${TORCH_LIBRARY}")
